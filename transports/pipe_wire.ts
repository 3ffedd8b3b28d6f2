/**
 * The wire of pipes: two connections, frames on both (docs/PROTOCOL.md §2).
 *
 * ```text
 * open()  session lane: connect, hello … welcome ──► resolved: calls can be sent
 *         control lane:                             └─ connect, hello with the session … welcome ──► its queue is sent
 * ```
 *
 * A first call does not wait for the control lane, which opens beside it; what is sent on it meanwhile waits.
 *
 * @module
 */

import { ConnectError, ConnectionClosedError, ProtocolError, PythonHostError } from "../core/errors.ts";
import type { Frame } from "../core/frames.ts";
import { type Lane, type RequestMessage, requestText } from "../core/protocol.ts";
import { type ByteStream, FrameStream } from "./frame_stream.ts";
import { importToken, shakeHands } from "./handshake.ts";
import type { Wire, WireEvents, WireWelcome } from "./wire.ts";

/** Where a pipe's server is, and how it is proved. */
export interface PipeTarget {
  /** What the user called it, for messages. */
  readonly endpoint: string;
  /** The server's token; empty when there is none. */
  readonly token: string;
  /** Makes one connection; rejects with a typed error. */
  connect(): Promise<ByteStream>;
}

const CONTROL_OPEN_TIMEOUT_MS = 30_000;
/** How often a connection is made that the server drops before it has proved itself. */
const MOST_JOINS = 5;

/** A pair of connections to one server. */
export class PipeWire implements Wire {
  readonly #locate: () => Promise<PipeTarget>;
  readonly #maxFrameBytes: number;
  #events: WireEvents | null = null;
  #session: FrameStream | null = null;
  #control: FrameStream | null = null;
  #isControlOpen = false;
  #controlQueue: { json: string; parts: readonly Uint8Array[] }[] = [];
  readonly #loops: Promise<void>[] = [];
  #isClosed = false;

  /** `locate` is asked when the wire is opened. */
  constructor(locate: () => Promise<PipeTarget>, maxFrameBytes: number) {
    this.#locate = locate;
    this.#maxFrameBytes = maxFrameBytes;
  }

  /** See {@linkcode Wire.open}. */
  async open(events: WireEvents, signal: AbortSignal): Promise<WireWelcome> {
    const closeOnAbort = () => void this.close();
    signal.addEventListener("abort", closeOnAbort);
    try {
      signal.throwIfAborted();
      const target = await this.#locate();
      const key = importToken(target.token);
      this.#events = events;
      const welcome = await this.#join("session", null, target, key, signal);
      signal.throwIfAborted();
      this.#loops.push(
        this.#receive(this.#session!, "session"),
        this.#openControl(target, key, welcome.session),
      );
      return welcome;
    } catch (error) {
      await this.close();
      throw signal.aborted ? signal.reason : error;
    } finally {
      signal.removeEventListener("abort", closeOnAbort);
    }
  }

  /** See {@linkcode Wire.send}. */
  send(message: RequestMessage, parts: readonly Uint8Array[], lane: Lane): void {
    const json = requestText(message);
    if (lane === "session") this.#session!.send(json, parts);
    else if (this.#isControlOpen) this.#control!.send(json, parts);
    else this.#controlQueue.push({ json, parts });
  }

  /** See {@linkcode Wire.setBusy}. */
  setBusy(isBusy: boolean): void {
    // The session lane alone holds the program, whichever lane is waited for: it is asked for at each call.
    this.#session?.setBusy(isBusy);
  }

  /** See {@linkcode Wire.close}. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#session?.close();
    this.#control?.close();
    await Promise.all(this.#loops);
  }

  /**
   * Connects a lane and shakes hands. A server that is short of room drops the oldest connection that has proved nothing yet: in a
   * burst of strangers that may be this one, so it is made again.
   */
  async #join(
    lane: Lane,
    session: string | null,
    target: PipeTarget,
    makingKey: Promise<CryptoKey | null>,
    signal: AbortSignal,
  ): Promise<WireWelcome> {
    for (let attempt = 1;; attempt++) {
      const [connection, key] = await Promise.all([target.connect(), makingKey]);
      const stream = new FrameStream(connection, this.#maxFrameBytes, this.#events!.traffic);
      if (lane === "session") this.#session = stream;
      else {
        this.#control = stream;
        // Without a hold on the program, as long as nobody waits: an idle program may end.
        stream.setBusy(false);
      }
      try {
        // Closed while it was connecting, when nobody found it yet.
        if (this.#isClosed || signal.aborted) stream.close();
        return await shakeHands(stream, { lane, session, key, endpoint: target.endpoint });
      } catch (error) {
        stream.close();
        const isDropped = error instanceof ConnectError || error instanceof ConnectionClosedError;
        if (!isDropped || attempt === MOST_JOINS || this.#isClosed || signal.aborted) throw error;
      }
    }
  }

  async #openControl(target: PipeTarget, key: Promise<CryptoKey | null>, session: string): Promise<void> {
    const late = new AbortController();
    const timer = setTimeout(() => {
      late.abort();
      this.#control?.close();
    }, CONTROL_OPEN_TIMEOUT_MS);
    Deno.unrefTimer(timer);
    try {
      await this.#join("control", session, target, key, late.signal);
      this.#isControlOpen = true;
      const queue = this.#controlQueue;
      this.#controlQueue = [];
      for (const { json, parts } of queue) this.#control!.send(json, parts);
    } catch (error) {
      const reason = late.signal.aborted
        ? new ConnectError(`Cannot connect to "${target.endpoint}": its control lane did not open in time`)
        : error;
      this.#end(reason);
      return;
    } finally {
      clearTimeout(timer);
    }
    await this.#receive(this.#control!, "control");
  }

  /** Hands over the messages of a lane until it ends. Never rejects. */
  async #receive(stream: FrameStream, lane: Lane): Promise<void> {
    try {
      await stream.receiveAll((frame) => this.#events!.message(parseMessage(frame), frame.parts, lane));
      this.#end(new ConnectionClosedError("Cannot go on: the server closed the connection"));
    } catch (error) {
      this.#end(error);
    }
  }

  #end(error: unknown): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#session?.close();
    this.#control?.close();
    const reason = error instanceof PythonHostError
      ? error
      : new ConnectionClosedError("Cannot go on: the connection broke", { cause: error });
    this.#events!.ended(reason);
  }
}

function parseMessage(frame: Frame): unknown {
  try {
    return JSON.parse(frame.json);
  } catch (cause) {
    throw new ProtocolError("remote", "Cannot read message: it is not JSON", { cause });
  }
}
