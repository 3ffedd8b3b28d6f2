/**
 * One call on its way: what was sent, who waits, and the ladder by which it is stopped.
 *
 * ```text
 * waiting ── reply ─────────────────────────────────────► settled
 *    │ abort or timeout                                      ▲
 *    ├─ not sent yet ── the reason ──────────────────────────┤
 *    └─ stopping (cancel sent) ── reply, or "queued" ── the reason
 *                              └─ grace time over ─┬─ CallNotInterruptedError ── abandoned: a late reply is let go
 *                                                  └─ or, where the owner asks for it, the server is ended ── the reason
 * ```
 *
 * @module
 */

import type { CallOptions } from "../core/backend.ts";
import { CallNotInterruptedError, CallTimeoutError } from "../core/errors.ts";
import { JsonText, type Lane, type Operation, type RequestMessage } from "../core/protocol.ts";
import { startPatientTimer, startTimer } from "../core/timers.ts";
import type { CallContext } from "./callbacks.ts";
import type { CallSpan } from "./call_tracer.ts";
import type { IncomingParts } from "./wire.ts";

/** How a call was answered; `failed` means that there is no reply, and `value` makes the error. */
export type Outcome = "waiting" | "ok" | "tagged" | "packed" | "error" | "failed";

const NO_PARTS: IncomingParts = [];

/** A call from the moment it is made until its reply has come. It is also what its waiter gets: no object more. */
export class PendingCall {
  /** The number of the request. */
  readonly id: number;
  /** What is to be sent. */
  readonly message: RequestMessage;
  /** The binary parts of the message. */
  readonly outgoingParts: readonly Uint8Array[];
  /** Where it is sent. */
  readonly lane: Lane;
  /** The caller's options, for output. */
  readonly options: CallOptions;
  /** The handles that the call uses; they are not released while it runs. */
  readonly handles: readonly number[] | undefined;
  /** Settles with the call itself as soon as {@linkcode outcome} is known; never rejects. */
  readonly settled: Promise<PendingCall>;
  /** How it was answered. */
  outcome: Outcome = "waiting";
  /** The reply's value, or for `failed` a function that makes the error. */
  value: unknown = undefined;
  /** The reply's binary parts. */
  parts: IncomingParts = NO_PARTS;
  /** Whether the wire has taken it. */
  isSent = false;
  /** What stops it, when the caller asked for that. */
  stopper: Stopper | null = null;
  /** When it was made, by the clock of `performance`; below zero for what is not counted. */
  startedAt = -1;
  /** Its span, in a program that traces. */
  span: CallSpan | null = null;
  /** Where it was made: functions that Python calls during it run there. */
  context: CallContext | Promise<CallContext> | undefined;
  /** Handles to release once it no longer uses them. */
  releaseAfter: number[] | undefined;
  #resolve!: (call: PendingCall) => void;

  /** Makes a call that waits. */
  constructor(
    message: RequestMessage,
    parts: readonly Uint8Array[],
    lane: Lane,
    options: CallOptions,
    handles: readonly number[] | undefined,
  ) {
    this.id = message[0];
    this.message = message;
    this.outgoingParts = parts;
    this.lane = lane;
    this.options = options;
    this.handles = handles;
    this.settled = new Promise((resolve) => this.#resolve = resolve);
  }

  /** Whether somebody still waits for it. */
  get isWaiting(): boolean {
    return this.outcome === "waiting";
  }

  /** Gives the waiter the reply, or for `failed` the function that makes its error. */
  settle(outcome: Outcome, value: unknown, parts: IncomingParts = NO_PARTS): void {
    this.stopper?.end();
    this.outcome = outcome;
    this.value = value;
    this.parts = parts;
    this.#resolve(this);
  }

  /** What the call does, for messages: `Cannot <this>: …`. */
  get action(): string {
    const args = this.message[2];
    return describeCall(this.message[1], args instanceof JsonText ? args.row : args);
  }
}

/** What a stopper asks of the table that holds its call. */
export interface StopperHost {
  /** How long Python is given to stop a call. */
  readonly interruptGraceMs: number;
  /** Asks the server to stop a call; tells `stopper` when the call will certainly not run. */
  sendCancel(call: PendingCall): void;
  /** Ends the server under a call that did not stop, and with it all calls; undefined when nobody wants that. */
  readonly endServer: (() => Promise<void>) | undefined;
  /** Settles a call that has no reply. */
  fail(call: PendingCall, makeError: () => unknown): void;
}

/** Stops one call when its signal aborts or its time is over. Exists only for calls that ask for one of these. */
export class Stopper implements EventListenerObject {
  readonly #host: StopperHost;
  readonly #call: PendingCall;
  readonly #signal: AbortSignal | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #stopGrace: (() => void) | undefined;
  #makeReason: (() => unknown) | undefined;

  /** Starts to watch; the signal must not have aborted. */
  constructor(
    host: StopperHost,
    call: PendingCall,
    signal: AbortSignal | undefined,
    timeoutMs: number | undefined,
  ) {
    this.#host = host;
    this.#call = call;
    this.#signal = signal;
    signal?.addEventListener("abort", this);
    if (timeoutMs !== undefined) {
      this.#timer = startTimer(
        () => this.#begin(() => new CallTimeoutError(call.action, timeoutMs)),
        timeoutMs,
      );
    }
  }

  /** Makes what the caller gets instead of a reply, once the call is being stopped; else undefined. */
  get makeReason(): (() => unknown) | undefined {
    return this.#makeReason;
  }

  /** The signal aborted. */
  handleEvent(): void {
    this.#begin(() => this.#signal!.reason);
  }

  /** Stops watching. */
  end(): void {
    this.#signal?.removeEventListener("abort", this);
    clearTimeout(this.#timer);
    this.#stopGrace?.();
  }

  #begin(makeReason: () => unknown): void {
    this.end();
    this.#makeReason = makeReason;
    if (!this.#call.isSent) {
      this.#host.fail(this.#call, makeReason);
      return;
    }
    const graceMs = this.#host.interruptGraceMs;
    this.#stopGrace = startPatientTimer(() => this.#giveUp(graceMs, makeReason), graceMs);
    this.#host.sendCancel(this.#call);
  }

  /** Python has not stopped the call. When the server can be ended, its end settles the call, with the reason. */
  #giveUp(graceMs: number, makeReason: () => unknown): void {
    const reject = (cause: unknown): void =>
      this.#host.fail(this.#call, () => new CallNotInterruptedError(this.#call.action, graceMs, { cause }));
    const ended = this.#host.endServer?.();
    if (ended === undefined) reject(makeReason());
    else ended.catch(reject);
  }
}

/** What a request does, as words that go behind "Cannot". */
function describeCall(operation: Operation, args: readonly unknown[]): string {
  switch (operation) {
    case "evaluate":
      return "evaluate Python code";
    case "import":
      return `import module "${args[0]}"`;
    case "create":
      return `create object of class "${args[1]}"`;
    case "call":
      return `call method "${args[1]}"`;
    case "get":
      return `get attribute "${args[1]}"`;
    case "set":
      return `set attribute "${args[1]}"`;
    case "available":
      return `look for module "${args[0]}"`;
    case "floats":
    case "floats2d":
      return "read floats";
    case "wrap":
      return "make a handle of a value";
    case "release":
      return "release handles";
    case "open_session":
    case "close_session":
      return `${operation === "open_session" ? "open" : "close"} session "${args[0] ?? ""}"`;
    case "ping":
    case "stats":
    case "converters":
    case "cancel":
    case "resume":
      return `complete request "${operation}"`;
  }
}
