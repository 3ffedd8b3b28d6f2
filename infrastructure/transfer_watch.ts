/**
 * Watches a transfer: gives up on a server that is too slow, tells the progress, and says why an attempt failed.
 *
 * @module
 */

import type { PermissionNeededError } from "../core/errors.ts";
import { startTimer } from "../core/timers.ts";
import type { DownloadLimits } from "./download.ts";
import type { ProgressListener } from "./progress_events.ts";

/** Why an attempt failed, and what that means for the next one. */
export class FetchFault extends Error {
  override readonly name = "FetchFault";
  /** Whether the same place may do better next time. */
  readonly transient: boolean;
  /** How long the server wants to be left alone, in milliseconds. */
  readonly retryAfterMs: number | undefined;
  /** What the reader may do. */
  readonly hint: string | undefined;
  /** The permission that Deno lacks, when that is the reason. */
  readonly permission: PermissionNeededError | undefined;

  /** Makes the fault. */
  constructor(
    message: string,
    options: {
      transient: boolean;
      retryAfterMs?: number | undefined;
      hint?: string;
      permission?: PermissionNeededError;
      cause?: unknown;
    },
  ) {
    super(message, { cause: options.cause });
    this.transient = options.transient;
    this.retryAfterMs = options.retryAfterMs;
    this.hint = options.hint;
    this.permission = options.permission;
  }
}

/** Gives up on a server that falls silent or drips. */
export class Watch {
  readonly #limits: Required<DownloadLimits>;
  readonly #controller = new AbortController();
  readonly #signal: AbortSignal;
  #windowStart = performance.now();
  #windowBytes = 0;
  /** Why the server was given up. */
  verdict: string | undefined;

  /** Starts to watch. */
  constructor(limits: Required<DownloadLimits>, signal: AbortSignal | undefined) {
    this.#limits = limits;
    this.#signal = signal === undefined
      ? this.#controller.signal
      : AbortSignal.any([signal, this.#controller.signal]);
  }

  /** Aborted when the server is given up, or the caller has had enough. */
  get signal(): AbortSignal {
    return this.#signal;
  }

  /** Waits for `step`, but no longer than a silent server is waited for. */
  async within<T>(step: Promise<T>): Promise<T> {
    const timer = startTimer(
      () => this.#giveUp(`the server sent nothing for ${this.#limits.stallMs} ms`),
      this.#limits.stallMs,
    );
    try {
      return await step;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Counts what came, and gives up when over a whole window it was too little. */
  count(bytes: number): void {
    this.#windowBytes += bytes;
    const elapsed = performance.now() - this.#windowStart;
    if (elapsed < this.#limits.rateWindowMs) return;
    const rate = this.#windowBytes * 1000 / elapsed;
    if (rate < this.#limits.minBytesPerSecond) {
      this.#giveUp(`the server sent only ${Math.round(rate)} bytes per second`);
      throw new FetchFault(this.verdict!, { transient: true });
    }
    this.#windowStart = performance.now();
    this.#windowBytes = 0;
  }

  #giveUp(verdict: string): void {
    this.verdict ??= verdict;
    this.#controller.abort();
  }

  /** Lets go of the line. */
  stop(): void {
    this.#controller.abort();
  }
}

const REPORT_EVERY_MS = 100;

/** What is measured. */
export interface MeterRequest {
  /** What it is called in reports of progress. */
  readonly subject: string;
  /** Told of progress. */
  readonly onProgress?: ProgressListener | undefined;
}

/** Reports bytes and rate, not too often. */
export class Meter {
  readonly #request: MeterRequest;
  readonly #total: number | undefined;
  readonly #first: number;
  readonly #started = performance.now();
  #last = 0;

  /** Starts to measure at byte `start`. */
  constructor(request: MeterRequest, start: number, total: number | undefined) {
    this.#request = request;
    this.#first = start;
    this.#total = total;
  }

  /** Reports that `done` bytes are there. */
  report(done: number, final = false): void {
    const now = performance.now();
    if (this.#request.onProgress === undefined || (!final && now - this.#last < REPORT_EVERY_MS)) return;
    this.#last = now;
    const seconds = (now - this.#started) / 1000;
    this.#request.onProgress({
      stage: "download",
      subject: this.#request.subject,
      done,
      ...(this.#total === undefined ? {} : { total: this.#total }),
      ...(seconds > 0.05 ? { bytesPerSecond: Math.round((done - this.#first) / seconds) } : {}),
    });
  }
}
