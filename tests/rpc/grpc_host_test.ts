// A host that serves gRPC: it installs what that needs, enters what it speaks, and survives what the others survive. One environment
// for all of it, since packages come from the network; without that, it is skipped.

import { assert, assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import { ask } from "../../cli/running.ts";
import { CallTimeoutError, ConnectError, ServerExitedError } from "../../core/errors.ts";
import { PythonHost, PythonHostPool } from "../../host/mod.ts";
import { VenvManager } from "../../infrastructure/mod.ts";
import { hostRunDirectory } from "../../servers/directories.ts";
import { listRunEntries } from "../../servers/run_entries.ts";
import { PythonHostRpc } from "../../transports/mod.ts";
import { makeHome } from "../host/_home.ts";
import { grpcPython } from "./_grpc.ts";

/** What opening a backend fails with. */
async function rejected(backend: PythonHostRpc): Promise<Error> {
  await using closing = backend;
  return await assertRejects(() => closing.initialize(), ConnectError);
}

// Where that cannot be had, packages cannot.
const python = await grpcPython();

Deno.test({
  name: "a host installs gRPC into its server's environment, and serves it",
  ignore: python === null,
  async fn(t) {
    await using _home = await makeHome();
    const options = { transport: "rpc", rpc: { grpc: true }, environment: "with-grpc" } as const;
    await t.step("packages, endpoint and entry", async () => {
      await using host = await PythonHost.start(options);
      assertEquals([host.transport, await host.evaluate("6 * 7")], ["rpc", 42]);
      const status = await new VenvManager().status("with-grpc");
      const names = status.packages!.map(({ name }) => name);
      for (const name of ["grpcio", "grpcio-health-checking", "grpcio-reflection", "protobuf"]) {
        assertEquals([name, names.includes(name)], [name, true]);
      }
      const [entry] = await listRunEntries(hostRunDirectory());
      const { protocol, address, token } = entry!;
      assertEquals(protocol, "grpc");
      await using other = new PythonHostRpc(address, { protocol, token });
      assertEquals(await other.evaluate("1 + 1"), 2);
      await using same = new PythonHostRpc(entry!.endpoint);
      assertEquals(await same.evaluate("1 + 1"), 2, "what is spoken is looked up with the token");
      const error = await rejected(new PythonHostRpc(entry!.endpoint, { protocol: "connect" }));
      assertEquals(
        error.message,
        `Cannot connect to "${entry!.endpoint}" by Connect: its server speaks gRPC there`,
      );
      const answer = await ask(entry!, {});
      assert("info" in answer, "status of the command line reaches it");
      await answer.backend.close();
    });
    await t.step("a server that dies in the middle of calls, and its successor", async () => {
      await using host = await PythonHost.start({ ...options, restart: { backoffMs: 0 } });
      const { generation } = host;
      const pending = [
        host.evaluate("import time; time.sleep(600)", undefined, { concurrent: true }),
        host.evaluate("import asyncio; await asyncio.sleep(600)"),
        host.evaluate("import os; os._exit(7)"),
      ];
      for (const { status, ...rest } of await Promise.allSettled(pending)) {
        assertEquals(status, "rejected");
        assertInstanceOf((rest as { reason: unknown }).reason, ServerExitedError);
      }
      assertEquals(await host.evaluate("2 + 2"), 4);
      assertEquals(host.generation, generation + 1);
    });
    await t.step("cancels", async () => {
      await using host = await PythonHost.start(options);
      for (let round = 0; round < 50; round++) {
        const code = `for i in range(${round * 4_000}): pass\n${round}`;
        const reason = new Error("enough");
        const controller = new AbortController();
        const call = host.evaluate(code, undefined, { signal: controller.signal }).catch((error) => error);
        const beside = host.evaluate("'beside'");
        await host.ping();
        controller.abort(reason);
        const settled = await call;
        if (settled !== reason) assertEquals(settled, round);
        assertEquals(await beside, "beside");
      }
      await assertRejects(
        () => host.evaluate("while True: pass", undefined, { timeoutMs: 20 }),
        CallTimeoutError,
      );
      assertEquals((await host.stats()).server!.running, 0);
    });
    await t.step("a pool", async () => {
      await using pool = await PythonHostPool.start({ ...options, size: 2 });
      const squares = await Promise.all([1, 2, 3, 4].map((n) => pool.run("n * n", { n })));
      assertEquals(squares, [1, 4, 9, 16]);
    });
  },
});
