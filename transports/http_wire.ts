/**
 * The wire of HTTP: each batch of requests is one POST, whose answer streams events and replies (docs/PROTOCOL.md §6).
 *
 * ```text
 * send ──► HttpLane ── one tick ──► POST ── head ──► the lane goes on
 *                                    │       └────► body: frames ──► events.message
 *                                    └── fails ───► everything ends: events.ended
 * ```
 *
 * @module
 */

import { ConnectError, ConnectionClosedError, ProtocolError, PythonHostError } from "../core/errors.ts";
import { encodeFrame, type Frame } from "../core/frames.ts";
import {
  FRAMES_CONTENT_TYPE,
  FRAMES_PATH,
  type Lane,
  LIBRARY_VERSION,
  PROTOCOL_VERSION,
  type RequestMessage,
  SESSION_HEADER,
} from "../core/protocol.ts";
import { connectError, errorOfResponse, hasFrames, type HttpPlace, readFrames } from "./http_answers.ts";
import { type Batch, encodeRequest, HttpLane, type OutgoingRequest } from "./http_lane.ts";
import { errorFromPayload } from "./reply_errors.ts";
import { type ClientTls, httpClientTls } from "./tls.ts";
import type { Traffic, Wire, WireEvents, WireWelcome } from "./wire.ts";

/** Where a server is reached. */
export interface HttpTarget extends HttpPlace {
  /** `http://127.0.0.1:5678`, without a path. */
  readonly address: string;
  /** The token; empty when there is none. */
  readonly token: string;
  /** What a server of RPC speaks there, when it was looked up. */
  readonly protocol?: "connect" | "grpc";
}

// The server answers 503 before it looks into a request when all of its connections are in use.
const BUSY_STATUS = 503;
const BUSY_RETRY_MS = 100;
const BUSY_GIVE_UP_MS = 30_000;
const LOOPBACK_HOSTS = ["127.0.0.1", "localhost", "[::1]"];

/** Exchanges frames with one server by `fetch`. */
export class HttpWire implements Wire {
  readonly #locate: (signal: AbortSignal) => Promise<HttpTarget>;
  readonly #maxFrameBytes: number;
  readonly #tls: ClientTls;
  readonly #lanes: Readonly<Record<Lane, HttpLane>>;
  readonly #abort = new AbortController();
  readonly #exchanges = new Set<Promise<void>>();
  /** Cancels of calls that are on their way: one that overtook its call would find nothing to cancel. */
  #heldCancels: { readonly id: number; readonly request: OutgoingRequest }[] = [];
  #events: WireEvents | null = null;
  /** The bytes of bodies; what heads and the system add is not known here. */
  #traffic: Traffic = { bytesSent: 0, bytesReceived: 0 };
  #target: HttpTarget | null = null;
  #client: Deno.HttpClient | null = null;
  #headers: Record<string, string> = {};
  #isFlushing = false;
  #isEnded = false;

  /** `locate` is asked when the wire is opened. */
  constructor(
    locate: (signal: AbortSignal) => Promise<HttpTarget>,
    maxFrameBytes: number,
    tls: ClientTls = {},
  ) {
    this.#locate = locate;
    this.#tls = tls;
    this.#maxFrameBytes = maxFrameBytes;
    this.#lanes = { session: new HttpLane(maxFrameBytes), control: new HttpLane(maxFrameBytes) };
  }

  /** See {@linkcode Wire.open}. */
  async open(events: WireEvents, signal: AbortSignal): Promise<WireWelcome> {
    const onAbort = () => this.#abort.abort(signal.reason);
    signal.addEventListener("abort", onAbort);
    try {
      signal.throwIfAborted();
      const target = this.#target = await this.#locate(this.#abort.signal);
      signal.throwIfAborted();
      this.#client = createClient(target.address, this.#tls);
      this.#headers = { "content-type": FRAMES_CONTENT_TYPE };
      if (target.token !== "") this.#headers.authorization = `Bearer ${target.token}`;
      const welcome = await this.#greet(target);
      signal.throwIfAborted();
      this.#headers[SESSION_HEADER] = welcome.session;
      this.#traffic = events.traffic;
      this.#events = events;
      return welcome;
    } catch (error) {
      await this.close();
      throw signal.aborted ? signal.reason : error;
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  /** See {@linkcode Wire.send}. */
  send(message: RequestMessage, parts: readonly Uint8Array[], lane: Lane): void {
    const request = encodeRequest(message, parts, this.#maxFrameBytes);
    if (message[1] === "cancel") {
      const [id] = message[2] as readonly [number];
      if (this.#lanes.session.withdraw(id) || this.#lanes.control.withdraw(id)) {
        this.#answerWithdrawn(id, message[0]);
        return;
      }
      if (this.#lanes.session.isPosted(id)) {
        this.#heldCancels.push({ id, request });
        return;
      }
    }
    this.#lanes[lane].add(request);
    this.#flushSoon();
  }

  /** See {@linkcode Wire.setBusy}. A kept connection on which nothing is under way holds no program. */
  setBusy(_isBusy: boolean): void {}

  /** See {@linkcode Wire.close}. */
  async close(): Promise<void> {
    this.#isEnded = true;
    this.#abort.abort(new ConnectionClosedError("Cannot go on: the connection was closed"));
    await Promise.all(this.#exchanges);
    this.#client?.close();
    this.#client = null;
  }

  async #greet(target: HttpTarget): Promise<WireWelcome> {
    const hello = [1, "hello", [{ protocol: PROTOCOL_VERSION, client: `python-host/${LIBRARY_VERSION}` }]];
    let response: Response;
    try {
      response = await this.#fetch(encodeFrame(JSON.stringify(hello)));
    } catch (error) {
      throw this.#abort.signal.aborted ? error : connectError(error, target.address, target);
    }
    if (!hasFrames(response)) throw await errorOfResponse(response, target);
    let reply: unknown;
    await readFrames(response, this.#maxFrameBytes, (frame) => reply = parseMessage(frame));
    const [, kind, value] = Array.isArray(reply) ? reply : [];
    if (kind === "error") throw errorFromPayload(value, `connect to "${target.endpoint}"`);
    const welcome = value as Partial<WireWelcome> | null | undefined;
    if (kind !== "ok" || typeof welcome?.session !== "string") {
      throw new ProtocolError(
        "remote",
        `Cannot use server "${target.endpoint}": its welcome names no session`,
      );
    }
    if (welcome.protocol !== PROTOCOL_VERSION) {
      throw new ProtocolError(
        "remote",
        `Cannot use server "${target.endpoint}": it speaks protocol ${welcome.protocol}, this library ${PROTOCOL_VERSION}`,
        { code: "version" },
      );
    }
    return welcome as WireWelcome;
  }

  #fetch(body: Uint8Array<ArrayBuffer>): Promise<Response> {
    this.#traffic.bytesSent += body.byteLength;
    // Nobody else can take up these calls: when this connection breaks, they are to be stopped.
    return fetch(`${this.#target!.address}${FRAMES_PATH}?cancelOnDisconnect=1`, {
      method: "POST",
      headers: this.#headers,
      body,
      client: this.#client!,
      signal: this.#abort.signal,
      redirect: "manual",
    });
  }

  #flushSoon(): void {
    if (this.#isFlushing) return;
    this.#isFlushing = true;
    queueMicrotask(() => {
      this.#isFlushing = false;
      this.#flush("session");
      this.#flush("control");
    });
  }

  #flush(lane: Lane): void {
    if (this.#isEnded) return;
    const batch = this.#lanes[lane].takeBatch();
    if (batch === null) return;
    const exchange = this.#exchange(batch, lane).catch((error) => this.#end(error));
    this.#exchanges.add(exchange);
    exchange.finally(() => this.#exchanges.delete(exchange));
  }

  /** Posts a batch and hands over its answers. Rejects with what ends the wire. */
  async #exchange(batch: Batch, lane: Lane): Promise<void> {
    const response = await this.#post(batch);
    this.#lanes[lane].taken();
    this.#releaseCancels();
    this.#flushSoon();
    if (!hasFrames(response)) {
      const error = await errorOfResponse(response, this.#target!);
      if (response.status !== 413) throw error;
      for (const { id } of batch.requests) this.#events!.failed(id, error);
      return;
    }
    const unanswered = new Set<number>();
    for (const { id, isAnswered } of batch.requests) if (isAnswered) unanswered.add(id);
    await readFrames(response, this.#maxFrameBytes, (frame) => {
      this.#traffic.bytesReceived += sizeOf(frame);
      const message = parseMessage(frame);
      if (Array.isArray(message) && REPLY_KINDS.has(message[1])) unanswered.delete(message[0]);
      if (!this.#isEnded) this.#events!.message(message, frame.parts, lane);
    });
    if (unanswered.size > 0) {
      throw new ProtocolError(
        "remote",
        `Cannot go on: the server left ${unanswered.size} requests without a reply`,
      );
    }
  }

  /** Posts until the server has a connection to spare. */
  async #post(batch: Batch): Promise<Response> {
    const giveUp = performance.now() + BUSY_GIVE_UP_MS;
    for (;;) {
      const response = await this.#fetch(batch.body);
      if (response.status !== BUSY_STATUS || performance.now() > giveUp) return response;
      await response.body?.cancel();
      await delay(BUSY_RETRY_MS, this.#abort.signal);
    }
  }

  /** Sends the cancels whose calls have been taken; the head of another lane says nothing about theirs. */
  #releaseCancels(): void {
    const cancels = this.#heldCancels;
    this.#heldCancels = [];
    for (const cancel of cancels) {
      if (this.#lanes.session.isPosted(cancel.id)) this.#heldCancels.push(cancel);
      else this.#lanes.control.add(cancel.request);
    }
  }

  /** What the server would say of a call that was cancelled before it came. */
  #answerWithdrawn(id: number, cancelId: number): void {
    queueMicrotask(() => {
      if (this.#isEnded) return;
      const error = { code: "cancelled", message: "The call was cancelled before it was sent" };
      this.#events!.message([id, "error", error], [], "control");
      this.#events!.message([cancelId, "ok", "queued"], [], "control");
    });
  }

  #end(error: unknown): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    const reason = error instanceof PythonHostError
      ? error
      : new ConnectionClosedError(`Cannot go on: the connection to "${this.#target!.endpoint}" broke`, {
        cause: error,
      });
    this.#abort.abort(reason);
    this.#client?.close();
    this.#client = null;
    this.#events!.ended(reason);
  }
}

/** Bytes of a frame but for its tables; text is taken as ASCII, to be counted without being encoded again. */
function sizeOf({ json, parts }: Frame): number {
  let size = json.length;
  for (const part of parts) size += part.byteLength;
  return size;
}

const REPLY_KINDS: ReadonlySet<unknown> = new Set(["ok", "tagged", "packed", "error"]);

/** A pool of connections of a wire's own, so that closing it closes them. */
export function createClient(address: string, tls: ClientTls): Deno.HttpClient {
  const url = new URL(address);
  if (url.protocol === "https:") {
    try {
      return Deno.createHttpClient({ ...httpClientTls(tls), http2: false });
    } catch (cause) {
      throw new ConnectError(`Cannot connect to "${address}": its TLS options cannot be used`, {
        cause,
        hint: "`caCerts`, `cert` and `key` are PEM text; the key must be that of the certificate.",
      });
    }
  }
  if (!LOOPBACK_HOSTS.includes(url.hostname)) return Deno.createHttpClient({});
  // Straight to the address: a proxy named by HTTP_PROXY would be asked otherwise, and be given the token.
  return Deno.createHttpClient({
    proxy: {
      transport: "tcp",
      hostname: url.hostname === "[::1]" ? "::1" : url.hostname,
      port: Number(url.port || 80),
    },
    http2: false,
  });
}

function parseMessage(frame: Frame): unknown {
  try {
    return JSON.parse(frame.json);
  } catch (cause) {
    throw new ProtocolError("remote", "Cannot read message: it is not JSON", { cause });
  }
}

function delay(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", onAbort);
      resolve();
    }, milliseconds);
    signal.addEventListener("abort", onAbort, { once: true });
  });
}
