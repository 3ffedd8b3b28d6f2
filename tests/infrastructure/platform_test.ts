/**
 * Platforms, versions and distributions: pure functions over made-up inputs.
 *
 * @module
 */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { EnvironmentError, PythonHostError } from "../../core/errors.ts";
import {
  archiveName,
  archiveUrls,
  chooseDistribution,
  distributionKey,
  distributionsFor,
} from "../../infrastructure/distributions.ts";
import { DISTRIBUTIONS } from "../../infrastructure/distributions.gen.ts";
import {
  detectPlatform,
  elfInterpreter,
  type Libc,
  libcOfInterpreter,
  targetTriple,
} from "../../infrastructure/platform.ts";
import {
  compareVersions,
  isPathRequest,
  mismatch,
  parseRequest,
  parseVersion,
} from "../../infrastructure/versions.ts";
import { denoIo } from "../../infrastructure/io.ts";
import { generate } from "../../tools/gen_distributions.ts";
import { only, temporary } from "./_support.ts";
import { dirname, join } from "@std/path";

const ROWS: readonly [os: string, arch: string, libc: Libc, triple: string][] = [
  ["linux", "x86_64", "gnu", "x86_64-unknown-linux-gnu"],
  ["linux", "aarch64", "gnu", "aarch64-unknown-linux-gnu"],
  ["linux", "x86_64", "musl", "x86_64-unknown-linux-musl"],
  ["linux", "aarch64", "musl", "aarch64-unknown-linux-musl"],
  ["linux", "armv7", "gnueabihf", "armv7-unknown-linux-gnueabihf"],
  ["linux", "ppc64le", "gnu", "ppc64le-unknown-linux-gnu"],
  ["linux", "riscv64", "gnu", "riscv64-unknown-linux-gnu"],
  ["linux", "s390x", "gnu", "s390x-unknown-linux-gnu"],
  ["darwin", "aarch64", "none", "aarch64-apple-darwin"],
  ["darwin", "x86_64", "none", "x86_64-apple-darwin"],
  ["windows", "x86_64", "none", "x86_64-pc-windows-msvc"],
  ["windows", "aarch64", "none", "aarch64-pc-windows-msvc"],
];

for (const [os, arch, libc, triple] of ROWS) {
  Deno.test(`targetTriple() gives ${triple}, and there is a build for it`, () => {
    assertEquals(targetTriple({ os, arch, libc }), triple);
    assert(distributionsFor(triple).length >= 12);
    assertEquals(chooseDistribution("3.12", triple).triple, triple);
  });
}

Deno.test("targetTriple() knows other names of processors, and refuses what has no build", () => {
  assertEquals(targetTriple({ os: "linux", arch: "AMD64", libc: "gnu" }), "x86_64-unknown-linux-gnu");
  assertEquals(targetTriple({ os: "darwin", arch: "arm64", libc: "none" }), "aarch64-apple-darwin");
  assertEquals(targetTriple({ os: "windows", arch: "x86", libc: "none" }), "i686-pc-windows-msvc");
  assertThrows(() => targetTriple({ os: "linux", arch: "x86_64", libc: "none" }), EnvironmentError);
  assertThrows(() => targetTriple({ os: "linux", arch: "sparc", libc: "gnu" }), EnvironmentError);
  assertThrows(() => targetTriple({ os: "freebsd", arch: "x86_64", libc: "gnu" }), EnvironmentError);
});

Deno.test("every triple of the table belongs to a row", () => {
  const known = new Set(ROWS.map((row) => row[3]));
  for (const builds of Object.values(DISTRIBUTIONS)) {
    for (const triple of Object.keys(builds)) assert(known.has(triple.replace("+freethreaded", "")), triple);
  }
});

function elf(options: { wide: boolean; little: boolean; interpreter?: string }): Uint8Array {
  const { wide, little, interpreter } = options;
  const bytes = new Uint8Array(512);
  const view = new DataView(bytes.buffer);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, wide ? 2 : 1, little ? 1 : 2]);
  const table = 128;
  if (wide) view.setBigUint64(32, BigInt(table), little);
  else view.setUint32(28, table, little);
  view.setUint16(wide ? 54 : 42, wide ? 56 : 32, little);
  view.setUint16(wide ? 56 : 44, 2, little);
  view.setUint32(table, 1, little);
  const second = table + (wide ? 56 : 32);
  if (interpreter === undefined) return bytes;
  view.setUint32(second, 3, little);
  const text = new TextEncoder().encode(`${interpreter}\0`);
  if (wide) {
    view.setBigUint64(second + 8, 300n, little);
    view.setBigUint64(second + 32, BigInt(text.byteLength), little);
  } else {
    view.setUint32(second + 4, 300, little);
    view.setUint32(second + 16, text.byteLength, little);
  }
  bytes.set(text, 300);
  return bytes;
}

const INTERPRETERS: readonly [path: string, libc: Libc][] = [
  ["/lib64/ld-linux-x86-64.so.2", "gnu"],
  ["/lib/ld-linux-aarch64.so.1", "gnu"],
  ["/lib/ld-linux-riscv64-lp64d.so.1", "gnu"],
  ["/lib64/ld64.so.2", "gnu"],
  ["/lib/ld64.so.1", "gnu"],
  ["/lib/ld-musl-x86_64.so.1", "musl"],
  ["/lib/ld-musl-aarch64.so.1", "musl"],
  ["/lib/ld-linux-armhf.so.3", "gnueabihf"],
  ["/lib/ld-linux.so.3", "gnueabi"],
];

Deno.test("elfInterpreter() reads both widths and both orders", () => {
  for (const [path, libc] of INTERPRETERS) {
    for (const wide of [true, false]) {
      for (const little of [true, false]) {
        assertEquals(elfInterpreter(elf({ wide, little, interpreter: path })), path);
      }
    }
    assertEquals(libcOfInterpreter(path), libc);
  }
  assertEquals(elfInterpreter(elf({ wide: true, little: true })), undefined);
  assertEquals(elfInterpreter(new TextEncoder().encode("#!/bin/sh\n".repeat(20))), undefined);
  assertEquals(libcOfInterpreter("/usr/lib/dyld"), undefined);
});

Deno.test("elfInterpreter() reads any bytes without failing", () => {
  const whole = elf({ wide: true, little: true, interpreter: "/lib/ld-musl-x86_64.so.1" });
  for (let length = 0; length < whole.byteLength; length += 3) elfInterpreter(whole.subarray(0, length));
  for (let at = 0; at < 256; at++) {
    const bytes = whole.slice();
    bytes[at] = 0xff;
    elfInterpreter(bytes);
  }
});

Deno.test("case 28: detectPlatform() finds the C library of a made-up system", async () => {
  await using root = await temporary();
  const put = async (path: string, bytes: Uint8Array): Promise<void> => {
    await Deno.mkdir(dirname(join(root.path, path)), { recursive: true });
    await Deno.writeFile(join(root.path, path), bytes);
  };
  const sources = { os: "linux", arch: "x86_64", io: denoIo, root: root.path };
  const libc = async (values = {}): Promise<string> =>
    (await detectPlatform({ ...sources, environment: only(values) })).libc;
  await assertRejects(() => libc(), EnvironmentError, "C library");
  assertEquals(await libc({ UV_LIBC: "musl" }), "musl");
  // A system without programs, as some container images are.
  await put("/lib/ld-musl-x86_64.so.1", new Uint8Array(1));
  assertEquals(await libc(), "musl");
  await put("/lib64/ld-linux-x86-64.so.2", new Uint8Array(1));
  assertEquals(await libc(), "gnu");
  // A shell that is a script tells nothing; the next program does.
  await put("/bin/sh", new TextEncoder().encode("#!/bin/busybox sh\n".repeat(10)));
  await put("/usr/bin/env", elf({ wide: true, little: true, interpreter: "/lib/ld-musl-x86_64.so.1" }));
  assertEquals(await libc(), "musl");
  assertEquals(await libc({ UV_LIBC: "nonsense" }), "musl");
  const other = await detectPlatform({
    ...sources,
    os: "darwin",
    environment: only({ BEEP_PYTHON_ARCH: "aarch64" }),
  });
  assertEquals(other, { os: "darwin", arch: "aarch64", libc: "none" });
});

Deno.test("detectPlatform() finds this machine's", async () => {
  const platform = await detectPlatform({ ...Deno.build, environment: only({}), io: denoIo });
  assert(targetTriple(platform).startsWith(Deno.build.arch));
});

Deno.test("mismatch() takes and refuses versions as a user means it", () => {
  const fits = (request: string, version: string, freeThreaded = false): boolean =>
    mismatch(parseRequest(request), { version, implementation: "cpython", freeThreaded }) === undefined;
  const yes: [string, string][] = [
    ["3.12", "3.12.0"],
    ["3.12", "3.12.11"],
    ["3", "3.9.1"],
    ["3.12.1", "3.12.1"],
    [">=3.10,<3.13", "3.12.9"],
    [">=3.10, <3.13", "3.10.0"],
    ["==3.11.*", "3.11.4"],
    ["!=3.11.*", "3.12.0"],
    ["~=3.10", "3.13.0"],
    ["~=3.10.2", "3.10.9"],
    ["3.14.0rc2", "3.14.0rc2"],
    [">3.9", "3.9.1"],
    ["<=3.12", "3.12.0"],
    ["cpython@3.11", "3.11.2"],
    ["cpython3.11", "3.11.2"],
    ["python3.11", "3.11.2"],
    ["", "3.13.1"],
  ];
  const no: [string, string][] = [
    ["3.1", "3.12.0"],
    ["3.12.1", "3.12.10"],
    [">=3.10,<3.13", "3.13.0"],
    [">=3.10,<3.13", "3.9.20"],
    ["~=3.10.2", "3.11.0"],
    ["~=3.10.2", "3.10.1"],
    ["!=3.11.*", "3.11.9"],
    [">=3.13", "3.14.0rc1"],
    ["<3.14", "3.14.0a1"],
    ["pypy@3.10", "3.10.1"],
  ];
  for (const [request, version] of yes) assert(fits(request, version), `${request} ${version}`);
  for (const [request, version] of no) assert(!fits(request, version), `${request} ${version}`);
  assert(fits("3.14t", "3.14.1", true) && !fits("3.14t", "3.14.1") && !fits("3.14", "3.14.1", true));
  for (const text of ["three", ">=", "3.12.x", "3..1", ">=3.10;<4", "3.1.2.3"]) {
    assertThrows(() => parseRequest(text), PythonHostError, "Cannot understand");
  }
  for (const path of ["/usr/bin/python3", "./python", "C:\\Python\\python.exe", "~/p", "venv/bin/python"]) {
    assert(isPathRequest(path));
  }
  assert(!isPathRequest(">=3.9"));
});

Deno.test("compareVersions() puts pre-releases before their release", () => {
  const ordered = [
    "3.9",
    "3.9.1",
    "3.10.0a1",
    "3.10.0b1",
    "3.10.0rc1",
    "3.10.0rc2",
    "3.10.0",
    "3.10.1",
    "4.0",
  ];
  for (let index = 1; index < ordered.length; index++) {
    const [a, b] = [parseVersion(ordered[index - 1]!)!, parseVersion(ordered[index]!)!];
    assert(compareVersions(a, b) < 0 && compareVersions(b, a) > 0, `${ordered[index - 1]} ${ordered[index]}`);
  }
});

Deno.test("archiveUrls() escapes the plus sign, and a mirror is exclusive", () => {
  const chosen = chooseDistribution("3.13", "x86_64-unknown-linux-gnu");
  const file =
    `/${chosen.tag}/cpython-${chosen.version}%2B${chosen.tag}-x86_64-unknown-linux-gnu-install_only_stripped.tar.gz`;
  const official = archiveUrls(chosen, only({}));
  assertEquals(official.length, 2);
  for (const url of official) assert(url.endsWith(`/releases/download${file}`), url);
  assert(archiveName(chosen).includes("+"));
  const install = { UV_PYTHON_INSTALL_MIRROR: "file:///mirror/" };
  assertEquals(archiveUrls(chosen, only(install)), [`file:///mirror${file}`]);
  assertEquals(archiveUrls(chosen, only(install), ["http://a", "http://b/"]), [
    `http://a${file}`,
    `http://b${file}`,
  ]);
  const astral = archiveUrls(chosen, only({ UV_ASTRAL_MIRROR_URL: "http://mirror.example" }));
  assertEquals(astral, [`http://mirror.example/github/python-build-standalone/releases/download${file}`]);
});

Deno.test("chooseDistribution() takes the newest that fits, and says what there is", () => {
  const triple = "x86_64-unknown-linux-gnu";
  assertEquals(chooseDistribution(">=3.9", triple).version, distributionsFor(triple)[0]!.version);
  assertEquals(chooseDistribution(">=3.9,<3.10", triple).version.startsWith("3.9."), true);
  const free = chooseDistribution("3.14t", triple);
  assert(free.freeThreaded && archiveName(free).includes("-freethreaded-install_only"));
  assert(distributionKey(free) !== distributionKey({ ...free, freeThreaded: false }));
  const failure = assertThrows(() => chooseDistribution("3.5", triple), EnvironmentError);
  assert(failure.hint!.includes("3.13"));
});

Deno.test("the generated table is the one of the committed data", async () => {
  const { path, text } = await generate();
  assertEquals(await Deno.readTextFile(new URL(`../../${path}`, import.meta.url)), text);
});
