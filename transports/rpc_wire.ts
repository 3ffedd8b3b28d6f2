/**
 * The wire of RPC: a call is a procedure, what belongs to no call comes on the stream of the session (docs/RPC.md).
 *
 * ```text
 * open  ──► OpenSession ──► welcome, then questions ─────────────────► events.message
 * send  ──► [waiting] ── one tick ──► one call: its own procedure ───► events.message
 *                                  └► several, or events: Run, a stream ──►
 * ```
 *
 * Procedures travel side by side; `sequence` keeps their order in Python.
 *
 * @module
 */

import {
  AuthenticationError,
  ConnectionClosedError,
  ProtocolError,
  PythonHostError,
} from "../core/errors.ts";
import { type Lane, LIBRARY_VERSION, PROTOCOL_VERSION, type RequestMessage } from "../core/protocol.ts";
import { AtMost } from "./at_most.ts";
import type { HttpTarget } from "./http_wire.ts";
import { rpcError } from "./rpc_errors.ts";
import { openLink, protocolOf, type RpcCall, type RpcLink, type RpcProtocol } from "./rpc_link.ts";
import { Sequences, type TypedRequest, typedRequest } from "./rpc_requests.ts";
import type { Native, OpenSessionResponse, Welcome } from "./rpc_schema.gen.ts";
import { type ClientTls, tlsTrouble } from "./tls.ts";
import type { Traffic, Wire, WireEvents, WireWelcome } from "./wire.ts";

/** Options of {@linkcode RpcWire}. */
export interface RpcWireOptions {
  /** What is to be spoken; undefined for what the server speaks. */
  readonly protocol: RpcProtocol | undefined;
  /** The largest message, in bytes. */
  readonly maxFrameBytes: number;
  /** For an `https:` address. */
  readonly tls: ClientTls;
}

// The server answers so, before it looks into a request, when all of its connections are in use.
const BUSY_CODE = "unavailable";
const BUSY_RETRY_MS = 100;
const BUSY_GIVE_UP_MS = 30_000;
// How long the stream of a session may take to end after the session has.
const END_MS = 500;
// Programs make many sessions in one go, and each such request takes a connection, of which a server has few.
const SESSION_METHODS: ReadonlySet<string> = new Set(["openSubsession", "closeSession"]);
const SESSIONS_AT_ONCE = 12;
const SESSION_METADATA = "beep-session";
const REPLY_KINDS: ReadonlySet<unknown> = new Set(["ok", "tagged", "packed", "error"]);
const decoder = new TextDecoder();

/** Calls the procedures of one server. */
export class RpcWire implements Wire {
  readonly #locate: (signal: AbortSignal) => Promise<HttpTarget>;
  readonly #options: RpcWireOptions;
  readonly #abort = new AbortController();
  readonly #sessions = new AtMost(SESSIONS_AT_ONCE);
  readonly #exchanges = new Set<Promise<void>>();
  readonly #sequences = new Sequences();
  #waiting: TypedRequest[] = [];
  #events: WireEvents | null = null;
  #traffic: Traffic = { bytesSent: 0, bytesReceived: 0 };
  #target: HttpTarget | null = null;
  #protocol: RpcProtocol = "connect";
  #link: RpcLink | null = null;
  #call: RpcCall = { headers: {}, signal: this.#abort.signal };
  #session: Promise<void> = Promise.resolve();
  /** The request that ends the session. */
  #lastId = 0;
  #isSessionEnded = false;
  #isFlushing = false;
  #isEnded = false;

  /** `locate` is asked when the wire is opened. */
  constructor(locate: (signal: AbortSignal) => Promise<HttpTarget>, options: RpcWireOptions) {
    this.#locate = locate;
    this.#options = options;
  }

  /** See {@linkcode Wire.open}. */
  async open(events: WireEvents, signal: AbortSignal): Promise<WireWelcome> {
    const onAbort = () => this.#abort.abort(signal.reason);
    signal.addEventListener("abort", onAbort);
    try {
      signal.throwIfAborted();
      const target = this.#target = await this.#locate(this.#abort.signal);
      const { maxFrameBytes, tls } = this.#options;
      const protocol = this.#protocol = protocolOf(target, this.#options.protocol);
      this.#link = await openLink({ address: target.address, protocol, maxMessageBytes: maxFrameBytes, tls });
      signal.throwIfAborted();
      const headers: Record<string, string> = {};
      if (target.token !== "") headers.authorization = `Bearer ${target.token}`;
      this.#call = { headers, signal: this.#abort.signal };
      const stream = untilAborted(
        this.#link.openSession(
          { protocol: PROTOCOL_VERSION, client: `python-host/${LIBRARY_VERSION}` },
          this.#call,
        ),
        this.#abort.signal,
      );
      const welcome = await this.#greet(stream, target);
      signal.throwIfAborted();
      headers[SESSION_METADATA] = welcome.session;
      this.#traffic = events.traffic;
      this.#events = events;
      this.#follow(this.#session = this.#listen(stream));
      return welcome;
    } catch (error) {
      await this.close();
      throw signal.aborted ? signal.reason : error;
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  /** See {@linkcode Wire.send}. */
  send(message: RequestMessage, parts: readonly Uint8Array[], _lane: Lane): void {
    if (message[1] === "cancel" && this.#withdraw(message)) return;
    const request = typedRequest(message, parts, 0);
    const { maxFrameBytes } = this.#options;
    if (request.size > maxFrameBytes) {
      throw new ProtocolError(
        "local",
        `Cannot send message of ${request.size} bytes: maxFrameBytes is ${maxFrameBytes}`,
        {
          code: "limit",
          hint: "Raise maxFrameBytes on both sides, or move the value in smaller pieces.",
        },
      );
    }
    // Numbered only when it is sure to be sent: the server waits for each number.
    const sequence = this.#sequences.next(message);
    const options = request.message.options as Record<string, unknown>;
    if (sequence > 0) options.sequence = BigInt(sequence);
    if (message[1] === "close_session" && request.message.label === "") this.#lastId = request.id;
    this.#waiting.push(request);
    this.#flushSoon();
  }

  /** See {@linkcode Wire.setBusy}. */
  setBusy(_isBusy: boolean): void {}

  /** See {@linkcode Wire.close}. */
  async close(): Promise<void> {
    this.#isEnded = true;
    // Told of the end of the session, the server ends its stream: in order, which leaves the connection whole.
    if (this.#isSessionEnded) {
      await Promise.race([this.#session, delay(END_MS, this.#abort.signal)]).catch(() => {}); // it has ended
    }
    this.#abort.abort(new ConnectionClosedError("Cannot go on: the connection was closed"));
    await Promise.all(this.#exchanges);
    this.#link?.close();
    this.#link = null;
  }

  async #greet(stream: AsyncIterator<OpenSessionResponse>, target: HttpTarget): Promise<WireWelcome> {
    let first: IteratorResult<OpenSessionResponse>;
    try {
      first = await stream.next();
    } catch (error) {
      throw this.#abort.signal.aborted ? error : await this.#explainOpening(error, target);
    }
    const event = first.done === true ? undefined : first.value.event;
    if (event?.case !== "welcome") {
      throw new ProtocolError("remote", `Cannot use server "${target.endpoint}": it sent no welcome`);
    }
    return welcomeOf(event.value);
  }

  async #explainOpening(error: unknown, { address, endpoint }: HttpTarget): Promise<PythonHostError> {
    const { tls } = this.#options;
    const explained = this.#explain(error, "open");
    // Of what is wrong with TLS, `node:http2` tells little.
    if (
      this.#protocol !== "grpc" || !address.startsWith("https:") || explained instanceof AuthenticationError
    ) {
      return explained;
    }
    return await tlsTrouble(address, endpoint, tls) ?? explained;
  }

  /** Hands over what comes on the stream of the session, whose end is the end of all. */
  async #listen(stream: AsyncIterator<OpenSessionResponse>): Promise<void> {
    for (;;) {
      const { done, value } = await stream.next();
      if (done === true) break;
      if (value.event.case === "native") this.#deliver(value.event.value);
    }
    throw new ConnectionClosedError(
      `Cannot go on: the session at "${this.#target!.endpoint}" has ended`,
    );
  }

  #flushSoon(): void {
    if (this.#isFlushing) return;
    this.#isFlushing = true;
    queueMicrotask(() => {
      this.#isFlushing = false;
      if (!this.#isEnded) this.#flush();
    });
  }

  #flush(): void {
    const requests = this.#waiting;
    this.#waiting = [];
    let batch: TypedRequest[] = [];
    let size = 0;
    for (const request of requests) {
      if (request.isImmediate) {
        this.#follow(this.#exchange(request));
        continue;
      }
      if (batch.length > 0 && size + request.size > this.#options.maxFrameBytes) {
        this.#start(batch);
        batch = [];
        size = 0;
      }
      batch.push(request);
      size += request.size;
    }
    this.#start(batch);
  }

  #start(batch: readonly TypedRequest[]): void {
    if (batch.length === 0) return;
    const isAlone = batch.length === 1 && !batch[0]!.hasEvents;
    this.#follow(isAlone ? this.#exchange(batch[0]!) : this.#run(batch));
  }

  /** Keeps an exchange in view until it has ended; what it rejects with ends the wire. */
  #follow(exchange: Promise<void>): void {
    const followed = exchange.catch((error) => this.#end(error));
    this.#exchanges.add(followed);
    followed.finally(() => this.#exchanges.delete(followed));
  }

  /** Calls a procedure with one response. */
  async #exchange(request: TypedRequest): Promise<void> {
    this.#traffic.bytesSent += request.size;
    try {
      const call = () => this.#whenFree(() => this.#link!.unary(request.method, request.message, this.#call));
      const native = await (SESSION_METHODS.has(request.method) ? this.#sessions.run(call) : call());
      if (!request.isAnswered) return;
      if (native === undefined) throw unanswered(1);
      if (request.id === this.#lastId) this.#isSessionEnded = true;
      this.#deliver(native);
    } catch (error) {
      this.#fail([request], error);
    } finally {
      this.#sequences.forget(request.id);
    }
  }

  /** Runs several calls, or one that says something before its reply. */
  async #run(batch: readonly TypedRequest[]): Promise<void> {
    const unansweredIds = new Set(batch.map(({ id }) => id));
    for (const { size } of batch) this.#traffic.bytesSent += size;
    try {
      await this.#whenFree(async () => {
        const stream = untilAborted(this.#link!.run(batch, this.#call), this.#abort.signal);
        for await (const { event } of stream) {
          if (event.case !== "native") continue;
          const id = this.#deliver(event.value);
          if (id !== null) unansweredIds.delete(id);
        }
      });
      if (unansweredIds.size > 0) throw unanswered(unansweredIds.size);
    } catch (error) {
      this.#fail(batch, error);
    } finally {
      for (const { id } of batch) this.#sequences.forget(id);
    }
  }

  /** Calls until the server has a connection to spare; when it has none, it has not looked at the request. */
  async #whenFree<T>(call: () => Promise<T>): Promise<T> {
    const giveUp = performance.now() + BUSY_GIVE_UP_MS;
    for (;;) {
      try {
        return await call();
      } catch (error) {
        const failure = this.#link?.explain(error);
        const isBusy = failure?.code === BUSY_CODE && failure.payload?.code === "limit";
        if (!isBusy || this.#isEnded || performance.now() > giveUp) throw error;
        await delay(BUSY_RETRY_MS, this.#abort.signal);
      }
    }
  }

  /** Gives a message to the client; gives its id when it is a reply. */
  #deliver({ json, parts }: Native): number | null {
    this.#traffic.bytesReceived += json.byteLength;
    for (const part of parts) this.#traffic.bytesReceived += part.byteLength;
    const message = parseMessage(json);
    // The message is one buffer with all that it holds; a client gets parts that are its own.
    if (!this.#isEnded) this.#events!.message(message, parts.map(ownBytes), "session");
    return Array.isArray(message) && REPLY_KINDS.has(message[1]) ? message[0] : null;
  }

  /** What the failure of an exchange means: for its calls alone, or for everything. */
  #fail(requests: readonly TypedRequest[], error: unknown): void {
    if (this.#isEnded) return;
    const failure = this.#link?.explain(error);
    if (failure?.code !== "resource_exhausted") throw error;
    const reason = this.#explain(error, "call");
    for (const { id } of requests) this.#events!.failed(id, reason);
  }

  #explain(error: unknown, when: "open" | "call"): PythonHostError {
    return rpcError(error, this.#link!.explain(error), { target: this.#target!, when });
  }

  /** Takes a call out again that has not been sent, and answers as the server would. */
  #withdraw(cancel: RequestMessage): boolean {
    const [id] = cancel[2] as readonly [number];
    const request = this.#waiting.find((one) => one.id === id);
    // One with a number has to be sent: those after it would wait for it.
    if (request === undefined || (request.message.options as { sequence?: bigint }).sequence) return false;
    this.#waiting.splice(this.#waiting.indexOf(request), 1);
    queueMicrotask(() => {
      if (this.#isEnded) return;
      const error = { code: "cancelled", message: "The call was cancelled before it was sent" };
      this.#events!.message([id, "error", error], [], "session");
      this.#events!.message([cancel[0], "ok", "queued"], [], "control");
    });
    return true;
  }

  #end(error: unknown): void {
    if (this.#isEnded) return;
    const reason = error instanceof PythonHostError ? error : this.#explain(error, "call");
    this.#isEnded = true;
    this.#abort.abort(reason);
    this.#link?.close();
    this.#link = null;
    this.#events!.ended(reason);
  }
}

function welcomeOf(message: Welcome): WireWelcome {
  const { session, protocol, serverVersion, pythonVersion, implementation, executable, pid, features } =
    message;
  return { session, protocol, serverVersion, pythonVersion, implementation, executable, pid, features };
}

function unanswered(count: number): ProtocolError {
  return new ProtocolError("remote", `Cannot go on: the server left ${count} requests without a reply`);
}

function parseMessage(json: Uint8Array): unknown {
  try {
    return JSON.parse(decoder.decode(json));
  } catch (cause) {
    throw new ProtocolError("remote", "Cannot read message: it is not JSON", { cause });
  }
}

/** What a stream gives, until the signal aborts: a read that is under way then may never settle. */
async function* untilAborted<T>(stream: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T, void> {
  const iterator = stream[Symbol.asyncIterator]();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  aborted.catch(() => {}); // heard by whoever reads at that time
  const onAbort = () => reject(signal.reason);
  signal.addEventListener("abort", onAbort);
  try {
    signal.throwIfAborted();
    for (;;) {
      const { done, value } = await Promise.race([iterator.next(), aborted]);
      if (done === true) return;
      yield value;
    }
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

/** Bytes with a buffer of their own, copied only when they share one. */
function ownBytes(part: Uint8Array): Uint8Array<ArrayBuffer> {
  const isAlone = part.byteOffset === 0 && part.byteLength === part.buffer.byteLength;
  return isAlone && part.buffer instanceof ArrayBuffer ? part as Uint8Array<ArrayBuffer> : part.slice();
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
