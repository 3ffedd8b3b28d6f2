/**
 * Runs the Python unit tests, once on each CPython of this machine.
 *
 * @module
 */

import { assert, assertExists } from "@std/assert";
import { join } from "@std/path";
import { findPythons } from "../tools/pythons.ts";
import { readUnittestCounts, reportCounts } from "../tools/test_counts.ts";

const SERVER_ROOT = join(import.meta.dirname!, "..", "servers", "python");
/** Far more than they need: it only keeps a hanging test from holding the gate for ever. */
const UNITTEST_TIMEOUT_MS = 5 * 60_000;

const pythons = await findPythons();

for (const python of pythons) {
  Deno.test(`Python unit tests on CPython ${python.version}`, async () => {
    const { success, stderr, stdout } = await new Deno.Command(python.path, {
      args: [
        "-I",
        "-B",
        "-X",
        "utf8",
        "-X",
        "faulthandler",
        "-m",
        "unittest",
        "discover",
        "-s",
        "tests",
        "-t",
        ".",
      ],
      cwd: SERVER_ROOT,
      stdin: "null",
      signal: AbortSignal.timeout(UNITTEST_TIMEOUT_MS),
    }).output();
    const output = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
    const counts = readUnittestCounts(output);
    assertExists(counts, `Cannot find unittest's totals in its output:\n${output}`);
    await reportCounts({ ...counts, failed: success ? counts.failed : Math.max(1, counts.failed) });
    assert(success, output);
    assert(counts.passed > 0, `Found no Python tests in ${SERVER_ROOT}:\n${output}`);
  });
}

Deno.test({
  name: "Python unit tests need a CPython on this machine",
  // On a machine without Python the report then shows one ignored test that says why.
  ignore: pythons.length === 0,
  fn: () => assert(pythons.length > 0),
});
