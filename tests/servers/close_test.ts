/** A server ends when it is told to, and the way in which it ends is known, however it ends. */

import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { isAlive, makeWorkbench, PATIENTLY, runFiles, waitForOutput, waitUntilGone } from "./_launch.ts";

Deno.test("close() ends the server in order and takes its files away", async () => {
  await using bench = await makeWorkbench();
  const server = await bench.start();
  assertEquals((await runFiles(bench.context)).length, 2);
  await server.close(PATIENTLY);
  assertEquals(await server.exited, { code: 0, signal: null, stderrTail: "stand-in is up" });
  assertEquals(await runFiles(bench.context), []);
});

Deno.test("case 62: close() again, and at once, is the same close", async () => {
  await using bench = await makeWorkbench();
  await using server = await bench.start();
  await Promise.all([server.close(PATIENTLY), server.close(), server[Symbol.asyncDispose]()]);
  await server.close();
  assertEquals((await server.exited).code, 0);
});

Deno.test("case 61: close() goes down the ladder with a server that hears nothing", async () => {
  await using bench = await makeWorkbench();
  const server = await bench.start({ env: { STAND_IN: "deaf" } });
  await server.close({ graceMs: 50 });
  const { code, signal } = await server.exited;
  // Where the kernel ends the group by the lifeline, its signal comes just before SIGKILL.
  assert(signal === "SIGKILL" || signal === "SIGIO", `ended by ${signal}`);
  assert(code > 128);
  assertEquals(await runFiles(bench.context), []);
});

Deno.test("close() ends a server that is stopped", async () => {
  await using bench = await makeWorkbench();
  const server = await bench.start();
  Deno.kill(server.pid, "SIGSTOP");
  await server.close({ graceMs: 50 });
  assert((await server.exited).signal !== null);
});

Deno.test("close() takes the processes with it that the server started", async () => {
  await using bench = await makeWorkbench();
  const server = await bench.start({ env: { STAND_IN: "children" } });
  const [, pid] = await waitForOutput(() => server.stdout.text, /^child (\d+)$/m);
  assert(await isAlive(Number(pid)));
  await server.close();
  await waitUntilGone(Number(pid));
});

Deno.test("exited tells the code and the last words of a server that ends by itself", async () => {
  await using bench = await makeWorkbench();
  await using server = await bench.start({ env: { STAND_IN: "exit" } });
  server.ref();
  assertEquals(await server.exited, { code: 7, signal: null, stderrTail: "stand-in is up\nabout to exit" });
  await server.close(); // is fine afterwards
  assertEquals(await runFiles(bench.context), []);
});

Deno.test("exited tells the signal that ended a server, whose children go too", async () => {
  await using bench = await makeWorkbench();
  await using server = await bench.start({ env: { STAND_IN: "children" } });
  const [, child] = await waitForOutput(() => server.stdout.text, /^child (\d+)$/m);
  server.ref();
  Deno.kill(server.pid, "SIGKILL");
  const { code, signal } = await server.exited;
  assertEquals([code, signal], [137, "SIGKILL"]);
  await waitUntilGone(Number(child));
});

Deno.test("output is always read, bounded and counted", async () => {
  await using bench = await makeWorkbench();
  let told = 0;
  await using server = await bench.start({
    env: { STAND_IN: "flood" },
    onStdout: (text) => void (told += text.length),
  });
  await waitForOutput(() => server.stderr.text, /flooded/); // it would wait here for ever on a full pipe
  const written = 3000 * 1024;
  await waitForOutput(() => String(told), new RegExp(`^${written}$`));
  assertEquals(server.stdout.text.length, 1024 * 1024);
  assertEquals(server.stdout.droppedBytes, written - 1024 * 1024);
});

Deno.test("an output callback that throws is reported, and stops nothing", async () => {
  await using bench = await makeWorkbench();
  const errors: string[] = [];
  const silent = (): void => {};
  await using server = await bench.start({
    env: { STAND_IN: "children" },
    onStdout: () => {
      throw new Error("callback");
    },
    logger: { debug: silent, info: silent, warn: silent, error: (message) => void errors.push(message) },
  });
  await waitForOutput(() => server.stdout.text, /^child/m);
  assertEquals(errors, ["An output callback threw and is not called any more"]);
});

Deno.test("a server whose entry was replaced leaves the new one alone", async () => {
  await using bench = await makeWorkbench();
  const server = await bench.start({ transport: "http" });
  const [name] = await runFiles(bench.context);
  const path = `${bench.context.runDirectory}/${name}`;
  const other = (await Deno.readTextFile(path)).replace(`"pid":${server.pid}`, `"pid":1`);
  await Deno.writeTextFile(path, other);
  await server.close();
  assertEquals(await Deno.readTextFile(path), other);
});

Deno.test("a start removes the entries of servers that are dead; of many, some each time", async () => {
  await using bench = await makeWorkbench();
  await using living = await bench.start({ name: "living" });
  const directory = bench.context.runDirectory;
  const entry = JSON.parse(await Deno.readTextFile(`${directory}/pipe-living.json`));
  const addDead = async (i: number): Promise<void> => {
    const dead = { ...entry, endpoint: `dead${i}`, address: `${directory}/dead${i}.sock`, pid: 1 };
    await Deno.writeTextFile(`${directory}/pipe-dead${i}.json`, JSON.stringify(dead));
  };
  const entries = async (): Promise<string[]> =>
    (await runFiles(bench.context)).filter((name) => name.endsWith(".json"));
  for (let i = 0; i < 5; i++) await addDead(i);
  await using _second = await bench.start({ name: "second" });
  assertEquals(await entries(), ["pipe-living.json", "pipe-second.json"]);
  for (let i = 0; i < 30; i++) await addDead(i);
  await using _third = await bench.start({ name: "third" });
  const left = (await entries()).length;
  // Eight of the 32 are looked at, two of which may be of servers that live.
  assert(left >= 3 + 22 && left <= 3 + 24, `${left} are left`);
  assertEquals(living.endpoint, "living");
});

Deno.test("the process is not spawned when the working directory is missing", async () => {
  await using bench = await makeWorkbench();
  const error = await assertRejects(() => bench.start({ cwd: `${bench.home}/missing` }));
  assertStringIncludes((error as Error).message, `cannot be run in directory "${bench.home}/missing"`);
  assertEquals(await runFiles(bench.context), []);
});
