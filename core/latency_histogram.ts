/**
 * How long calls took, in buckets of fixed bounds: recording costs one logarithm and allocates nothing.
 *
 * ```text
 * bucket     0        1        2       …   4      …   8
 * up to      1 µs   1.19 µs  1.41 µs       2 µs       4 µs        four buckets for each doubling
 * ```
 *
 * @module
 */

/** Four buckets for each doubling, so a percentile is told to within 19 percent. */
const BUCKETS_PER_DOUBLING = 4;
/** Up to 2^31 µs, which is 36 minutes; the last bucket also takes everything beyond. */
const BUCKETS = 31 * BUCKETS_PER_DOUBLING + 1;

/** Durations that were recorded, in milliseconds. */
export interface LatencySummary {
  /** How many were recorded. */
  readonly count: number;
  /** Their sum. */
  readonly totalMs: number;
  /** The longest; 0 when there is none. */
  readonly maxMs: number;
  /** Half of them took no longer; to within 19 percent. */
  readonly p50Ms: number;
  /** Nine of ten took no longer; to within 19 percent. */
  readonly p90Ms: number;
  /** All but one of a hundred took no longer; to within 19 percent. */
  readonly p99Ms: number;
  /** The buckets that are not empty: its upper bound, and how many are in it. */
  readonly buckets: readonly { readonly upToMs: number; readonly count: number }[];
}

/** Collects durations. */
export class LatencyHistogram {
  readonly #buckets = new Float64Array(BUCKETS);
  #count = 0;
  #totalMs = 0;
  #maxMs = 0;

  /** Takes one duration in milliseconds. */
  record(ms: number): void {
    const doublings = Math.log2(ms * 1000);
    // A clock of low resolution gives 0, whose logarithm is no index.
    const index = doublings > 0 ? Math.min(Math.ceil(doublings * BUCKETS_PER_DOUBLING), BUCKETS - 1) : 0;
    this.#buckets[index]! += 1;
    this.#count++;
    this.#totalMs += ms;
    if (ms > this.#maxMs) this.#maxMs = ms;
  }

  /** What was recorded until now. */
  get summary(): LatencySummary {
    const buckets: { upToMs: number; count: number }[] = [];
    this.#buckets.forEach((count, index) => {
      if (count > 0) buckets.push({ upToMs: this.#upperBound(index), count });
    });
    return {
      count: this.#count,
      totalMs: this.#totalMs,
      maxMs: this.#maxMs,
      p50Ms: this.#percentile(0.5),
      p90Ms: this.#percentile(0.9),
      p99Ms: this.#percentile(0.99),
      buckets,
    };
  }

  #percentile(share: number): number {
    const wanted = this.#count * share;
    let seen = 0;
    for (let index = 0; index < BUCKETS; index++) {
      seen += this.#buckets[index]!;
      if (seen >= wanted && seen > 0) return Math.min(this.#upperBound(index), this.#maxMs);
    }
    return 0;
  }

  #upperBound(index: number): number {
    return index === BUCKETS - 1 ? Math.max(this.#maxMs, 1) : 2 ** (index / BUCKETS_PER_DOUBLING) / 1000;
  }
}
