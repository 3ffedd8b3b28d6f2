/**
 * The client's functions that Python may call, and the answers to such calls.
 *
 * Each function runs inside an `AsyncLocalStorage` that holds the waiting call. A call that the function makes says so
 * (`parent`), and Python runs it nested under the waiting one; without that, the two would wait for each other. It also
 * runs in the context of whoever made the call, so that a waiting call is known across the functions of other backends.
 *
 * @module
 */

import type { AsyncLocalStorage } from "node:async_hooks";
import type { Lane } from "../core/protocol.ts";
import { pythonDropped } from "../core/values.ts";
import { ThrownErrors } from "./thrown_errors.ts";

/** The call of Python that waits while one of our functions runs. */
export interface WaitingCall {
  /** The id of the call whose Python code called the function. */
  readonly id: number;
  /** The lane on which Python waits for the answer, and so for calls made inside. */
  readonly lane: Lane;
  /** False once the function has answered: what it started and left running is nobody's child. */
  isWaiting: boolean;
  /** What cannot run until the function has answered, where Python waits for it beside its connections. */
  readonly held?: HeldUp;
}

/** What of Python waits for a function that it asked for by a way of its own, where it takes no further calls meanwhile. */
export interface HeldUp {
  /** The sessions whose threads wait: their labels, and null for the backend's own. */
  readonly sessions: readonly (string | null)[];
  /** Whether it is the event loop that waits, which all coroutines need. */
  readonly loop: boolean;
}

/** Runs a function where a call was made, whatever runs it. */
export type CallContext = <T>(fn: () => T) => T;

/** The class once it is loaded: by whichever client sent a function first. */
let loaded: typeof AsyncLocalStorage | undefined;

// deno-lint-ignore no-explicit-any -- a function of any parameters
type AnyFunction = (...args: any[]) => unknown;

interface SentFunction {
  readonly id: number;
  readonly fn: AnyFunction;
  /** How many objects for it there are in Python, or on their way there. */
  held: number;
}

/** What Python passes to a function: positional arguments, and those by name. */
export type CallbackArguments = [unknown[], Record<string, unknown>];

/** The functions that were sent to Python, until Python lets go of them. */
export class Callbacks {
  /** What the functions threw. */
  readonly errors: ThrownErrors = new ThrownErrors();
  readonly #functions = new Map<number, SentFunction>();
  readonly #ids = new Map<AnyFunction, SentFunction>();
  #nextId = 1;
  #storage: AsyncLocalStorage<WaitingCall> | null = null;
  #loading: Promise<typeof AsyncLocalStorage> | null = null;

  /** The number of a function that is being sent; the same function keeps its number for as long as Python holds it. */
  idOf(fn: AnyFunction): number {
    let sent = this.#ids.get(fn);
    if (sent === undefined) {
      sent = { id: this.#nextId++, fn, held: 0 };
      this.#ids.set(fn, sent);
      this.#functions.set(sent.id, sent);
      // node:async_hooks takes 4 ms to load: begun when the first function is sent, awaited when it is called.
      this.#loading ??= loadStorageClass();
    }
    sent.held++;
    return sent.id;
  }

  /** These numbers were given out for a message that cannot be sent. */
  takeBack(ids: readonly number[]): void {
    for (const id of ids) this.#letGo(id);
  }

  /** Python let go of functions: of each number as often as it stands there. */
  async drop(ids: readonly number[]): Promise<void> {
    const told: Promise<unknown>[] = [];
    for (const id of ids) {
      const fn = this.#letGo(id);
      const listener = (fn as { [pythonDropped]?: () => unknown } | undefined)?.[pythonDropped];
      // Asynchronous, so that one which throws keeps none of the others from being told.
      if (listener !== undefined) told.push((async () => await listener())());
    }
    await Promise.all(told);
  }

  /** The function, when nobody holds it any more. */
  #letGo(id: number): AnyFunction | undefined {
    const sent = this.#functions.get(id);
    if (sent === undefined || --sent.held > 0) return undefined;
    this.#functions.delete(id);
    this.#ids.delete(sent.fn);
    return sent.fn;
  }

  /** The call inside whose callback the program is, if any. */
  current(): WaitingCall | undefined {
    const waiting = this.#storage?.getStore();
    return waiting?.isWaiting ? waiting : undefined;
  }

  /** Where the caller is now; undefined when there is no function that Python could call. */
  context(): CallContext | Promise<CallContext> | undefined {
    if (this.#loading === null) return undefined;
    // What follows an `await` or `then` is in the context in which that was said, so loading loses nothing.
    return loaded?.snapshot() ?? this.#loading.then((storageClass) => storageClass.snapshot());
  }

  /** Runs a function for a waiting call and gives what it gives; rejects when it throws or is not known. */
  async run(
    functionId: number,
    args: readonly unknown[],
    waiting: WaitingCall,
    context?: CallContext | Promise<CallContext>,
  ): Promise<unknown> {
    const sent = this.#functions.get(functionId);
    if (sent === undefined) {
      throw new ReferenceError(`Cannot call function ${functionId}: it was never sent to Python`);
    }
    return await this.runFunction(sent.fn, args, waiting, context);
  }

  /** Runs a function that has no number for a waiting call. */
  async runFunction(
    fn: AnyFunction,
    args: readonly unknown[],
    waiting: WaitingCall,
    context?: CallContext | Promise<CallContext>,
  ): Promise<unknown> {
    const storageClass = await (this.#loading ??= loadStorageClass());
    const storage = this.#storage ??= new storageClass<WaitingCall>();
    const run = () => storage.run(waiting, async () => await fn(...args));
    return await (context === undefined ? run() : (await context)(run));
  }

  /** Forgets all functions: the server is gone. */
  clear(): Promise<void> {
    const ids = [...this.#functions.values()].flatMap(({ id, held }) => Array<number>(held).fill(id));
    this.errors.clear();
    return this.drop(ids);
  }
}

async function loadStorageClass(): Promise<typeof AsyncLocalStorage> {
  return loaded ??= (await import("node:async_hooks")).AsyncLocalStorage;
}
