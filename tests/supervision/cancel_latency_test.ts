/**
 * Case 69: how long a stop takes, for the bench; the test holds it to two seconds only, for machines differ.
 *
 * `BEEP_CANCEL_SAMPLES` sets how many of each; the gate's count is 20, the soak's 2,000.
 */

import { assert, assertEquals } from "@std/assert";
import { report, times } from "./_report.ts";
import { countOf, makePlace, PATIENT, rejection } from "./_servers.ts";

const SAMPLES = countOf("BEEP_CANCEL_SAMPLES", 20);
const DEADLINE_MS = 2_000;

const WAYS: Readonly<Record<string, string>> = {
  "a loop in Python": "begun()\nwhile True: pass",
  "a sleep": "import time\nbegun()\ntime.sleep(600)",
  "a lock wait": "import threading\nlock = threading.Lock()\nlock.acquire()\nbegun()\nlock.acquire()",
  "a wait for a process":
    "import subprocess, sys\nchild = subprocess.Popen(['sleep', '600'])\nbegun()\ntry:\n  child.wait()\nfinally:\n  child.kill(); child.wait()",
};

for (const [what, code] of Object.entries(WAYS)) {
  Deno.test({
    name: `case 69: ${what} on the main thread is stopped`,
    ignore: Deno.build.os === "windows",
    async fn() {
      await using place = await makePlace();
      await using host = await place.start({ limits: PATIENT });
      const took: number[] = [];
      for (let i = 0; i < SAMPLES; i++) {
        const controller = new AbortController();
        const waits = Promise.withResolvers<void>();
        const call = rejection(
          host.evaluate(code, { begun: () => waits.resolve() }, { signal: controller.signal }),
        );
        await waits.promise;
        await host.ping(); // by then it has gone on to what it waits for
        const aborted = performance.now();
        controller.abort("enough");
        assertEquals(await call, "enough");
        took.push(performance.now() - aborted);
      }
      // One may meet the moment in which a machine stands still.
      const late = took.filter((ms) => ms >= DEADLINE_MS);
      assert(late.length <= 1, `${what}: it took ${late.join(", ")} ms`);
      report(`Cancel of ${what} on the main thread`, { count: took.length, ...times(took) });
    },
  });
}
