/**
 * The totals and the failures that the gate prints are read from real reports, not guessed.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { addCounts, readDenoCounts, readDenoErrors, readPythonCounts } from "../../tools/test_counts.ts";

const DENO_REPORTS: readonly [string, ReturnType<typeof readDenoCounts>][] = [
  ["\nok | 8 passed | 0 failed (37ms)\n", { passed: 8, failed: 0, skipped: 0 }],
  ["FAILED | 28 passed (4 steps) | 3 failed (1 step) | 2 ignored (231ms)", {
    passed: 28,
    failed: 3,
    skipped: 2,
  }],
  ["ok | 1 passed (2 steps) | 0 failed | 1 ignored (1 step) (2m3s)", { passed: 1, failed: 0, skipped: 1 }],
  ["ok | 9 passed | 9 failed\nok | 1 passed | 0 failed (1ms)\n", { passed: 1, failed: 0, skipped: 0 }],
  ['a test named "ok | 9 passed | 9 failed"', undefined],
  ["error: Type checking failed.", undefined],
];

for (const [report, expected] of DENO_REPORTS) {
  Deno.test(`readDenoCounts - ${JSON.stringify(report)}`, () =>
    assertEquals(readDenoCounts(report), expected));
}

const PYTHON_REPORTS: readonly [string, ReturnType<typeof readPythonCounts>][] = [
  ['Ran 4 tests\n\nOK\n\n{"passed": 4, "failed": 0, "skipped": 1}\n', { passed: 4, failed: 0, skipped: 1 }],
  ['{"passed": 4, "failed": 0, "skipped": 1}\r\n', { passed: 4, failed: 0, skipped: 1 }],
  ['{"passed": 4, "failed": 0, "skipped": 1}\nFatal Python error: Aborted\n', undefined],
  ["", undefined],
];

for (const [report, expected] of PYTHON_REPORTS) {
  Deno.test(`readPythonCounts - ${JSON.stringify(report)}`, () =>
    assertEquals(readPythonCounts(report), expected));
}

Deno.test("addCounts - adds up", () => {
  assertEquals(addCounts([]), { passed: 0, failed: 0, skipped: 0 });
  const one = { passed: 1, failed: 2, skipped: 3 };
  assertEquals(addCounts([one, one]), { passed: 2, failed: 4, skipped: 6 });
});

Deno.test("readDenoErrors - gives what is said of each failed test, and nothing else", () => {
  const report = [
    "one fails ... FAILED (1ms)",
    "",
    " ERRORS ",
    "",
    "one fails => ./one_test.ts:1:6",
    "error: Error: because of 5",
    "    at file:///one_test.ts:1:60",
    "",
    " FAILURES ",
    "",
    "one fails => ./one_test.ts:1:6",
    "",
    "FAILED | 2 passed | 1 failed (50ms)",
  ].join("\n");
  assertEquals(
    readDenoErrors(report),
    "one fails => ./one_test.ts:1:6\nerror: Error: because of 5\n    at file:///one_test.ts:1:60",
  );
  assertEquals(readDenoErrors("ok | 8 passed | 0 failed (37ms)"), "");
  const long = `\n ERRORS \n${"x".repeat(30_000)}\n FAILURES \n`;
  assertEquals(readDenoErrors(long).length, 20_000 + "\n(and more)".length);
});
