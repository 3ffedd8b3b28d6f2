/**
 * One worker of a pool: a supervised server that does one piece of work at a time, and is replaced when it has had enough.
 *
 * ```text
 * idle ── begin() ──► working ── end() ──► idle
 *   ▲                    │ died               │ enough calls, too old, too large
 *   └── started again ◄──┴────────────────────┘
 * ```
 *
 * @module
 */

import type { PythonHostBackend } from "../core/backend.ts";
import { ConnectionClosedError, PythonHostError } from "../core/errors.ts";
import { type Logger, SILENT_LOGGER } from "../core/logger.ts";
import type { Generation, GenerationSetup } from "./generation.ts";
import { replacesUninterruptible } from "./options.ts";
import type { PythonHostPoolOptions } from "./pool_options.ts";
import { serverStatistics } from "./statistics.ts";
import { Supervisor } from "./supervisor.ts";
import { unlessAborted } from "./when_ready.ts";

/** What a worker tells its pool. */
export interface WorkerEvents {
  /** It died, and is started again. */
  crashed(): void;
  /** It is replaced because it has had enough. */
  recycled(): void;
  /** It will not work any more. */
  over(worker: PoolWorker, reason: PythonHostError): void;
}

/** See the module comment. */
export class PoolWorker {
  readonly #options: PythonHostPoolOptions;
  readonly #events: WorkerEvents;
  readonly #logger: Logger;
  #supervisor!: Supervisor;
  #isWorking = false;
  #calls = 0;
  #startedAt = performance.now();

  private constructor(options: PythonHostPoolOptions, events: WorkerEvents) {
    this.#options = options;
    this.#events = events;
    this.#logger = options.logger ?? SILENT_LOGGER;
  }

  /** Starts a worker. */
  static async start(
    setup: Omit<GenerationSetup, "prepare">,
    options: PythonHostPoolOptions,
    events: WorkerEvents,
    signal: AbortSignal,
  ): Promise<PoolWorker> {
    const worker = new PoolWorker(options, events);
    worker.#supervisor = await Supervisor.start({
      setup: { ...setup, prepare: (backend) => worker.#prepare(backend) },
      restart: {},
      replacesUninterruptible: replacesUninterruptible(options.uninterruptible),
      logger: worker.#logger,
      countsEnd: () => worker.#noteEnd(),
      onOver: (reason) => events.over(worker, reason),
    }, signal);
    return worker;
  }

  /** The backend of the server that it has now. */
  get backend(): PythonHostBackend | undefined {
    return this.#supervisor.live?.backend;
  }

  /** Begins a piece of work, as soon as the server is there; rejects when there will be none. */
  async begin(signal: AbortSignal | undefined): Promise<Generation> {
    const generation = await unlessAborted(this.#supervisor.ready(), signal);
    this.#isWorking = true;
    return generation;
  }

  /** The piece of work is over. Settles when the worker can take another one, replaced if need be; rejects when it cannot. */
  async end(generation: Generation): Promise<void> {
    this.#isWorking = false;
    this.#calls++;
    // One that is gone already is being replaced.
    if (this.#supervisor.live === generation) await this.#replaceIfDue(generation);
    await this.#supervisor.ready();
  }

  /** Whether the server of a piece of work is of no use any more, so that the work's error is that of its end. */
  hasDied(generation: Generation): boolean {
    // The connection can end a moment before the process has been seen to end, or without it.
    return this.#supervisor.live !== generation || !generation.backend.isInitialized;
  }

  /** Ends the worker. */
  async close(): Promise<void> {
    await this.#supervisor.close();
  }

  async #prepare(backend: PythonHostBackend): Promise<void> {
    this.#calls = 0;
    this.#startedAt = performance.now();
    const { setup } = this.#options;
    if (typeof setup === "string") await backend.evaluate(setup, undefined, { result: "handle" });
    else await setup?.(backend);
  }

  /** A death in the middle of work is the work's fault, which is told of it; one at rest counts towards a crash loop. */
  #noteEnd(): boolean {
    this.#events.crashed();
    return !this.#isWorking;
  }

  async #replaceIfDue(generation: Generation): Promise<void> {
    if (this.hasDied(generation)) this.#events.crashed();
    else if (await this.#hasEnough(generation)) this.#events.recycled();
    else return;
    const cause = new ConnectionClosedError("Cannot go on: the worker is replaced");
    await this.#supervisor.replace(generation, cause, "close");
  }

  async #hasEnough(generation: Generation): Promise<boolean> {
    const { maxCallsPerWorker, maxWorkerAgeMs, maxWorkerMemoryBytes } = this.#options;
    if (maxCallsPerWorker !== undefined && this.#calls >= maxCallsPerWorker) return true;
    if (maxWorkerAgeMs !== undefined && performance.now() - this.#startedAt >= maxWorkerAgeMs) return true;
    if (maxWorkerMemoryBytes === undefined) return false;
    try {
      const statistics = await serverStatistics(generation.backend);
      return (statistics?.memoryBytes ?? 0) > maxWorkerMemoryBytes;
    } catch (error) {
      if (!(error instanceof PythonHostError)) throw error;
      this.#logger.debug("Cannot ask a worker for its memory", error); // it died just now, which is seen elsewhere
      return false;
    }
  }
}
