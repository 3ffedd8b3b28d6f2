/**
 * Reading what `deno test` and `run_unittests.py` print: their totals, which are added up and handed on, and what failed.
 *
 * @module
 */

/** How many tests ended how. */
export interface TestCounts {
  /** Tests that passed. */
  readonly passed: number;
  /** Tests that failed, or could not be run. */
  readonly failed: number;
  /** Tests that were skipped. */
  readonly skipped: number;
}

/** Names the file to which each run of Python's tests adds its counts, as a line of JSON. */
export const COUNTS_FILE_VARIABLE = "BEEP_TEST_COUNTS";

const MAX_ERRORS = 20_000;

/** The totals in the output of `deno test`; undefined when it has none. */
export function readDenoCounts(output: string): TestCounts | undefined {
  const summary =
    /^(?:ok|FAILED) \| (\d+) passed(?: \([^)]*\))? \| (\d+) failed(?: \([^)]*\))?(?: \| (\d+) ignored)?/gm;
  // What tests print stands before it.
  const found = [...output.matchAll(summary)].at(-1);
  if (found === undefined) return undefined;
  return { passed: Number(found[1]), failed: Number(found[2]), skipped: Number(found[3] ?? 0) };
}

/** What `deno test` says of the tests that failed; empty when none has. Long ones are cut. */
export function readDenoErrors(output: string): string {
  const begun = output.lastIndexOf("\n ERRORS \n");
  const ended = output.lastIndexOf("\n FAILURES \n");
  if (begun === -1 || ended < begun) return "";
  const errors = output.slice(begun + "\n ERRORS \n".length, ended).trim();
  return errors.length <= MAX_ERRORS ? errors : `${errors.slice(0, MAX_ERRORS)}\n(and more)`;
}

/** The totals that `run_unittests.py` prints as its last line; undefined when it did not come to that. */
export function readPythonCounts(output: string): TestCounts | undefined {
  const last = output.trimEnd().split("\n").at(-1)!;
  return /^\{"passed": \d+, "failed": \d+, "skipped": \d+\}$/.test(last.trimEnd())
    ? JSON.parse(last)
    : undefined;
}

/** The sum. */
export function addCounts(all: readonly TestCounts[]): TestCounts {
  return all.reduce((sum, counts) => ({
    passed: sum.passed + counts.passed,
    failed: sum.failed + counts.failed,
    skipped: sum.skipped + counts.skipped,
  }), { passed: 0, failed: 0, skipped: 0 });
}

/** Hands counts on to the gate, when it runs this test. */
export async function reportCounts(counts: TestCounts): Promise<void> {
  const path = Deno.env.get(COUNTS_FILE_VARIABLE);
  if (path !== undefined) await Deno.writeTextFile(path, JSON.stringify(counts) + "\n", { append: true });
}

/** The counts that were handed on through the file. */
export async function readReportedCounts(path: string): Promise<TestCounts[]> {
  const lines = (await Deno.readTextFile(path)).split("\n").filter((line) => line !== "");
  return lines.map((line) => JSON.parse(line));
}
