/** The examples run as they are, each asserting its own result. */

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { startServer } from "../servers/mod.ts";
import { VenvManager } from "../infrastructure/mod.ts";
import { makeHome } from "./host/_home.ts";

const ROOT = join(import.meta.dirname!, "..");

/** Runs an example with all permissions in a home where the environment is there already. */
async function runExample(name: string, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-lock", join(ROOT, "examples", name), ...args],
    cwd: ROOT,
    env: { NO_COLOR: "1" },
  }).output();
  const decoder = new TextDecoder();
  assertEquals([code, code === 0 ? "" : decoder.decode(stderr)], [0, ""]);
  return decoder.decode(stdout);
}

/** The admin environment without pip, which is made much sooner, and which every later `ensureAdmin` takes. */
async function makeAdminEnvironment(): Promise<string> {
  return (await new VenvManager().ensure({ name: "admin", pip: false })).python;
}

Deno.test("examples/quickstart.ts", async () => {
  await using _home = await makeHome();
  await makeAdminEnvironment();
  assertStringIncludes(await runExample("quickstart.ts"), "ZeroDivisionError: division by zero");
});

Deno.test("examples/objects.ts", async () => {
  await using _home = await makeHome();
  await makeAdminEnvironment();
  assertStringIncludes(await runExample("objects.ts"), "19\n");
});

Deno.test("examples/connect.ts, against a host that runs", async () => {
  await using _home = await makeHome();
  const python = await makeAdminEnvironment();
  await using server = await startServer({ python, transport: "http" });
  assertEquals(await runExample("connect.ts", server.endpoint), "14\n");
});

Deno.test("examples/demo.ts, which leaves nothing behind", async () => {
  await using home = await makeHome();
  await makeAdminEnvironment();
  const output = await runExample("demo.ts");
  assertMatch(output, /harbour.*366.*10\.41/);
  assertStringIncludes(output, "pipe: summarize a year of weather");
  for (const transport of ["http", "pipe", "rpc"]) {
    assertStringIncludes(output, `Hello from Python to ${transport}\n`);
  }
  assertStringIncludes(output, "Nothing is left behind");
  assertEquals(await Array.fromAsync(Deno.readDir(`${home.path}/run`)), []);
});
