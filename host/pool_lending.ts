/**
 * Waits for a worker while all workers are lent by `use`, and nobody makes calls on them: nothing tells whether who has them
 * waits himself, and would for ever.
 *
 * ```text
 * all lent ── no call runs, begins or ends, nothing is given back, for a while ──► who waits without an end of his own is told
 * ```
 *
 * @module
 */

import type { PythonHostBackend } from "../core/backend.ts";
import { PythonHostError } from "../core/errors.ts";
import { unansweredCallsOf } from "../transports/unanswered_calls.ts";

const QUIET_MS = 30_000;

/** What of a worker is looked at. */
export interface LentWorker {
  /** The backend of the server that it has now. */
  readonly backend: PythonHostBackend | undefined;
}

/** See the module comment. */
export class PoolLending {
  readonly #workers: ReadonlySet<LentWorker>;
  readonly #quietMs: number;
  readonly #lent = new Set<LentWorker>();
  readonly #waiting = new Set<AbortController>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** Watches these workers; more may join and leave. */
  constructor(workers: ReadonlySet<LentWorker>, quietMs = QUIET_MS) {
    this.#workers = workers;
    this.#quietMs = quietMs;
  }

  /** A worker is lent. */
  lend(worker: LentWorker): void {
    this.#lent.add(worker);
    this.changed();
  }

  /** A worker was given back, or is lost. */
  giveBack(worker: LentWorker): void {
    if (this.#lent.delete(worker)) this.changed();
  }

  /** Waits by `take`, whose signal aborts also after the quiet time. */
  async wait<T>(
    signal: AbortSignal | undefined,
    take: (signal: AbortSignal | undefined) => Promise<T>,
  ): Promise<T> {
    const end = new AbortController();
    this.#waiting.add(end);
    if (this.#timer === undefined) this.changed();
    try {
      return await take(signal === undefined ? end.signal : AbortSignal.any([signal, end.signal]));
    } finally {
      this.#waiting.delete(end);
      if (this.#waiting.size === 0) this.changed();
    }
  }

  /** Something has happened: the quiet time begins anew. */
  changed(): void {
    clearTimeout(this.#timer);
    const isPossible = this.#waiting.size > 0 && this.#lent.size >= this.#workers.size;
    this.#timer = isPossible ? setTimeout(() => this.#refuse(), this.#quietMs) : undefined;
  }

  #refuse(): void {
    this.#timer = undefined;
    // The end of a call that runs begins the time anew. A backend of the user's own tells nothing of its calls.
    for (const { backend } of this.#lent) {
      const calls = backend === undefined ? undefined : unansweredCallsOf(backend);
      if (calls === undefined || calls.count > 0) return;
    }
    for (const end of this.#waiting) end.abort(this.#error());
  }

  #error(): PythonHostError {
    const { size } = this.#workers;
    const all = size === 1 ? "the only worker is" : `all ${size} workers are`;
    return new PythonHostError(
      "deadlock",
      `Cannot give work to pool: ${all} lent by use(), and no call was made on them for ${this.#quietMs} ms`,
      {
        hint:
          "Make the call on the backend that use() gave, dispose that backend first, or start the pool with a larger " +
          "size. To wait longer, give the call a timeoutMs or a signal.",
      },
    );
  }
}
