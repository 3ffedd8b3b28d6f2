// The contract of a backend, over every backend of this library. Set BEEP_TEST_PYTHON to run it on another CPython.

import type { PythonHostBackend } from "../core/backend.ts";
import { ServerExitedError } from "../core/errors.ts";
import { type ServerOptions, type ServerTransport, startServer } from "../servers/mod.ts";
import {
  type ContractSubject,
  MemoryBackend,
  QUICK_CODE,
  SLOW_CODE,
  testBackendContract,
} from "../testing/mod.ts";
import { type ClientOptions, PythonHostHttp, PythonHostPipe, PythonHostRpc } from "../transports/mod.ts";

async function findPython(): Promise<string> {
  const command = Deno.env.get("BEEP_TEST_PYTHON") ?? "python3";
  const { stdout } = await new Deno.Command(command, {
    args: ["-I", "-c", "import sys; print(sys.executable)"],
  }).output();
  return new TextDecoder().decode(stdout).trim();
}

/** A home of its own for all servers of this file: nothing is left in the user's. */
async function makeHome(): Promise<AsyncDisposable> {
  const path = await Deno.makeTempDir({ prefix: "beep-contract-" });
  const before = Deno.env.get("BEEP_PYTHON_HOME");
  Deno.env.set("BEEP_PYTHON_HOME", path);
  return {
    async [Symbol.asyncDispose](): Promise<void> {
      if (before === undefined) Deno.env.delete("BEEP_PYTHON_HOME");
      else Deno.env.set("BEEP_PYTHON_HOME", before);
      await Deno.remove(path, { recursive: true });
    },
  };
}

/** Of a busy machine, which may stand still for a second or two. The clause about C code waits for longer. */
const GRACE_MS = 3_500;

/** A started server of ours, and backends that know its owner. */
async function start(
  transport: ServerTransport,
  connect: (endpoint: string, options: ClientOptions) => PythonHostBackend,
  options: Partial<ServerOptions> = {},
): Promise<ContractSubject> {
  await using stack = new AsyncDisposableStack();
  stack.use(await makeHome());
  const server = stack.use(await startServer({ python: await findPython(), transport, ...options }));
  async function explainEnd(action: string): Promise<ServerExitedError> {
    return new ServerExitedError(action, await server.exited);
  }
  const kept = stack.move();
  return {
    connect: () => connect(server.address, { token: server.token, explainEnd, interruptGraceMs: GRACE_MS }),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

testBackendContract({
  name: "MemoryBackend",
  marks: ["lifecycle"],
  start: () =>
    Promise.resolve({
      connect: () =>
        new MemoryBackend().onEvaluate(QUICK_CODE, 2).onEvaluate(SLOW_CODE, () => new Promise(() => {})),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    }),
});

testBackendContract({
  name: "PythonHostPipe",
  start: () => start("pipe", (address, options) => new PythonHostPipe(address, options)),
});

testBackendContract({
  name: "PythonHostHttp",
  start: () => start("http", (url, options) => new PythonHostHttp(url, options)),
});

testBackendContract({
  name: "PythonHostRpc (connect)",
  start: () => start("rpc", (url, options) => new PythonHostRpc(url, options)),
});
