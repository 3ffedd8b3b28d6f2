/**
 * Work that a pool's own work gives to the pool, and waits for while it holds a worker.
 *
 * ```text
 * worker 1 ── holds ── work A ── its callback, or its function, gives ──► work B ── waits for a worker
 * worker 2 ── holds ── work C ── …
 * ```
 *
 * When every worker is held by work that can only go on after such a wait, none will ever come free: then the last who
 * began to wait is told. Nobody is told while one worker is starting, computes, or is held by other work.
 *
 * @module
 */

import type { AsyncLocalStorage } from "node:async_hooks";
import type { PythonHostBackend } from "../core/backend.ts";
import { CallCounters } from "../core/call_counters.ts";
import { PythonHostError } from "../core/errors.ts";
import { type UnansweredCalls, unansweredCallsOf } from "../transports/unanswered_calls.ts";

/** A piece of work that is given to the pool. */
export interface GivenWork {
  /** Inside which other work it was given, with the call of Python that waits for it where one does. */
  readonly inside: readonly Inside[];
  /** Whether its caller has set an end to the waiting himself. */
  readonly isBounded: boolean;
}

interface Inside {
  readonly work: GivenWork;
  readonly call: WaitingCall | undefined;
}

/** What of a worker is looked at. */
export interface HeldWorker {
  /** The backend of the server that it has now. */
  readonly backend: PythonHostBackend | undefined;
}

type WaitingCall = NonNullable<UnansweredCalls["waiting"]>;

/** See the module comment. */
export class PoolNesting {
  readonly #workers: ReadonlySet<HeldWorker>;
  readonly #storage: AsyncLocalStorage<GivenWork>;
  readonly #held = new Map<HeldWorker, GivenWork>();
  readonly #waiting = new Map<GivenWork, AbortController>();
  #check: ReturnType<typeof setTimeout> | undefined;

  private constructor(workers: ReadonlySet<HeldWorker>, storage: AsyncLocalStorage<GivenWork>) {
    this.#workers = workers;
    this.#storage = storage;
  }

  /** Watches these workers; more may join and leave. */
  static async create(workers: ReadonlySet<HeldWorker>): Promise<PoolNesting> {
    const { AsyncLocalStorage } = await import("node:async_hooks");
    return new PoolNesting(workers, new AsyncLocalStorage());
  }

  /** Work that is given here and now. */
  given(isBounded: boolean): GivenWork {
    const inside: Inside[] = [];
    const work = this.#storage.getStore();
    if (work !== undefined) inside.push({ work, call: undefined });
    for (const [worker, work] of this.#held) {
      const call = callsOf(worker)?.waiting;
      if (call !== undefined) inside.push({ work, call });
    }
    return { inside, isBounded };
  }

  /** Runs the function that is a piece of work. */
  within<T>(work: GivenWork, fn: () => Promise<T>): Promise<T> {
    return this.#storage.run(work, fn);
  }

  /** Waits for a worker by `take`, whose signal aborts also when the wait would have no end. */
  async take<W extends HeldWorker>(
    work: GivenWork,
    signal: AbortSignal | undefined,
    take: (signal: AbortSignal | undefined) => Promise<W>,
  ): Promise<W> {
    if (work.inside.length === 0) return this.#hold(await take(signal), work);
    const end = new AbortController();
    this.#waiting.set(work, end);
    this.changed();
    try {
      return this.#hold(
        await take(signal === undefined ? end.signal : AbortSignal.any([signal, end.signal])),
        work,
      );
    } finally {
      this.#waiting.delete(work);
      clearTimeout(this.#check);
      this.#check = undefined;
      this.changed();
    }
  }

  /** The worker is held no more. */
  release(worker: HeldWorker): void {
    this.#held.delete(worker);
  }

  /** Something has changed: a call has ended, a worker was lost, somebody waits or does so no more. */
  changed(): void {
    if (this.#waiting.size === 0 || this.#check !== undefined) return;
    // What follows at once from the change comes first: a function that has started the work goes on to its next call.
    this.#check = setTimeout(() => {
      this.#check = undefined;
      this.#failLast();
    });
  }

  #hold<W extends HeldWorker>(worker: W, work: GivenWork): W {
    this.#held.set(worker, work);
    return worker;
  }

  #failLast(): void {
    if (this.#held.size < this.#workers.size) return;
    for (const worker of this.#workers) if (!this.#isStuck(worker)) return;
    // Each worker's work waits for one of them at least, so there is one.
    const last = [...this.#waiting].findLast(([work]) => isInsideAny(work))!;
    last[1].abort(deadlock(this.#workers.size));
    // Others may be stuck even so; they are looked at again when this one has done what it does about it.
    this.#waiting.delete(last[0]);
  }

  /** Whether the worker's work can do nothing but wait. */
  #isStuck(worker: HeldWorker): boolean {
    const work = this.#held.get(worker);
    if (work === undefined) return false;
    const calls = new Set<WaitingCall>();
    let waits = false;
    for (const waiting of this.#waiting.keys()) {
      if (!findWaits(waiting, work, calls)) continue;
      // The work goes on when that wait has ended.
      if (waiting.isBounded) return false;
      waits = true;
    }
    return waits && (callsOf(worker)?.count ?? 0) <= calls.size;
  }
}

/** Counts as ever; what waits is looked at again when a call has ended. */
export class PoolCounters extends CallCounters {
  readonly #told: readonly { changed(): void }[];

  /** Makes the counters of the pool whose waits these are. */
  constructor(...told: readonly { changed(): void }[]) {
    super();
    this.#told = told;
  }

  /** See {@linkcode CallCounters.end}. */
  override end(...ended: Parameters<CallCounters["end"]>): void {
    super.end(...ended);
    for (const waits of this.#told) waits.changed();
  }
}

/** Whether `work` waits for `waiting`, also by way of others; adds the calls by which it does. */
function findWaits(waiting: GivenWork, work: GivenWork, calls: Set<WaitingCall>): boolean {
  let waits = false;
  for (const inside of waiting.inside) {
    // A function that has answered has left what it gave to itself.
    if (inside.call?.isWaiting === false) continue;
    if (inside.work === work) {
      waits = true;
      if (inside.call !== undefined) calls.add(inside.call);
    } else if (findWaits(inside.work, work, calls)) waits = true;
  }
  return waits;
}

function isInsideAny({ inside }: GivenWork): boolean {
  return inside.some(({ call }) => call?.isWaiting !== false);
}

/** What the worker's backend tells of its calls; one of the user's own tells nothing, and its callbacks are not seen. */
function callsOf({ backend }: HeldWorker): UnansweredCalls | undefined {
  return backend === undefined ? undefined : unansweredCallsOf(backend);
}

function deadlock(size: number): PythonHostError {
  const all = size === 1 ? "the only worker is" : `all ${size} workers are`;
  return new PythonHostError(
    "deadlock",
    `Cannot give work to pool: ${all} held by work that waits for a worker itself`,
    {
      hint:
        "Make the call on the backend that the work has already (the one given to the function of map(), or the " +
        "one lent by use()), or start the pool with a larger size.",
    },
  );
}
