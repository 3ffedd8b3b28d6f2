/**
 * The last bytes of a stream, and a count of those dropped before them: output is always drained, never without bound.
 *
 * @module
 */

import type { CapturedOutput } from "./options.ts";

/** How much of each stream is kept: 1 MiB, more than any traceback, less than anybody misses. */
export const OUTPUT_RING_BYTES: number = 1024 * 1024;

const INITIAL_BYTES = 4096;
const decoder = new TextDecoder();

/**
 * Keeps the last `capacity` bytes that are pushed into it. Bytes are copied, so that a flood of short writes does not
 * keep a read buffer alive for each of them.
 */
export class OutputRing {
  readonly #capacity: number;
  #buffer: Uint8Array;
  /** How many bytes were ever pushed; the next one goes to this position, modulo the buffer's length. */
  #written = 0;

  /** Makes a ring of so many bytes. */
  constructor(capacity: number = OUTPUT_RING_BYTES) {
    this.#capacity = capacity;
    this.#buffer = new Uint8Array(Math.min(INITIAL_BYTES, capacity));
  }

  /** Takes bytes. */
  push(bytes: Uint8Array): void {
    this.#grow(this.#written + bytes.byteLength);
    const size = this.#buffer.byteLength;
    const skipped = Math.max(0, bytes.byteLength - size);
    const kept = bytes.subarray(skipped);
    const at = (this.#written + skipped) % size;
    const untilEnd = kept.subarray(0, size - at);
    this.#buffer.set(untilEnd, at);
    this.#buffer.set(kept.subarray(untilEnd.byteLength), 0);
    this.#written += bytes.byteLength;
  }

  /** Everything that is kept, as text. */
  get captured(): CapturedOutput {
    const bytes = this.#bytes();
    return { text: decoder.decode(bytes), droppedBytes: this.#written - bytes.byteLength };
  }

  /** The last lines, at most so many of them and so many bytes. */
  tail(maxLines = 40, maxBytes = 8192): string {
    const bytes = this.#bytes();
    const text = decoder.decode(bytes.subarray(Math.max(0, bytes.byteLength - maxBytes))).trimEnd();
    return text.split("\n").slice(-maxLines).join("\n");
  }

  /** Grows while nothing has wrapped round yet, so that the bytes keep their positions. */
  #grow(total: number): void {
    let size = this.#buffer.byteLength;
    if (total <= size || size === this.#capacity) return;
    while (size < total && size < this.#capacity) size = Math.min(size * 2, this.#capacity);
    const buffer = new Uint8Array(size);
    buffer.set(this.#buffer.subarray(0, this.#written));
    this.#buffer = buffer;
  }

  #bytes(): Uint8Array {
    const size = this.#buffer.byteLength;
    if (this.#written <= size) return this.#buffer.slice(0, this.#written);
    const at = this.#written % size;
    const bytes = new Uint8Array(size);
    bytes.set(this.#buffer.subarray(at), 0);
    bytes.set(this.#buffer.subarray(0, at), size - at);
    return bytes;
  }
}
