/**
 * When a server that ended is started again, and when not any more.
 *
 * @module
 */

import { argumentError } from "../core/argument.ts";
import { CrashLoopError, type PythonHostError } from "../core/errors.ts";

/** How a server that ended by itself is started again. */
export interface RestartOptions {
  /** The most ends within `windowMs` after which the server is started again; one more is a crash loop. @default {5} */
  readonly maxRestarts?: number | undefined;
  /** The time within which ends are counted, in milliseconds. @default {60000} */
  readonly windowMs?: number | undefined;
  /** The wait before the first restart of a window, in milliseconds; each further one waits twice as long. @default {100} */
  readonly backoffMs?: number | undefined;
  /** The longest wait, in milliseconds. @default {5000} */
  readonly maxBackoffMs?: number | undefined;
  /** Told when another server has taken the place of one that ended: its state is gone, and may be made anew here. */
  readonly onRestart?: ((event: RestartEvent) => void) | undefined;
}

/** A restart that succeeded. */
export interface RestartEvent {
  /** The number of the new server: 2 for the first that was started again. */
  readonly generation: number;
  /** Why it was started: how the one before ended. */
  readonly cause: PythonHostError;
}

type Limits = { readonly [K in keyof typeof DEFAULTS]: number };

const DEFAULTS = { maxRestarts: 5, windowMs: 60_000, backoffMs: 100, maxBackoffMs: 5_000 } as const;

/** Counts the ends of one server and its successors. */
export class RestartLimiter {
  readonly #options: Limits;
  #ends: number[] = [];

  /** Makes a limiter that has seen no end; throws for options that are no numbers of at least zero. */
  constructor(options: RestartOptions = {}) {
    const { maxRestarts, windowMs, backoffMs, maxBackoffMs } = options;
    this.#options = {
      maxRestarts: checked("maxRestarts", maxRestarts),
      windowMs: checked("windowMs", windowMs),
      backoffMs: checked("backoffMs", backoffMs),
      maxBackoffMs: checked("maxBackoffMs", maxBackoffMs),
    };
  }

  /** Notes an end and gives how long to wait before the next start, in milliseconds; throws `CrashLoopError`. */
  noteEnd(cause: PythonHostError, now: number = performance.now()): number {
    const { maxRestarts, windowMs, backoffMs, maxBackoffMs } = this.#options;
    this.#ends = this.#ends.filter((end) => now - end < windowMs);
    this.#ends.push(now);
    const ends = this.#ends.length;
    if (ends > maxRestarts) throw new CrashLoopError(ends, windowMs, { cause });
    return Math.min(backoffMs * 2 ** (ends - 1), maxBackoffMs);
  }
}

function checked(name: keyof Limits, value: number | undefined): number {
  const used = value ?? DEFAULTS[name];
  // `!(… >= 0)` is true for NaN too.
  if (typeof used === "number" && used >= 0) return used;
  throw argumentError(`restart option ${name}`, "a number of at least 0", used);
}
