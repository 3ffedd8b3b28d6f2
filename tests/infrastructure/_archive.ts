/**
 * Archives for the tests: one shaped like the real ones, made from this machine's CPython and cut down to what it
 * needs to start, and hostile ones, header by header.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import { join } from "@std/path";
import { RuntimeManager } from "../../infrastructure/mod.ts";

/** One entry of an archive to make. */
export interface TarEntry {
  readonly path: string;
  readonly type?: string;
  readonly content?: Uint8Array | string;
  readonly mode?: number;
  readonly target?: string;
  /** Changes the finished header, before its checksum is made. */
  readonly alter?: (header: Uint8Array) => void;
  /** Changes it after its checksum was made. */
  readonly corrupt?: (header: Uint8Array) => void;
}

const encoder = new TextEncoder();

function put(header: Uint8Array, at: number, text: string): void {
  header.set(encoder.encode(text), at);
}

function header(entry: TarEntry, size: number): Uint8Array {
  const bytes = new Uint8Array(512);
  let name = entry.path;
  let prefix = "";
  if (encoder.encode(name).length > 100) {
    const at = name.lastIndexOf("/", 99 + name.length - 100) > 155
      ? name.indexOf("/", name.length - 100)
      : name.indexOf("/", name.length - 101);
    prefix = name.slice(0, at);
    name = name.slice(at + 1);
  }
  put(bytes, 0, name);
  put(bytes, 100, `${(entry.mode ?? 0o644).toString(8).padStart(7, "0")}\0`);
  put(bytes, 108, "0000000\0");
  put(bytes, 116, "0000000\0");
  put(bytes, 124, `${size.toString(8).padStart(11, "0")}\0`);
  put(bytes, 136, "00000000000\0");
  put(bytes, 156, entry.type ?? "0");
  put(bytes, 157, entry.target ?? "");
  put(bytes, 257, "ustar\x0000");
  put(bytes, 345, prefix);
  entry.alter?.(bytes);
  bytes.fill(32, 148, 156);
  const sum = bytes.reduce((total, byte) => total + byte, 0);
  put(bytes, 148, `${sum.toString(8).padStart(6, "0")}\0 `);
  entry.corrupt?.(bytes);
  return bytes;
}

/** A tar archive. */
export function tar(entries: readonly TarEntry[]): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const entry of entries) {
    const content = typeof entry.content === "string"
      ? encoder.encode(entry.content)
      : entry.content ?? new Uint8Array();
    parts.push(
      header(entry, content.byteLength),
      content,
      new Uint8Array((512 - content.byteLength % 512) % 512),
    );
  }
  parts.push(new Uint8Array(1024));
  const result = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0));
  let at = 0;
  for (const part of parts) {
    result.set(part, at);
    at += part.byteLength;
  }
  return result;
}

/** A gzipped tar archive. */
export function tarGz(entries: readonly TarEntry[]): Uint8Array {
  return new Uint8Array(gzipSync(tar(entries), { level: 1 }));
}

/** The SHA-256 of bytes, as lower-case hex. */
export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** An archive shaped like the real ones, with what one needs to know of it. */
export interface PythonArchive {
  readonly bytes: Uint8Array;
  readonly sha256: string;
  readonly version: string;
}

// What a Python needs to start, to describe itself and to make a venv; everything else is left away.
const KEPT = new RegExp(
  "^(encodings/(__init__|aliases|utf_8|latin_1|ascii)|collections/\\w+|importlib/.*|json/.*|re/.*|venv/.*|email/\\w+|" +
    "site|os|io|abc|codecs|stat|posixpath|genericpath|_collections_abc|_sitebuiltins|types|warnings|contextlib|" +
    "functools|operator|keyword|reprlib|enum|copyreg|logging/__init__|subprocess|shutil|fnmatch|tempfile|random|" +
    "bisect|hashlib|weakref|_weakrefset|argparse|gettext|locale|sysconfig|_sysconfigdata.*|shlex|traceback|linecache|" +
    "tokenize|token|textwrap|string|time|threading|signal|selectors|sre_\\w+|struct|inspect|ast|dis|opcode|zipfile.*|" +
    "zipimport|pathlib.*|urllib/(__init__|parse)|ipaddress|ntpath|csv|datetime|calendar|quopri|base64|uu|runpy|pkgutil|" +
    "__future__|copy|typing|platform|configparser|glob|errno|socket|_compression|bz2|lzma|numbers|statistics|fractions|" +
    "decimal|_pydecimal|heapq)\\.(py|txt)$",
);

async function* walk(root: string, relative = ""): AsyncGenerator<string> {
  for await (const entry of Deno.readDir(join(root, relative))) {
    const path = relative === "" ? entry.name : `${relative}/${entry.name}`;
    if (
      entry.isDirectory &&
      !/^(test|site-packages|__pycache__|idlelib|tkinter|lib2to3|ensurepip)$/.test(entry.name)
    ) {
      yield* walk(root, path);
    } else if (entry.isFile) {
      yield path;
    }
  }
}

let made: Promise<PythonArchive> | undefined;

/** The archive made from this machine's CPython; made once. */
export function pythonArchive(): Promise<PythonArchive> {
  made ??= makePythonArchive();
  return made;
}

async function makePythonArchive(): Promise<PythonArchive> {
  const python = await realPython();
  const { version, stdlib, dynload } = await describe(python);
  const name = version.split(".").slice(0, 2).join(".");
  const entries: TarEntry[] = [
    { path: `python/bin/python${name}`, content: await Deno.readFile(python), mode: 0o755 },
    { path: "python/bin/python3", type: "2", target: `python${name}` },
    { path: "python/bin/python", type: "2", target: "python3" },
    { path: "python/share/terminfo/E/loop", type: "2", target: "../E" },
    { path: "python/share/terminfo/e/loop", type: "2", target: "../e" },
  ];
  for await (const path of walk(stdlib)) {
    if (path.startsWith("lib-dynload/") || !KEPT.test(path)) continue;
    entries.push({
      path: `python/lib/python${name}/${path}`,
      content: await Deno.readFile(join(stdlib, path)),
    });
  }
  const wanted =
    /^(_struct|math|_json|select|fcntl|_posixsubprocess|zlib|_random|_bisect|_opcode|_heapq|_datetime|_typing|_socket|array|_contextvars|binascii)\./;
  for await (const path of walk(dynload)) {
    if (!wanted.test(path)) continue;
    const content = await Deno.readFile(join(dynload, path));
    entries.push({ path: `python/lib/python${name}/lib-dynload/${path}`, content, mode: 0o755 });
  }
  entries.sort((a, b) => a.path < b.path ? -1 : 1);
  const bytes = tarGz(entries);
  return { bytes, sha256: sha256(bytes), version };
}

/** The CPython of this machine that the archive is made from: the first that discovery finds. */
export async function realPython(): Promise<string> {
  const home = await Deno.makeTempDir({ prefix: "beep_infra_find_" });
  try {
    return (await new RuntimeManager({ home }).find(">=3.9")).executable;
  } finally {
    await Deno.remove(home, { recursive: true });
  }
}

async function describe(python: string): Promise<{ version: string; stdlib: string; dynload: string }> {
  const source = "import json,sysconfig,sys;print(json.dumps({'version':'%d.%d.%d'%sys.version_info[:3]," +
    "'stdlib':sysconfig.get_path('stdlib'),'dynload':sysconfig.get_config_var('DESTSHARED')}))";
  const output = await new Deno.Command(python, { args: ["-I", "-c", source] }).output();
  return JSON.parse(new TextDecoder().decode(output.stdout));
}
