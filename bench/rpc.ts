/**
 * What a call over RPC costs, beside the least that the same client can be answered with.
 *
 * `deno run -A bench/rpc.ts [python]`; for gRPC the interpreter needs `grpcio` and its companions, else that part is left out.
 *
 * @module
 */

import { PythonHostHttp, PythonHostRpc, servers } from "@beep/python-host";
import { createClient, type Transport } from "npm:@connectrpc/connect@^2.2.0";
import { createGrpcTransport, Http2SessionManager } from "npm:@connectrpc/connect-node@^2.2.0";
import { createConnectTransport } from "npm:@connectrpc/connect-web@^2.2.0";
import { PythonService } from "../transports/rpc_schema.gen.ts";
import { type Case, measure, report } from "./measure.ts";
import { chosenPython } from "./python.ts";

const ROUNDS = 15;
const COUNT = 200;
const LARGE = "data = bytes(8_000_000)";

/** A process of `floors/`, and the port that it printed. */
async function startFloor(python: string, script: string) {
  const path = new URL(`./floors/${script}`, import.meta.url).pathname;
  const child = new Deno.Command(python, { args: ["-I", path], stdout: "piped", stderr: "null" }).spawn();
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  await reader.cancel();
  return { child, address: `http://127.0.0.1:${new TextDecoder().decode(value).trim()}` };
}

/** Evaluates by a bare client of Connect-ES. */
function evaluating(transport: Transport): Case["run"] {
  const client = createClient(PythonService, transport);
  return async (count) => {
    for (let i = 0; i < count; i++) await client.evaluate({ code: "1+1" });
  };
}

/** Measures and reports Connect. */
export async function benchConnect(python: string): Promise<void> {
  const fixed = await startFloor(python, "connect_fixed.py");
  await using rpcServer = await servers.startServer({ python, transport: "rpc", auth: false });
  await using httpServer = await servers.startServer({ python, transport: "http" });
  await using rpc = new PythonHostRpc(rpcServer.address, { token: "" });
  await using http = new PythonHostHttp(httpServer.endpoint);
  const over = (baseUrl: string) => evaluating(createConnectTransport({ baseUrl, useBinaryFormat: true }));
  try {
    report(
      "Connect, one call at a time",
      await measure(
        [
          { name: "Connect-ES, fixed reply", run: over(fixed.address) },
          {
            name: "Connect-ES, Evaluate",
            floor: "Connect-ES, fixed reply",
            goal: 1.3,
            run: over(rpcServer.address),
          },
          {
            name: "PythonHostRpc.evaluate",
            floor: "Connect-ES, fixed reply",
            run: async (count) => {
              for (let i = 0; i < count; i++) await rpc.evaluate("1+1");
            },
          },
        ],
        ROUNDS,
        COUNT,
      ),
    );
    for (const backend of [rpc, http]) await backend.evaluate(LARGE);
    const reading = (backend: PythonHostRpc | PythonHostHttp): Case["run"] => async (count) => {
      for (let i = 0; i < count; i++) await backend.evaluate("data");
    };
    report(
      "8 MB of bytes to JavaScript",
      await measure(
        [
          { name: "HTTP", run: reading(http) },
          { name: "Connect", floor: "HTTP", goal: 2, run: reading(rpc) },
        ],
        9,
        10,
      ),
    );
  } finally {
    fixed.child.kill();
    await fixed.child.status;
  }
}

/** Measures and reports gRPC. */
export async function benchGrpc(python: string): Promise<void> {
  const echo = await startFloor(python, "grpc_echo.py");
  await using server = await servers.startServer({
    python,
    transport: "rpc",
    rpc: { grpc: true },
    auth: false,
  });
  const managers: Http2SessionManager[] = [];
  const over = (baseUrl: string) => {
    const sessionManager = new Http2SessionManager(baseUrl);
    managers.push(sessionManager);
    return evaluating(createGrpcTransport({ baseUrl, sessionManager }));
  };
  try {
    report(
      "gRPC, one call at a time",
      await measure(
        [
          { name: "bare grpcio echo", run: over(echo.address) },
          { name: "gRPC Evaluate", floor: "bare grpcio echo", goal: 1.15, run: over(server.address) },
        ],
        ROUNDS,
        COUNT,
      ),
    );
  } finally {
    for (const manager of managers) manager.abort();
    echo.child.kill();
    await echo.child.status;
  }
}

/** Whether gRPC can be served there. */
async function hasGrpc(python: string): Promise<boolean> {
  const args = ["-c", "import grpc, grpc_health, grpc_reflection"];
  return (await new Deno.Command(python, { args, stdout: "null", stderr: "null" }).output()).success;
}

/** Measures and reports both. */
export async function benchRpc(python: string): Promise<void> {
  await benchConnect(python);
  if (await hasGrpc(python)) await benchGrpc(python);
  else console.log("\ngRPC: left out, for the interpreter has no grpcio");
}

if (import.meta.main) await benchRpc(await chosenPython());
