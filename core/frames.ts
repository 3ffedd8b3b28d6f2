/**
 * Bytes to frames and back, without I/O. Twin of `frames.py`; both read `tests/golden/frames.json`.
 *
 * ```text
 *  0           4           8
 * ┌───────────┬───────────┬───────────────────┬──────────────┬──────────┬───┐
 * │ jsonBytes │ partCount │ partBytes × count │ JSON (UTF-8) │ part 0   │ … │
 * └───────────┴───────────┴───────────────────┴──────────────┴──────────┴───┘
 *   u32         u32         u32 each            jsonBytes      partBytes[0]      all little-endian
 * ```
 *
 * @module
 */

import { ProtocolError } from "./errors.ts";

/** One decoded frame: the text of its message and its binary parts. */
export interface Frame {
  /** The message as JSON text. */
  readonly json: string;
  /** The binary parts, each with a buffer of its own. */
  readonly parts: readonly Uint8Array<ArrayBuffer>[];
}

/** The largest frame that is accepted unless told otherwise: 256 MiB, header and parts together. */
export const DEFAULT_MAX_FRAME_BYTES: number = 256 * 1024 * 1024;
/** The most parts that one frame may have. A table of 64 Ki lengths is 256 KiB, the most that a bad header can cost. */
export const MAX_FRAME_PARTS = 65_536;

const PREFIX_BYTES = 8;
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });
const NO_PARTS: readonly Uint8Array<ArrayBuffer>[] = [];

/** The bytes of a frame without its parts: prefix, table of part lengths and JSON. The parts follow as they are. */
export function encodeFrameHead(json: string, parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  // A UTF-16 unit needs at most three bytes; writing in place saves the copy that `encode()` would cost.
  const start = PREFIX_BYTES + 4 * parts.length;
  const bytes = new Uint8Array(start + json.length * 3);
  const { written } = encoder.encodeInto(json, bytes.subarray(start));
  const view = new DataView(bytes.buffer);
  view.setUint32(0, written, true);
  view.setUint32(4, parts.length, true);
  for (let i = 0; i < parts.length; i++) view.setUint32(PREFIX_BYTES + 4 * i, parts[i]!.byteLength, true);
  return bytes.subarray(0, start + written);
}

/** A whole frame in one array of bytes. */
export function encodeFrame(json: string, parts: readonly Uint8Array[] = NO_PARTS): Uint8Array<ArrayBuffer> {
  const head = encodeFrameHead(json, parts);
  if (parts.length === 0) return head;
  const bytes = new Uint8Array(head.byteLength + parts.reduce((sum, part) => sum + part.byteLength, 0));
  bytes.set(head);
  let offset = head.byteLength;
  for (const part of parts) {
    bytes.set(part, offset);
    offset += part.byteLength;
  }
  return bytes;
}

/**
 * Turns a stream of bytes, cut anywhere, into frames.
 *
 * Feed it by {@linkcode push}; or, to spare the copy of what is large, ask {@linkcode FrameDecoder.target} where the
 * next bytes belong, read straight into it, and say how many came by {@linkcode FrameDecoder.advance}.
 *
 * It is in one of two states: *gathering* (bytes of small frames collect in one buffer that is used again) or
 * *filling* (the lengths are known, and a large part is read into its own final buffer).
 */
export class FrameDecoder {
  readonly #maxFrameBytes: number;
  #buffer: Uint8Array<ArrayBuffer>;
  #start = 0;
  #end = 0;
  #filling: { json: string; parts: Uint8Array<ArrayBuffer>[]; lengths: number[]; filled: number } | null = null;

  /** `maxFrameBytes` is checked before anything is allocated for a frame. */
  constructor(maxFrameBytes: number = DEFAULT_MAX_FRAME_BYTES) {
    this.#maxFrameBytes = maxFrameBytes;
    this.#buffer = new Uint8Array(GATHER_BYTES);
  }

  /** Whether the stream may end here: no frame has begun. */
  get isAtBoundary(): boolean {
    return this.#start === this.#end && this.#filling === null;
  }

  /** Where the next bytes of the stream belong; never empty. */
  target(): Uint8Array<ArrayBuffer> {
    if (this.#filling !== null) {
      const part = this.#filling.parts.at(-1)!;
      return part.subarray(this.#filling.filled);
    }
    if (this.#start === this.#end) {
      this.#start = this.#end = 0;
      if (this.#buffer.byteLength > KEPT_BYTES) this.#buffer = new Uint8Array(GATHER_BYTES);
    }
    if (this.#end === this.#buffer.byteLength) this.#makeRoom();
    return this.#buffer.subarray(this.#end);
  }

  /** Says that `count` bytes were written to the start of {@linkcode target}; then ask {@linkcode next} until null. */
  advance(count: number): void {
    if (this.#filling !== null) this.#filling.filled += count;
    else this.#end += count;
  }

  /** Takes a chunk, cut anywhere, and gives the frames that it completes. */
  *push(chunk: Uint8Array): Generator<Frame> {
    let offset = 0;
    while (offset < chunk.byteLength) {
      const target = this.target();
      const count = Math.min(target.byteLength, chunk.byteLength - offset);
      target.set(chunk.subarray(offset, offset + count));
      offset += count;
      this.advance(count);
      for (let frame = this.next(); frame !== null; frame = this.next()) yield frame;
    }
  }

  /** The next frame that has arrived whole, or null. */
  next(): Frame | null {
    if (this.#filling !== null) return this.#continueFilling();
    const available = this.#end - this.#start;
    if (available < PREFIX_BYTES) return null;
    const view = new DataView(this.#buffer.buffer, this.#start, available);
    const jsonBytes = view.getUint32(0, true);
    const partCount = view.getUint32(4, true);
    if (partCount > MAX_FRAME_PARTS) {
      throw new ProtocolError(
        "remote",
        `Cannot read frame: it has ${partCount} parts, the most is ${MAX_FRAME_PARTS}`,
        { code: "limit" },
      );
    }
    const headBytes = PREFIX_BYTES + 4 * partCount;
    this.#checkSize(headBytes + jsonBytes);
    if (available < headBytes) return this.#need(headBytes);
    const lengths: number[] = [];
    let total = headBytes + jsonBytes;
    for (let i = 0; i < partCount; i++) {
      const length = view.getUint32(PREFIX_BYTES + 4 * i, true);
      lengths.push(length);
      total += length;
    }
    this.#checkSize(total);
    if (available < headBytes + jsonBytes) return this.#need(headBytes + jsonBytes);
    const jsonStart = this.#start + headBytes;
    const json = this.#decode(jsonStart, jsonStart + jsonBytes);
    this.#start = jsonStart + jsonBytes;
    if (partCount === 0) return { json, parts: NO_PARTS };
    this.#filling = { json, parts: [], lengths, filled: 0 };
    return this.#continueFilling();
  }

  /** Moves gathered bytes into parts; gives the frame when the last part is full. */
  #continueFilling(): Frame | null {
    const filling = this.#filling!;
    for (;;) {
      const current = filling.parts.at(-1);
      if (current !== undefined && filling.filled < current.byteLength) {
        const count = Math.min(this.#end - this.#start, current.byteLength - filling.filled);
        current.set(this.#buffer.subarray(this.#start, this.#start + count), filling.filled);
        this.#start += count;
        filling.filled += count;
        if (filling.filled < current.byteLength) return null;
      }
      if (filling.parts.length === filling.lengths.length) {
        this.#filling = null;
        return { json: filling.json, parts: filling.parts };
      }
      filling.parts.push(new Uint8Array(filling.lengths[filling.parts.length]!));
      filling.filled = 0;
    }
  }

  #decode(start: number, end: number): string {
    try {
      return decoder.decode(this.#buffer.subarray(start, end));
    } catch (cause) {
      throw new ProtocolError("remote", "Cannot read frame: its JSON is not UTF-8", { cause });
    }
  }

  #checkSize(bytes: number): void {
    if (bytes > this.#maxFrameBytes) {
      throw new ProtocolError(
        "remote",
        `Cannot read frame of ${bytes} bytes: maxFrameBytes is ${this.#maxFrameBytes}`,
        { code: "limit", hint: "Raise maxFrameBytes on both sides, or move the value in smaller pieces." },
      );
    }
  }

  /** Sees to it that the buffer can hold `bytes` from the start of the current frame. */
  #need(bytes: number): null {
    if (this.#start + bytes > this.#buffer.byteLength) this.#makeRoom(bytes);
    return null;
  }

  #makeRoom(bytes = 2 * (this.#end - this.#start)): void {
    const held = this.#buffer.subarray(this.#start, this.#end);
    // Grows by doubling as bytes really arrive, so that a length that only claims to be large costs nothing.
    const size = Math.max(GATHER_BYTES, Math.min(bytes, 4 * held.byteLength));
    const next = size > this.#buffer.byteLength || held.byteLength === this.#buffer.byteLength
      ? new Uint8Array(Math.max(size, 2 * held.byteLength))
      : this.#buffer;
    next.set(held);
    this.#buffer = next;
    this.#end = held.byteLength;
    this.#start = 0;
  }
}

// 64 KiB: never ask a small read for 128 KiB or more (docs/PROTOCOL.md, "Reading").
const GATHER_BYTES = 64 * 1024;
// A buffer that grew beyond this for one large message is given back after it.
const KEPT_BYTES = 1024 * 1024;
