/** A pool shares work among servers, replaces those that die or have had enough, and refuses nonsense. */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import {
  CallTimeoutError,
  ConnectionClosedError,
  CrashLoopError,
  PythonError,
  PythonHostError,
  ServerExitedError,
} from "../../core/errors.ts";
import type { CallOptions } from "../../core/backend.ts";
import { PythonHostPool, type PythonHostPoolOptions } from "../../host/mod.ts";
import { makePlace, rejection, until } from "./_servers.ts";

const PID = "import os; os.getpid()";
const CRASH = "import os; os._exit(7)";

interface Bench extends AsyncDisposable {
  readonly path: string;
  start(options?: PythonHostPoolOptions): Promise<PythonHostPool>;
}

async function makeBench(): Promise<Bench> {
  const place = await makePlace();
  return {
    path: place.path,
    start: (options = {}) => PythonHostPool.start({ environment: { path: place.venv }, size: 2, ...options }),
    [Symbol.asyncDispose]: () => place[Symbol.asyncDispose](),
  };
}

for (const transport of ["pipe", "http", "rpc"] as const) {
  Deno.test(`run() uses every worker, and each does one thing at a time: ${transport}`, async () => {
    await using bench = await makeBench();
    await using pool = await bench.start({ transport, setup: "import os, time\nbusy = 0" });
    const code = "busy += 1\ntime.sleep(0.02)\nseen = busy\nbusy -= 1\n(os.getpid(), seen, n)";
    const results = await Promise.all(
      Array.from({ length: 12 }, (_, n) => pool.run<[number, number, number]>(code, { n })),
    );
    assertEquals(new Set(results.map(([pid]) => pid)).size, 2);
    assertEquals(results.map(([, seen]) => seen), Array(12).fill(1));
    assertEquals(results.map(([, , n]) => n), Array.from({ length: 12 }, (_, n) => n));
    const stats = pool.stats();
    assertEquals([stats.workers, stats.idle, stats.queued, stats.inFlight], [2, 2, 0, 0]);
    assertEquals(stats.calls, 12 + 2); // and the set-up of each
    assert(stats.bytesSent > 0 && stats.bytesReceived > 0 && stats.latency.p50Ms >= 1);
  });
}

Deno.test("run() rejects with what the code raises, and the worker goes on", async () => {
  await using bench = await makeBench();
  await using pool = await bench.start({ size: 1 });
  assertInstanceOf(await rejection(pool.run("1 / 0")), PythonError);
  assertEquals(await pool.run("1 + 1"), 2);
});

Deno.test("run() counts the wait for a worker towards its deadline and heeds its signal there", async () => {
  await using bench = await makeBench();
  await using pool = await bench.start({ size: 1 });
  const gate = Promise.withResolvers<void>();
  const busy = pool.run("wait()", { wait: () => gate.promise });
  await assertRejects(
    () => pool.run("1", undefined, { timeoutMs: 20 }),
    CallTimeoutError,
    "timeoutMs: 20 ms",
  );
  const signal = AbortSignal.timeout(20);
  assert(await rejection(pool.run("1", undefined, { signal })) === signal.reason);
  assert(await rejection(pool.run("1", undefined, { signal })) === signal.reason); // aborted before
  assertEquals(pool.stats().queued, 0);
  gate.resolve();
  await busy;
  for (const timeoutMs of [0, -1, NaN]) {
    const error = await assertRejects(() => pool.run("1", undefined, { timeoutMs }), PythonHostError);
    assertEquals(error.code, "argument");
  }
  assertEquals(await pool.run("2"), 2);
});

Deno.test("map() works on items in order, by code or by a function, from sync and async input", async () => {
  await using bench = await makeBench();
  await using pool = await bench.start();
  const code = "import time; time.sleep(0.02 if item % 2 else 0); item * item";
  assertEquals(await Array.fromAsync(pool.map([1, 2, 3, 4], code)), [1, 4, 9, 16]);
  async function* items(): AsyncGenerator<number> {
    yield 5;
    yield 6;
  }
  const work = pool.map(items(), async (item, backend) => {
    await using handle = await backend.createObject("collections", "Counter", [[item, item]]);
    return await backend.callMethod<number>(handle, "__getitem__", [item]);
  });
  assertEquals(await Array.fromAsync(work), [2, 2]);
  const unordered = await Array.fromAsync(pool.map([3, 2, 4], code, { ordered: false }));
  assertEquals(unordered.toSorted(), [16, 4, 9]);
});

Deno.test("map() that is left early or fails stops what is under way; the pool goes on", async () => {
  await using bench = await makeBench();
  await using pool = await bench.start();
  for await (const value of pool.map([0, 60, 60], "import time; time.sleep(item); item")) {
    assertEquals(value, 0);
    break;
  }
  const error = await rejection(
    Array.fromAsync(
      pool.map([0, 60], "import time; time.sleep(1 / item) if item == 0 else time.sleep(item)"),
    ),
  );
  assertInstanceOf(error, PythonError);
  const signal = AbortSignal.timeout(30);
  assert(
    await rejection(Array.fromAsync(pool.map([60], "import time; time.sleep(item)", { signal }))) ===
      signal.reason,
  );
  const late = await rejection(
    Array.fromAsync(pool.map([60], "import time; time.sleep(item)", { timeoutMs: 30 })),
  );
  assertInstanceOf(late, CallTimeoutError);
  assertEquals(await pool.run("1"), 1);
});

Deno.test("use() lends one worker until it is given back", async () => {
  await using bench = await makeBench();
  await using pool = await bench.start();
  {
    await using first = await pool.use();
    await using second = await pool.use();
    assert(await first.evaluate(PID) !== await second.evaluate(PID));
    await first.evaluate("x = 1");
    assertEquals(await first.evaluate("x"), 1);
    const waiting = pool.use({ signal: AbortSignal.timeout(20) });
    await assertRejects(() => waiting, DOMException, "due to timeout");
    assertEquals((await first.initialize()).pid, await first.evaluate(PID));
    await Promise.all([first.close(), first.close()]);
    assertEquals(first.isInitialized, false);
    for (
      const call of [() => first.evaluate("1"), () => first.importModule("os"), () => first.initialize()]
    ) {
      await assertRejects(call, ConnectionClosedError, "given back to its pool");
    }
    await using third = await pool.use();
    assertEquals(await third.evaluate("1"), 1);
  }
  assertEquals(pool.stats().idle, 2);
});

Deno.test("a crashed worker's work is rejected, and the worker replaced", async () => {
  await using bench = await makeBench();
  await using pool = await bench.start({ size: 1, setup: "ready = 'yes'" });
  for (let i = 0; i < 8; i++) { // more often than a crash loop would allow: it is the work's fault
    const error = await rejection(pool.run(CRASH));
    assertInstanceOf(error, ServerExitedError);
    assertEquals(error.exitCode, 7);
  }
  assertEquals(await pool.run("ready"), "yes");
  assertEquals([pool.stats().crashes, pool.size], [8, 1]);
});

Deno.test("a crashed worker's work is done again where that is allowed", async () => {
  await using bench = await makeBench();
  await using pool = await bench.start({ crashRetries: 1 });
  const file = `${bench.path}/crashed`;
  const once = `
import os
if not os.path.exists(file):
    open(file, "w").close()
    os._exit(7)
"survived"`;
  assertEquals(await pool.run(once, { file }), "survived");
  assertInstanceOf(await rejection(pool.run(CRASH)), ServerExitedError); // both times
  await Deno.remove(file);
  assertInstanceOf(await rejection(pool.run(once, { file }, { crashRetries: 0 })), ServerExitedError);
  await Deno.remove(file);
  const results = pool.map(
    [1, 2, 3],
    async (item, backend) => [item, await backend.evaluate(once, { file })],
  );
  assertEquals(await Array.fromAsync(results), [1, 2, 3].map((item) => [item, "survived"]));
});

Deno.test("a lent worker that dies rejects its calls; the next one is whole", async () => {
  await using bench = await makeBench();
  await using pool = await bench.start({ size: 1 });
  {
    await using lent = await pool.use();
    assertInstanceOf(await rejection(lent.evaluate(CRASH)), ServerExitedError);
    assertInstanceOf(await rejection(lent.evaluate("1")), PythonHostError);
  }
  await using lent = await pool.use();
  assertEquals(await lent.evaluate("1"), 1);
});

Deno.test("a worker is replaced after enough calls, in age, and when it is large", async () => {
  await using bench = await makeBench();
  const different = async (options: PythonHostPoolOptions, between = "0"): Promise<number> => {
    await using pool = await bench.start({ size: 1, ...options });
    const pids = new Set<number>();
    for (let i = 0; i < 4; i++) {
      pids.add(await pool.run<number>(PID));
      await pool.run(between);
    }
    assertEquals(pool.stats().crashes, 0);
    await until("the last one is back", () => pool.stats().idle === 1);
    return pool.stats().recycled;
  };
  assertEquals(await different({ maxCallsPerWorker: 2 }), 4);
  assertEquals(await different({ maxWorkerAgeMs: 60_000, maxWorkerMemoryBytes: 1e12 }), 0);
  // A quick answer may come within the first millisecond of a worker; this one does not.
  assert(await different({ maxWorkerAgeMs: 1 }, "import time; time.sleep(0.01)") >= 4);
  assertEquals(await different({ maxWorkerMemoryBytes: 150e6 }, "keep = b'x' * 200_000_000; 0"), 4);
});

Deno.test("case 52: a worker that dies at every start is an error, not an endless loop", async () => {
  await using bench = await makeBench();
  const error = await rejection(bench.start({ setup: CRASH }));
  assertInstanceOf(error, ServerExitedError);
  assertInstanceOf(await rejection(bench.start({ setup: "1 / 0" })), PythonError);

  // From the second start on.
  const file = `${bench.path}/started`;
  await using pool = await bench.start({
    size: 1,
    setup: `
import os
if os.path.exists(${JSON.stringify(file)}):
    os._exit(3)`,
  });
  await Deno.writeTextFile(file, "");
  assertInstanceOf(await rejection(pool.run(CRASH)), ServerExitedError);
  const waiting = [rejection(pool.run("1")), rejection(pool.use())];
  for (const error of await Promise.all(waiting)) {
    assertInstanceOf(error, CrashLoopError);
    assertInstanceOf(error.cause, ServerExitedError);
  }
  assertInstanceOf(await rejection(pool.run("1")), CrashLoopError);
  assertEquals(pool.size, 0);
});

Deno.test("case 70: a worker that cannot be interrupted is replaced", async () => {
  await using bench = await makeBench();
  await using pool = await bench.start({
    size: 1,
    uninterruptible: "replace",
    limits: { interruptGraceMs: 100 },
  });
  const hang = pool.run("sum(range(10 ** 12))", undefined, { timeoutMs: 200 });
  await assertRejects(() => hang, CallTimeoutError);
  assertEquals(await pool.run("1"), 1);
});

Deno.test("close() waits for what was given and refuses more; with drainMs 0 it does not wait", async () => {
  await using bench = await makeBench();
  {
    const pool = await bench.start({ size: 1 });
    const given = [1, 2, 3].map((n) => pool.run("import time; time.sleep(0.05); n", { n }));
    const closing = pool.close();
    await assertRejects(() => pool.run("1"), ConnectionClosedError, "it was closed");
    await assertRejects(() => pool.use(), ConnectionClosedError);
    await assertRejects(() => pool.map([1], "1").next(), ConnectionClosedError);
    assertEquals(await Promise.all(given), [1, 2, 3]);
    await Promise.all([closing, pool.close()]);
  }
  const pool = await bench.start({ size: 1 });
  const given = [1, 2].map((n) => rejection(pool.run("import time; time.sleep(60); n", { n })));
  const error = await assertRejects(async () => await pool.close({ drainMs: -1 }), PythonHostError);
  assertStringIncludes(error.message, "drainMs: it must be a number of at least 0, current value is -1");
  await pool.close({ drainMs: 0 });
  for (const error of await Promise.all(given)) assertInstanceOf(error, ConnectionClosedError);
});

Deno.test("numbers that are none are refused before anything is started", async () => {
  for (
    const [name, value] of Object.entries({
      size: 0,
      maxCallsPerWorker: 0,
      setup: 5,
      signal: true,
      maxWorkerAgeMs: NaN,
      maxWorkerMemoryBytes: -1,
      crashRetries: 1.5,
    })
  ) {
    const error = await assertRejects(() => PythonHostPool.start({ [name]: value }), PythonHostError);
    assertEquals(error.code, "argument");
    assertStringIncludes(error.message, `Cannot use ${name}: it must be`);
    assertStringIncludes(error.message, `current value is ${value}`);
  }
  const many = await assertRejects(() => PythonHostPool.start({ size: 1e9 }), PythonHostError);
  assertStringIncludes(
    many.message,
    "size: it must be an integer from 1 to 1024, current value is 1000000000",
  );
  await using bench = await makeBench();
  await using pool = await bench.start({ size: 1 });
  assertInstanceOf(await rejection(pool.run("1", undefined, { crashRetries: -1 })), PythonHostError);
  for (const options of [{ timeoutMs: "5" }, { signal: {} }, { timeoutMs: 0 }] as unknown as CallOptions[]) {
    assertInstanceOf(await rejection(pool.run("1", undefined, options)), PythonHostError);
    assertInstanceOf(await rejection(pool.use(options)), PythonHostError);
    assertThrows(() => pool.map([1], "1", options), PythonHostError);
  }
  try {
    pool.map([1], "1", { maxInFlight: 0 });
    throw new Error("it was let through");
  } catch (error) {
    assertInstanceOf(error, PythonHostError);
  }
  assertEquals(await pool.run("1"), 1);
});

Deno.test("a setup that never ends keeps neither an abort of start() nor close() waiting", async () => {
  await using bench = await makeBench();
  const controller = new AbortController();
  const started = bench.start({
    size: 2,
    signal: controller.signal,
    // One hangs in Python, the other one here.
    setup: async (backend) => {
      if (controller.signal.aborted) return;
      controller.abort("enough");
      await backend.evaluate("import time\nwhile True: time.sleep(1)");
    },
  });
  assertEquals(await rejection(started), "enough");

  let starts = 0;
  const again = Promise.withResolvers<void>();
  const pool = await bench.start({
    size: 1,
    setup: () => {
      if (++starts === 1) return Promise.resolve();
      again.resolve();
      return new Promise(() => {});
    },
  });
  await rejection(pool.run("import os; os._exit(1)"));
  await again.promise;
  await pool.close();
});

Deno.test("start() that is aborted leaves no server", async () => {
  await using bench = await makeBench();
  const controller = new AbortController();
  // On a fast machine they are ready before the signal aborts, and wait for it.
  const setup = "import time; time.sleep(600)";
  const started = bench.start({ size: 4, signal: controller.signal, setup });
  setTimeout(() => controller.abort("enough"), 80);
  assertEquals(await rejection(started), "enough");
});

Deno.test("close() ends a map whose input never comes to its next item, and gives what is under way", async () => {
  await using bench = await makeBench();
  const pool = await bench.start({ size: 1 });
  async function* stuck(): AsyncGenerator<number> {
    yield 1;
    await new Promise<never>(() => {});
  }
  const results = pool.map<number, number>(stuck(), "item + 1");
  assertEquals((await results.next()).value, 2);
  const next = results.next();
  await Promise.all([
    pool.close(),
    assertRejects(() => next, ConnectionClosedError, "Cannot use pool: it was closed"),
  ]);
});

Deno.test("map() refuses what it cannot map, and goes on with the next", async () => {
  await using bench = await makeBench();
  await using pool = await bench.start({ size: 1 });
  for (const items of [5, null, {}]) {
    const refused = assertThrows(() => pool.map(items as unknown as number[], "item"), PythonHostError);
    assertEquals([refused.code, refused.message.includes("iterable")], ["argument", true]);
  }
  const refused = assertThrows(() => pool.map([1], 5 as unknown as string), PythonHostError);
  assertEquals([refused.code, refused.message.includes("work")], ["argument", true]);
  assertEquals(await Array.fromAsync(pool.map("ab", "item")), ["a", "b"]);
});
