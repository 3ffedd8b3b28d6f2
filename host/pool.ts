/**
 * `PythonHostPool`: many servers for work that one interpreter would do one after the other.
 *
 * ```text
 * run, map ──► WorkerQueue ──► PoolWorker ── one piece of work at a time ──► its server
 * use ───────►     (pool_queue)   (pool_worker: supervised, recycled)
 * ```
 *
 * @module
 */

import { checkSignal, checkTimeoutMs } from "../core/argument.ts";
import type { CallOptions, KeywordArguments, PythonHostBackend } from "../core/backend.ts";
import type { CallCounters } from "../core/call_counters.ts";
import { showAs } from "../core/inspection.ts";
import { ConnectionClosedError, PythonHostError } from "../core/errors.ts";
import { type Logger, SILENT_LOGGER } from "../core/logger.ts";
import { settlesWithin } from "../core/timers.ts";
import { withDotnet } from "./dotnet.ts";
import { type HostEnvironment, makeEnvironments, resolveEnvironment } from "./environment.ts";
import { HostServers } from "./host_servers.ts";
import type { Generation } from "./generation.ts";
import { LentBackend } from "./lent_backend.ts";
import { PoolLending } from "./pool_lending.ts";
import { checkMap, mapItems, type PoolItems } from "./pool_map.ts";
import { type GivenWork, PoolCounters, PoolNesting } from "./pool_nesting.ts";
import {
  checkCount,
  checkNumber,
  checkPoolOptions,
  isBounded,
  type PoolCloseOptions,
  type PoolMapOptions,
  type PoolRunOptions,
  type PoolStatistics,
  type PoolUseOptions,
  type PoolWork,
  type PythonHostPoolOptions,
} from "./pool_options.ts";
import { WorkerQueue } from "./pool_queue.ts";
import { PoolWorker, type WorkerEvents } from "./pool_worker.ts";
import { resolveTransport } from "./transports.ts";
import { withDeadline } from "./when_ready.ts";

const DEFAULT_DRAIN_MS = 30_000;
/** What a call on a worker that has died may reject with. */
const CRASH_CODES: readonly string[] = ["server-exited", "closed", "stale-handle"];

/** Work on a worker's backend. */
type Task<T> = (backend: PythonHostBackend) => Promise<T>;

/** A task as it was given. */
interface GivenTask<T> {
  readonly given: GivenWork;
  readonly task: Task<T>;
  readonly crashRetries: number | undefined;
  readonly signal: AbortSignal | undefined;
}

/**
 * A number of Python servers that share work: for code that is bound by the processor, or must not share a process.
 *
 * Each worker does one piece of work at a time. Names that work leaves stay in its worker until that is replaced, so work
 * must not rely on them; `setup` is what prepares every worker alike. A worker that dies is replaced.
 *
 * @example Map over many processors
 * ```ts
 * import { PythonHostPool } from "jsr:@beep/python-host";
 * import { assertEquals } from "jsr:@std/assert";
 *
 * await using pool = await PythonHostPool.start({ size: 2, setup: "import math" });
 * const results = await Array.fromAsync(pool.map<number, number>([3, 4, 5], "math.factorial(item)"));
 * assertEquals(results, [6, 24, 120]);
 * ```
 */
export class PythonHostPool implements AsyncDisposable {
  /** The environment that all servers run in. */
  readonly environment: HostEnvironment;
  readonly #options: PythonHostPoolOptions;
  readonly #counters: CallCounters;
  readonly #logger: Logger;
  /** The way of the workers' Python to this host. */
  readonly #servers: HostServers;
  readonly #workers: Set<PoolWorker>;
  readonly #nesting: PoolNesting;
  readonly #lending: PoolLending;
  readonly #queue = new WorkerQueue<PoolWorker>();
  /** All work that was given and is not done. */
  readonly #active = new Set<Promise<unknown>>();
  #crashes = 0;
  #recycled = 0;
  /** Aborts when no more work is taken: an input that a map reads may never come to the next item. */
  readonly #closing = new AbortController();
  #closed: Promise<void> | undefined;

  static {
    showAs(this.prototype, "PythonHostPool", (pool) => ({
      environment: pool.environment.name ?? pool.environment.path,
      workers: pool.#workers.size,
    }));
  }

  private constructor(
    environment: HostEnvironment,
    options: PythonHostPoolOptions,
    workers: Set<PoolWorker>,
    nesting: PoolNesting,
  ) {
    this.environment = environment;
    this.#options = options;
    this.#workers = workers;
    this.#nesting = nesting;
    this.#lending = new PoolLending(workers);
    this.#counters = new PoolCounters(nesting, this.#lending);
    this.#logger = options.logger ?? SILENT_LOGGER;
    this.#servers = new HostServers({ environments: makeEnvironments(options.logger), logger: this.#logger });
  }

  /**
   * Makes the environment when it is not there yet, and starts all servers at once; settles when every one is ready.
   * Needs the permissions of `PythonHost.start`, and rejects with its errors.
   *
   * @throws {PythonHostError} with code `argument` for a size below 1 or above 1,024, and other options that are none.
   * @throws {PythonError} when `setup` raises.
   */
  static async start(options: PythonHostPoolOptions = {}): Promise<PythonHostPool> {
    checkPoolOptions(options);
    options.signal?.throwIfAborted();
    const environment = await resolveEnvironment(options);
    const workers = new Set<PoolWorker>();
    const nesting = await PoolNesting.create(workers);
    const pool = new PythonHostPool(
      environment,
      await withDotnet(options, environment.python),
      workers,
      nesting,
    );
    await using undo = new AsyncDisposableStack();
    undo.use(pool.#servers);
    await pool.#servers.keep(environment);
    await pool.#startWorkers(options.size ?? navigator.hardwareConcurrency);
    undo.move();
    return pool;
  }

  /** How many workers there are. */
  get size(): number {
    return this.#workers.size;
  }

  /**
   * Runs code on a worker that is free, as `evaluate` does. A handle in the result is of use only within `use`.
   *
   * A function of the program that Python calls, or the function of a `map`, may give more work; when all workers are
   * held by work that waits for such work, the promise rejects, unless a signal or a deadline bounds the wait.
   *
   * @throws {PythonHostError} with code `deadlock` when no worker can ever come free.
   */
  run<T = unknown>(code: string, locals?: KeywordArguments, options?: PoolRunOptions): Promise<T> {
    return this.#accept(() => {
      const given = this.#nesting.given(isBounded(options));
      return withDeadline(options, (options) => {
        const { crashRetries, ...call } = options ?? {};
        const task = (backend: PythonHostBackend): Promise<T> => backend.evaluate<T>(code, locals, call);
        return this.#do({ given, task, crashRetries, signal: call.signal });
      });
    });
  }

  /**
   * Works on each item, on as many workers as are free, and gives the results as they are asked for. The input is read no
   * faster than that. The first failure ends the map, and so does leaving the loop: what is under way is stopped.
   */
  map<Item, Result = unknown>(
    items: PoolItems<Item>,
    work: PoolWork<Item, Result>,
    options: PoolMapOptions = {},
  ): AsyncGenerator<Result, void, void> {
    const { ordered = true, maxInFlight = 2 * this.size, signal, timeoutMs, crashRetries } = options;
    checkMap(items, work);
    checkCount("maxInFlight", maxInFlight, 1);
    checkSignal(signal);
    checkTimeoutMs(timeoutMs);
    const one = (item: Item, signal: AbortSignal): Promise<Result> =>
      this.#accept(() => {
        const given = this.#nesting.given(isBounded(options));
        return withDeadline<CallOptions, Result>({ signal, timeoutMs }, (call) => {
          const task = (backend: PythonHostBackend): Promise<Result> =>
            typeof work === "string"
              ? backend.evaluate<Result>(work, { item }, call)
              : this.#nesting.within(given, async () => await work(item, backend, call?.signal ?? signal));
          return this.#do({ given, task, crashRetries, signal: call?.signal });
        });
      });
    return mapItems(items, one, { ordered, maxInFlight, signal, inputEnd: this.#closing.signal });
  }

  /**
   * Lends a worker for several calls that belong together; dispose the backend to give the worker back. The deadline is
   * that of the wait for a worker. Who waits without a deadline while all workers are lent, and nobody has called them for
   * 30 seconds, is refused with code `deadlock`: he may be the one who has them.
   *
   * @example Calls that belong together
   * ```ts
   * import { PythonHostPool } from "jsr:@beep/python-host";
   * import { assertEquals } from "jsr:@std/assert";
   *
   * await using pool = await PythonHostPool.start({ size: 1 });
   * {
   *   await using python = await pool.use();
   *   await python.evaluate("x = 20");
   *   assertEquals(await python.evaluate("x + 1"), 21);
   * }
   * ```
   */
  async use(options: PoolUseOptions = {}): Promise<LentBackend> {
    const over = Promise.withResolvers<void>();
    const lent = Promise.withResolvers<LentBackend>();
    const given = this.#nesting.given(isBounded(options));
    return await withDeadline(options, (options) => {
      // Given back is done: the pool waits for it as for any other work.
      const done = this.#accept(() =>
        this.#withWorker(given, options?.signal, async (generation, worker) => {
          this.#lending.lend(worker);
          lent.resolve(new LentBackend(generation.backend, () => (over.resolve(), done)));
          await over.promise;
        })
      );
      done.catch(lent.reject);
      return lent.promise;
    });
  }

  /** What was counted until now. */
  stats(): PoolStatistics {
    return {
      ...this.#counters.statistics,
      workers: this.#workers.size,
      idle: this.#queue.idle,
      queued: this.#queue.waiting,
      crashes: this.#crashes,
      recycled: this.#recycled,
    };
  }

  /** Takes no more work, waits for what was given, and ends all servers; doing it again gives the same promise. */
  close(options: PoolCloseOptions = {}): Promise<void> {
    const { drainMs = DEFAULT_DRAIN_MS } = options;
    checkNumber("drainMs", drainMs, 0);
    return this.#closed ??= this.#close(drainMs);
  }

  /** Closes. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(drainMs: number): Promise<void> {
    await using _servers = this.#servers;
    this.#closing.abort(closedError());
    await settlesWithin(Promise.allSettled(this.#active), drainMs);
    this.#queue.fail(closedError());
    await Promise.all(Array.from(this.#workers, (worker) => worker.close()));
  }

  async #startWorkers(size: number): Promise<void> {
    const { signal } = this.#options;
    const failed = new AbortController();
    const both = signal === undefined ? failed.signal : AbortSignal.any([signal, failed.signal]);
    const starts = Array.from({ length: size }, () => this.#startWorker(both));
    // The first that fails stops the others; none may be left half started.
    for (const start of starts) start.catch((error) => failed.abort(error));
    const results = await Promise.allSettled(starts);
    if (results.every(({ status }) => status === "fulfilled")) return;
    await Promise.all(Array.from(this.#workers, (worker) => worker.close()));
    throw both.reason;
  }

  async #startWorker(signal: AbortSignal): Promise<void> {
    const setup = {
      python: this.environment.python,
      transport: resolveTransport(this.#options),
      options: this.#options,
      counters: this.#counters,
      servers: this.#servers,
      environment: this.environment.name,
    };
    const events: WorkerEvents = {
      crashed: () => void this.#crashes++,
      recycled: () => void this.#recycled++,
      over: (worker, reason) => this.#lose(worker, reason),
    };
    const worker = await PoolWorker.start(setup, this.#options, events, signal);
    this.#workers.add(worker);
    this.#queue.give(worker);
  }

  /** Takes work that a caller gives; the pool waits for it when it is closed. */
  #accept<T>(work: () => Promise<T>): Promise<T> {
    if (this.#closed !== undefined) return Promise.reject(closedError());
    const active = work();
    this.#active.add(active);
    const forget = (): void => void this.#active.delete(active);
    active.then(forget, forget);
    return active;
  }

  /** Does a task on a worker, and again on another one when its worker died, as often as is allowed. */
  async #do<T>({ given, task, signal, ...options }: GivenTask<T>): Promise<T> {
    const { crashRetries = this.#options.crashRetries ?? 0 } = options;
    checkCount("crashRetries", crashRetries, 0);
    for (let left = crashRetries;; left--) {
      let hasCrashed = false;
      try {
        return await this.#withWorker(given, signal, async (generation, worker) => {
          try {
            return await task(generation.backend);
          } catch (error) {
            const isCrash = error instanceof PythonHostError && CRASH_CODES.includes(error.code);
            hasCrashed = isCrash && worker.hasDied(generation);
            throw error;
          }
        });
      } catch (error) {
        if (!hasCrashed || left === 0 || signal?.aborted) throw error;
        this.#logger.warn("A worker died, and its work is done again on another one", error);
      }
    }
  }

  /** Waits for a worker and works with it alone. */
  async #withWorker<T>(
    given: GivenWork,
    signal: AbortSignal | undefined,
    work: (generation: Generation, worker: PoolWorker) => Promise<T>,
  ): Promise<T> {
    for (;;) {
      const worker = await this.#nesting.take(
        given,
        signal,
        (signal) =>
          given.isBounded
            ? this.#queue.take(signal)
            : this.#lending.wait(signal, (signal) => this.#queue.take(signal)),
      );
      let generation: Generation;
      try {
        generation = await worker.begin(signal);
      } catch (error) {
        this.#nesting.release(worker);
        // One that works no more is out of the pool already; another one may do it, and none is an error of `take`.
        if (!this.#workers.has(worker)) continue;
        this.#queue.give(worker);
        throw error;
      }
      try {
        return await work(generation, worker);
      } finally {
        this.#giveBack(worker, generation);
      }
    }
  }

  /** The caller need not wait until the worker is fit again. */
  #giveBack(worker: PoolWorker, generation: Generation): void {
    this.#nesting.release(worker);
    this.#lending.giveBack(worker);
    worker.end(generation).then(
      () => this.#queue.give(worker),
      (error) => this.#lose(worker, error),
    );
  }

  /** A worker will not work any more. The pool goes on with the others; when there is none left, nobody may wait. */
  #lose(worker: PoolWorker, reason: PythonHostError): void {
    if (!this.#workers.delete(worker)) return;
    this.#queue.remove(worker);
    this.#nesting.release(worker);
    this.#nesting.changed();
    this.#lending.changed();
    this.#logger.error(`A worker is lost, ${this.#workers.size} are left`, reason);
    if (this.#workers.size === 0) this.#queue.fail(reason);
    // Its server is gone; what may fail here is told, and changes nothing.
    worker.close().catch((error) => this.#logger.warn("Cannot close a lost worker", error));
  }
}

function closedError(): ConnectionClosedError {
  return new ConnectionClosedError("Cannot use pool: it was closed");
}
