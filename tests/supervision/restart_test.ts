/** A server that ends is started again where that is asked for, and what lived in the old one is stale. */

import { assert, assertEquals, assertInstanceOf, assertRejects, assertStringIncludes } from "@std/assert";
import {
  CallTimeoutError,
  ConnectionClosedError,
  CrashLoopError,
  PythonHostError,
  ServerExitedError,
  StaleHandleError,
} from "../../core/errors.ts";
import type { RestartEvent } from "../../host/mod.ts";
import { RestartLimiter } from "../../host/restart.ts";
import { openSession } from "../../objects/mod.ts";
import { makePlace, rejection, until } from "./_servers.ts";

const CRASH = "import os; os._exit(7)";

for (const transport of ["pipe", "http", "rpc"] as const) {
  Deno.test(`case 53: restart is off unless asked for: ${transport}`, async () => {
    await using place = await makePlace();
    await using host = await place.start({ transport });
    assertInstanceOf(await rejection(host.evaluate(CRASH)), ServerExitedError);
    const { pid } = host.server;
    assertInstanceOf(await rejection(host.evaluate("1")), ServerExitedError);
    assertEquals([host.server.pid, host.generation], [pid, 1]);
  });

  Deno.test(`case 53: after a restart calls work, and handles and sessions of before are stale: ${transport}`, async () => {
    await using place = await makePlace();
    const events: RestartEvent[] = [];
    await using host = await place.start({
      transport,
      restart: { backoffMs: 10, onRestart: (event) => void events.push(event) },
    });
    await host.evaluate("x = 1");
    const handle = await host.createObject("collections", "Counter");
    await using session = await openSession(host, "work");
    await session.evaluate("y = 2");
    const pending = rejection(host.evaluate("import time; time.sleep(60)", undefined, { concurrent: true }));
    const { backend } = host;

    const fatal = await rejection(host.evaluate(CRASH));
    assertInstanceOf(fatal, ServerExitedError);
    assertEquals(fatal.exitCode, 7);
    assertInstanceOf(await pending, ServerExitedError);

    // Made while the next one is started: it waits for it.
    assertEquals(await host.evaluate("'x' in globals()"), false);
    assertEquals([host.generation, host.isInitialized, events.length], [2, true, 1]);
    assertEquals(events[0]!.generation, 2);
    assertInstanceOf(events[0]!.cause, ServerExitedError);

    for (
      const use of [
        () => host.callMethod(handle, "most_common"),
        () => host.getAttribute(handle, "most_common"),
        () => host.setAttribute(handle, "x", 1),
        () => host.createObject(handle as never, "X"),
        () => host.toFloatArray(handle),
        () => host.evaluate("h", { h: handle }),
        () => handle.backend.getAttribute(handle, "most_common"),
        () => backend.evaluate("1"),
        () => session.evaluate("y"),
      ]
    ) await assertRejects(use, StaleHandleError);
    const stale = await assertRejects(() => host.getAttribute(handle, "x"), StaleHandleError);
    assertStringIncludes(stale.message, "generation 1");
    await handle.dispose(); // is nothing to complain about
    await host.disposeHandle(handle);
    assertEquals(await host.evaluate("1 + 1"), 2);
  });
}

Deno.test("case 51, 53: a server that is killed while idle is started again", async () => {
  await using place = await makePlace();
  await using host = await place.start({ restart: true });
  Deno.kill(host.server.pid, "SIGKILL");
  await until("another server", () => host.generation === 2);
  assertEquals(await host.evaluate("6 * 7"), 42);
  const stats = await host.stats();
  assertEquals([stats.generation, stats.restarts], [2, 1]);
});

Deno.test("case 52: a server that ends again and again is a crash loop, by a typed error", async () => {
  await using place = await makePlace();
  await using host = await place.start({ restart: { maxRestarts: 3, backoffMs: 1 } });
  for (let i = 0; i < 4; i++) {
    assertInstanceOf(await rejection(host.evaluate(CRASH)), ServerExitedError);
  }
  const error = await assertRejects(() => host.evaluate("1"), CrashLoopError);
  assertEquals([error.ends, error.windowMs, error.code], [4, 60_000, "crash-loop"]);
  assertInstanceOf(error.cause, ServerExitedError);
  assertEquals(host.isInitialized, false);
  // For good, and closing is still fine.
  assert(await rejection(host.evaluate("1")) === error);
  await host.close();
});

Deno.test("case 52: a server that dies at every start is a crash loop too", async () => {
  await using place = await makePlace();
  await using host = await place.start({ restart: { maxRestarts: 2, backoffMs: 1 } });
  // The next server is one that ends at once.
  await Deno.remove(`${place.venv}/bin/python`);
  await Deno.symlink("/bin/false", `${place.venv}/bin/python`);
  assertInstanceOf(await rejection(host.evaluate(CRASH)), ServerExitedError);
  const error = await assertRejects(() => host.evaluate("1"), CrashLoopError);
  assertStringIncludes(String(error.cause), "before it was ready");
});

Deno.test("a call that waits for the next server keeps its deadline and its signal", async () => {
  await using place = await makePlace();
  await using host = await place.start({ restart: { backoffMs: 60_000, maxBackoffMs: 60_000 } });
  assertInstanceOf(await rejection(host.evaluate(CRASH)), ServerExitedError);
  await until("the end is noticed", () => !host.isInitialized);
  const error = await assertRejects(() => host.evaluate("1", undefined, { timeoutMs: 20 }), CallTimeoutError);
  assertEquals(error.timeoutMs, 20);
  const signal = AbortSignal.timeout(20);
  assert(await rejection(host.evaluate("1", undefined, { signal })) === signal.reason);
  assert(await rejection(host.initialize({ signal })) === signal.reason);
  const waiting = rejection(host.evaluate("1"));
  await host.close(); // ends the wait
  assertInstanceOf(await waiting, ConnectionClosedError);
  assertInstanceOf(await rejection(host.evaluate("1")), ConnectionClosedError);
});

Deno.test("case 62: close() during a restart leaves no server", async () => {
  await using place = await makePlace();
  for (let delayMs = 0; delayMs < 60; delayMs += 12) {
    const host = await place.start({ restart: { backoffMs: 0 } });
    assertInstanceOf(await rejection(host.evaluate(CRASH)), ServerExitedError);
    await new Promise((resolve) => setTimeout(resolve, delayMs));
    await Promise.all([host.close(), host.close()]);
    await host.server.exited;
  }
});

Deno.test("case 70: a call that cannot be interrupted has its server replaced, where that is asked for", async () => {
  await using place = await makePlace();
  await using host = await place.start({
    uninterruptible: "replace",
    limits: { interruptGraceMs: 100 },
  });
  const { pid } = host.server;
  const bystander = rejection(host.evaluate("import time; time.sleep(60)", undefined, { concurrent: true }));
  // It holds the GIL in C code, which looks at no signal.
  const code = "sum(range(10 ** 12))";
  // A stop that comes before the code has begun keeps it from beginning, and replaces nothing: then later.
  const replacedAfter = async (stop: (ms: number) => Promise<void>): Promise<void> => {
    const { generation } = host;
    for (let ms = 100; ms <= 6400; ms *= 2) {
      await stop(ms);
      assertEquals(await host.evaluate("1 + 1"), 2);
      if (host.generation > generation) break;
    }
    assertEquals(host.generation, generation + 1);
  };
  await replacedAfter(async (timeoutMs) => {
    const error = await assertRejects(() => host.evaluate(code, undefined, { timeoutMs }), CallTimeoutError);
    assertEquals(error.timeoutMs, timeoutMs);
  });
  assertInstanceOf(await bystander, ServerExitedError);
  assert(host.server.pid !== pid);

  await replacedAfter(async (ms) => {
    const controller = new AbortController();
    const call = rejection(host.evaluate(code, undefined, { signal: controller.signal }));
    setTimeout(() => controller.abort("enough"), ms);
    assertEquals(await call, "enough");
  });
  assertEquals(host.generation, 3);
});

Deno.test("options that are none are refused before a server is started", async () => {
  await using place = await makePlace();
  for (const [name, value] of Object.entries({ maxRestarts: -1, windowMs: NaN, backoffMs: "1" as never })) {
    const error = await assertRejects(() => place.start({ restart: { [name]: value } }), PythonHostError);
    assertEquals(error.code, "argument");
    assertStringIncludes(
      error.message,
      `${name}: it must be a number of at least 0, current value is ${Deno.inspect(value)}`,
    );
  }
  const error = await assertRejects(
    () => place.start({ uninterruptible: "kill" as "replace" }),
    PythonHostError,
  );
  assertStringIncludes(error.message, '"kill": it is "reject" or "replace"');
  for (const startTimeoutMs of [0, NaN, "1" as never]) {
    const error = await assertRejects(() => place.start({ startTimeoutMs }), PythonHostError);
    assertEquals(error.code, "argument");
    assertStringIncludes(error.message, `startTimeoutMs: it must be a number above 0, current value is`);
  }
});

Deno.test("a server may be given for ever to start", async () => {
  await using place = await makePlace();
  await using host = await place.start({ startTimeoutMs: Infinity });
  assertEquals(await host.evaluate("1 + 1"), 2);
});

Deno.test("RestartLimiter waits twice as long each time, up to a bound, and forgets what is long ago", () => {
  const limiter = new RestartLimiter({ maxRestarts: 3, windowMs: 1000, backoffMs: 100, maxBackoffMs: 250 });
  const cause = new ServerExitedError("go on", { code: 1, signal: null, stderrTail: "" });
  assertEquals([0, 10, 20].map((now) => limiter.noteEnd(cause, now)), [100, 200, 250]);
  assertEquals(limiter.noteEnd(cause, 1005), 250);
  assertEquals(limiter.noteEnd(cause, 5000), 100);
  limiter.noteEnd(cause, 5001);
  limiter.noteEnd(cause, 5002);
  try {
    limiter.noteEnd(cause, 5003);
  } catch (error) {
    assertInstanceOf(error, CrashLoopError);
    assert(error.cause === cause);
    return;
  }
  throw new Error("the fourth end within the window was let through");
});
