// The contract of a backend over gRPC. It needs grpcio, which an environment of the tests has; without it, it is skipped.

import { ServerExitedError } from "../../core/errors.ts";
import { startServer } from "../../servers/mod.ts";
import { type ContractSubject, testBackendContract } from "../../testing/mod.ts";
import { PythonHostRpc } from "../../transports/mod.ts";
import { makeHome } from "../host/_home.ts";
import { grpcPython } from "./_grpc.ts";

const python = await grpcPython();

async function start(): Promise<ContractSubject> {
  await using stack = new AsyncDisposableStack();
  stack.use(await makeHome());
  const server = stack.use(await startServer({ python: python!, transport: "rpc", rpc: { grpc: true } }));
  async function explainEnd(action: string): Promise<ServerExitedError> {
    return new ServerExitedError(action, await server.exited);
  }
  const kept = stack.move();
  return {
    connect: () =>
      new PythonHostRpc(server.address, {
        token: server.token,
        explainEnd,
        protocol: "grpc",
        // Of a busy machine, which may stand still for a second or two. The clause about C code waits for longer.
        interruptGraceMs: 3_500,
      }),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

const exceptions = [{
  clause: "hostile/builtins-vital",
  reason: "grpcio stands on the standard library's threads, which have the built-in functions of user code",
}];

if (python !== null) testBackendContract({ name: "PythonHostRpc (grpc)", start, exceptions });
else Deno.test.ignore("PythonHostRpc (grpc) keeps the backend contract", () => {});
