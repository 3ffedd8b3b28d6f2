/**
 * Cases 69, 72: cancels that race the end of their call hit it or nothing, on every kind of thread.
 *
 * Each round sends a call that says when it has begun, a bystander right behind it, and aborts the first a few round trips
 * after that (or before it is sent). How long the call takes is steered so that about half of the cancels come in time.
 * `BEEP_CANCEL_RACES` sets how many rounds there are; the gate's count is 10,000, the soak's 200,000. The races inside the
 * server are forced by `servers/python/tests/test_execution.py`.
 */

import { assert, assertEquals } from "@std/assert";
import type { CallOptions } from "../../core/backend.ts";
import type { PythonHost } from "../../host/mod.ts";
import { report } from "./_report.ts";
import { countOf, makePlace, PATIENT } from "./_servers.ts";

const RACES = countOf("BEEP_CANCEL_RACES", 10_000);

/** Where a call runs, how it begins, and what it does then. */
interface Kind {
  readonly name: string;
  readonly options: CallOptions;
  readonly code: string;
}

const LEAST_WORK = 10;
const LOOP = "begun()\nfor i in range(n): pass\n('victim', number)";
const KINDS: readonly Kind[] = [
  { name: "main thread", options: {}, code: LOOP },
  { name: "session thread", options: { session: "other" }, code: LOOP },
  { name: "concurrent", options: { concurrent: true }, code: LOOP },
  {
    name: "coroutine",
    options: {},
    code: "import asyncio\nbegun()\nfor i in range(n // 200): await asyncio.sleep(0)\n('victim', number)",
  },
];

async function race(host: PythonHost, kind: Kind, rounds: number): Promise<number> {
  // Both follow how the last races ended, so that neither side wins most of them, however busy the machine is.
  let n = 2_000;
  let patience = 0;
  let cancelled = 0;
  for (let number = 0; number < rounds; number++) {
    const controller = new AbortController();
    const reason = `stop ${number}`;
    // How late the abort comes, in round trips: Python goes on as soon as `begun` has been answered.
    const trips = number % 3 + 1 + patience;
    const abortLater = async (): Promise<void> => {
      // A call that is hit before its first line may still say that it has begun, when all is over.
      for (let i = 0; i < trips; i++) await host.ping().catch(() => {});
      controller.abort(reason);
    };
    const begun = (): void => void abortLater();
    const victim = host.evaluate(kind.code, { n, number, begun }, {
      ...kind.options,
      signal: controller.signal,
    })
      .catch((error) => error);
    const bystander = host.evaluate<unknown[]>("('bystander', number)", { number }, kind.options)
      .catch((error) => [error]);
    if (number % 50 === 0) controller.abort(reason); // before it is sent
    const settled = await victim;
    if (settled === reason) {
      cancelled++;
      if (n === LEAST_WORK) patience++;
      n = Math.max(LEAST_WORK, Math.floor(n * 0.9));
    } else {
      assert(Array.isArray(settled), `the call was hit by something else: ${settled}`);
      assertEquals([...settled], ["victim", number], kind.name);
      if (patience > 0) patience--;
      else n = Math.min(1_000_000, Math.ceil(n * 1.1));
    }
    const [what, whose] = await bystander;
    assertEquals([what, whose], ["bystander", number], `a bystander was hit: ${kind.name}`);
  }
  return cancelled;
}

for (const transport of ["pipe", "http", "rpc"] as const) {
  const rounds = Math.ceil(
    RACES * (transport === "pipe" ? 0.85 : transport === "http" ? 0.1 : 0.05) / KINDS.length,
  );
  Deno.test(`case 69, 72: ${rounds * KINDS.length} cancels race the end of their calls: ${transport}`, async () => {
    await using place = await makePlace();
    await using host = await place.start({ transport, limits: PATIENT });
    await host.openSession("other");
    // All kinds at once: an interrupt that goes astray has many to hit.
    await Promise.all(KINDS.map(async (kind) => {
      const cancelled = await race(host, kind, rounds);
      assert(
        cancelled > rounds * 0.05 && cancelled < rounds * 0.95,
        `${cancelled} of ${rounds} came in time: ${kind.name}`,
      );
      report(`Races of cancel against finish over ${transport}, ${kind.name}`, {
        count: rounds,
        cancelled,
        "wrong calls hit": 0,
      });
    }));
    const stats = await host.stats();
    assertEquals([stats.inFlight, stats.errors, stats.server!.running], [0, 0, 0]);
  });
}
