/**
 * Finds the line `beep-host-ready <nonce> <json>` in what a starting server writes to stdout. Pure: fed with chunks.
 *
 * Whatever else is on stdout is output: a `sitecustomize` may print before the line, even without ending its own line,
 * so the line is known by its nonce, which nobody else can have, and not by where it begins.
 *
 * @module
 */

/** What a chunk turned out to be. */
export interface ReadyScan {
  /** Bytes that are output. */
  readonly output: Uint8Array;
  /** The JSON text of the ready line, once it is complete. */
  readonly ready?: string;
}

/** The longest ready line that is waited for; a server says little. */
const MAX_READY_BYTES = 64 * 1024;
const NEWLINE = 10;
const NOTHING = new Uint8Array(0);

/** Looks for the ready line of one server. */
export class ReadyScanner {
  readonly #marker: Uint8Array;
  #held: Uint8Array = NOTHING;
  #found = false;

  /** Makes a scanner for the server that was given `nonce`. */
  constructor(nonce: string) {
    this.#marker = new TextEncoder().encode(`beep-host-ready ${nonce} `);
  }

  /** Takes the next chunk. After the line was found, everything is output. */
  push(chunk: Uint8Array): ReadyScan {
    if (this.#found) return { output: chunk };
    const bytes = concat(this.#held, chunk);
    const start = indexOf(bytes, this.#marker);
    if (start < 0) {
      // The marker may have begun in the last bytes: they are held until the next chunk decides.
      const keep = Math.min(bytes.byteLength, this.#marker.byteLength - 1);
      this.#held = bytes.subarray(bytes.byteLength - keep);
      return { output: bytes.subarray(0, bytes.byteLength - keep) };
    }
    const end = bytes.indexOf(NEWLINE, start);
    if (end < 0 && bytes.byteLength - start <= MAX_READY_BYTES) {
      this.#held = bytes.subarray(start);
      return { output: bytes.subarray(0, start) };
    }
    const stop = end < 0 ? bytes.byteLength : end;
    this.#found = true;
    this.#held = NOTHING;
    const ready = new TextDecoder().decode(bytes.subarray(start + this.#marker.byteLength, stop));
    return { output: concat(bytes.subarray(0, start), bytes.subarray(stop + 1)), ready };
  }

  /** The bytes that were held back when the stream ended: they were output after all. */
  end(): Uint8Array {
    const held = this.#held;
    this.#held = NOTHING;
    return held;
  }
}

function concat(a: Uint8Array, b: Uint8Array): Uint8Array {
  if (a.byteLength === 0) return b;
  if (b.byteLength === 0) return a;
  const bytes = new Uint8Array(a.byteLength + b.byteLength);
  bytes.set(a);
  bytes.set(b, a.byteLength);
  return bytes;
}

function indexOf(bytes: Uint8Array, wanted: Uint8Array): number {
  const first = wanted[0]!;
  for (let at = bytes.indexOf(first); at >= 0; at = bytes.indexOf(first, at + 1)) {
    if (at + wanted.byteLength > bytes.byteLength) return -1;
    let i = 1;
    while (i < wanted.byteLength && bytes[at + i] === wanted[i]) i++;
    if (i === wanted.byteLength) return at;
  }
  return -1;
}
