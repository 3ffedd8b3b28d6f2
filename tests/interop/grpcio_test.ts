// grpcio's own Python client, with stubs made from the .proto and from reflection.

import { assertEquals } from "@std/assert";
import { join } from "@std/path";
import { startServer } from "../../servers/mod.ts";
import { makeHome } from "../host/_home.ts";
import { grpcPython } from "../rpc/_grpc.ts";

const ROOT = join(import.meta.dirname!, "../..");
const python = await grpcPython();

async function run(command: string, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command(command, { args, cwd: ROOT }).output();
  const decoder = new TextDecoder();
  assertEquals([code, code === 0 ? "" : decoder.decode(stderr)], [0, ""]);
  return decoder.decode(stdout);
}

Deno.test({
  name: "a client of grpcio calls everything, with stubs and by reflection",
  ignore: python === null,
  async fn() {
    await using _home = await makeHome();
    const stubs = await Deno.makeTempDir();
    try {
      const out = [`--python_out=${stubs}`, `--grpc_python_out=${stubs}`];
      await run(python!, "-m", "grpc_tools.protoc", "-Iproto", ...out, "beep/python/v1/python_host.proto");
      await using server = await startServer({ python: python!, transport: "rpc", rpc: { grpc: true } });
      const script = join(import.meta.dirname!, "python/client.py");
      const address = new URL(server.address).host;
      assertEquals(await run(python!, script, address, server.token, stubs), "ok\n");
    } finally {
      await Deno.remove(stubs, { recursive: true });
    }
  },
});

Deno.test({
  name: "our codec of messages agrees with protobuf's",
  ignore: python === null,
  async fn() {
    // Among the tests of Python they are skipped, since no CPython by itself has protobuf.
    const { code, stderr } = await new Deno.Command(python!, {
      args: ["-B", "-m", "unittest", "tests.test_rpc_messages.AgainstProtobufTest"],
      cwd: join(ROOT, "servers/python"),
    }).output();
    const said = new TextDecoder().decode(stderr);
    assertEquals([code, said.includes("skipped")], [0, false], said);
  },
});
