// RPC from the command line and from the host: what is said when gRPC cannot be served, and the commands of docs/RPC.md.

import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { ServerStartError } from "../../core/errors.ts";
import { PythonHost } from "../../host/mod.ts";
import { VenvManager } from "../../infrastructure/mod.ts";
import { startServer } from "../../servers/mod.ts";
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
});

Deno.test("the curl command of docs/RPC.md", async () => {
  await using _home = await makeHome();
  const { python } = await new VenvManager().ensure({ name: "bare", pip: false });
  await using server = await startServer({ python, transport: "rpc", auth: false });
  const [block] = await shellBlocks("docs/RPC.md");
  const at = block!.indexOf("curl");
  const [command, expected] = block!.slice(at).split(/\s+# (?=\{)/);
  // Another port than the usual one, which may be taken here.
  const args = [
    "-c",
    command!.replace("http://localhost:50051", server.endpoint).replace("curl", "curl -sS"),
  ];
  const { stdout, stderr } = await new Deno.Command("sh", { args }).output();
  const decoder = new TextDecoder();
  assertEquals([decoder.decode(stdout), decoder.decode(stderr)], [expected!.trim(), ""]);
});
