/** Hands figures on to the soak, which names a file for them; a test alone does not write any. */

/** Names the file to which each proof adds its figures, as a line of JSON. */
const REPORT_VARIABLE = "BEEP_SOAK_REPORT";

/** Adds figures under the name of what was proved. */
export function report(name: string, figures: Readonly<Record<string, number | string>>): void {
  const path = Deno.env.get(REPORT_VARIABLE);
  if (path === undefined) return;
  Deno.writeTextFileSync(path, JSON.stringify({ name, figures }) + "\n", { append: true });
}

/** Median, 99th percentile and maximum of times, for a report. */
export function times(samples: readonly number[]): Record<string, number> {
  const sorted = [...samples].sort((a, b) => a - b);
  const at = (share: number): number => {
    const value = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
    return Math.round(value * 10) / 10;
  };
  return { "median ms": at(0.5), "p99 ms": at(0.99), "max ms": at(1) };
}
