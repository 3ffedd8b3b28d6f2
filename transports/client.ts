/**
 * Every operation of a backend, implemented once over a {@linkcode Wire}.
 *
 * `PythonHostPipe`, `PythonHostHttp` and `PythonHostRpc` are small subclasses that say how a wire is made. Here are the
 * operations; `call_table.ts` holds the pending calls and their end, `client_handles.ts` the handles, `callbacks.ts`
 * the functions that Python may call.
 *
 * @module
 */

import { checkCallOptions, checkLabel } from "../core/argument.ts";
import type {
  CallOptions,
  CloseOptions,
  InitializeOptions,
  KeywordArguments,
  PositionalArguments,
  PythonHostBackend,
  ServerInfo,
} from "../core/backend.ts";
import type { CallStatistics } from "../core/call_counters.ts";
import { ProtocolError, type PythonHostError } from "../core/errors.ts";
import { type PythonModuleHandle, PythonObjectHandle } from "../core/handles.ts";
import { type Logger, SILENT_LOGGER } from "../core/logger.ts";
import type { Lane, Operation } from "../core/protocol.ts";
import { converterAttributes, converterRevision, decodePacked, decodeTagged } from "../core/values.ts";
import { ArgumentEncoder } from "./arguments.ts";
import { inputHandlerOf } from "./call_events.ts";
import { CallTable } from "./call_table.ts";
import { forgetSession, refuseDeadlock, runAskedBy } from "./asked_functions.ts";
import { type CallbackArguments, Callbacks, type WaitingCall } from "./callbacks.ts";
import { ClientHandles } from "./client_handles.ts";
import { evaluateArguments } from "./locals.ts";
import { type ClientOptions, interruptGraceMsOf } from "./client_options.ts";
import type { PendingCall } from "./pending_call.ts";
import { showUnanswered } from "./unanswered_calls.ts";
import { errorFromPayload } from "./reply_errors.ts";
import { laneOf, NO_OPTIONS, requestOptions } from "./request_options.ts";
import type { IncomingParts, Wire } from "./wire.ts";

/** The base of the backends of this library. */
export abstract class PythonHostClient implements PythonHostBackend {
  /** The kind of wire. */
  abstract readonly transport: PythonHostBackend["transport"];
  #sessionId: string | undefined;
  readonly #calls: CallTable;
  readonly #handles: ClientHandles;
  readonly #callbacks = new Callbacks();
  readonly #logger: Logger;
  readonly #arguments: ArgumentEncoder;
  /** The revision of the converters that each lane's calls can rely on. */
  readonly #toldConverters: Record<Lane, number> = { session: 0, control: 0 };

  /** Makes a backend; nothing is connected. */
  constructor(options: ClientOptions = {}) {
    const interruptGraceMs = interruptGraceMsOf(options);
    const logger = this.#logger = options.logger ?? SILENT_LOGGER;
    this.#calls = new CallTable({
      createWire: () => this.createWire(),
      logger,
      interruptGraceMs,
      options,
      invoke: (message, parts, lane) => void this.#invoke(message, parts, lane),
      letGo: (call) => this.#letGo(call),
      dropped: (ids) => this.#dropped(this.#callbacks.drop(ids)),
      releaseIds: (ids) => this.#handles.releaseIds(ids),
      ended: (reason) => this.#ended(reason, options.onEnd),
    });
    this.#handles = new ClientHandles({
      backend: this,
      pendingCalls: () => this.#calls.pendingCalls(),
      waitingCall: () => this.#callbacks.current(),
      sendRelease: (ids, session, parent) => this.#sendRelease(ids, session, parent),
    });
    this.#arguments = new ArgumentEncoder(this.#handles, this.#callbacks);
    showUnanswered(this, () => this.#calls.pendingCalls(), () => this.#callbacks.current());
  }

  /** Makes a wire that is not yet open; called for each attempt to connect. */
  protected abstract createWire(): Wire;

  /** Whether `initialize` has succeeded and the connection has not ended. */
  get isInitialized(): boolean {
    return this.#calls.isOpen;
  }

  /** The server's name for the session of this backend, once it has connected. Whoever knows it can use the session. */
  get sessionId(): string | undefined {
    return this.#sessionId;
  }

  /** Connects. An attempt that failed can be repeated by calling it again; after the end it rejects with the reason. */
  async initialize(options?: InitializeOptions): Promise<ServerInfo> {
    const { session, ...info } = await this.#calls.open(options);
    this.#sessionId = session;
    runAskedBy(session, (waiting, fn) => this.#callbacks.runFunction(fn, [], waiting));
    return info;
  }

  /** Imports a module and gives a handle to it. */
  async importModule(name: string, options?: CallOptions): Promise<PythonModuleHandle> {
    const call = await this.#request("import", [name], options);
    const [id, moduleName] = this.#row(call, "number", "string");
    return this.#handles.module(id as number, moduleName as string, options?.session);
  }

  /** Makes an object of a class of a module. */
  async createObject(
    module: PythonModuleHandle | string,
    className: string,
    args: PositionalArguments = [],
    kwargs: KeywordArguments = {},
    options?: CallOptions,
  ): Promise<PythonObjectHandle> {
    const target = typeof module === "string" ? module : this.#handles.idOf(module);
    return this.#handleOf(await this.#request("create", [target, className, args, kwargs], options, target));
  }

  /** Calls a method of an object. */
  async callMethod<T = unknown>(
    handle: PythonObjectHandle,
    name: string,
    args: PositionalArguments = [],
    kwargs?: KeywordArguments,
    options?: CallOptions,
  ): Promise<T> {
    const id = this.#handles.idOf(handle);
    const all = kwargs === undefined ? [id, name, args] : [id, name, args, kwargs];
    return this.#valueOf(await this.#request("call", all, options, id)) as T;
  }

  /** Gives an attribute of an object. */
  async getAttribute<T = unknown>(
    handle: PythonObjectHandle,
    name: string,
    options?: CallOptions,
  ): Promise<T> {
    const id = this.#handles.idOf(handle);
    return this.#valueOf(await this.#request("get", [id, name], options, id)) as T;
  }

  /** Sets an attribute of an object. */
  async setAttribute(
    handle: PythonObjectHandle,
    name: string,
    value: unknown,
    options?: CallOptions,
  ): Promise<void> {
    const id = this.#handles.idOf(handle);
    this.#valueOf(await this.#request("set", [id, name, value], options, id));
  }

  /** Releases a handle; the call's options have no bearing, since a release is never left half done. */
  async disposeHandle(handle: PythonObjectHandle, options: CallOptions = NO_OPTIONS): Promise<void> {
    options.signal?.throwIfAborted();
    if (handle?.isValid !== false) this.#handles.idOf(handle);
    await handle.dispose();
  }

  /** Runs Python code and gives the value of its last expression. */
  async evaluate<T = unknown>(code: string, locals?: KeywordArguments, options?: CallOptions): Promise<T> {
    const { args, handles } = evaluateArguments(code, locals, this.#idOf);
    return this.#valueOf(await this.#request("evaluate", args, options, handles)) as T;
  }

  /** Gives an array-like object as one row of 32-bit floats. */
  async toFloatArray(handle: PythonObjectHandle, options?: CallOptions): Promise<Float32Array> {
    const id = this.#handles.idOf(handle);
    const call = await this.#request("floats", [id], options, id);
    const [count] = this.#row(call, "number");
    return this.#floats(call, count as number);
  }

  /** Gives an array-like object of two dimensions as rows of 32-bit floats, which share one buffer. */
  async toFloatArray2D(handle: PythonObjectHandle, options?: CallOptions): Promise<Float32Array[]> {
    const id = this.#handles.idOf(handle);
    const call = await this.#request("floats2d", [id], options, id);
    const [rows, columns] = this.#row(call, "number", "number") as [number, number];
    const all = this.#floats(call, rows * columns);
    return Array.from({ length: rows }, (_, row) => all.subarray(row * columns, (row + 1) * columns));
  }

  /** Whether a module could be imported. */
  async isModuleAvailable(name: string, options?: CallOptions): Promise<boolean> {
    return this.#valueOf(await this.#request("available", [name], options)) as boolean;
  }

  /** Gives a handle to the Python image of a value; a handle is given back as it is. */
  async createObjectHandleFromResult(value: unknown, options?: CallOptions): Promise<PythonObjectHandle> {
    if (value instanceof PythonObjectHandle) {
      this.#handles.idOf(value);
      return value;
    }
    return this.#handleOf(await this.#request("wrap", [value], options));
  }

  /** What was counted of the calls of this backend, and of those that share its counters. */
  get statistics(): CallStatistics {
    return this.#calls.traffic.statistics;
  }

  /** Asks the server for a sign of life, beside all calls; gives the ids of the calls that run. */
  async ping(options: CallOptions = NO_OPTIONS): Promise<readonly number[]> {
    return await this.#control("ping", [], options) as number[];
  }

  /** The server's counters. */
  async stats(options: CallOptions = NO_OPTIONS): Promise<Readonly<Record<string, unknown>>> {
    return await this.#control("stats", [], options) as Record<string, unknown>;
  }

  /** Makes a further session of this backend: a namespace and a thread, named by `CallOptions.session`. */
  async openSession(label: string, options: CallOptions = NO_OPTIONS): Promise<void> {
    checkLabel(label);
    await this.#control("open_session", [label], options);
  }

  /** Ends a further session, its calls and its handles. */
  async closeSession(label: string, options: CallOptions = NO_OPTIONS): Promise<void> {
    checkLabel(label);
    await this.#control("close_session", [label], options);
  }

  /** Ends the session and the connection. Pending calls reject; calling it again gives the same promise. */
  close(options?: CloseOptions): Promise<void> {
    return this.#calls.close(options);
  }

  /** Closes. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Asks what must not wait for a session's thread. */
  async #control(operation: Operation, args: readonly unknown[], options: CallOptions): Promise<unknown> {
    if (options !== NO_OPTIONS) checkCallOptions(options);
    return this.#valueOf(await this.#calls.request(operation, args, { options, lane: "control" }));
  }

  readonly #idOf = (handle: PythonObjectHandle): number => this.#handles.idOf(handle);

  /** Encodes and sends; throws what keeps the call from being made. `target` is the object or objects that it works on. */
  #request(
    operation: Operation,
    args: readonly unknown[],
    options: CallOptions = NO_OPTIONS,
    target?: number | string | readonly number[],
  ): Promise<PendingCall> {
    // A call that is not made must register no function.
    if (options !== NO_OPTIONS) checkCallOptions(options);
    const used = typeof target === "number" ? [target] : target instanceof Array ? [...target] : undefined;
    const parent = this.#callbacks.current();
    if (parent !== undefined) refuseDeadlock(options, parent);
    const { row, parts, tagged, handles } = this.#arguments.encode(args);
    const lane = laneOf(options, parent);
    if (converterRevision() !== this.#toldConverters[lane]) this.#tellConverters(lane);
    return this.#calls.request(operation, row, {
      options,
      wire: requestOptions(options, tagged, parent),
      parts,
      lane,
      handles: used !== undefined && handles !== undefined ? [...used, ...handles] : used ?? handles,
      isCounted: true,
      context: this.#callbacks.context(),
    });
  }

  /** Tells the server which classes are converted towards JavaScript; on the lane of the call that needs it. */
  #tellConverters(lane: Lane): void {
    this.#toldConverters[lane] = converterRevision();
    this.#calls.request("converters", [converterAttributes()], { lane }).then((call) => {
      if (call.outcome === "error") this.#logger.error("Cannot register converters", this.#errorOf(call));
    });
  }

  /** Makes the handles in a result; they belong to the session in which the call ran. */
  #decodeContext(session: string | undefined): { handle(id: number, typeName: string): PythonObjectHandle } {
    return { handle: (id, typeName) => this.#handles.object(id, typeName, session) };
  }

  /** The value of a reply. Called by the operations themselves, so that an error's stack shows who awaits them. */
  #valueOf(call: PendingCall): unknown {
    switch (call.outcome) {
      case "ok":
        return call.value;
      case "tagged":
        return decodeTagged(call.value, call.parts, this.#decodeContext(call.options.session));
      case "packed":
        return decodePacked(call.parts, this.#decodeContext(call.options.session));
      case "failed":
        throw (call.value as () => unknown)();
      default:
        throw this.#errorOf(call);
    }
  }

  #errorOf(call: PendingCall): unknown {
    return this.#callbacks.errors.restore(errorFromPayload(call.value, call.action));
  }

  /** The value of a reply that is a row of plain values of the given types. */
  #row(call: PendingCall, ...types: ("number" | "string")[]): unknown[] {
    const value = call.outcome === "ok" || call.outcome === "tagged" ? call.value : this.#valueOf(call);
    if (Array.isArray(value) && types.every((type, i) => typeof value[i] === type)) return value;
    throw new ProtocolError(
      "remote",
      `Cannot ${call.action}: the reply is not a row of ${types.join(" and ")}`,
    );
  }

  #handleOf(call: PendingCall): PythonObjectHandle {
    const [id, typeName] = this.#row(call, "number", "string");
    return this.#handles.object(id as number, typeName as string, call.options.session);
  }

  #floats(call: PendingCall, count: number): Float32Array {
    const part = call.parts[0];
    if (part === undefined || part.byteLength !== 4 * count) {
      throw new ProtocolError(
        "remote",
        `Cannot ${call.action}: ${count} floats were announced and ${part?.byteLength ?? 0} bytes came`,
      );
    }
    return new Float32Array(part.buffer, part.byteOffset, count);
  }

  async #sendRelease(ids: readonly number[], session?: string, parent?: WaitingCall): Promise<void> {
    if (!this.#calls.isOpen) return;
    const options = session === undefined ? NO_OPTIONS : { session };
    const wire = requestOptions(options, false, parent);
    const call = await this.#calls.request("release", [ids], wire && { wire, lane: laneOf(options, parent) });
    // An end of the server releases everything, which is what was wanted.
    if (call.outcome === "error") this.#logger.warn("Cannot release handles", this.#errorOf(call));
  }

  /** Releases the handles of a reply that nobody waits for. */
  #letGo(call: PendingCall): void {
    const ids: number[] = [];
    const operation = call.message[1];
    try {
      if (operation === "import" || operation === "create" || operation === "wrap") {
        if (call.outcome !== "error") ids.push(this.#row(call, "number")[0] as number);
      } else if (call.outcome === "tagged" || call.outcome === "packed") {
        const handle = (id: number, typeName: string): PythonObjectHandle => {
          ids.push(id);
          return new PythonObjectHandle(this.#handles, id, typeName);
        };
        if (call.outcome === "tagged") decodeTagged(call.value, call.parts, { handle });
        else decodePacked(call.parts, { handle });
      }
    } catch (error) {
      this.#logger.warn(`Cannot read the late reply to call ${call.id}`, error);
    }
    this.#handles.releaseIds(ids, call.options.session);
  }

  /** Runs one of our functions for Python and sends back what it gives. */
  async #invoke(message: readonly unknown[], parts: IncomingParts, lane: Lane): Promise<void> {
    const [id, , invocation, functionId] = message;
    const waiting: WaitingCall = { id: id as number, lane, isWaiting: true };
    const call = this.#calls.get(waiting.id);
    const session = call?.options.session;
    try {
      const [args, kwargs] = decodePacked(parts, this.#decodeContext(session)) as CallbackArguments;
      const all = Object.keys(kwargs).length === 0 ? args : [...args, kwargs];
      // Function 0 is the call's own input handler; all others were sent to Python.
      const value = functionId === 0
        ? await this.#callbacks.runFunction(inputHandlerOf(call), all, waiting, call?.context)
        : await this.#callbacks.run(functionId as number, all, waiting, call?.context);
      waiting.isWaiting = false;
      this.#resume([invocation, "ok", value], lane);
    } catch (error) {
      waiting.isWaiting = false;
      this.#resume([invocation, "error", this.#callbacks.errors.describe(error)], lane);
    }
  }

  #resume(args: readonly unknown[], lane: Lane): void {
    const { row, parts, tagged } = this.#arguments.encode(args);
    this.#calls.post(tagged ? [0, "resume", row, { tagged: 1 }] : [0, "resume", row], parts, lane);
  }

  /** Nobody waits for what a function does when it is let go of, so nobody else hears of its failure. */
  #dropped(told: Promise<void>): void {
    told.catch((error) => this.#logger.error("A function that Python let go of threw", error));
  }

  #ended(reason: PythonHostError, onEnd: ClientOptions["onEnd"]): void {
    forgetSession(this.#sessionId);
    this.#handles.end();
    this.#dropped(this.#callbacks.clear());
    try {
      onEnd?.(reason);
    } catch (error) {
      this.#logger.error("Callback onEnd threw", error);
    }
  }
}
