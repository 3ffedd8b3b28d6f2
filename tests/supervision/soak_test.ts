/**
 * Mixed work for a while, after which there are no more descriptors, threads or zombies than before, on either side.
 *
 * `BEEP_SOAK_SECONDS` sets how long; the gate's time is 60, the soak's 7,200. `BEEP_SOAK_SEED` repeats a run.
 */

import { assert, assertEquals } from "@std/assert";
import { CallTimeoutError, PythonError, ServerExitedError } from "../../core/errors.ts";
import { type PythonHost, PythonHostPool } from "../../host/mod.ts";
import { openSession } from "../../objects/mod.ts";
import { descriptorsOf, memoryOf, threadsOf, zombiesOf } from "./_processes.ts";
import { report } from "./_report.ts";
import { countOf, makePlace, PATIENT, type Place, rejection } from "./_servers.ts";

const SECONDS = countOf("BEEP_SOAK_SECONDS", 60);
const SEED = countOf("BEEP_SOAK_SEED", Math.floor(Math.random() * 2 ** 31) + 1);
const WIDTH = 6;
/** What there may be more of than at first without growing: what comes and goes with the work of the moment. */
const SLACK = 4;
/** Connections of HTTP are kept for later, as many as were ever needed at once; their server has a thread for each. */
const CONNECTION_SLACK = 8;
/** The connection, and the pair by which its thread is woken. */
const SOCKETS_OF_A_CONNECTION = 3;
/** Longer than a runtime keeps a thread or a connection for which there is no work, and a collected handle waits. */
const LET_GO_MS = 30_000;
const MAX_MEMORY_GROWTH = 1.5;

/** Numbers below `n` that a seed repeats (xorshift). */
function randomOf(seed: number): (n: number) => number {
  let state = seed | 1;
  return (n) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % n;
  };
}

type Work = (host: PythonHost, n: number) => Promise<void>;

const WORK: readonly Work[] = [
  async (host, n) => assertEquals(await host.evaluate("n * 2", { n }), n * 2),
  async (host, n) => {
    const bytes = new Uint8Array(n * 100).fill(n);
    assertEquals(await host.evaluate("value", { value: bytes }), bytes);
  },
  async (host, n) => {
    await using counter = await host.createObject("collections", "Counter", ["a".repeat(n)]);
    assertEquals(await host.callMethod(counter, "__getitem__", ["a"]), n);
  },
  async (host) => void await host.evaluate("object()"), // a handle that is forgotten
  async (host, n) => assertEquals(await host.evaluate("twice(n)", { n, twice: (x: number) => 2 * x }), 2 * n),
  async (host, n) => {
    let text = "";
    await host.evaluate("print(n)", { n }, { onStdout: (part) => text += part });
    assertEquals(text, `${n}\n`);
  },
  async (host) => {
    const error = await rejection(host.evaluate("1 / 0"));
    assert(error instanceof PythonError && error.pythonType === "ZeroDivisionError", String(error));
  },
  async (host) => {
    const error = await rejection(host.evaluate("while True: pass", undefined, { timeoutMs: 5 }));
    assert(error instanceof CallTimeoutError, String(error));
  },
  async (host) => {
    const code = "import asyncio; await asyncio.sleep(60)";
    const error = await rejection(host.evaluate(code, undefined, { timeoutMs: 5 }));
    assert(error instanceof CallTimeoutError, String(error));
  },
  async (host, n) => {
    assertEquals(await host.evaluate("import time; time.sleep(0.001); n", { n }, { concurrent: true }), n);
  },
  async (host, n) => {
    await using session = await openSession(host);
    await session.evaluate("kept = n", { n });
    assertEquals(await session.evaluate("kept"), n);
  },
  async (host) => {
    const code = "import subprocess, sys; subprocess.run([sys.executable, '-I', '-S', '-c', '']).returncode";
    assertEquals(await host.evaluate(code), 0);
  },
];

/** Does of each kind as much at once as there will ever be: threads and connections, which are kept, come to their number. */
async function saturate(host: PythonHost): Promise<void> {
  const atOnce = (work: (n: number) => Promise<unknown>): Promise<unknown> =>
    Promise.all(Array.from({ length: WIDTH }, (_, n) => work(n + 1)));
  await host.evaluate("import threading\nmeeting = threading.Barrier(width)", { width: WIDTH });
  await atOnce(() => host.evaluate("meeting.wait()", undefined, { concurrent: true }));
  for (const work of WORK) await atOnce((n) => work(host, n));
}

/** Sets a host to work until the time is over; gives how many pieces it did. */
async function workOn(host: PythonHost, until: number, random: (n: number) => number): Promise<number> {
  let done = 0;
  await Promise.all(Array.from({ length: WIDTH }, async () => {
    while (performance.now() < until) {
      await WORK[random(WORK.length)]!(host, random(1000) + 1);
      done++;
    }
  }));
  return done;
}

/** Starts, crashes and closes hosts and pools until the time is over; gives how many servers there were. */
async function churn(place: Place, until: number, random: (n: number) => number): Promise<number> {
  let servers = 0;
  while (performance.now() < until) {
    {
      await using host = await place.start({
        transport: random(2) === 0 ? "pipe" : "http",
        restart: { backoffMs: 0 },
      });
      const fatal = await rejection(host.evaluate("import os; os._exit(5)"));
      assert(fatal instanceof ServerExitedError, String(fatal));
      assertEquals(await host.evaluate("1"), 1);
      servers += 2;
    }
    const options = { environment: { path: place.venv }, size: 2, maxCallsPerWorker: 3 };
    await using pool = await PythonHostPool.start(options);
    const results = await Array.fromAsync(pool.map([1, 2, 3, 4, 5, 6, 7, 8], "item + 1"));
    assertEquals(results, [2, 3, 4, 5, 6, 7, 8, 9]);
    servers += 2 + pool.stats().recycled;
    await new Promise((resolve) => setTimeout(resolve, 200)); // leaves room for the work beside it
  }
  return servers;
}

/** What may not grow: of this program, and of the servers. */
function measure(hosts: readonly PythonHost[]): Record<string, number> {
  const pids = hosts.map(({ server }) => server.pid);
  const sum = (of: (pid: number) => number): number => pids.reduce((total, pid) => total + of(pid), 0);
  return {
    "host files": descriptorsOf("self").others,
    "host sockets": descriptorsOf("self").sockets,
    "host threads": threadsOf("self"),
    "host zombies": zombiesOf(Deno.pid).length,
    "server files": sum((pid) => descriptorsOf(pid).others),
    "server sockets": sum((pid) => descriptorsOf(pid).sockets),
    "server threads": sum(threadsOf),
    "server zombies": sum((pid) => zombiesOf(pid).length),
  };
}

/** By how much each count may be higher than at first. */
function slackOf(name: string): number {
  if (name.endsWith("sockets")) return CONNECTION_SLACK * SOCKETS_OF_A_CONNECTION;
  return name === "server threads" ? CONNECTION_SLACK : SLACK;
}

/** Asks until the answer is empty, and gives the last one: what is kept for a time only has not grown. */
async function whatStays(ask: () => string[] | Promise<string[]>): Promise<string[]> {
  const deadline = performance.now() + LET_GO_MS;
  for (;;) {
    const found = await ask();
    if (found.length === 0 || performance.now() > deadline) return found;
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}

/** The counts that are higher than they may be. */
function grown(before: Readonly<Record<string, number>>, hosts: readonly PythonHost[]): string[] {
  return Object.entries(measure(hosts))
    .filter(([name, count]) => count > before[name]! + slackOf(name))
    .map(([name, count]) => `${name} grew from ${before[name]} to ${count}`);
}

/** The servers that take up more memory than they may. */
function swollen(before: readonly number[], hosts: readonly PythonHost[]): string[] {
  return hosts
    .map(({ server }, index) => [before[index]!, memoryOf(server.pid)] as const)
    .filter(([first, last]) => last > first * MAX_MEMORY_GROWTH)
    .map(([first, last]) => `A server grew from ${first} to ${last} bytes`);
}

/** The calls that a host or its server still counts as running. */
async function running(hosts: readonly PythonHost[]): Promise<string[]> {
  const stats = await Promise.all(hosts.map((host) => host.stats()));
  return stats.flatMap(({ inFlight, server }, index) =>
    inFlight === 0 && server!.running === 0
      ? []
      : [`Host ${index} has ${inFlight} calls in flight, its server runs ${server!.running}`]
  );
}

Deno.test({
  name: `mixed work for ${SECONDS} s lets nothing grow`,
  // Looks into /proc.
  ignore: Deno.build.os !== "linux",
  async fn() {
    await using place = await makePlace();
    await using pipe = await place.start({ transport: "pipe", limits: PATIENT });
    await using http = await place.start({ transport: "http", limits: PATIENT });
    const hosts = [pipe, http];
    const random = randomOf(SEED);
    const run = async (seconds: number): Promise<{ calls: number; servers: number }> => {
      const until = performance.now() + seconds * 1000;
      const [servers, ...calls] = await Promise.all([
        churn(place, until, random),
        ...hosts.map((host) => workOn(host, until, random)),
      ]);
      return { calls: calls.reduce((sum, count) => sum + count, 0), servers: servers! };
    };
    const warmUp = Math.max(2, SECONDS / 6);
    await run(warmUp);
    for (const host of hosts) await saturate(host);
    const before = measure(hosts);
    const memoryBefore = hosts.map(({ server }) => memoryOf(server.pid));
    const { calls, servers } = await run(SECONDS - warmUp);
    assertEquals(await whatStays(() => grown(before, hosts)), [], `seed ${SEED}`);
    assertEquals(await whatStays(() => swollen(memoryBefore, hosts)), [], `seed ${SEED}`);
    assertEquals(await whatStays(() => running(hosts)), [], `seed ${SEED}`);
    report("Mixed work", { seconds: SECONDS, calls, "servers started": servers, ...measure(hosts) });
  },
});
