/**
 * The totals that the gate prints are read from real reports, not guessed.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { addCounts, readDenoCounts, readUnittestCounts } from "../../tools/test_counts.ts";

const DENO_REPORTS: readonly [string, ReturnType<typeof readDenoCounts>][] = [
  ["\nok | 8 passed | 0 failed (37ms)\n", { passed: 8, failed: 0, skipped: 0 }],
  ["FAILED | 28 passed (4 steps) | 3 failed (1 step) | 2 ignored (231ms)", {
    passed: 28,
    failed: 3,
    skipped: 2,
  }],
  ["ok | 1 passed (2 steps) | 0 failed | 1 ignored (1 step) (2m3s)", { passed: 1, failed: 0, skipped: 1 }],
  ["error: Type checking failed.", undefined],
];

for (const [report, expected] of DENO_REPORTS) {
  Deno.test(`readDenoCounts - ${JSON.stringify(report)}`, () =>
    assertEquals(readDenoCounts(report), expected));
}

const UNITTEST_REPORTS: readonly [string, ReturnType<typeof readUnittestCounts>][] = [
  ["....\nRan 4 tests in 0.001s\n\nOK\n", { passed: 4, failed: 0, skipped: 0 }],
  ["Ran 1 test in 0.001s\n\nOK (skipped=1)\n", { passed: 0, failed: 0, skipped: 1 }],
  [
    "Ran 9 tests in 1.2s\n\nFAILED (failures=1, errors=2, skipped=1, expected failures=1, unexpected successes=1)\n",
    { passed: 4, failed: 4, skipped: 1 },
  ],
  ["Ran 1 test in 0.1s\n\nFAILED (failures=3)\n", { passed: 0, failed: 3, skipped: 0 }],
  ["\nRan 0 tests in 0.000s\n\nNO TESTS RAN\n", { passed: 0, failed: 0, skipped: 0 }],
  ["Fatal Python error: Segmentation fault", undefined],
];

for (const [report, expected] of UNITTEST_REPORTS) {
  Deno.test(`readUnittestCounts - ${JSON.stringify(report)}`, () => {
    assertEquals(readUnittestCounts(report), expected);
  });
}

Deno.test("addCounts - adds up", () => {
  assertEquals(addCounts([]), { passed: 0, failed: 0, skipped: 0 });
  const one = { passed: 1, failed: 2, skipped: 3 };
  assertEquals(addCounts([one, one]), { passed: 2, failed: 4, skipped: 6 });
});
