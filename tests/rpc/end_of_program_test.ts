// A program that leaves a backend over RPC open ends all the same.

import { assertEquals } from "@std/assert";
import { startServer } from "../../servers/mod.ts";
import { makeHome } from "../host/_home.ts";

Deno.test("an idle backend over Connect does not keep the program running", async () => {
  await using _home = await makeHome();
  const python = Deno.env.get("BEEP_TEST_PYTHON") ?? "/usr/bin/python3";
  await using server = await startServer({ python, transport: "rpc", auth: false });
  const program = `
    import { PythonHostRpc } from "${new URL("../../mod.ts", import.meta.url)}";
    const python = new PythonHostRpc("${server.address}", { token: "" });
    console.log(await python.evaluate("import time; time.sleep(0.2); 7"));`;
  const output = await new Deno.Command(Deno.execPath(), {
    args: ["eval", "--ext=ts", program],
    signal: AbortSignal.timeout(20_000),
    env: { NO_COLOR: "1" },
  }).output();
  const decoder = new TextDecoder();
  assertEquals([output.code, decoder.decode(output.stdout), decoder.decode(output.stderr)], [0, "7\n", ""]);
});
