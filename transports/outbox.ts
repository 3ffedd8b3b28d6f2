/**
 * Gathers frames until they can be written, so that what is sent in one tick goes out in one write.
 *
 * Small frames are encoded side by side into a buffer that is used again; a large part is not copied.
 *
 * @module
 */

import { ProtocolError } from "../core/errors.ts";
import { encodeFrameHead, encodeFrameHeadInto, maxFrameHeadBytes } from "../core/frames.ts";

const BUFFER_BYTES = 64 * 1024;
// Copying a part of this size costs less than a write of its own.
const COPIED_PART_BYTES = 8 * 1024;

/** Frames on their way out, in order. */
export class Outbox {
  readonly #maxFrameBytes: number;
  #chunks: Uint8Array[] = [];
  #buffer = new Uint8Array(BUFFER_BYTES);
  #spare = new Uint8Array(BUFFER_BYTES);
  /** Where the bytes that are not yet in `#chunks` begin and end. */
  #start = 0;
  #end = 0;

  /** A frame beyond `maxFrameBytes` is refused. */
  constructor(maxFrameBytes: number) {
    this.#maxFrameBytes = maxFrameBytes;
  }

  /** Whether there is nothing to write. */
  get isEmpty(): boolean {
    return this.#start === this.#end && this.#chunks.length === 0;
  }

  /** Adds bytes as they are. */
  addBytes(bytes: Uint8Array): void {
    if (bytes.byteLength <= COPIED_PART_BYTES && bytes.byteLength <= this.#buffer.byteLength - this.#end) {
      this.#buffer.set(bytes, this.#end);
      this.#end += bytes.byteLength;
    } else {
      this.#cut();
      this.#chunks.push(bytes);
    }
  }

  /** Adds a frame; throws, and adds nothing, when it is too large. */
  addFrame(json: string, parts: readonly Uint8Array[]): void {
    const room = maxFrameHeadBytes(json, parts);
    let total = room;
    for (let i = 0; i < parts.length; i++) total += parts[i]!.byteLength;
    if (total <= this.#maxFrameBytes && room <= this.#buffer.byteLength - this.#end) {
      this.#end += encodeFrameHeadInto(json, parts, this.#buffer.subarray(this.#end));
    } else {
      const head = encodeFrameHead(json, parts);
      total += head.byteLength - room;
      if (total > this.#maxFrameBytes) {
        throw new ProtocolError(
          "local",
          `Cannot send frame of ${total} bytes: maxFrameBytes is ${this.#maxFrameBytes}`,
          { code: "limit", hint: "Raise maxFrameBytes on both sides, or move the value in smaller pieces." },
        );
      }
      this.addBytes(head);
    }
    for (let i = 0; i < parts.length; i++) this.addBytes(parts[i]!);
  }

  /** Takes everything. The bytes stay as they are until it is called again: by then they must be written. */
  take(): Uint8Array[] {
    this.#cut();
    const chunks = this.#chunks;
    this.#chunks = [];
    // What is added meanwhile goes into the other buffer.
    [this.#buffer, this.#spare] = [this.#spare, this.#buffer];
    this.#start = this.#end = 0;
    return chunks;
  }

  #cut(): void {
    if (this.#end > this.#start) this.#chunks.push(this.#buffer.subarray(this.#start, this.#end));
    this.#start = this.#end;
  }
}
