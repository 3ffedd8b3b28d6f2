/**
 * Hands workers to those who wait for one, in the order in which they asked.
 *
 * ```text
 * take() ──► a worker is idle ── at once
 *        └─► none is ── waits ◄── give(worker), or fails ◄── its signal, fail(reason)
 * ```
 *
 * @module
 */

import type { PythonHostError } from "../core/errors.ts";

/** One who waits for a worker. */
interface Waiter<W> {
  resolve(worker: W): void;
  reject(reason: unknown): void;
}

/** See the module comment. Knows nothing of what a worker is. */
export class WorkerQueue<W> {
  readonly #idle: W[] = [];
  readonly #waiters = new Set<Waiter<W>>();
  #reason: PythonHostError | undefined;

  /** How many wait. */
  get waiting(): number {
    return this.#waiters.size;
  }

  /** How many workers are idle. */
  get idle(): number {
    return this.#idle.length;
  }

  /** A worker, as soon as there is one; rejects with the signal's reason, or when there will be none. */
  async take(signal?: AbortSignal): Promise<W> {
    signal?.throwIfAborted();
    if (this.#reason !== undefined) throw this.#reason;
    const worker = this.#idle.pop();
    if (worker !== undefined) return worker;
    const { promise, resolve, reject } = Promise.withResolvers<W>();
    const waiter = { resolve, reject };
    const onAbort = (): void => {
      // One who has been given a worker keeps it: the worker is on its way.
      if (this.#waiters.delete(waiter)) reject(signal?.reason);
    };
    this.#waiters.add(waiter);
    signal?.addEventListener("abort", onAbort);
    try {
      return await promise;
    } finally {
      signal?.removeEventListener("abort", onAbort);
    }
  }

  /** A worker is free: the first who waits gets it. */
  give(worker: W): void {
    for (const waiter of this.#waiters) {
      this.#waiters.delete(waiter);
      waiter.resolve(worker);
      return;
    }
    this.#idle.push(worker);
  }

  /** A worker is no more; it is given to nobody. */
  remove(worker: W): void {
    const at = this.#idle.indexOf(worker);
    if (at >= 0) this.#idle.splice(at, 1);
  }

  /** There will be no worker any more: all who wait, and all who ask later, are told. */
  fail(reason: PythonHostError): void {
    this.#reason ??= reason;
    for (const waiter of this.#waiters) waiter.reject(this.#reason);
    this.#waiters.clear();
  }
}
