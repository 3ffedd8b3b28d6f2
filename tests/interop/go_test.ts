// A client in Go, by google.golang.org/grpc and connectrpc.com/connect, built from the same schema.

import { assertEquals } from "@std/assert";
import { join } from "@std/path";
import { startServer } from "../../servers/mod.ts";
import { bufPath } from "../../tools/gen_proto.ts";
import { makeHome } from "../host/_home.ts";
import { grpcPython } from "../rpc/_grpc.ts";
import { findGo } from "./_go.ts";

const ROOT = join(import.meta.dirname!, "../..");
const PROTO = "beep/python/v1/python_host.proto";

async function run(command: string, args: string[], cwd: string): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command(command, { args, cwd }).output();
  const decoder = new TextDecoder();
  assertEquals([code, code === 0 ? "" : decoder.decode(stderr)], [0, ""]);
  return decoder.decode(stdout);
}

const go = await findGo();
const python = await grpcPython();

Deno.test({
  name: "a client in Go calls everything, by gRPC and by Connect",
  ignore: go === null || python === null,
  async fn() {
    await using _home = await makeHome();
    const directory = await Deno.makeTempDir();
    try {
      for (const name of ["main.go", "go.mod", "go.sum"]) {
        await Deno.copyFile(join(import.meta.dirname!, "go", name), join(directory, name));
      }
      const plugins = ["protoc-gen-go", "protoc-gen-go-grpc", "protoc-gen-connect-go"].map((tool) => ({
        local: [go!, "-C", directory, "tool", tool],
        out: directory,
        opt: ["module=example.com/interop", `M${PROTO}=example.com/interop/gen`],
      }));
      const template = JSON.stringify({ version: "v2", plugins });
      await run(await bufPath(), ["generate", "--template", template], ROOT);
      await run(go!, ["build", "-o", "client", "."], directory);
      await using server = await startServer({ python: python!, transport: "rpc", rpc: { grpc: true } });
      const args = [new URL(server.address).host, server.info.connectAddress!, server.token];
      assertEquals(await run(join(directory, "client"), args, directory), "ok\n");
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
});
