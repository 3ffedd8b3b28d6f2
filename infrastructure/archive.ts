/**
 * Reads a tar archive from chunks of any size. Pure: it writes nothing and trusts nothing.
 *
 * Only what a python-build-standalone archive has is accepted: plain ustar files, directories and symbolic links.
 * Everything else that the format has grown (pax and GNU records, hard links, devices) is refused, because that is
 * where two readers of one archive come to different answers.
 *
 * @module
 */

/** One entry of an archive. */
export interface ArchiveEntry {
  /** Its path, as it stands in the archive; `/` separates. */
  readonly path: string;
  /** What it is. */
  readonly type: "file" | "directory" | "link";
  /** Its size in bytes; 0 for all but files. */
  readonly size: number;
  /** Whether it may be executed. */
  readonly executable: boolean;
  /** Where a link leads to, as it stands in the archive. */
  readonly target: string;
}

/** What an archive is read into. */
export interface ArchiveSink {
  /** A new entry; for a file, `data` and then `end` follow. */
  entry(entry: ArchiveEntry): void;
  /** A part of the current file. */
  data(bytes: Uint8Array): void;
  /** The current file is complete. */
  end(): void;
}

/** An archive that is broken or not to be trusted. */
export class ArchiveFault extends Error {
  override readonly name = "ArchiveFault";
}

const BLOCK = 512;
const decoder = new TextDecoder("utf-8", { fatal: true });

/** Reads a tar archive, chunk by chunk. */
export class ArchiveParser {
  readonly #sink: ArchiveSink;
  readonly #header: Uint8Array = new Uint8Array(BLOCK);
  #filled = 0;
  #remaining = 0;
  #padding = 0;
  #zeroBlocks = 0;
  #inFile = false;

  /** Makes a parser that tells `sink` what it reads. */
  constructor(sink: ArchiveSink) {
    this.#sink = sink;
  }

  /** Reads the next chunk. Throws {@linkcode ArchiveFault}. */
  push(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.byteLength) {
      if (this.#remaining > 0) {
        const length = Math.min(this.#remaining, chunk.byteLength - at);
        this.#sink.data(chunk.subarray(at, at + length));
        this.#remaining -= length;
        at += length;
        if (this.#remaining === 0) this.#endFile();
      } else if (this.#padding > 0) {
        const length = Math.min(this.#padding, chunk.byteLength - at);
        this.#padding -= length;
        at += length;
      } else {
        const length = Math.min(BLOCK - this.#filled, chunk.byteLength - at);
        this.#header.set(chunk.subarray(at, at + length), this.#filled);
        this.#filled += length;
        at += length;
        if (this.#filled === BLOCK) {
          this.#filled = 0;
          this.#readHeader();
        }
      }
    }
  }

  /** The archive has ended. Throws {@linkcode ArchiveFault} when it ended too early. */
  finish(): void {
    if (this.#remaining > 0 || this.#padding > 0 || this.#filled > 0 || this.#zeroBlocks < 2) {
      throw new ArchiveFault("it ends too early");
    }
  }

  #endFile(): void {
    this.#inFile = false;
    this.#sink.end();
  }

  #readHeader(): void {
    const header = this.#header;
    if (header.every((byte) => byte === 0)) {
      this.#zeroBlocks++;
      return;
    }
    if (this.#zeroBlocks > 0) throw new ArchiveFault("something follows its end");
    checkSum(header);
    const magic = ascii(header, 257, 6);
    if (magic !== "ustar") throw new ArchiveFault(`it is not plain ustar: its magic is "${magic.trim()}"`);
    const name = text(header, 0, 100);
    const prefix = text(header, 345, 155);
    const path = prefix === "" ? name : `${prefix}/${name}`;
    const size = octal(header, 124, 12, path);
    const flag = String.fromCharCode(header[156]!);
    const type = flag === "0" || flag === "\0"
      ? "file"
      : flag === "5"
      ? "directory"
      : flag === "2"
      ? "link"
      : undefined;
    if (type === undefined) throw new ArchiveFault(`"${path}" is of type "${flag}", which is not accepted`);
    if (type !== "file" && size !== 0) throw new ArchiveFault(`"${path}" is a ${type} with content`);
    const target = type === "link" ? text(header, 157, 100) : "";
    const executable = (octal(header, 100, 8, path) & 0o111) !== 0;
    this.#sink.entry({ path, type, size, executable, target });
    if (type !== "file") return;
    this.#inFile = true;
    this.#remaining = size;
    this.#padding = (BLOCK - size % BLOCK) % BLOCK;
    if (size === 0) this.#endFile();
  }

  /** Whether a file is being read. */
  get inFile(): boolean {
    return this.#inFile;
  }
}

function field(header: Uint8Array, at: number, length: number): Uint8Array {
  const bytes = header.subarray(at, at + length);
  const end = bytes.indexOf(0);
  return end === -1 ? bytes : bytes.subarray(0, end);
}

function ascii(header: Uint8Array, at: number, length: number): string {
  return String.fromCharCode(...field(header, at, length));
}

function text(header: Uint8Array, at: number, length: number): string {
  try {
    return decoder.decode(field(header, at, length));
  } catch (cause) {
    throw new ArchiveFault("a name in it is not UTF-8", { cause });
  }
}

function octal(header: Uint8Array, at: number, length: number, path: string): number {
  const digits = ascii(header, at, length).trim();
  // Also refuses GNU's binary sizes, which set the first byte's high bit.
  if (!/^[0-7]+$/.test(digits)) throw new ArchiveFault(`a number in the header of "${path}" is not octal`);
  return Number.parseInt(digits, 8);
}

function checkSum(header: Uint8Array): void {
  let sum = 0;
  for (let index = 0; index < BLOCK; index++) sum += index >= 148 && index < 156 ? 32 : header[index]!;
  if (octal(header, 148, 8, "") !== sum) throw new ArchiveFault("the checksum of a header is wrong");
}
