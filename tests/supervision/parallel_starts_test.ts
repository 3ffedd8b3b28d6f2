/**
 * Case 57: servers that are started at once do not collide.
 *
 * `BEEP_PARALLEL_STARTS` sets how many; the gate's count is 100, the soak's 500.
 */

import { assertEquals } from "@std/assert";
import type { PythonHost } from "../../host/mod.ts";
import { report } from "./_report.ts";
import { countOf, makePlace } from "./_servers.ts";

const STARTS = countOf("BEEP_PARALLEL_STARTS", 100);

Deno.test(`case 57: ${STARTS} servers are started at once`, async () => {
  await using place = await makePlace();
  await using hosts = new AsyncDisposableStack();
  const begun = performance.now();
  const started = await Promise.all(Array.from({ length: STARTS }, async (_, index): Promise<PythonHost> => {
    // A fresh home, so that all of them want to write the sources too.
    const transport = index % 2 === 0 ? "pipe" : "http";
    return hosts.use(await place.start({ transport, startTimeoutMs: 120_000 }));
  }));
  const took = performance.now() - begun;
  const addresses = new Set(started.map(({ server }) => server.address));
  const pids = await Promise.all(started.map((host) => host.evaluate<number>("import os; os.getpid()")));
  assertEquals([addresses.size, new Set(pids).size], [STARTS, STARTS]);
  assertEquals(pids, started.map(({ server }) => server.pid));
  report("Servers started at once", { count: STARTS, collisions: 0, "all ready after ms": Math.round(took) });
});
