/**
 * Counts calls, their ends and their bytes. One counter may serve several backends, which are then counted together.
 *
 * @module
 */

import { LatencyHistogram, type LatencySummary } from "./latency_histogram.ts";

/** What was counted. */
export interface CallStatistics {
  /** Calls that were made: those that run user code, not what the library itself asks of the server. */
  readonly calls: number;
  /** Calls without an answer until now. */
  readonly inFlight: number;
  /** Calls that rejected and were not cancelled. */
  readonly errors: number;
  /** Calls that were stopped by their signal or deadline. */
  readonly cancelled: number;
  /** Bytes that went to the server. */
  readonly bytesSent: number;
  /** Bytes that came from it. */
  readonly bytesReceived: number;
  /** How long calls took from being made until they settled, however they settled. */
  readonly latency: LatencySummary;
}

/** How a call ended, as far as is counted. */
export type CountedEnd = "done" | "error" | "cancelled";

/** See the module comment. Starts at zero and only ever counts up. */
export class CallCounters {
  /** Bytes that went to the server; added to by the wire. */
  bytesSent = 0;
  /** Bytes that came from the server; added to by the wire. */
  bytesReceived = 0;
  readonly #latency = new LatencyHistogram();
  #calls = 0;
  #ended = 0;
  #errors = 0;
  #cancelled = 0;

  /** A call is made; gives its start, for {@linkcode end}. */
  begin(): number {
    this.#calls++;
    return performance.now();
  }

  /** The call has settled. */
  end(startedAt: number, how: CountedEnd): void {
    this.#ended++;
    if (how === "error") this.#errors++;
    else if (how === "cancelled") this.#cancelled++;
    this.#latency.record(performance.now() - startedAt);
  }

  /** What was counted until now. */
  get statistics(): CallStatistics {
    return {
      calls: this.#calls,
      inFlight: this.#calls - this.#ended,
      errors: this.#errors,
      cancelled: this.#cancelled,
      bytesSent: this.bytesSent,
      bytesReceived: this.bytesReceived,
      latency: this.#latency.summary,
    };
  }
}
