/**
 * How the benches measure: cases take turns in rounds, a ratio is taken inside one round against that round's floor, and what
 * is reported is the median over the rounds. Absolute times mean nothing on another machine.
 *
 * @module
 */

/** One thing to measure: does its work `count` times. */
export interface Case {
  /** Its name in the table. */
  readonly name: string;
  /** The name of the case whose time is the divisor; left out for a floor. */
  readonly floor?: string;
  /** The most that the ratio is to be. */
  readonly goal?: number;
  /** Does the work so many times. */
  run(count: number): Promise<void>;
}

/** One row of a report. */
export interface Row {
  /** The case. */
  readonly name: string;
  /** Median time of one piece of work, in microseconds. */
  readonly medianUs: number;
  /** The 99th percentile, in microseconds; never a gate. */
  readonly p99Us: number;
  /** Median of the rounds' ratios to the floor. */
  readonly ratio?: number;
  /** The most that the ratio is to be. */
  readonly goal?: number;
}

/** The value below which a share of the sorted samples lies. */
export function percentile(samples: readonly number[], share: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
}

/** Measures the cases in turns. */
export async function measure(cases: readonly Case[], rounds: number, count: number): Promise<Row[]> {
  const samples = new Map<string, number[]>(cases.map(({ name }) => [name, []]));
  const medians = new Map<string, number[]>(cases.map(({ name }) => [name, []]));
  for (const { run } of cases) await run(count);
  for (let round = 0; round < rounds; round++) {
    for (const { name, run } of cases) {
      const times: number[] = [];
      for (let i = 0; i < count; i++) {
        const start = performance.now();
        await run(1);
        times.push((performance.now() - start) * 1000);
      }
      samples.get(name)!.push(...times);
      medians.get(name)!.push(percentile(times, 0.5));
    }
  }
  return cases.map(({ name, floor, goal }) => {
    const all = samples.get(name)!;
    const row = { name, medianUs: percentile(all, 0.5), p99Us: percentile(all, 0.99) };
    if (floor === undefined) return row;
    const own = medians.get(name)!;
    const base = medians.get(floor)!;
    const ratio = percentile(own.map((median, round) => median / base[round]!), 0.5);
    return goal === undefined ? { ...row, ratio } : { ...row, ratio, goal };
  });
}

/** Prints rows as a table, with a word on each goal. */
export function report(title: string, rows: readonly Row[]): void {
  console.log(`\n${title}`);
  console.table(rows.map(({ name, medianUs, p99Us, ratio, goal }) => ({
    case: name,
    "median µs": medianUs.toFixed(1),
    "p99 µs": p99Us.toFixed(1),
    ratio: ratio?.toFixed(2) ?? "",
    goal: goal === undefined ? "" : `≤ ${goal} ${ratio! <= goal ? "met" : "MISSED"}`,
  })));
}
