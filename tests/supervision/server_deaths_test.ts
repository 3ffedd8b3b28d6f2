/**
 * Cases 51, 65, 74: in whatever way a server dies in the middle of calls, every pending call settles with the right error.
 *
 * `BEEP_SERVER_DEATHS` sets how many servers die; the gate's count is 500, the soak's 10,000.
 */

import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { PythonError, ServerExitedError } from "../../core/errors.ts";
import type { PythonHost } from "../../host/mod.ts";
import { report, times } from "./_report.ts";
import { countOf, inBatches, makePlace, type Place, rejection } from "./_servers.ts";

const DEATHS = countOf("BEEP_SERVER_DEATHS", 500);
const DEADLINE_MS = 2_000;
/** What is later than the deadline is done again, for the machine may have stood still; it counts when it is late each time. */
const TRIES = 3;
const LONGEST_MS = 30_000;
const WIDTH = 4;
/** One server after the other takes the place of the dead one; no loop of crashes is wanted here. */
const RESTART = { maxRestarts: Infinity, backoffMs: 0 };

/** A way to die: the code, and what is known of the end. */
interface Way {
  readonly name: string;
  readonly code: string | ((host: PythonHost) => void);
  readonly exitCode: number;
  readonly signal: string | null;
}

const WAYS: readonly Way[] = [
  { name: "os._exit", code: "import os; os._exit(7)", exitCode: 7, signal: null },
  {
    name: "segfault",
    code: "import ctypes; ctypes.string_at(0)",
    exitCode: 139,
    signal: "SIGSEGV",
  },
  { name: "abort", code: "import os; os.abort()", exitCode: 134, signal: "SIGABRT" },
  {
    // C code that does not look whether it got memory.
    name: "out of memory",
    code: `
import ctypes, resource
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.memset(ctypes.c_void_p(libc.malloc(1 << 40)), 0, 1)`,
    exitCode: 139,
    signal: "SIGSEGV",
  },
  { name: "killed", code: (host) => Deno.kill(host.server.pid, "SIGKILL"), exitCode: 137, signal: "SIGKILL" },
  { name: "killed by itself", code: "import os; os.kill(os.getpid(), 9)", exitCode: 137, signal: "SIGKILL" },
  {
    name: "killed on another thread",
    code:
      "import os, threading; threading.Thread(target=os._exit, args=(9,)).start(); threading.Event().wait()",
    exitCode: 9,
    signal: null,
  },
];

/** Lets a server die, in time; gives how long the last of its calls took to settle. */
async function dieInTime(host: PythonHost, way: Way): Promise<number> {
  const late: number[] = [];
  while (late.length < TRIES) {
    const took = await die(host, way);
    if (took < DEADLINE_MS) return took;
    late.push(took);
  }
  throw new Error(`${way.name}: the calls took ${late.join(", ")} ms to settle`);
}

/** Kills the server in the middle of calls; gives how long the last of them took to settle. */
async function die(host: PythonHost, way: Way): Promise<number> {
  const { generation } = host;
  await host.evaluate("import resource; resource.setrlimit(resource.RLIMIT_CORE, (0, 0))");
  const sleep = "import time; time.sleep(600)";
  const pending = [
    host.evaluate(sleep, undefined, { concurrent: true }),
    host.evaluate("import asyncio; await asyncio.sleep(600)"),
    host.callMethod(await host.importModule("time"), "sleep", [600], {}, { concurrent: true }),
  ];
  if (typeof way.code === "string") pending.push(host.evaluate(way.code));
  pending.push(host.evaluate(sleep)); // waits behind it, or is what runs
  const begun = performance.now();
  if (typeof way.code === "function") way.code(host);
  for (const error of await Promise.all(pending.map(rejection))) {
    assertInstanceOf(error, ServerExitedError, way.name);
    assertEquals([error.exitCode, error.signal], [way.exitCode, way.signal], way.name);
  }
  const took = performance.now() - begun;
  assert(took < LONGEST_MS, `${way.name}: the calls took ${took} ms to settle`);
  assertEquals(await host.evaluate("40 + 2"), 42);
  assertEquals(host.generation, generation + 1);
  return took;
}

for (const transport of ["pipe", "http", "rpc"] as const) {
  const deaths = Math.ceil(DEATHS / 3);
  Deno.test({
    name: `case 51: ${deaths} servers that die in the middle of calls reject all of them: ${transport}`,
    ignore: Deno.build.os === "windows",
    async fn() {
      await using place = await makePlace();
      const took: number[] = [];
      const perHost = Math.ceil(deaths / WIDTH);
      await inBatches(WIDTH, WIDTH, async (index) => {
        await using host = await place.start({ transport, restart: RESTART });
        for (let i = 0; i < perHost; i++) {
          took.push(await dieInTime(host, WAYS[(index * perHost + i) % WAYS.length]!));
        }
      });
      assert(took.length >= deaths, `${took.length} of ${deaths} servers died`);
      report(`Deaths of a server over ${transport}, and how long its calls took to settle`, {
        count: took.length,
        "wrong or missing errors": 0,
        ...times(took),
      });
    },
  });
}

Deno.test({
  name: "case 74: memory that is not given is a MemoryError of the call, and the server lives",
  ignore: Deno.build.os === "windows",
  async fn() {
    await using place = await makePlace();
    await using host = await place.start();
    const error = await rejection(host.evaluate("bytearray(1 << 60)"));
    assertInstanceOf(error, PythonError);
    assertEquals(error.pythonType, "MemoryError");
    assertEquals(await host.evaluate("1"), 1);
  },
});

Deno.test({
  name: "case 73: a host keeps its server's lifeline however often garbage is collected",
  ignore: Deno.build.os === "windows",
  async fn() {
    await using place = await makePlace();
    const program = `${place.path}/program.ts`;
    await Deno.writeTextFile(
      program,
      `import { PythonHost } from ${JSON.stringify(import.meta.resolve("../../host/mod.ts"))};
      await using host = await PythonHost.start({ environment: { path: Deno.args[0] } });
      for (let i = 0; i < 20; i++) { gc(); await new Promise((resolve) => setTimeout(resolve, 5)); }
      console.log(await host.evaluate("6 * 7"));`,
    );
    assertEquals(await run(place, program, "--v8-flags=--expose-gc"), "42\n");
  },
});

Deno.test({
  name:
    "case 46: a server outlives the worker thread that started it no longer than its host, and harms nobody",
  ignore: Deno.build.os !== "linux",
  async fn() {
    await using place = await makePlace();
    const program = `${place.path}/program.ts`;
    await Deno.writeTextFile(
      program,
      `import { PythonHost } from ${JSON.stringify(import.meta.resolve("../../host/mod.ts"))};
      const environment = { path: Deno.args[0] };
      await using host = await PythonHost.start({ environment });
      const code = "const { promise, resolve } = Promise.withResolvers(); self.onmessage = resolve; postMessage(1); await promise;";
      const worker = new Worker("data:text/javascript," + encodeURIComponent(code), { type: "module" });
      await new Promise((resolve) => worker.onmessage = resolve);
      worker.terminate(); // its thread ends; the server of this one must not
      await new Promise((resolve) => setTimeout(resolve, 50));
      console.log(await host.evaluate("6 * 7"));`,
    );
    assertEquals(await run(place, program), "42\n");
  },
});

async function run(place: Place, program: string, ...flags: string[]): Promise<string> {
  const config = new URL("../../deno.json", import.meta.url).pathname;
  const { stdout, stderr, success } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "--no-lock", "-c", config, ...flags, program, place.venv],
    env: { NO_COLOR: "1" },
  }).output();
  assert(success, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout);
}
