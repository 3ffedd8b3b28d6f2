/** Who waits for workers that are all lent, and that nobody uses, is told after a while. */

import { assertEquals, assertInstanceOf, assertStringIncludes } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import type { PythonHostBackend } from "../../core/backend.ts";
import { PythonHostError } from "../../core/errors.ts";
import { PythonHostPool } from "../../host/mod.ts";
import { PythonHostPipe } from "../../transports/mod.ts";
import { makePlace, rejection } from "./_servers.ts";

const QUIET_MS = 30_000;
/** Answered on the control lane: no timer of the connection's opening is left when the clock is replaced. */
async function setup(python: PythonHostBackend): Promise<void> {
  assertInstanceOf(python, PythonHostPipe);
  await python.ping();
}

Deno.test("work given inside a use() block that holds the only worker is refused, and not before that is certain", async () => {
  await using place = await makePlace();
  await using pool = await PythonHostPool.start({ environment: { path: place.venv }, size: 1, setup });
  const called = Promise.withResolvers<string>();
  const answer = Promise.withResolvers<number>();
  {
    await using lent = await pool.use();
    using time = new FakeTime();
    let settled = 0;
    const count = (error: unknown) => (settled++, error);
    const refused = [rejection(pool.run("1")).then(count), rejection(pool.use()).then(count)];
    const patient = pool.run("'it was patient'", {}, { timeoutMs: 10 * QUIET_MS });

    // A call on the lent worker begins the time anew, and while it runs there is none.
    time.tick(QUIET_MS - 1);
    assertEquals(await lent.evaluate("1 + 1"), 2);
    const ask = () => (called.resolve("called"), answer.promise);
    const running = lent.evaluate("ask()", { ask });
    await called.promise;
    time.tick(2 * QUIET_MS);
    answer.resolve(5);
    assertEquals(await running, 5);
    time.tick(QUIET_MS - 1);
    assertEquals([settled, pool.stats().queued], [0, 3]);

    time.tick(1);
    for (const error of await Promise.all(refused)) {
      assertInstanceOf(error, PythonHostError);
      assertEquals(error.code, "deadlock");
      assertStringIncludes(error.message, "the only worker is lent by use()");
      assertStringIncludes(error.hint!, "on the backend that use() gave");
    }
    assertEquals(pool.stats().queued, 1);
    time.restore();
    await lent.close();
    assertEquals(await patient, "it was patient");
  }
  assertEquals(await pool.run("1"), 1);
});

Deno.test("work waits as long as it takes while one worker is not lent", async () => {
  await using place = await makePlace();
  await using pool = await PythonHostPool.start({ environment: { path: place.venv }, size: 2, setup });
  const answer = Promise.withResolvers<number>();
  await using _lent = await pool.use();
  const called = Promise.withResolvers<void>();
  const running = pool.run("ask()", { ask: () => (called.resolve(), answer.promise) });
  await called.promise;
  using time = new FakeTime();
  const waiting = pool.run("2");
  time.tick(10 * QUIET_MS);
  answer.resolve(1);
  assertEquals(await Promise.all([running, waiting]), [1, 2]);
});
