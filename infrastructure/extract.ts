/**
 * Unpacks an archive into a directory that nobody else uses yet. Safe by construction: every path is checked, files
 * are only ever created new, and links are made after all files and only to files that are there. No symbolic link is
 * made at all, since Deno would need unscoped permissions for that: a link becomes a second name of its file.
 *
 * @module
 */

import type { Gunzip } from "node:zlib";
import { join } from "@std/path";
import { createSha256 } from "./digest.ts";
import { type ArchiveEntry, ArchiveFault, ArchiveParser, type ArchiveSink } from "./archive.ts";
import { collisionKey, linkDestination, safeParts } from "./archive_paths.ts";
import type { Context } from "./context.ts";
import type { Io, IoFile, IoNewFile } from "./io.ts";

/** How much an archive may unpack to. */
export interface ExtractLimits {
  /** The most entries. @default {100000} */
  readonly maxEntries?: number;
  /** The most bytes of all files together. @default {4294967296} */
  readonly maxBytes?: number;
  /** The most bytes unpacked for each byte of the archive. @default {200} */
  readonly maxRatio?: number;
}

/** What is unpacked, and how. */
export interface ExtractOptions extends ExtractLimits {
  /** The one directory at the archive's top, which is left away. @default {"python"} */
  readonly top?: string;
  /** Directories below `top` that are left out. */
  readonly skip?: readonly string[];
  /** Ends the work. */
  readonly signal?: AbortSignal | undefined;
  /** Told how many bytes of the archive are read. */
  readonly onBytes?: (done: number) => void;
}

/** What was unpacked. */
export interface Extracted {
  /** The SHA-256 of the archive. */
  readonly sha256: string;
  /** The files, relative to the directory. */
  readonly files: readonly string[];
  /** Their bytes together. */
  readonly bytes: number;
}

/** The archive's content is refused; `sha256` tells whether it is the archive that was meant. */
export class ExtractError extends Error {
  override readonly name = "ExtractError";
  /** The SHA-256 of the whole archive. */
  readonly sha256: string;

  /** Makes the error. */
  constructor(message: string, sha256: string, cause: unknown) {
    super(message, { cause });
    this.sha256 = sha256;
  }
}

const DEFAULT_LIMITS: Required<ExtractLimits> = { maxEntries: 100_000, maxBytes: 4 * 2 ** 30, maxRatio: 200 };
const READ_BYTES = 1 << 20;
const UNPACK_BYTES = 1 << 18;

/** Unpacks `archive` into the new directory `target`. */
export async function extract(
  context: Context,
  archive: string,
  target: string,
  options: ExtractOptions = {},
): Promise<Extracted> {
  const { io } = context;
  await io.mkdir(target, { recursive: true, mode: 0o755 });
  const hash = await createSha256();
  const sink = new DirectorySink(context, target, options);
  const file = await io.open(archive, { read: true });
  try {
    let read = 0;
    const count = (bytes: Uint8Array): void => {
      hash.update(bytes);
      read += bytes.byteLength;
      sink.archiveBytes = read;
      options.onBytes?.(read);
    };
    let fault: unknown;
    try {
      const parser = new ArchiveParser(sink);
      for await (const chunk of unpacked(file, count, options.signal)) parser.push(chunk);
      parser.finish();
      await sink.makeLinks();
    } catch (error) {
      if (!isArchiveFault(error)) throw error;
      fault = error;
    } finally {
      sink.close();
    }
    // The rest is hashed too, so that a damaged archive can be told from a hostile one.
    for await (const chunk of chunks(file, options.signal)) count(chunk);
    const sha256 = hash.digest("hex");
    if (fault !== undefined) {
      throw new ExtractError(fault instanceof Error ? fault.message : String(fault), sha256, fault);
    }
    return { sha256, files: sink.files, bytes: sink.bytes };
  } finally {
    file.close();
  }
}

function isArchiveFault(error: unknown): boolean {
  if (error instanceof ArchiveFault) return true;
  const code = (error as { code?: unknown } | null)?.code;
  // zlib's own complaints about what is no gzip, is cut short or fails its check.
  return typeof code === "string" && /^(Z_|ERR_ZLIB|ERR_BUFFER)/.test(code) ||
    error instanceof Error && /unexpected end of file|incorrect header check|corrupt/i.test(error.message);
}

async function* chunks(file: IoFile, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
  while (true) {
    signal?.throwIfAborted();
    // A fresh buffer for each read, since the unpacker may still hold the last one.
    const buffer = new Uint8Array(READ_BYTES);
    const count = await file.read(buffer);
    if (count === null) return;
    yield buffer.subarray(0, count);
  }
}

/** Waits until the unpacker takes more, or is gone. */
function drained(gunzip: Gunzip): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      gunzip.off("drain", done);
      gunzip.off("close", done);
      resolve();
    };
    gunzip.on("drain", done);
    gunzip.on("close", done);
  });
}

/** The unpacked content of a gzip file; `count` sees its raw bytes. */
async function* unpacked(
  file: IoFile,
  count: (bytes: Uint8Array) => void,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  const { createGunzip } = await import("node:zlib");
  const gunzip = createGunzip({ chunkSize: UNPACK_BYTES });
  const feeding = (async (): Promise<void> => {
    try {
      for await (const chunk of chunks(file, signal)) {
        count(chunk);
        if (!gunzip.write(chunk)) await drained(gunzip);
        if (gunzip.destroyed) return;
      }
      gunzip.end();
    } catch (error) {
      gunzip.destroy(error instanceof Error ? error : new Error(String(error)));
    }
  })();
  try {
    for await (const chunk of gunzip) yield chunk as Uint8Array;
  } finally {
    gunzip.destroy();
    await feeding;
  }
}

/** Writes what an archive holds into a directory. */
class DirectorySink implements ArchiveSink {
  /** Bytes of the archive read so far, for the ratio. */
  archiveBytes = 0;
  /** Bytes of all files so far. */
  bytes = 0;
  /** The files written. */
  readonly files: string[] = [];
  readonly #io: Io;
  readonly #os: string;
  readonly #target: string;
  readonly #limits: Required<ExtractLimits>;
  readonly #top: string;
  readonly #skip: readonly string[];
  readonly #seen = new Map<string, "file" | "directory" | "link">();
  readonly #links: { parts: string[]; destination: string[] }[] = [];
  #file: IoNewFile | undefined;
  #entries = 0;

  constructor(context: Context, target: string, options: ExtractOptions) {
    this.#io = context.io;
    this.#os = context.os;
    this.#target = target;
    this.#limits = {
      maxEntries: options.maxEntries ?? DEFAULT_LIMITS.maxEntries,
      maxBytes: options.maxBytes ?? DEFAULT_LIMITS.maxBytes,
      maxRatio: options.maxRatio ?? DEFAULT_LIMITS.maxRatio,
    };
    this.#top = options.top ?? "python";
    this.#skip = options.skip ?? [];
  }

  entry(entry: ArchiveEntry): void {
    if (++this.#entries > this.#limits.maxEntries) {
      throw new ArchiveFault(`it has more than ${this.#limits.maxEntries} entries`);
    }
    const parts = safeParts(entry.path, this.#os);
    if (parts[0] !== this.#top) throw new ArchiveFault(`"${entry.path}" is not below "${this.#top}/"`);
    parts.shift();
    this.#count(entry);
    const path = parts.join("/");
    if (parts.length === 0) {
      if (entry.type !== "directory") throw new ArchiveFault(`"${entry.path}" is not a directory`);
      return;
    }
    if (this.#isSkipped(path)) return;
    if (entry.type === "link") {
      this.#claim(parts, "link");
      this.#links.push({ parts, destination: linkDestination(parts, entry.target) });
      return;
    }
    this.#claim(parts, entry.type);
    if (entry.type === "directory") return;
    this.#file = this.#io.createNew(join(this.#target, ...parts), entry.executable ? 0o755 : 0o644);
    this.files.push(path);
  }

  data(bytes: Uint8Array): void {
    this.#file?.write(bytes);
  }

  end(): void {
    this.#file?.close();
    this.#file = undefined;
  }

  close(): void {
    this.end();
  }

  #isSkipped(path: string): boolean {
    return this.#skip.some((skipped) => path === skipped || path.startsWith(`${skipped}/`));
  }

  #count(entry: ArchiveEntry): void {
    this.bytes += entry.size;
    if (this.bytes > this.#limits.maxBytes) {
      throw new ArchiveFault(`it unpacks to more than ${this.#limits.maxBytes} bytes`);
    }
    // The header is read before its content, so a bomb is refused before it is unpacked.
    const allowed = Math.max(this.archiveBytes, READ_BYTES) * this.#limits.maxRatio;
    if (this.bytes > allowed) {
      throw new ArchiveFault(`it unpacks to more than ${this.#limits.maxRatio} times its size`);
    }
  }

  /** Takes a path, and its directories, for one entry; a second entry of the same path is refused. */
  #claim(parts: readonly string[], type: "file" | "directory" | "link"): void {
    for (let length = 1; length <= parts.length; length++) {
      const last = length === parts.length;
      const path = parts.slice(0, length).join("/");
      const key = collisionKey(path, this.#os);
      const known = this.#seen.get(key);
      if (!last) {
        if (known === "directory") continue;
        if (known !== undefined) throw new ArchiveFault(`"${path}" is a ${known} and a directory`);
        this.#seen.set(key, "directory");
        this.#makeDirectory(path);
        continue;
      }
      if (known === "directory" && type === "directory") return;
      if (known !== undefined) throw new ArchiveFault(`"${path}" is there twice`);
      this.#seen.set(key, type);
      if (type === "directory") this.#makeDirectory(path);
    }
  }

  #makeDirectory(path: string): void {
    this.#io.makeDirectory(join(this.#target, path));
  }

  /** Makes the links, after all files. A link may lead to another one, and to a directory. */
  async makeLinks(): Promise<void> {
    const byPath = new Map(this.#links.map((link) => [link.parts.join("/"), link]));
    const files = new Set(this.files);
    for (const link of this.#links) {
      const from = link.parts.join("/");
      let to = link.destination.join("/");
      for (let hops = 0; byPath.has(to); hops++) {
        if (hops > byPath.size) throw new ArchiveFault(`link "${from}" leads to itself`);
        to = byPath.get(to)!.destination.join("/");
      }
      if (this.#isSkipped(to)) continue;
      if (files.has(to)) await this.#linkFile(to, from);
      else if (this.#seen.get(collisionKey(to, this.#os)) === "directory") {
        await this.#linkTree(to, from, files);
      } else throw new ArchiveFault(`link "${from}" leads to "${to}", which is not in the archive`);
    }
  }

  async #linkTree(to: string, from: string, files: ReadonlySet<string>): Promise<void> {
    if (from.startsWith(`${to}/`)) {
      throw new ArchiveFault(`link "${from}" leads to a directory around itself`);
    }
    for (const file of files) {
      if (!file.startsWith(`${to}/`)) continue;
      if (++this.#entries > this.#limits.maxEntries) {
        throw new ArchiveFault(`its links stand for more than ${this.#limits.maxEntries} entries`);
      }
      const name = `${from}/${file.slice(to.length + 1)}`;
      await this.#io.mkdir(join(this.#target, name, ".."), { recursive: true });
      await this.#linkFile(file, name);
    }
  }

  async #linkFile(to: string, from: string): Promise<void> {
    const source = join(this.#target, to);
    const name = join(this.#target, from);
    try {
      await this.#io.link(source, name);
    } catch (error) {
      // Some file systems have no second names; a copy does as well.
      if (!(error instanceof Error)) throw error;
      await this.#io.copyFile(source, name);
    }
    this.files.push(from);
  }
}
