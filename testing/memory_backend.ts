/**
 * A backend without a Python: it answers from what a test registers.
 *
 * It keeps the contract's clauses about the life of a backend, so that code which opens, aborts, times out and closes
 * behaves in a test as it does later.
 *
 * @module
 */

import { checkCallOptions } from "../core/argument.ts";
import type {
  CallOptions,
  CloseOptions,
  InitializeOptions,
  KeywordArguments,
  PositionalArguments,
  PythonHostBackend,
  ServerInfo,
} from "../core/backend.ts";
import {
  CallTimeoutError,
  ConnectionClosedError,
  PythonError,
  PythonHostError,
  StaleHandleError,
  ValueConversionError,
} from "../core/errors.ts";
import { type HandleOwner, PythonModuleHandle, PythonObjectHandle } from "../core/handles.ts";
import { PROTOCOL_VERSION } from "../core/protocol.ts";
import { startTimer } from "../core/timers.ts";

/** A call as a registered answer sees it. */
export interface MemoryCall {
  /** The code of an `evaluate`. */
  readonly code: string;
  /** Its locals. */
  readonly locals: KeywordArguments;
  /** Aborts when the call is aborted or times out, or when the backend is closed. */
  readonly signal: AbortSignal;
  /** The options of the call. */
  readonly options: CallOptions;
}

/** What is answered: a value, or a function that makes it; what the function throws is what the call rejects with. */
export type MemoryAnswer =
  | ((call: MemoryCall) => unknown)
  | object
  | string
  | number
  | bigint
  | boolean
  | null;

const INFO: ServerInfo = {
  protocol: PROTOCOL_VERSION,
  serverVersion: "0.0.0",
  pythonVersion: "3.0.0",
  implementation: "memory",
  executable: "",
  pid: 0,
  features: [],
};

/**
 * A backend that answers from memory.
 *
 * Modules are JavaScript objects: a class stands for a class (keyword arguments come as a last object), a function for
 * a function. What is not plain data comes back as a handle.
 *
 * @example Test code that calls Python
 * ```ts
 * import { MemoryBackend } from "@beep/python-host/testing";
 * import { assertEquals } from "@std/assert";
 *
 * await using python = new MemoryBackend();
 * python.onEvaluate("1 + 1", 2);
 * python.onEvaluate(/^greet/, ({ locals }) => `hello ${locals.name}`);
 * python.addModule("math", { sqrt: Math.sqrt, pi: Math.PI });
 *
 * assertEquals(await python.evaluate("1 + 1"), 2);
 * assertEquals(await python.evaluate("greet(name)", { name: "you" }), "hello you");
 * const math = await python.importModule("math");
 * assertEquals(await python.callMethod(math, "sqrt", [16]), 4);
 * ```
 */
export class MemoryBackend implements PythonHostBackend {
  /** The kind of wire: none. */
  readonly transport = "memory";
  /** The code of each `evaluate` that was run, in order. */
  readonly evaluated: string[] = [];
  readonly #answers: { pattern: string | RegExp; answer: MemoryAnswer }[] = [];
  readonly #modules = new Map<string, object>();
  readonly #objects = new Map<number, unknown>();
  readonly #closed = new AbortController();
  #nextId = 1;
  #isInitialized = false;

  /** Whether `initialize` was called and `close` was not. */
  get isInitialized(): boolean {
    return this.#isInitialized && !this.#closed.signal.aborted;
  }

  /** Answers `evaluate` of this code, or of code that matches; what was registered last is looked at first. */
  onEvaluate(pattern: string | RegExp, answer: MemoryAnswer): this {
    this.#answers.unshift({ pattern, answer });
    return this;
  }

  /** Makes a module that can be imported. */
  addModule(name: string, members: object): this {
    this.#modules.set(name, members);
    return this;
  }

  /** Gives facts that stand for a server's. */
  initialize(options: InitializeOptions = {}): Promise<ServerInfo> {
    return this.#run("connect", { signal: options.signal }, () => INFO);
  }

  /** Gives a handle to a module that was added. */
  importModule(name: string, options?: CallOptions): Promise<PythonModuleHandle> {
    return this.#run(`import module "${name}"`, options, () => {
      const id = this.#hold(this.#module(name));
      return new PythonModuleHandle(this.#owner, id, name);
    });
  }

  /** Calls the class's constructor, or the function. */
  createObject(
    module: PythonModuleHandle | string,
    className: string,
    args: PositionalArguments = [],
    kwargs: KeywordArguments = {},
    options?: CallOptions,
  ): Promise<PythonObjectHandle> {
    return this.#run(`create object of class "${className}"`, options, () => {
      const target = typeof module === "string" ? this.#module(module) : this.#objectOf(module);
      const constructor = member(target, className);
      if (typeof constructor !== "function") {
        throw raised("TypeError", `'${className}' object is not callable`);
      }
      return this.#handle(Reflect.construct(constructor, this.#arguments(args, kwargs)));
    });
  }

  /** Calls the function of that name. */
  callMethod<T = unknown>(
    handle: PythonObjectHandle,
    name: string,
    args: PositionalArguments = [],
    kwargs: KeywordArguments = {},
    options?: CallOptions,
  ): Promise<T> {
    return this.#run(`call method "${name}"`, options, async () => {
      const target = this.#objectOf(handle);
      const method = member(target, name);
      if (typeof method !== "function") throw raised("TypeError", `'${name}' object is not callable`);
      return this.#result(await Reflect.apply(method, target, this.#arguments(args, kwargs)), options) as T;
    });
  }

  /** Gives the property of that name. */
  getAttribute<T = unknown>(handle: PythonObjectHandle, name: string, options?: CallOptions): Promise<T> {
    return this.#run(
      `get attribute "${name}"`,
      options,
      () => this.#result(member(this.#objectOf(handle), name), options) as T,
    );
  }

  /** Sets the property of that name. */
  setAttribute(
    handle: PythonObjectHandle,
    name: string,
    value: unknown,
    options?: CallOptions,
  ): Promise<void> {
    return this.#run(`set attribute "${name}"`, options, () => {
      Reflect.set(Object(this.#objectOf(handle)), name, this.#unwrap(value));
    });
  }

  /** Lets go of the object. */
  async disposeHandle(handle: PythonObjectHandle): Promise<void> {
    if (handle.isValid) this.#objectOf(handle);
    await handle.dispose();
  }

  /** Gives the registered answer; code without one is an error that shows it. */
  evaluate<T = unknown>(code: string, locals: KeywordArguments = {}, options: CallOptions = {}): Promise<T> {
    return this.#run("evaluate Python code", options, async (signal) => {
      this.evaluated.push(code);
      const found = this.#answers.find(({ pattern }) =>
        typeof pattern === "string" ? pattern === code : pattern.test(code)
      );
      if (found === undefined) {
        throw new PythonHostError(
          "argument",
          `Cannot evaluate Python code: no answer is registered for "${code}"`,
          {
            hint: "Register one with onEvaluate().",
          },
        );
      }
      const { answer } = found;
      const values = this.#unwrap(locals) as KeywordArguments;
      const value = typeof answer === "function" ? answer({ code, locals: values, signal, options }) : answer;
      return this.#result(await value, options) as T;
    });
  }

  /** Gives an array of numbers as floats. */
  toFloatArray(handle: PythonObjectHandle, options?: CallOptions): Promise<Float32Array> {
    return this.#run(
      "read floats",
      options,
      () => Float32Array.from(this.#objectOf(handle) as ArrayLike<number>),
    );
  }

  /** Gives an array of arrays of numbers as floats. */
  toFloatArray2D(handle: PythonObjectHandle, options?: CallOptions): Promise<Float32Array[]> {
    return this.#run(
      "read floats",
      options,
      () =>
        Array.from(this.#objectOf(handle) as ArrayLike<ArrayLike<number>>, (row) => Float32Array.from(row)),
    );
  }

  /** Whether such a module was added. */
  isModuleAvailable(name: string, options?: CallOptions): Promise<boolean> {
    return this.#run(`look for module "${name}"`, options, () => this.#modules.has(name));
  }

  /** Gives a handle to the value. */
  createObjectHandleFromResult(value: unknown, options?: CallOptions): Promise<PythonObjectHandle> {
    return this.#run("make a handle of a value", options, () => {
      if (!(value instanceof PythonObjectHandle)) return this.#handle(this.#unwrap(value));
      this.#objectOf(value);
      return value;
    });
  }

  /** Rejects what is pending, and every later call. */
  close(_options?: CloseOptions): Promise<void> {
    this.#closed.abort(
      this.#closed.signal.reason ?? new ConnectionClosedError("Cannot use backend: it was closed"),
    );
    this.#objects.clear();
    return Promise.resolve();
  }

  /** Closes. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Runs one call under its signal, its deadline and the backend's end. */
  async #run<T>(
    action: string,
    options: CallOptions = {},
    body: (signal: AbortSignal) => T | Promise<T>,
  ): Promise<T> {
    this.#closed.signal.throwIfAborted();
    checkCallOptions(options);
    const { timeoutMs, signal } = options;
    const deadline = new AbortController();
    const timer = timeoutMs === undefined ? undefined : startTimer(
      () => deadline.abort(new CallTimeoutError(action, timeoutMs)),
      timeoutMs,
    );
    const signals = [this.#closed.signal, deadline.signal];
    const stopped = AbortSignal.any(signal === undefined ? signals : [...signals, signal]);
    const { promise: stop, reject } = Promise.withResolvers<never>();
    const onAbort = () => reject(stopped.reason);
    stopped.addEventListener("abort", onAbort, { once: true });
    // A turn later, as with every wire: what is aborted in the same tick is not run.
    const run = Promise.resolve().then(() => {
      stopped.throwIfAborted();
      this.#isInitialized = true;
      return body(stopped);
    });
    try {
      return await Promise.race([run, stop]);
    } finally {
      clearTimeout(timer);
      stopped.removeEventListener("abort", onAbort);
    }
  }

  readonly #owner: HandleOwner = ownerOf(this, (handle) => this.#objects.delete(handle.id));

  #hold(value: unknown): number {
    this.#objects.set(this.#nextId, value);
    return this.#nextId++;
  }

  #handle(value: unknown): PythonObjectHandle {
    return new PythonObjectHandle(this.#owner, this.#hold(value), typeNameOf(value));
  }

  #module(name: string): object {
    const module = this.#modules.get(name);
    if (module === undefined) throw raised("ModuleNotFoundError", `No module named '${name}'`);
    return module;
  }

  #objectOf(handle: PythonObjectHandle): unknown {
    if (handle.backend === this && handle.isValid && this.#objects.has(handle.id)) {
      return this.#objects.get(handle.id);
    }
    throw new StaleHandleError(
      `Cannot use handle ${handle.id}: it is released or belongs to another backend`,
    );
  }

  #arguments(args: PositionalArguments, kwargs: KeywordArguments): unknown[] {
    const values = args.map((value) => this.#unwrap(value));
    return Object.keys(kwargs).length === 0 ? values : [...values, this.#unwrap(kwargs)];
  }

  /** Puts objects in the place of handles, also inside arrays and plain objects. */
  #unwrap(value: unknown): unknown {
    if (value instanceof PythonObjectHandle) return this.#objectOf(value);
    if (Array.isArray(value)) return value.map((item) => this.#unwrap(item));
    if (!isPlainObject(value)) return value;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, this.#unwrap(item)]));
  }

  #result(value: unknown, options: CallOptions = {}): unknown {
    const mode = options.result ?? "auto";
    if (mode === "handle") return this.#handle(value);
    if (isData(value)) return value ?? null;
    if (mode === "auto") return this.#handle(value);
    throw new ValueConversionError(`Cannot convert ${typeNameOf(value)}: it has no image`, "$");
  }
}

function ownerOf(backend: PythonHostBackend, release: (handle: PythonObjectHandle) => void): HandleOwner {
  return {
    backend,
    releaseHandle: (handle) => Promise.resolve(release(handle)),
    releaseHandleSoon: release,
  };
}

function member(target: unknown, name: string): unknown {
  const object = Object(target);
  if (name in object) return Reflect.get(object, name);
  throw raised("AttributeError", `'${typeNameOf(target)}' object has no attribute '${name}'`);
}

function raised(type: string, message: string): PythonError {
  const bases = [`builtins.${type}`, "builtins.Exception", "builtins.BaseException"];
  const traceback = `${type}: ${message}\n`;
  return new PythonError({
    type,
    module: "builtins",
    bases,
    message,
    arguments: [message],
    frames: [],
    notes: [],
    traceback,
  });
}

function typeNameOf(value: unknown): string {
  return value === null || value === undefined ? "NoneType" : Object(value).constructor?.name ?? "object";
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null) return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** Whether a value would cross a wire as itself: data, not an instance of a class or a function. */
function isData(value: unknown): boolean {
  if (typeof value === "function" || typeof value === "symbol") return false;
  if (typeof value !== "object" || value === null) return true;
  if (Array.isArray(value)) return value.every(isData);
  if (isPlainObject(value)) return Object.values(value).every(isData);
  return ArrayBuffer.isView(value) || value instanceof Map || value instanceof Set ||
    value instanceof PythonObjectHandle;
}
