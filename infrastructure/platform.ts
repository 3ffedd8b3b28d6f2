/**
 * Which build of Python fits a machine: operating system, processor and C library. Pure, but for one function that
 * reads the few files which tell the C library.
 *
 * @module
 */

import { EnvironmentError } from "../core/errors.ts";
import type { Io } from "./io.ts";

/** The C library that programs are linked with; `none` where the system has but one. */
export type Libc = "gnu" | "musl" | "gnueabi" | "gnueabihf" | "none";

/** What decides which build fits. */
export interface Platform {
  /** As `Deno.build.os` names it. */
  readonly os: string;
  /** As `Deno.build.arch` names it, or what an override says: `x86_64`, `aarch64`, `armv7`, `riscv64` … */
  readonly arch: string;
  /** The C library. */
  readonly libc: Libc;
}

const LINUX_TRIPLES: Readonly<Record<string, readonly Libc[]>> = {
  x86_64: ["gnu", "musl"],
  aarch64: ["gnu", "musl"],
  armv7: ["gnueabihf", "gnueabi"],
  ppc64le: ["gnu"],
  riscv64: ["gnu"],
  s390x: ["gnu"],
};

const ARCH_ALIASES: Readonly<Record<string, string>> = {
  x64: "x86_64",
  amd64: "x86_64",
  arm64: "aarch64",
  armv7l: "armv7",
  arm: "armv7",
  riscv64gc: "riscv64",
  powerpc64le: "ppc64le",
  x86: "i686",
};

/**
 * The target triple of the build that fits. Never one for newer processors (`x86_64_v3`): it would die of an illegal
 * instruction on older ones.
 */
export function targetTriple(platform: Platform): string {
  const arch = ARCH_ALIASES[platform.arch.toLowerCase()] ?? platform.arch.toLowerCase();
  const { os, libc } = platform;
  if (os === "darwin" && (arch === "x86_64" || arch === "aarch64")) return `${arch}-apple-darwin`;
  if (os === "windows" && (arch === "x86_64" || arch === "aarch64" || arch === "i686")) {
    return `${arch}-pc-windows-msvc`;
  }
  if (os === "linux" && LINUX_TRIPLES[arch]?.includes(libc)) return `${arch}-unknown-linux-${libc}`;
  throw new EnvironmentError(
    `Cannot choose a Python build for "${os}" on "${platform.arch}" with libc "${libc}"`,
    {
      hint: "Install a Python by the system's own means; it will be found.",
    },
  );
}

/**
 * The program interpreter (`PT_INTERP`) of an ELF file, such as `/lib64/ld-linux-x86-64.so.2`; undefined when the
 * bytes are no ELF file or name none.
 */
export function elfInterpreter(bytes: Uint8Array): string | undefined {
  if (
    bytes.byteLength < 52 || bytes[0] !== 0x7f || bytes[1] !== 0x45 || bytes[2] !== 0x4c || bytes[3] !== 0x46
  ) {
    return undefined;
  }
  const wide = bytes[4] === 2;
  const little = bytes[5] === 1;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const word = (at: number): number => {
    if (at + (wide ? 8 : 4) > bytes.byteLength) return Number.MAX_SAFE_INTEGER;
    return wide ? Number(view.getBigUint64(at, little)) : view.getUint32(at, little);
  };
  if (wide && bytes.byteLength < 64) return undefined;
  const table = word(wide ? 32 : 28);
  const size = view.getUint16(wide ? 54 : 42, little);
  const count = view.getUint16(wide ? 56 : 44, little);
  for (let index = 0; index < count; index++) {
    const at = table + index * size;
    if (at + (wide ? 56 : 32) > bytes.byteLength) return undefined;
    if (view.getUint32(at, little) !== 3) continue;
    const offset = word(at + (wide ? 8 : 4));
    const length = word(at + (wide ? 32 : 16));
    if (length > 4096 || offset + length > bytes.byteLength) return undefined;
    return new TextDecoder().decode(bytes.subarray(offset, offset + length)).replace(/\0.*$/s, "");
  }
  return undefined;
}

/** The C library that a program interpreter belongs to. */
export function libcOfInterpreter(path: string): Libc | undefined {
  const name = path.slice(path.lastIndexOf("/") + 1);
  if (name.startsWith("ld-musl-")) return "musl";
  if (name === "ld-linux-armhf.so.3") return "gnueabihf";
  if (name === "ld-linux.so.3") return "gnueabi";
  if (/^ld(64)?[-.]/.test(name)) return "gnu";
  return undefined;
}

/** Programs that every system has; a shell may be a script, so there are several. */
const WITNESSES: readonly string[] = ["/bin/sh", "/usr/bin/env", "/bin/dash", "/bin/ls", "/bin/busybox"];

/** Where program interpreters are, for images that have no programs; glibc is preferred where there are both. */
const LINKERS: readonly (readonly [string, Libc])[] = [
  ["/lib64/ld-linux-x86-64.so.2", "gnu"],
  ["/lib/ld-linux-aarch64.so.1", "gnu"],
  ["/lib/ld-linux-armhf.so.3", "gnueabihf"],
  ["/lib/ld-linux.so.3", "gnueabi"],
  ["/lib64/ld64.so.2", "gnu"],
  ["/lib/ld-linux-riscv64-lp64d.so.1", "gnu"],
  ["/lib/ld64.so.1", "gnu"],
  ["/lib/ld-musl-x86_64.so.1", "musl"],
  ["/lib/ld-musl-aarch64.so.1", "musl"],
];

/** What detection reads. */
export interface PlatformSources {
  /** As `Deno.build.os` names it. */
  readonly os: string;
  /** As `Deno.build.arch` names it. */
  readonly arch: string;
  /** Gives an environment variable: `UV_LIBC` and `BEEP_PYTHON_ARCH` override what is found. */
  readonly environment: (name: string) => string | undefined;
  /** How files are read. */
  readonly io: Pick<Io, "readFile" | "stat">;
  /** Where the system's files are; tests put a made-up system elsewhere. @default {""} */
  readonly root?: string;
}

/** Finds out the platform. The processor is this process's own: under an emulator, override it. */
export async function detectPlatform(sources: PlatformSources): Promise<Platform> {
  const arch = sources.environment("BEEP_PYTHON_ARCH") || sources.arch;
  if (sources.os !== "linux") return { os: sources.os, arch, libc: "none" };
  const override = sources.environment("UV_LIBC");
  if (override !== undefined && /^(gnu|musl|gnueabi|gnueabihf)$/.test(override)) {
    return { os: sources.os, arch, libc: override as Libc };
  }
  const root = sources.root ?? "";
  let forbidden = false;
  const note = (error: unknown): undefined => {
    forbidden ||= error instanceof Deno.errors.NotCapable;
    return undefined;
  };
  for (const witness of WITNESSES) {
    const bytes = await sources.io.readFile(root + witness).catch(note);
    const interpreter = bytes === undefined ? undefined : elfInterpreter(bytes);
    const libc = interpreter === undefined ? undefined : libcOfInterpreter(interpreter);
    if (libc !== undefined) return { os: sources.os, arch, libc };
  }
  for (const [path, libc] of LINKERS) {
    if (await sources.io.stat(root + path).catch(note) !== undefined) return { os: sources.os, arch, libc };
  }
  // Deno may look at none of them. It is itself linked with glibc, so that is here too; the trial of what is installed
  // finds out if it is not.
  if (forbidden) return { os: sources.os, arch, libc: arch === "armv7" ? "gnueabihf" : "gnu" };
  throw new EnvironmentError(
    "Cannot find out the C library of this system: no program and no linker could be read",
    {
      hint: 'Set UV_LIBC to "gnu" or "musl", or allow reading /bin/sh.',
    },
  );
}
