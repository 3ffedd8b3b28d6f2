/**
 * What a pool is started with, and what its operations take.
 *
 * @module
 */

import { argumentError, checkSignal } from "../core/argument.ts";
import type { CallOptions, PythonHostBackend } from "../core/backend.ts";
import type { CallStatistics } from "../core/call_counters.ts";
import {
  checkOptionNames,
  HOST_OPTION_NAMES,
  type PythonHostOptions,
  replacesUninterruptible,
} from "./options.ts";

/** Options of `PythonHostPool.start`: those of a host, and what concerns the workers. */
export interface PythonHostPoolOptions extends Omit<PythonHostOptions, "restart"> {
  /** How many servers there are, at most 1,024. @default {the number of processors} */
  readonly size?: number | undefined;
  /**
   * Run on each new worker before it gets work: Python code, or a function. What it imports and defines is there for all
   * work on that worker.
   */
  readonly setup?: string | ((backend: PythonHostBackend) => Promise<void>) | undefined;
  /** A worker is replaced by a fresh one after so many pieces of work. @default {never} */
  readonly maxCallsPerWorker?: number | undefined;
  /** A worker is replaced between two pieces of work when it is older, in milliseconds. @default {never} */
  readonly maxWorkerAgeMs?: number | undefined;
  /** A worker is replaced after a piece of work when its process occupies more memory, in bytes. @default {never} */
  readonly maxWorkerMemoryBytes?: number | undefined;
  /**
   * How often work whose worker died is done again on another one, before its error is given; work that is done twice must
   * do no harm. Never applies to `use`.
   *
   * @default {0}
   */
  readonly crashRetries?: number | undefined;
}

/** Options of `PythonHostPool.run`; a deadline counts from the call, so it includes the wait for a worker. */
export interface PoolRunOptions extends CallOptions {
  /** See `PythonHostPoolOptions.crashRetries`. @default {that of the pool} */
  readonly crashRetries?: number | undefined;
}

/** Options of `PythonHostPool.use`: how long a worker is waited for. */
export type PoolUseOptions = Pick<CallOptions, "signal" | "timeoutMs">;

/** Options of `PythonHostPool.map`. */
export interface PoolMapOptions {
  /** Whether results come in the order of the items; else each comes as soon as it is there. @default {true} */
  readonly ordered?: boolean | undefined;
  /**
   * How many items may be under way or have results that were not taken yet; no more are read from the input before.
   *
   * @default {twice the size of the pool}
   */
  readonly maxInFlight?: number | undefined;
  /** Stops the whole map. */
  readonly signal?: AbortSignal | undefined;
  /** The deadline of each item's work, in milliseconds; includes its wait for a worker. @default {none} */
  readonly timeoutMs?: number | undefined;
  /** See `PythonHostPoolOptions.crashRetries`. @default {that of the pool} */
  readonly crashRetries?: number | undefined;
}

/** Work on one item: Python code in which it is named `item`, or a function that makes calls on the worker's backend. */
export type PoolWork<Item, Result> =
  | string
  | ((item: Item, backend: PythonHostBackend, signal: AbortSignal) => Promise<Result>);

/** Options of `PythonHostPool.close`. */
export interface PoolCloseOptions {
  /**
   * How long work that was given is still waited for, in milliseconds; 0 ends it at once, `Infinity` waits however long.
   *
   * @default {30000}
   */
  readonly drainMs?: number | undefined;
}

/** What a pool tells about itself. */
export interface PoolStatistics extends CallStatistics {
  /** How many workers there are, those that are just being started included. */
  readonly workers: number;
  /** Workers that do nothing. */
  readonly idle: number;
  /** Pieces of work that wait for a worker. */
  readonly queued: number;
  /** How often a worker was replaced because it had died. */
  readonly crashes: number;
  /** How often a worker was replaced because it had done enough, was old enough or large enough. */
  readonly recycled: number;
}

/** Each is a process, and all are started at once: more is a slip of the pen, which would take the machine with it. */
const MOST_WORKERS = 1024;

const { restart: _, ...OF_HOSTS } = HOST_OPTION_NAMES;
const POOL_OPTION_NAMES: Readonly<Record<keyof PythonHostPoolOptions, true>> = {
  ...OF_HOSTS,
  size: true,
  setup: true,
  maxCallsPerWorker: true,
  maxWorkerAgeMs: true,
  maxWorkerMemoryBytes: true,
  crashRetries: true,
};

/** Checks what a pool is started with. */
export function checkPoolOptions(options: PythonHostPoolOptions): void {
  checkOptionNames(options, POOL_OPTION_NAMES);
  const { size, setup, maxCallsPerWorker, maxWorkerAgeMs, maxWorkerMemoryBytes, crashRetries } = options;
  replacesUninterruptible(options.uninterruptible); // throws when it is none
  checkSignal(options.signal);
  checkCount("size", size, 1, MOST_WORKERS);
  if (setup !== undefined && typeof setup !== "string" && typeof setup !== "function") {
    throw argumentError("setup", "Python code or a function", setup);
  }
  checkCount("maxCallsPerWorker", maxCallsPerWorker, 1);
  checkNumber("maxWorkerAgeMs", maxWorkerAgeMs, 1);
  checkNumber("maxWorkerMemoryBytes", maxWorkerMemoryBytes, 1);
  checkCount("crashRetries", crashRetries, 0);
}

/** Throws unless the option is left out or an integer of at least `least`, and of at most `most`. */
export function checkCount(name: string, value: number | undefined, least: number, most = Infinity): void {
  if (value === undefined || (Number.isInteger(value) && value >= least && value <= most)) return;
  const range = most === Infinity ? `of at least ${least}` : `from ${least} to ${most}`;
  throw argumentError(name, `an integer ${range}`, value);
}

/** Throws unless the option is left out or a number of at least `least`. */
export function checkNumber(name: string, value: number | undefined, least: number): void {
  if (value === undefined || (typeof value === "number" && value >= least)) return;
  throw argumentError(name, `a number of at least ${least}`, value);
}

/** Whether the caller has set an end to a wait himself. */
export function isBounded(options: CallOptions | undefined): boolean {
  return options?.signal !== undefined || options?.timeoutMs !== undefined;
}
