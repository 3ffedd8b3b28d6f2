// User code that does its worst to a server of gRPC, whose threads wait on sockets, and clients that come and go. The other transports
// are in tests/torture/user_code_test.ts. It needs grpcio; without it, it is skipped.

import { assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import { ServerExitedError } from "../../core/errors.ts";
import { startServer } from "../../servers/mod.ts";
import { PythonHostRpc } from "../../transports/mod.ts";
import { makeHome } from "../host/_home.ts";
import { grpcPython } from "./_grpc.ts";

const python = await grpcPython();

/** Tests against a server of its own. */
function test(
  name: string,
  fn: (
    backend: PythonHostRpc,
    server: Awaited<ReturnType<typeof startServer>>,
    connect: () => PythonHostRpc,
  ) => Promise<void>,
  ignore = false,
): void {
  Deno.test({
    name: `${name} (grpc)`,
    ignore: ignore || python === null,
    async fn() {
      await using _home = await makeHome();
      await using server = await startServer({ python: python!, transport: "rpc", rpc: { grpc: true } });
      const explainEnd = async (action: string) => new ServerExitedError(action, await server.exited);
      const connect = () =>
        new PythonHostRpc(server.address, { token: server.token, explainEnd, protocol: "grpc" });
      await using backend = connect();
      await backend.initialize();
      await fn(backend, server, connect);
    },
  });
}

const SOCKETS = `
import os, stat
def sockets():
    found = []
    for fd in range(3, 1024):
        try:
            if stat.S_ISSOCK(os.fstat(fd).st_mode): found.append(fd)
        except OSError: pass
    return found`;

test("a forked child that lives on holds none of the server's sockets", async (backend) => {
  const code = `${SOCKETS}
ready, told = os.pipe()
pid = os.fork()
if pid == 0:
    os.write(told, repr(sockets()).encode())
    import time
    time.sleep(60)
os.read(ready, 4096).decode()`;
  await backend.evaluate("1"); // its thread has waited once
  assertEquals(await backend.evaluate(code), "[]");
  const status = "os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])";
  assertEquals(await backend.evaluate(`os.kill(pid, 15); ${status}`), -15);
  await backend.evaluate("pid = os.fork()");
  assertEquals(await backend.evaluate(status), 0);
}, Deno.build.os === "windows");

test("a child forked by a thread of user code ends with that thread", async (backend) => {
  const code = `
import os, threading
def work():
    global pid
    pid = os.fork()
thread = threading.Thread(target=work); thread.start(); thread.join()
os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])`;
  for (let round = 0; round < 3; round++) {
    assertEquals(await backend.evaluate(code, {}, { timeoutMs: 20_000 }), 0);
  }
}, Deno.build.os === "windows");

for (const [name, code] of [["all", "0, 65536"], ["all but the standard ones", "3, 65536"]] as const) {
  test(`closing ${name} descriptors ends the server`, async (backend, server) => {
    const beside = assertRejects(() =>
      backend.evaluate("import time; time.sleep(60)", {}, { concurrent: true })
    );
    const error = await assertRejects(() => backend.evaluate(`import os; os.closerange(${code})`));
    assertInstanceOf(error, ServerExitedError);
    assertEquals([error.exitCode, error.signal, (await server.exited).code], [70, null, 70]);
    await beside;
  }, Deno.build.os === "windows");
}

test("sessions and clients that come and go leave no descriptors", async (backend, server, connect) => {
  const counted = async () => (await backend.evaluate<number[]>(`${SOCKETS}\nsockets()`)).length;
  const before = await counted();
  for (let round = 0; round < 3; round++) {
    const rounds = Array.from({ length: 40 }, async (_, number) => {
      const session = `${round}/${number}`;
      await backend.openSession(session);
      const call = backend.evaluate<number>("number", { number }, { session });
      if (number % 2 === 0) assertEquals(await call, number);
      await backend.closeSession(session);
      await call.catch(() => {}); // it may have come too late
    });
    await Promise.all(rounds);
  }
  // The thread of a session ends a moment after the session, the connection of a client a moment after its close.
  await until(before, counted);
  for (let round = 0; round < 10; round++) {
    await using client = connect();
    assertEquals(await client.evaluate("1 + 1"), 2);
  }
  await until(before, counted);
  assertEquals(server.stderr.text, "");
});

test("many sessions leave descriptors to user code", async (backend) => {
  await backend.evaluate("import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))");
  for (let number = 0; number < 150; number++) {
    await backend.openSession(`${number}`);
    assertEquals(await backend.evaluate("number", { number }, { session: `${number}` }), number);
  }
  assertEquals(await backend.evaluate("with open('/dev/null'): 'open'\n'closed'"), "closed");
}, Deno.build.os === "windows");

test("clients that leave and forks are no news to the operator", async (backend, server, connect) => {
  await using client = connect();
  await client.initialize();
  await client.close();
  if (Deno.build.os !== "windows") {
    await backend.evaluate("import os\npid = os.fork()\nif pid == 0: os._exit(0)\nos.waitpid(pid, 0)\nNone");
  }
  assertEquals(await backend.evaluate("import os; 'GRPC_VERBOSITY' in os.environ"), false);
  await backend.close();
  await server.close();
  assertEquals(server.stderr.text, "");
});

test("calls that wait settle when the server is closed", async (backend, server) => {
  const sleep = "import time; time.sleep(60)";
  await backend.openSession("other");
  const calls = [
    backend.evaluate(sleep),
    backend.evaluate(sleep),
    backend.evaluate(sleep, {}, { session: "other" }),
    backend.evaluate(sleep, {}, { concurrent: true }),
    backend.evaluate("import asyncio; await asyncio.sleep(60)"),
    backend.evaluate(sleep, {}, { onStdout: () => {} }),
  ];
  const settled = Promise.allSettled(calls);
  await backend.ping();
  await server.close();
  for (const { status } of await settled) assertEquals(status, "rejected");
});

/** Waits until something has a value, and fails with the one that it has when that takes too long. */
async function until<T>(wanted: T, look: () => Promise<T>): Promise<void> {
  const end = performance.now() + 30_000;
  let seen = await look();
  while (seen !== wanted && performance.now() < end) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    seen = await look();
  }
  assertEquals(seen, wanted);
}
