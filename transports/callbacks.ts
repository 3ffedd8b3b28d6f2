/**
 * The client's functions that Python may call, and the answers to such calls.
 *
 * Each function runs inside an `AsyncLocalStorage` that holds the waiting call. A call that the function makes says so
 * (`parent`), and Python runs it nested under the waiting one; without that, the two would wait for each other.
 *
 * @module
 */

import type { AsyncLocalStorage } from "node:async_hooks";
import type { Lane } from "../core/protocol.ts";

/** The call of Python that waits while one of our functions runs. */
export interface WaitingCall {
  /** The id of the call whose Python code called the function. */
  readonly id: number;
  /** The lane on which Python waits for the answer, and so for calls made inside. */
  readonly lane: Lane;
  /** False once the function has answered: what it started and left running is nobody's child. */
  isWaiting: boolean;
}

// deno-lint-ignore no-explicit-any -- a function of any parameters
type AnyFunction = (...args: any[]) => unknown;

/** The functions that were sent to Python. */
export class Callbacks {
  readonly #functions = new Map<number, AnyFunction>();
  readonly #ids = new Map<AnyFunction, number>();
  #storage: AsyncLocalStorage<WaitingCall> | null = null;
  #loading: Promise<AsyncLocalStorage<WaitingCall>> | null = null;

  /** The number of a function; the same function keeps its number. */
  idOf(fn: AnyFunction): number {
    let id = this.#ids.get(fn);
    if (id === undefined) {
      id = this.#ids.size + 1;
      this.#ids.set(fn, id);
      this.#functions.set(id, fn);
      // node:async_hooks takes 4 ms to load: begun when the first function is sent, awaited when it is called.
      this.#loading ??= loadStorage();
    }
    return id;
  }

  /** The call inside whose callback the program is, if any. */
  current(): WaitingCall | undefined {
    const waiting = this.#storage?.getStore();
    return waiting?.isWaiting ? waiting : undefined;
  }

  /** Runs a function for a waiting call and gives what it gives; rejects when it throws or is not known. */
  async run(functionId: number, args: readonly unknown[], waiting: WaitingCall): Promise<unknown> {
    const fn = this.#functions.get(functionId);
    if (fn === undefined) {
      throw new ReferenceError(`Cannot call function ${functionId}: it was never sent to Python`);
    }
    return await this.runFunction(fn, args, waiting);
  }

  /** Runs a function that has no number for a waiting call. */
  async runFunction(fn: AnyFunction, args: readonly unknown[], waiting: WaitingCall): Promise<unknown> {
    this.#storage ??= await (this.#loading ??= loadStorage());
    return await this.#storage.run(waiting, async () => await fn(...args));
  }

  /** Forgets all functions. */
  clear(): void {
    this.#functions.clear();
    this.#ids.clear();
  }
}

async function loadStorage(): Promise<AsyncLocalStorage<WaitingCall>> {
  const { AsyncLocalStorage } = await import("node:async_hooks");
  return new AsyncLocalStorage<WaitingCall>();
}
