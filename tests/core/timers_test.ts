/** Who waits for a while finds what has come, and finds it too when the program stood still for longer than that. */

import { assertEquals } from "@std/assert";
import { settlesWithin, startTimer } from "../../core/timers.ts";

Deno.test("settlesWithin() tells what has settled, however, from what has not", async () => {
  assertEquals(await settlesWithin(Promise.resolve(1), 0), true);
  assertEquals(await settlesWithin(Promise.reject(new Error("no")), 1_000), true);
  const soon = new Promise((resolve) => setTimeout(resolve, 1));
  assertEquals(await settlesWithin(soon, Infinity), true);
  const never = Promise.withResolvers<void>();
  for (const ms of [0, 1, 30]) {
    const begun = performance.now();
    assertEquals(await settlesWithin(never.promise, ms), false);
    const took = performance.now() - begun;
    assertEquals(took >= ms - 10, true, `it gave up after ${took} of ${ms} ms`); // each part may be early by one
  }
});

Deno.test("settlesWithin() finds what came while the program stood still for longer than it may wait", async () => {
  // Two readings one after the other, each of which the event loop has to look for.
  const child = new Deno.Command(Deno.execPath(), { args: ["--version"], stdout: "piped" }).spawn();
  const ended = (async () => {
    await child.status;
    await child.stdout.bytes();
  })();
  const found = settlesWithin(ended, 100);
  const nobody = new Int32Array(new SharedArrayBuffer(4));
  // Until the process has gone, which only a look that is not ours can tell while this program does nothing.
  const isRunning = (): boolean => {
    const look = new Deno.Command("ps", { args: ["-o", "stat=", "-p", String(child.pid)] }).outputSync();
    return /^[^Z\s]/.test(new TextDecoder().decode(look.stdout));
  };
  Atomics.wait(nobody, 0, 0, 200);
  while (isRunning()) Atomics.wait(nobody, 0, 0, 50);
  assertEquals(await found, true);
});

Deno.test("startTimer() waits for the longest time there is, instead of not at all", async () => {
  let hasFired = false;
  const timers = [2 ** 31, 1e15, Infinity].map((ms) => startTimer(() => hasFired = true, ms));
  await new Promise<void>((resolve) => startTimer(resolve, 20));
  timers.forEach(clearTimeout);
  assertEquals(hasFired, false);
});
