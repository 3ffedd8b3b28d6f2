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
// Without `ignoreBOM`, a byte order mark would vanish here and be refused by the twin. The strict decoder takes four
// times as long as the lenient one, so it only judges text in which that one had to replace something.
const lenientDecoder = new TextDecoder("utf-8", { ignoreBOM: true });
const strictDecoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const REPLACEMENT = "\ufffd";
const NO_PARTS: readonly Uint8Array<ArrayBuffer>[] = [];

/** The most bytes that the head of a frame can need: a UTF-16 unit takes at most three bytes of UTF-8. */
export function maxFrameHeadBytes(json: string, parts: readonly Uint8Array[]): number {
  return PREFIX_BYTES + 4 * parts.length + 3 * json.length;
}

/**
 * Writes the head of a frame (prefix, table of part lengths and JSON) to the start of `target` and gives its size.
 * `target` must have {@linkcode maxFrameHeadBytes} of room.
 */
export function encodeFrameHeadInto(json: string, parts: readonly Uint8Array[], target: Uint8Array): number {
  const start = PREFIX_BYTES + 4 * parts.length;
  const { written } = encoder.encodeInto(json, target.subarray(start));
  writeU32(target, 0, written);
  writeU32(target, 4, parts.length);
  for (let i = 0; i < parts.length; i++) writeU32(target, PREFIX_BYTES + 4 * i, parts[i]!.byteLength);
  return start + written;
}

function writeU32(target: Uint8Array, offset: number, value: number): void {
  target[offset] = value;
  target[offset + 1] = value >>> 8;
  target[offset + 2] = value >>> 16;
  target[offset + 3] = value >>> 24;
}

function readU32(source: Uint8Array, offset: number): number {
  // `>>> 0` because a shift by 24 may give a negative number.
  return (source[offset]! | source[offset + 1]! << 8 | source[offset + 2]! << 16 |
    source[offset + 3]! << 24) >>> 0;
}

/** The bytes of a frame without its parts, which follow as they are. */
export function encodeFrameHead(json: string, parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(maxFrameHeadBytes(json, parts));
  return bytes.subarray(0, encodeFrameHeadInto(json, parts, bytes));
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
  /** How many bytes the current frame needs to be gathered before it can go on; a hint for growing. */
  #wanted = 0;
  #filling: { json: string; parts: Uint8Array<ArrayBuffer>[]; lengths: number[]; filled: number } | null =
    null;

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
    // The usual case, spared the making of a view: nothing is held over.
    return this.#end === 0 ? this.#buffer : this.#buffer.subarray(this.#end);
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
    if (available < PREFIX_BYTES) return this.#need(PREFIX_BYTES);
    const jsonBytes = readU32(this.#buffer, this.#start);
    const partCount = readU32(this.#buffer, this.#start + 4);
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
      const length = readU32(this.#buffer, this.#start + PREFIX_BYTES + 4 * i);
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
    const bytes = this.#buffer.subarray(start, end);
    const text = lenientDecoder.decode(bytes);
    if (!text.includes(REPLACEMENT)) return text;
    try {
      return strictDecoder.decode(bytes);
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

  /** Notes that the current frame goes on for `bytes` from its start, and moves it to the front if it would not fit. */
  #need(bytes: number): null {
    this.#wanted = bytes;
    if (this.#start > 0 && this.#start + bytes > this.#buffer.byteLength) {
      this.#buffer.copyWithin(0, this.#start, this.#end);
      this.#end -= this.#start;
      this.#start = 0;
    }
    return null;
  }

  /** Makes room behind a buffer that is full: four times as much, as far as the current frame needs it. */
  #makeRoom(): void {
    const held = this.#buffer.subarray(this.#start, this.#end);
    // Grows only as bytes really arrive, so that a length that merely claims to be large costs nothing.
    const size = Math.max(GATHER_BYTES, Math.min(this.#wanted, 4 * held.byteLength), held.byteLength + 1);
    const next = new Uint8Array(size);
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
