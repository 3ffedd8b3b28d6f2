/**
 * Runs the Python unit tests, once on each CPython of this machine.
 *
 * @module
 */

import { assert, assertEquals, assertExists } from "@std/assert";
import { join } from "@std/path";
import { findPythons } from "../tools/pythons.ts";
import { readPythonCounts, reportCounts } from "../tools/test_counts.ts";

const ROOT = join(import.meta.dirname!, "..");
/** Far more than they need: it only keeps a hanging test from holding the gate for ever. */
const UNITTEST_TIMEOUT_MS = 15 * 60_000;

const pythons = await findPythons();

for (const python of pythons) {
  Deno.test(`Python unit tests on CPython ${python.version}`, async () => {
    const { success, stderr, stdout } = await new Deno.Command(python.path, {
      args: ["-I", "-B", "-X", "utf8", "-X", "faulthandler", join(ROOT, "tools", "run_unittests.py")],
      cwd: join(ROOT, "servers", "python"),
      stdin: "null",
      signal: AbortSignal.timeout(UNITTEST_TIMEOUT_MS),
    }).output();
    const report = new TextDecoder().decode(stdout);
    const output = `${new TextDecoder().decode(stderr)}\n${report}`;
    const counts = readPythonCounts(report);
    assertExists(counts, `The Python tests did not come to their end:\n${output}`);
    assert(counts.passed + counts.failed > 0, `Found no Python tests:\n${output}`);
    await reportCounts(counts);
    assert(success, output);
    assertEquals(counts.failed, 0, output);
  });
}

if (pythons.length === 0) {
  Deno.test({
    name: "Python unit tests (ignored: this machine has no supported CPython)",
    ignore: true,
    fn: () => {},
  });
}
