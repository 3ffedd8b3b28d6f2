/**
 * Reads the answers of an HTTP server of ours, and tells what answered when it is none of ours.
 *
 * @module
 */

import {
  AuthenticationError,
  ConnectError,
  PermissionNeededError,
  ProtocolError,
  type PythonHostError,
  StaleHandleError,
} from "../core/errors.ts";
import { type Frame, FrameDecoder } from "../core/frames.ts";
import { FRAMES_CONTENT_TYPE } from "../core/protocol.ts";
import { tlsError } from "./tls.ts";

/** What a message about a server says about where it is. */
export interface HttpPlace {
  /** What the user called it. */
  readonly endpoint: string;
  /** Whether a token was sent. */
  readonly hasToken: boolean;
  /** What to do when nobody listens. */
  readonly nextStep: string;
}

// As much of a foreign answer as a message shows.
const SHOWN_CHARACTERS = 120;
const ERROR_BODY_BYTES = 64 * 1024;
const decoder = new TextDecoder();

/** Whether a response is a row of frames. */
export function hasFrames(response: Response): boolean {
  return response.status === 200 && response.headers.get("content-type") === FRAMES_CONTENT_TYPE;
}

/** Calls `onFrame` for each frame as it arrives. Rejects when the body ends inside one. */
export async function readFrames(
  response: Response,
  maxFrameBytes: number,
  onFrame: (frame: Frame) => void,
): Promise<void> {
  // A length that only claims to be large must not be allocated: beyond a frame's limit it goes piece by piece.
  if (Number(response.headers.get("content-length") ?? Infinity) <= maxFrameBytes) {
    // All of it is there or under way: one read costs less than a stream, and what is whole needs no decoder.
    splitFrames(await response.bytes(), maxFrameBytes, onFrame);
    return;
  }
  const stream = new FrameDecoder(maxFrameBytes);
  for await (const chunk of response.body ?? []) {
    for (const frame of stream.push(chunk)) onFrame(frame);
  }
  if (!stream.isAtBoundary) throw cutShort();
}

/** The frames of a body that is there as a whole. */
function splitFrames(
  bytes: Uint8Array<ArrayBuffer>,
  maxFrameBytes: number,
  onFrame: (frame: Frame) => void,
): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  while (at < bytes.byteLength) {
    const start = at;
    if (bytes.byteLength - at < 8) throw cutShort();
    const jsonBytes = view.getUint32(at, true);
    const partCount = view.getUint32(at + 4, true);
    at += 8 + 4 * partCount;
    if (at + jsonBytes > bytes.byteLength) throw cutShort();
    const json = decoder.decode(bytes.subarray(at, at + jsonBytes));
    at += jsonBytes;
    const parts: Uint8Array<ArrayBuffer>[] = [];
    for (let i = 0; i < partCount; i++) {
      const length = view.getUint32(start + 8 + 4 * i, true);
      if (at + length > bytes.byteLength) throw cutShort();
      parts.push(bytes.slice(at, at + length));
      at += length;
    }
    if (at - start > maxFrameBytes) {
      throw new ProtocolError(
        "remote",
        `Cannot read frame of ${at - start} bytes: maxFrameBytes is ${maxFrameBytes}`,
        { code: "limit", hint: "Raise maxFrameBytes on both sides, or move the value in smaller pieces." },
      );
    }
    onFrame({ json, parts });
  }
}

function cutShort(): ProtocolError {
  return new ProtocolError("remote", "Cannot read answer: it ends inside a frame");
}

/** Makes the error for a response without frames; reads or drops its body. */
export async function errorOfResponse(response: Response, place: HttpPlace): Promise<PythonHostError> {
  const text = await readStart(response);
  const ours = parseError(text);
  if (ours === null) return foreignServer(response, text, place);
  const hint = ours.hint === undefined ? {} : { hint: ours.hint };
  switch (ours.code) {
    case "authentication":
      return new AuthenticationError(`Cannot use server "${place.endpoint}": ${ours.error}`, {
        hint: place.hasToken
          ? "The token belongs to another server, or to one that was started again."
          : "Pass the server's token by the option `token`; it is found by itself only for a server of the same user.",
      });
    case "stale-handle":
      return new StaleHandleError(ours.error, hint);
    case "limit":
      return new ProtocolError("remote", ours.error, { code: "limit", ...hint });
    default:
      return new ProtocolError("remote", `The server refused the request: ${ours.error}`, hint);
  }
}

/** Makes the error for a `fetch` that failed before the backend was open. */
export function connectError(cause: unknown, address: string, place: HttpPlace): PythonHostError {
  if (cause instanceof Deno.errors.NotCapable) {
    return new PermissionNeededError("connect", [`--allow-net=${new URL(address).host}`], { cause });
  }
  const byTls = address.startsWith("https:") ? tlsError(cause, place.endpoint) : null;
  if (byTls !== null) return byTls;
  const what = place.endpoint === address ? "" : ` at "${address}"`;
  return new ConnectError(`Cannot connect to "${place.endpoint}": no HTTP server answers${what}`, {
    cause,
    hint: place.nextStep,
  });
}

function foreignServer(response: Response, text: string, place: HttpPlace): ProtocolError {
  const type = response.headers.get("content-type") ?? "none";
  const start = text.trim().slice(0, SHOWN_CHARACTERS).replaceAll(/\s+/g, " ");
  const found = start === "" ? "an empty body" : `"${start}"`;
  return new ProtocolError(
    "remote",
    `Cannot use server "${place.endpoint}": it is not a Python host, it answers with status ${response.status}, ` +
      `content type "${type}" and ${found}`,
    { hint: "Another program listens there; start the host on another port, or give its URL." },
  );
}

/** The start of a body as text; the rest is dropped. */
async function readStart(response: Response): Promise<string> {
  if (response.body === null) return "";
  const chunks: Uint8Array[] = [];
  let size = 0;
  // Leaving the loop cancels the body.
  for await (const chunk of response.body) {
    chunks.push(chunk);
    size += chunk.byteLength;
    if (size > ERROR_BODY_BYTES) break;
  }
  return await new Blob(chunks as BlobPart[]).text();
}

function parseError(text: string): { error: string; code: string; hint?: string } | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null; // not JSON, so not ours: the caller says what it is
  }
  if (typeof value !== "object" || value === null) return null;
  const { error, code, hint } = value as Record<string, unknown>;
  if (typeof error !== "string" || typeof code !== "string") return null;
  return typeof hint === "string" ? { error, code, hint } : { error, code };
}
