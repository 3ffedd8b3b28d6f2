/**
 * The pending calls of one client, and the one way in which all of them end.
 *
 * ```text
 * idle ── open() ──► opening ──► open ── the wire ends, a message breaks the protocol, close() ──► ended(reason)
 *   ▲                   │ fails
 *   └───────────────────┘
 * ```
 *
 * Once ended, the reason is remembered, and every later call fails at once with it.
 *
 * @module
 */

import { checkCallOptions } from "../core/argument.ts";
import type { CallOptions, CloseOptions, InitializeOptions } from "../core/backend.ts";
import { CallCounters } from "../core/call_counters.ts";
import {
  CallTimeoutError,
  ConnectionClosedError,
  ProtocolError,
  type PythonHostError,
} from "../core/errors.ts";
import type { Logger } from "../core/logger.ts";
import type { Lane, Operation, RequestArguments, RequestMessage, RequestOptions } from "../core/protocol.ts";
import { startTimer } from "../core/timers.ts";
import { deliverEvent } from "./call_events.ts";
import { CallObserver } from "./call_observer.ts";
import { findTracer } from "./call_tracer.ts";
import type { ClientOptions } from "./client_options.ts";
import { PendingCall, Stopper, type StopperHost } from "./pending_call.ts";
import { explained } from "./ending.ts";
import { errorFromPayload } from "./reply_errors.ts";
import type { IncomingParts, Wire, WireEvents, WireWelcome } from "./wire.ts";

const DEFAULT_OPEN_TIMEOUT_MS = 30_000;
const DEFAULT_CLOSE_TIMEOUT_MS = 2_000;
const NO_OPTIONS: CallOptions = {};
const NO_PARTS: readonly Uint8Array[] = [];

/** What a table needs from its client. */
export interface CallTableHost {
  /** Makes a wire that is not yet open. */
  readonly createWire: () => Wire;
  /** Told what has no caller to be told. */
  readonly logger: Logger;
  /** How long Python is given to stop a call. */
  readonly interruptGraceMs: number;
  /** What the client's user has asked for. */
  readonly options: ClientOptions;
  /** Python calls one of the client's functions. */
  invoke(message: readonly unknown[], parts: IncomingParts, lane: Lane): void;
  /** A reply came that nobody waits for any more: what it holds must be let go. */
  letGo(call: PendingCall): void;
  /** Python let go of these of the client's functions. */
  dropped(ids: readonly number[]): void;
  /** A call no longer uses these handles. */
  releaseIds(ids: readonly number[]): void;
  /** All is over; told once. */
  ended(reason: PythonHostError): void;
}

/** See the module comment. */
export class CallTable implements StopperHost, WireEvents {
  /** What is counted; the wire adds its bytes here. */
  readonly traffic: CallCounters;
  readonly #host: CallTableHost;
  readonly #observer: CallObserver;
  readonly #pending = new Map<number, PendingCall>();
  #nextId = 1;
  #waiting = 0;
  #wire: Wire | null = null;
  #isOpen = false;
  #opening: Promise<WireWelcome> | null = null;
  #openAbort: AbortController | null = null;
  #closing: Promise<void> | null = null;
  #isEnding = false;
  #reason: PythonHostError | null = null;

  /** Makes an empty table; nothing is connected. */
  constructor(host: CallTableHost) {
    this.#host = host;
    this.traffic = host.options.counters ?? new CallCounters();
    this.#observer = new CallObserver(this.traffic);
  }

  /** See {@linkcode StopperHost.interruptGraceMs}. */
  get interruptGraceMs(): number {
    return this.#host.interruptGraceMs;
  }

  /** Whether calls can be sent. */
  get isOpen(): boolean {
    return this.#isOpen && !this.#isEnding && this.#reason === null;
  }

  /** The calls whose reply has not come, those that nobody waits for included. */
  pendingCalls(): Iterable<PendingCall> {
    return this.#pending.values();
  }

  /** A call whose reply has not come. */
  get(id: number): PendingCall | undefined {
    return this.#pending.get(id);
  }

  /** Connects. The same promise for all who ask, until it fails: then the next who asks tries again. */
  open(options: InitializeOptions = {}): Promise<WireWelcome> {
    if (this.#reason !== null) return Promise.reject(this.#reason);
    return this.#opening ??= this.#open(options);
  }

  async #open({ signal, timeoutMs = DEFAULT_OPEN_TIMEOUT_MS }: InitializeOptions): Promise<WireWelcome> {
    const abort = this.#openAbort = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const onAbort = () => abort.abort(signal!.reason);
    try {
      checkCallOptions({ signal, timeoutMs });
      signal?.addEventListener("abort", onAbort);
      timer = startTimer(() => abort.abort(new CallTimeoutError("connect", timeoutMs)), timeoutMs);
      const wire = this.#host.createWire();
      const welcome = await wire.open(this, abort.signal);
      this.#observer.tracer = await findTracer(this.#host.options.tracer, this.#host.logger);
      this.#wire = wire;
      if (this.#reason !== null) {
        await wire.close();
        throw this.#reason;
      }
      this.#isOpen = true;
      wire.setBusy(this.#waiting > 0);
      return welcome;
    } catch (error) {
      this.#opening = null;
      throw error;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
      this.#openAbort = null;
    }
  }

  /**
   * Sends a request, connecting first when need be. Gives the call once it is settled; rejects only with what keeps
   * it from being made at all.
   */
  request(
    operation: Operation,
    args: RequestArguments,
    details: RequestDetails = NO_DETAILS,
  ): Promise<PendingCall> {
    const options = details.options ?? NO_OPTIONS;
    if (this.#reason !== null) throw this.#host.options.afterEnd?.(this.#reason) ?? this.#reason;
    // Once more: a getter among the arguments may have aborted it.
    options.signal?.throwIfAborted();
    const id = this.#nextId++;
    const message: RequestMessage = details.wire === undefined
      ? [id, operation, args]
      : [id, operation, args, details.wire];
    const lane = details.lane ?? "session";
    const call = new PendingCall(message, details.parts ?? NO_PARTS, lane, options, details.handles);
    call.context = details.context;
    this.#add(call);
    if (details.isCounted === true) this.#observer.begin(call);
    if (options.signal !== undefined || options.timeoutMs !== undefined) {
      call.stopper = new Stopper(this, call, options.signal, options.timeoutMs);
    }
    if (this.isOpen) this.#transmit(call);
    // While the end is being explained, calls only wait for the reason.
    else if (!this.#isEnding) this.#transmitWhenOpen(call);
    return call.settled;
  }

  /** Sends what has no reply. */
  post(message: RequestMessage, parts: readonly Uint8Array[], lane: Lane): void {
    if (this.isOpen) this.#wire!.send(message, parts, lane);
  }

  /** Ends all calls, then the session and the wire. */
  close(options: CloseOptions = {}): Promise<void> {
    return this.#closing ??= this.#close(options.timeoutMs ?? DEFAULT_CLOSE_TIMEOUT_MS);
  }

  async #close(timeoutMs: number): Promise<void> {
    const wasOpen = this.isOpen;
    const { serverEnded } = this.#host.options;
    const reason = serverEnded?.aborted
      ? serverEnded.reason
      : new ConnectionClosedError("Cannot use backend: it was closed");
    this.#end(reason);
    this.#openAbort?.abort(reason);
    // Its failure is told to those who asked for it; here it matters only that nothing is left open.
    await this.#opening?.catch(() => {});
    const wire = this.#wire;
    if (wire === null) return;
    if (wasOpen) await this.#endSession(wire, timeoutMs);
    await wire.close();
  }

  /** Tells the server that the session is over and waits for its word, but not for long. */
  async #endSession(wire: Wire, timeoutMs: number): Promise<void> {
    const call = new PendingCall(
      [this.#nextId++, "close_session", []],
      NO_PARTS,
      "control",
      NO_OPTIONS,
      undefined,
    );
    this.#add(call);
    const noWord = (): undefined => undefined;
    const timer = startTimer(() => this.fail(call, noWord), timeoutMs);
    try {
      wire.send(call.message, NO_PARTS, "control");
      await call.settled;
      if (call.value === noWord) {
        this.#host.logger.warn(
          `Closed the connection: the server did not end the session within ${timeoutMs} ms`,
        );
      }
    } finally {
      clearTimeout(timer);
    }
  }

  /** See {@linkcode WireEvents.message}. */
  message(message: unknown, parts: IncomingParts, lane: Lane): void {
    if (!Array.isArray(message) || typeof message[0] !== "number" || typeof message[1] !== "string") {
      this.#break("Cannot read message: it is not a row of id, kind and value");
      return;
    }
    const kind = message[1];
    if (kind === "ok" || kind === "tagged" || kind === "packed" || kind === "error") {
      this.#reply(message[0], kind, message[2], parts);
    } else if (kind === "invoke") {
      this.#host.invoke(message, parts, lane);
    } else if (kind === "dropped" && Array.isArray(message[2])) {
      this.#host.dropped(message[2]);
    } else {
      this.#event(message, parts);
    }
  }

  /** See {@linkcode WireEvents.failed}. */
  failed(id: number, error: PythonHostError): void {
    const call = this.#pending.get(id);
    if (call === undefined) return;
    this.fail(call, call.stopper?.makeReason ?? (() => error));
    this.#forget(call);
  }

  /** See {@linkcode WireEvents.ended}. */
  ended(reason: PythonHostError): void {
    if (this.#reason !== null) {
      // The word that `close` waits for will not come.
      this.#failAll(this.#reason);
      return;
    }
    if (this.#isEnding) return;
    this.#isEnding = true;
    explained(reason, this.#host.options.explainEnd, this.#host.logger).then((known) => this.#end(known));
  }

  /** See {@linkcode StopperHost.sendCancel}. */
  sendCancel(call: PendingCall): void {
    if (!this.isOpen) return;
    this.request("cancel", [call.id], CONTROL).then((cancel) => {
      // A queued call will not be run: its caller need not wait until the session's thread comes to it.
      if (cancel.value === "queued" && call.isWaiting) this.fail(call, call.stopper!.makeReason!);
    });
  }

  /** See {@linkcode StopperHost.fail}. A call that was sent stays known, so that its late reply is let go. */
  fail(call: PendingCall, makeError: () => unknown): void {
    if (!call.isWaiting) return;
    if (!call.isSent) this.#pending.delete(call.id);
    this.#settle(call, "failed", makeError);
  }

  /** See {@linkcode StopperHost.endServer}. */
  get endServer(): (() => Promise<void>) | undefined {
    const end = this.#host.options.endUninterruptible;
    if (end === undefined) return undefined;
    return async () => {
      await end();
      // The wire tells the same a moment later, or not at all when it was not the server's process that held it.
      this.ended(new ConnectionClosedError("Cannot go on: the server was ended, since a call did not stop"));
    };
  }

  #add(call: PendingCall): void {
    this.#pending.set(call.id, call);
    if (++this.#waiting === 1) this.#wire?.setBusy(true);
  }

  #settle(call: PendingCall, outcome: PendingCall["outcome"], value: unknown, parts?: IncomingParts): void {
    if (--this.#waiting === 0) this.#wire?.setBusy(false);
    if (call.startedAt >= 0) this.#observer.end(call, outcome, value);
    call.settle(outcome, value, parts);
  }

  #transmit(call: PendingCall): void {
    try {
      this.#wire!.send(call.message, call.outgoingParts, call.lane);
      call.isSent = true;
    } catch (error) {
      this.fail(call, () => error);
    }
  }

  #transmitWhenOpen(call: PendingCall): void {
    this.open().then(
      () => {
        if (call.isWaiting && this.isOpen) this.#transmit(call);
      },
      (error) => this.fail(call, () => error),
    );
  }

  #reply(id: number, kind: "ok" | "tagged" | "packed" | "error", value: unknown, parts: IncomingParts): void {
    const call = this.#pending.get(id);
    if (call === undefined) {
      // Id 0 is the connection itself: the server says what was wrong before it closes.
      if (id === 0 && kind === "error") return this.#break(errorFromPayload(value, "go on"));
      this.#break(`Cannot take reply: no call has id ${id}, or it was answered before`);
      return;
    }
    this.#pending.delete(id);
    if (call.isWaiting && call.stopper?.makeReason === undefined) {
      this.#settle(call, kind, value, parts);
    } else {
      const late = new PendingCall(call.message, NO_PARTS, call.lane, call.options, undefined);
      late.settle(kind, value, parts);
      if (call.isWaiting) this.#settle(call, "failed", call.stopper!.makeReason);
      this.#host.letGo(late);
    }
    this.#forget(call);
  }

  /** Drops a call of which nothing more will be heard. */
  #forget(call: PendingCall): void {
    this.#pending.delete(call.id);
    if (call.releaseAfter !== undefined) this.#host.releaseIds(call.releaseAfter);
  }

  #event(message: readonly unknown[], parts: IncomingParts): void {
    const call = this.#pending.get(message[0] as number);
    try {
      if (call?.isWaiting && deliverEvent(call.options, message, parts)) return;
      this.#host.logger.debug("Passed over an event", message);
    } catch (error) {
      // The callback is the user's; what it throws must not end the calls of others.
      this.#host.logger.error(`Callback for ${message[1]} of call ${message[0]} threw`, error);
    }
  }

  /** The server broke the protocol: nothing that it sends can be trusted any more. */
  #break(fault: string | PythonHostError): void {
    if (this.#reason !== null || this.#isEnding) return;
    this.#end(typeof fault === "string" ? new ProtocolError("remote", fault) : fault);
    this.#wire?.close().catch((error) => this.#host.logger.error("Cannot close the wire", error));
  }

  /** The one function that settles everything, whatever the way of dying. */
  #end(reason: PythonHostError): void {
    if (this.#reason !== null) return;
    this.#reason = reason;
    this.#failAll(reason);
    this.#host.ended(reason);
  }

  #failAll(reason: PythonHostError): void {
    const calls = [...this.#pending.values()];
    this.#pending.clear();
    for (const call of calls) {
      if (call.isWaiting) this.#settle(call, "failed", call.stopper?.makeReason ?? (() => reason));
    }
  }
}

/** What a request may have besides its operation and arguments. */
export interface RequestDetails {
  /** The caller's options. */
  readonly options?: CallOptions | undefined;
  /** The options on the wire. */
  readonly wire?: RequestOptions | undefined;
  /** Binary parts of the arguments. */
  readonly parts?: readonly Uint8Array[] | undefined;
  /** Where it is sent. @default {"session"} */
  readonly lane?: Lane | undefined;
  /** The handles that it uses. */
  readonly handles?: readonly number[] | undefined;
  /** Whether it is a call of the user's, which is counted and traced. @default {false} */
  readonly isCounted?: boolean | undefined;
  /** See {@linkcode PendingCall.context}. */
  readonly context?: PendingCall["context"];
}

const NO_DETAILS: RequestDetails = {};
const CONTROL: RequestDetails = { lane: "control" };
