/** What a host counts of its calls, and what its server tells. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { PythonHostError } from "../../core/errors.ts";
import { PythonHostPipe } from "../../transports/mod.ts";
import { makePlace, rejection, until } from "./_servers.ts";

for (const transport of ["pipe", "http", "rpc"] as const) {
  Deno.test(`stats() counts calls by how they ended, and asks the server: ${transport}`, async () => {
    await using place = await makePlace();
    await using host = await place.start({ transport, restart: { backoffMs: 1 } });
    const before = await host.stats();
    assertEquals([before.calls, before.inFlight, before.errors, before.cancelled], [0, 0, 0, 0]);
    const gate = Promise.withResolvers<void>();
    const slow = host.evaluate("wait()", { wait: () => gate.promise });
    await host.ping(); // is not counted
    assertEquals((await host.stats()).inFlight, 1);
    gate.resolve();
    await slow;
    await rejection(host.evaluate("1 / 0"));
    await rejection(host.evaluate("while True: pass", undefined, { timeoutMs: 20 }));
    const handle = await host.createObject("collections", "Counter");
    const after = await host.stats();
    assertEquals([after.calls, after.inFlight, after.errors, after.cancelled], [4, 0, 1, 1]);
    assertEquals(after.latency.count, 4);
    // A timer may be early by a millisecond.
    assert(after.latency.maxMs >= 15, `the one that was stopped took longer than ${after.latency.maxMs} ms`);
    assert(after.bytesSent > before.bytesSent && after.bytesReceived > before.bytesReceived);
    assertEquals([after.generation, after.restarts], [1, 0]);
    const { clients, running, handles, threads, memoryBytes } = after.server!;
    assertEquals([running, handles], [0, 1]);
    assert(clients >= 1 && threads >= 1 && memoryBytes! > 1e6);
    await handle.dispose();

    // Counted on over the next server.
    await rejection(host.evaluate("import os; os._exit(1)"));
    assertEquals(await host.evaluate("1"), 1);
    const last = await host.stats();
    assertEquals([last.calls, last.errors, last.restarts], [6, 2, 1]);
  });
}

Deno.test("case 75: ping() is answered beside a call, and tells what runs; nobody kills a server that is busy", async () => {
  await using place = await makePlace();
  await using host = await place.start();
  assertEquals(await host.ping(), []);
  const controller = new AbortController();
  const slow = rejection(
    host.evaluate("import time; time.sleep(60)", undefined, { signal: controller.signal }),
  );
  // The two lanes have no order: the ping may be there before the call.
  await until("the call runs", async () => (await host.ping()).length === 1);
  controller.abort();
  await slow;
  await until("nothing runs", async () => (await host.ping()).length === 0);
  // The host's own event loop blocked: the server is none the worse for it.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300);
  assertEquals(await host.evaluate("1"), 1);
});

Deno.test("case 76: a server that is stopped and goes on again has lost nothing but time", async () => {
  await using place = await makePlace();
  await using host = await place.start();
  const call = host.evaluate("sum(range(1_000_000))");
  Deno.kill(host.server.pid, "SIGSTOP");
  const late = rejection(host.evaluate("1", undefined, { timeoutMs: 30 }));
  assertEquals((await late as PythonHostError).code, "not-interrupted");
  Deno.kill(host.server.pid, "SIGCONT");
  assertEquals(await call, 499999500000);
  assertEquals(await host.evaluate("2"), 2);
});

Deno.test("GET /health answers without a token, also while a call runs", async () => {
  await using place = await makePlace();
  await using host = await place.start({ transport: "http" });
  const controller = new AbortController();
  const slow = rejection(host.evaluate("while True: pass", undefined, { signal: controller.signal }));
  const response = await fetch(`${host.server.address}/health`);
  assertEquals([response.status, await response.json()], [200, { status: "ok" }]);
  controller.abort();
  await slow;
});

Deno.test("stats(), ping() and sessions of a host whose transport has none say so", async () => {
  await using place = await makePlace();
  await using host = await place.start({
    transport: {
      name: "bare",
      connect({ address, token }) {
        const backend = new PythonHostPipe(address, { token });
        const seam = { ping: undefined, stats: undefined, openSession: undefined, closeSession: undefined };
        return new Proxy(backend, {
          get: (target, name) => {
            if (name in seam) return undefined;
            const value = Reflect.get(target, name, target);
            return typeof value === "function" ? value.bind(target) : value;
          },
        });
      },
    },
  });
  assertEquals((await host.stats()).server, null);
  for (const call of [() => host.ping(), () => host.openSession("x"), () => host.closeSession("x")]) {
    const error = await assertRejects(call, PythonHostError);
    assertEquals(error.code, "argument");
  }
});
