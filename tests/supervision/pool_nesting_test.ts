/** Work that a pool's work gives to the pool goes on as soon as it can, and is refused when it never could. */

import { assert, assertEquals, assertInstanceOf, assertStringIncludes } from "@std/assert";
import type { PythonHostBackend } from "../../core/backend.ts";
import { CallTimeoutError, PythonHostError } from "../../core/errors.ts";
import { PythonHostPool, type PythonHostPoolOptions } from "../../host/mod.ts";
import { makePlace, rejection } from "./_servers.ts";

interface Bench extends AsyncDisposable {
  start(options: PythonHostPoolOptions): Promise<PythonHostPool>;
}

async function makeBench(): Promise<Bench> {
  const place = await makePlace();
  return {
    start: (options) => PythonHostPool.start({ environment: { path: place.venv }, ...options }),
    [Symbol.asyncDispose]: () => place[Symbol.asyncDispose](),
  };
}

/** Runs code that calls a function, which gives more work, so many levels deep. */
function runDeep(pool: PythonHostPool, depth: number): Promise<number> {
  const more = () => depth > 1 ? runDeep(pool, depth - 1) : 0;
  return pool.run<number>("more() + 1", { more });
}

function assertDeadlock(error: unknown): void {
  assertInstanceOf(error, PythonHostError);
  assertEquals(error.code, "deadlock");
  assertStringIncludes(error.hint ?? "", "larger size");
}

for (const transport of ["pipe", "http", "rpc"] as const) {
  Deno.test(`work given by a callback is refused when all workers wait for such work: ${transport}`, async () => {
    await using bench = await makeBench();
    await using pool = await bench.start({ size: 2, transport });
    assertEquals(await runDeep(pool, 2), 2);
    const error = await rejection(runDeep(pool, 3));
    assertDeadlock(error);
    assertStringIncludes(
      (error as Error).message,
      "all 2 workers are held by work that waits for a worker itself",
    );
    assertEquals(await runDeep(pool, 2), 2);
    assertEquals(pool.stats().queued, 0);
  });
}

Deno.test("work given by a callback waits while a worker that is not part of it will come free", async () => {
  await using bench = await makeBench();
  await using pool = await bench.start({ size: 2 });
  const independent = pool.run("import time; time.sleep(0.3)");
  assertEquals(await runDeep(pool, 2), 2);
  await independent;
  // And while the other worker is just being replaced.
  const crash = rejection(pool.run("import os; os._exit(1)"));
  assertEquals(await runDeep(pool, 2), 2);
  await crash;
});

Deno.test("work given by the function of a map is refused when all workers wait for such work", async () => {
  await using bench = await makeBench();
  await using pool = await bench.start({ size: 2 });
  const works: ((item: number, backend: PythonHostBackend) => Promise<number>)[] = [
    (item) => pool.run<number>("item", { item }),
    async (item, backend) => {
      // Its own call first, so that the wait comes to be without end only when that is over.
      const [nested] = await Promise.all([
        pool.run<number>("item", { item }),
        backend.evaluate("import time; time.sleep(0.05)"),
      ]);
      return nested;
    },
    async (item) => (await Array.fromAsync(pool.map<number, number>([item], "item")))[0]!,
    async () => {
      await using lent = await pool.use();
      return await lent.evaluate<number>("1");
    },
  ];
  for (const work of works) {
    assertDeadlock(await rejection(Array.fromAsync(pool.map([1, 2, 3], work))));
    assertEquals(await Array.fromAsync(pool.map([7], work)), [work === works[3] ? 1 : 7]); // one worker is enough
  }
});

Deno.test("work that is given and not waited for is done when a worker comes free", async () => {
  await using bench = await makeBench();
  await using pool = await bench.start({ size: 1 });
  const given: Promise<unknown>[] = [];
  const results = pool.map([1, 2], async (item, backend) => {
    given.push(pool.run("1"));
    return await backend.evaluate<number>("import time; time.sleep(0.02); item", { item });
  });
  assertEquals(await Array.fromAsync(results), [1, 2]);
  const give = () => void given.push(pool.run("1"));
  await pool.run("give(); import time; time.sleep(0.02)", { give });
  assertEquals(await Promise.all(given), [1, 1, 1]);
});

Deno.test("a wait that its caller bounds is left to its end", async () => {
  await using bench = await makeBench();
  await using pool = await bench.start({ size: 1 });
  const nested = () => pool.run("1", undefined, { timeoutMs: 50 });
  assertInstanceOf(await rejection(pool.run("nested()", { nested })), CallTimeoutError);
  await using lent = await pool.use();
  assertDeadlock(await rejection(lent.evaluate("nested()", { nested: () => pool.run("1") })));
  assertInstanceOf(await rejection(pool.use({ timeoutMs: 20 })), CallTimeoutError);
  const error = await rejection(pool.use({ timeoutMs: 0 }));
  assert(error instanceof PythonHostError && error.code === "argument");
  assertEquals(await lent.evaluate("1"), 1);
});
