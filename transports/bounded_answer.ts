/**
 * Bounds what a server can make this program hold: Connect-ES reads a message of any length that is claimed.
 *
 * @module
 */

import { ProtocolError } from "../core/errors.ts";

/** Looks at the next bytes of an answer; throws when they are too many. */
export type CheckBytes = (bytes: Uint8Array) => void;

/** The prefix of a message in a stream: flags, and the length in 32 bits. */
const PREFIX_BYTES = 5;

/** A check for an answer of this content type: of each message in a stream, else of the whole. */
export function boundOf(contentType: string | null, maxBytes: number): CheckBytes {
  return contentType?.startsWith("application/connect+") ? boundMessages(maxBytes) : boundWhole(maxBytes);
}

/** The answer, with its check. What says its true length beforehand is passed on as it is. */
export function bounded(response: Response, maxBytes: number): Response {
  const { body, status, headers } = response;
  const isStream = headers.get("content-type")?.startsWith("application/connect+");
  const length = headers.get("content-length");
  if (
    body === null ||
    (!isStream && length !== null && !headers.has("content-encoding") && Number(length) <= maxBytes)
  ) {
    return response;
  }
  const check = boundOf(headers.get("content-type"), maxBytes);
  const reader = body.getReader();
  const stream = new ReadableStream<Uint8Array<ArrayBuffer>>({
    async pull(controller) {
      const { done, value } = await reader.read();
      if (done) return controller.close();
      try {
        check(value);
      } catch (error) {
        await reader.cancel(error);
        throw error;
      }
      controller.enqueue(value);
    },
    cancel: (reason) => reader.cancel(reason),
  }, { highWaterMark: 0 });
  return new Response(stream, { status, headers });
}

function boundWhole(maxBytes: number): CheckBytes {
  let size = 0;
  return ({ byteLength }) => {
    size += byteLength;
    if (size > maxBytes) throw tooLarge(size, maxBytes);
  };
}

function boundMessages(maxBytes: number): CheckBytes {
  const prefix = new DataView(new ArrayBuffer(PREFIX_BYTES));
  let prefixed = 0;
  let left = 0;
  return (bytes) => {
    for (let at = 0; at < bytes.byteLength;) {
      if (left > 0) {
        const taken = Math.min(left, bytes.byteLength - at);
        left -= taken;
        at += taken;
        continue;
      }
      prefix.setUint8(prefixed++, bytes[at++]!);
      if (prefixed < PREFIX_BYTES) continue;
      prefixed = 0;
      left = prefix.getUint32(1);
      if (left > maxBytes) throw tooLarge(left, maxBytes);
    }
  };
}

function tooLarge(size: number, maxBytes: number): ProtocolError {
  return new ProtocolError(
    "remote",
    `Cannot read answer of ${size} bytes: maxFrameBytes is ${maxBytes}`,
    { code: "limit", hint: "Raise maxFrameBytes on both sides, or move the value in smaller pieces." },
  );
}
