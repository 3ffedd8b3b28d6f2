// Clients that are killed in the middle of their calls: their server loses neither threads nor descriptors, and their calls end.

import { assertEquals } from "@std/assert";
import { descriptorsOf, threadsOf } from "../supervision/_processes.ts";
import { countOf, inBatches, until } from "../supervision/_servers.ts";
import { RawPipe } from "../security/_pipe.ts";
import { startBench, TRANSPORTS } from "../output/_server.ts";

// On a pipe each has two connections, and of those that have shown no token yet a server keeps 32.
const CLIENTS_OF_A_PROGRAM = 8;
/** The threads of concurrent calls, which stay: `maxConcurrentCalls`. */
const POOL_THREADS = 32;
/** How many programs run at once. */
const WIDTH = 2;
/** A connection or two that the runtime may open beyond the number of calls, with the pairs that wake their threads. */
const SPARE_SOCKETS = 6;
/** How many clients leave; `deno task soak` sets more. */
const CLIENTS = countOf("BEEP_TEST_DEPARTURES", 200);

/** A program whose clients each are in the middle of a call when it ends itself, the hard way. */
const PROGRAM = `
  import { PythonHostHttp, PythonHostPipe } from ${
  JSON.stringify(import.meta.resolve("../../transports/mod.ts"))
};
  const [transport, address, token, count] = JSON.parse(Deno.args[0]);
  const Backend = transport === "pipe" ? PythonHostPipe : PythonHostHttp;
  let running = 0;
  for (let i = 0; i < count; i++) {
    const python = new Backend(address, { token });
    const isRunning = () => ++running === count && Deno.kill(Deno.pid, "SIGKILL");
    // In Python code, in short sleeps (off the main thread nothing breaks a long one), at an await, in a question to this program.
    const code = [
      "isRunning()\\nwhile True: pass",
      "isRunning()\\nimport time\\nwhile True: time.sleep(0.01)",
      "isRunning()\\nimport asyncio; await asyncio.sleep(1000)",
      "isRunning()\\nwait()",
    ][i % 4];
    const wait = () => new Promise(() => {});
    python.evaluate(code, { isRunning, wait }, { concurrent: i % 8 > 3 })
      .catch((error) => (console.error(error), Deno.exit(1)));
  }
  setInterval(() => {}, 1000);`;

/** Waits until a count of the server has come down. */
async function atMost(what: string, most: number, count: () => number): Promise<void> {
  let last = NaN;
  const isDown = (): boolean => (last = count()) <= most;
  await until(`at most ${most} ${what}`, isDown).catch((cause) => {
    throw new Error(`The server has ${last} ${what}`, { cause });
  });
}

for (const transport of TRANSPORTS) {
  Deno.test({
    name: `case 83: ${CLIENTS} clients that are killed in the middle of a call leave nothing: ${transport}`,
    ignore: Deno.build.os !== "linux", // counts what /proc tells
    async fn() {
      // Those who left are counted until the server has noticed, and a session over HTTP is kept for its client a while.
      await using bench = await startBench(transport, {
        limits: { maxConnections: 1000, sessionIdleMs: 5000 },
      });
      const { backend, server } = bench;
      const leave = async (count: number): Promise<void> => {
        const { signal, stderr } = await new Deno.Command(Deno.execPath(), {
          args: [
            ...["run", "-A", "--no-check", "--no-lock", "-c"],
            new URL("../../deno.json", import.meta.url).pathname,
            `data:application/typescript,${encodeURIComponent(PROGRAM)}`,
            JSON.stringify([transport, server.address, server.token, count]),
          ],
        }).output();
        assertEquals(signal, "SIGKILL", new TextDecoder().decode(stderr));
      };
      const running = async () => (await backend.stats()).running;
      await leave(CLIENTS_OF_A_PROGRAM); // starts what stays: the threads of concurrent calls, the event loop
      await until("the first have ended", async () => await running() === 0);
      // As many at once as there will be: connections over HTTP are kept, and come to their number.
      await Promise.all(
        Array.from({ length: WIDTH + 1 }, () => backend.evaluate("import time; time.sleep(0.05)")),
      );
      const threads = threadsOf(server.pid);
      const descriptors = descriptorsOf(server.pid);
      await inBatches(CLIENTS / CLIENTS_OF_A_PROGRAM, WIDTH, async () => {
        await leave(CLIENTS_OF_A_PROGRAM);
        assertEquals(await backend.evaluate("6 * 7"), 42);
      });
      await until("all calls have ended", async () => await running() === 0);
      await atMost("threads", threads + POOL_THREADS, () => threadsOf(server.pid));
      await atMost("sockets", descriptors.sockets + SPARE_SOCKETS, () => descriptorsOf(server.pid).sockets);
      await atMost("other descriptors", descriptors.others, () => descriptorsOf(server.pid).others);
      assertEquals(await backend.evaluate("6 * 7"), 42);
    },
  });
}

Deno.test("case 83: a client of a pipe that leaves before its second lane is open ends its call, too", async () => {
  await using bench = await startBench("pipe");
  const running = async () => (await bench.backend.stats()).running;
  {
    const [lane] = await RawPipe.join(bench.server);
    using _lane = lane;
    await lane.send([1, "evaluate", ["while True: pass", {}]]);
    await until("it runs", async () => await running() === 1);
  }
  await until("it has ended", async () => await running() === 0);
});
