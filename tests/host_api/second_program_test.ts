/** A second program, started separately with an endpoint alone, does what the project was begun for. */

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { makeHome, startHosted } from "./_hosted.ts";

const ROOT = join(import.meta.dirname!, "..", "..");

/** The second program: it knows a transport and an endpoint, and nothing else. */
const PROGRAM = `
import { PythonHostHttp, PythonHostPipe, PythonHostRpc } from "@beep/python-host";

const [transport, endpoint] = Deno.args;
const Backend = { pipe: PythonHostPipe, http: PythonHostHttp, rpc: PythonHostRpc }[transport];
await using backend = new Backend(endpoint);
await backend.initialize();
const made = await backend.evaluate(\`
import clr
clr.AddReference('Beep.Python.Runtime')
from Beep.Python.RuntimeEngine.Infrastructure import VenvManager
path = VenvManager().CreateProviderVirtualEnvironment('my-provider-cpu', None)
from beep_host.infrastructure import VenvManager
[(environment.name, environment.path == path) for environment in VenvManager().list()]
\`);
console.log(JSON.stringify(made));
`;

async function run(args: readonly string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [...args],
    cwd: ROOT,
    env: { NO_COLOR: "1" },
  }).output();
  const error = new TextDecoder().decode(stderr);
  assertEquals([success, success ? "" : error], [true, ""]);
  return new TextDecoder().decode(stdout);
}

for (const transport of ["pipe", "http", "rpc"] as const) {
  Deno.test(`a second program with an endpoint alone uses Infrastructure over ${transport}`, async () => {
    await using home = await makeHome();
    await using server = await startHosted(home, transport);
    // Not among the sources, which other tests read meanwhile; the project's own imports hold for it all the same.
    const path = join(home.path, "second.ts");
    await Deno.writeTextFile(path, PROGRAM);
    const flags = ["-A", "--no-lock", "--no-check", "--config", join(ROOT, "deno.json")];
    const output = await run(["run", ...flags, path, transport, server.endpoint]);
    assertEquals(JSON.parse(output), [["my-provider-cpu", true]]);
  });
}

Deno.test("examples/embed_hono.ts", async () => {
  await using _home = await makeHome();
  assertEquals(
    await run(["run", "-A", "--no-lock", "--no-check", "examples/embed_hono.ts"]),
    "bob sees: embedded\n",
  );
});

Deno.test("examples/embed_serve.ts", async () => {
  await using _home = await makeHome();
  await using child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-lock", "--no-check", "examples/embed_serve.ts", "0"],
    cwd: ROOT,
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const { url, token } = JSON.parse((await reader.read()).value ?? "null");
  assertMatch(token, /^[0-9a-f]{64}$/);
  const response = await fetch(`${url}/environments`, { headers: { authorization: `Bearer ${token}` } });
  assertEquals(await response.json(), { environments: [] });
  const refused = await fetch(`${url}/environments`);
  assertStringIncludes(await refused.text(), "AuthenticationError");
  child.kill("SIGINT");
  assertEquals((await child.status).code, 0);
  await reader.cancel();
});

Deno.test("a server of the command line lets clients use Infrastructure", async () => {
  await using home = await makeHome();
  await home.environments.ensure({ name: "admin", pip: false });
  await using child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-lock", "--no-check", "cli/mod.ts", "start", "http", "--port", "0"],
    cwd: ROOT,
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const endpoint = ((await reader.read()).value ?? "").trim();
  const { PythonHostHttp } = await import("../../transports/mod.ts");
  {
    await using client = new PythonHostHttp(endpoint);
    await client.initialize();
    assertEquals(
      await client.evaluate(
        "from beep_host.infrastructure import VenvManager\n[one.name for one in VenvManager().list()]",
      ),
      ["admin"],
    );
  }
  child.kill("SIGTERM");
  assertEquals((await child.status).code, 0);
  await reader.cancel();
  assertEquals(Array.from(Deno.readDirSync(`${home.path}/run`), ({ name }) => name), []);
});
