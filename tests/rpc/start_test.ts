// RPC from the command line and from the host: what is said when gRPC cannot be served, and the commands of docs/RPC.md.

import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { ConnectError, ServerStartError } from "../../core/errors.ts";
import { PythonHost } from "../../host/mod.ts";
import { VenvManager } from "../../infrastructure/mod.ts";
import { startServer } from "../../servers/mod.ts";
import { PythonHostRpc } from "../../transports/mod.ts";
import { makeHome } from "../host/_home.ts";

/** The blocks of shell commands in a document. */
async function shellBlocks(path: string): Promise<string[]> {
  const text = await Deno.readTextFile(new URL(`../../${path}`, import.meta.url));
  return [...text.matchAll(/```sh\n([\s\S]*?)```/g)].map(([, block]) => block!);
}

Deno.test("without grpcio a server says what to install", async () => {
  await using _home = await makeHome();
  const { python } = await new VenvManager().ensure({ name: "bare", pip: false });
  const error = await assertRejects(
    () => startServer({ python, transport: "rpc", rpc: { grpc: true } }),
    ServerStartError,
    "No module named 'grpc'",
  );
  assertStringIncludes(error.hint!, "grpcio-health-checking");
});

Deno.test("a host over RPC", async () => {
  await using _home = await makeHome();
  await new VenvManager().ensure({ name: "admin", pip: false });
  await using host = await PythonHost.start({ transport: "rpc", environment: "admin" });
  assertEquals([host.transport, await host.evaluate("6 * 7")], ["rpc", 42]);
  await using other = new PythonHostRpc(host.server.endpoint, { protocol: "grpc" });
  await assertRejects(() => other.initialize(), ConnectError, "by gRPC: its server speaks Connect there");
});

/** The `curl` commands of a document, each with what it prints by the comment behind it. */
async function curlCommands(path: string): Promise<[command: string, expected: string][]> {
  const blocks = await shellBlocks(path);
  const lines = blocks.join("").replaceAll("\\\n", "").split("\n").filter((line) => line.startsWith("curl"));
  return lines.map((line) => {
    const [command, expected] = line.split(/\s+# (?=\{)/);
    assert(expected !== undefined, `the command says not what it prints: ${command}`);
    return [command!, expected];
  });
}

Deno.test("the curl commands of the documents print what they say", async (t) => {
  await using _home = await makeHome();
  const { python } = await new VenvManager().ensure({ name: "bare", pip: false });
  for (const path of ["README.md", "docs/RPC.md"]) {
    await using rpc = await startServer({ python, transport: "rpc", auth: false });
    await using http = await startServer({ python, transport: "http", auth: false });
    for (const [command, expected] of await curlCommands(path)) {
      await t.step(`${path}: ${command}`, async () => {
        // Other ports than the usual ones, which may be taken here.
        const here = command.replace("http://localhost:50051", rpc.endpoint)
          .replace("http://localhost:5678", http.endpoint).replace(/^curl( -s)?/, "curl -sS");
        const { stdout, stderr } = await new Deno.Command("sh", { args: ["-c", here] }).output();
        const decoder = new TextDecoder();
        assertEquals([decoder.decode(stdout), decoder.decode(stderr)], [expected, ""]);
      });
    }
  }
});

Deno.test("the token is where the document looks for it", async () => {
  await using home = await makeHome();
  const { python } = await new VenvManager().ensure({ name: "bare", pip: false });
  await using server = await startServer({ python, transport: "rpc" });
  const block = (await shellBlocks("docs/RPC.md")).find((text) => text.includes("token="));
  const here = block!.replace("~/.local/share/beep/python-host", home.path)
    .replace("rpc-50051", `rpc-${new URL(server.endpoint).port}`)
    .replace("http://localhost:50051", server.endpoint).replace(/^curl/m, "curl -sS");
  const { stdout, stderr } = await new Deno.Command("sh", { args: ["-c", here] }).output();
  const decoder = new TextDecoder();
  assertEquals([decoder.decode(stdout), decoder.decode(stderr)], ['{"value":{"integer":"2"}}', ""]);
});
