/**
 * The order of requests over HTTP, where connections have none.
 *
 * A lane posts one body at a time: the next one when the server has taken the last, which it says by the head of its
 * answer, at once or after a few milliseconds. What is sent meanwhile gathers and goes out together. So a session's
 * calls arrive in the order sent, a slow call delays no other, and many calls cost one request.
 *
 * ```text
 * add ──► [waiting] ── takeBatch ──► posted ── taken() ──► its answer streams on its own; the next batch
 * ```
 *
 * @module
 */

import { ProtocolError } from "../core/errors.ts";
import { encodeFrameHead } from "../core/frames.ts";
import { type RequestMessage, requestText } from "../core/protocol.ts";

/** One request, encoded. */
export interface OutgoingRequest {
  /** The number of the request. */
  readonly id: number;
  /** Whether the server answers it: a `resume` is an answer itself. */
  readonly isAnswered: boolean;
  /** The frame without its parts. */
  readonly head: Uint8Array;
  /** The binary parts. */
  readonly parts: readonly Uint8Array[];
  /** Bytes of the whole frame. */
  readonly size: number;
}

/** Requests that are posted together. */
export interface Batch {
  /** The requests, in order. */
  readonly requests: readonly OutgoingRequest[];
  /** Their frames, one after the other. */
  readonly body: Uint8Array<ArrayBuffer>;
}

/** Encodes a request; throws when it is too large. */
export function encodeRequest(
  message: RequestMessage,
  parts: readonly Uint8Array[],
  maxFrameBytes: number,
): OutgoingRequest {
  const head = encodeFrameHead(requestText(message), parts);
  let size = head.byteLength;
  for (const part of parts) size += part.byteLength;
  if (size > maxFrameBytes) {
    throw new ProtocolError(
      "local",
      `Cannot send frame of ${size} bytes: maxFrameBytes is ${maxFrameBytes}`,
      {
        code: "limit",
        hint: "Raise maxFrameBytes on both sides, or move the value in smaller pieces.",
      },
    );
  }
  return { id: message[0], isAnswered: message[1] !== "resume" || message[0] !== 0, head, parts, size };
}

/** The requests of one lane that the server has not taken yet. */
export class HttpLane {
  readonly #maxBodyBytes: number;
  #waiting: OutgoingRequest[] = [];
  #posted: Batch | null = null;

  /** A body is at most `maxBodyBytes`, which every single frame is. */
  constructor(maxBodyBytes: number) {
    this.#maxBodyBytes = maxBodyBytes;
  }

  /** Puts a request at the end. */
  add(request: OutgoingRequest): void {
    this.#waiting.push(request);
  }

  /** Takes a request out again that has not been posted; false when it is too late. */
  withdraw(id: number): boolean {
    const at = this.#waiting.findIndex((request) => request.id === id);
    if (at >= 0) this.#waiting.splice(at, 1);
    return at >= 0;
  }

  /** Whether a request is on its way, and the server may not know of it yet. */
  isPosted(id: number): boolean {
    return this.#posted?.requests.some((request) => request.id === id) ?? false;
  }

  /** What is to be posted now; null when there is nothing, or the last batch has not been taken. */
  takeBatch(): Batch | null {
    if (this.#posted !== null || this.#waiting.length === 0) return null;
    let size = 0;
    let count = 0;
    for (const request of this.#waiting) {
      if (count > 0 && size + request.size > this.#maxBodyBytes) break;
      size += request.size;
      count++;
    }
    const requests = this.#waiting.splice(0, count);
    return this.#posted = { requests, body: joinFrames(requests, size) };
  }

  /** Says that the server has taken the batch that was posted. */
  taken(): void {
    this.#posted = null;
  }
}

function joinFrames(requests: readonly OutgoingRequest[], size: number): Uint8Array<ArrayBuffer> {
  const body = new Uint8Array(size);
  let offset = 0;
  for (const { head, parts } of requests) {
    body.set(head, offset);
    offset += head.byteLength;
    for (const part of parts) {
      body.set(part, offset);
      offset += part.byteLength;
    }
  }
  return body;
}
