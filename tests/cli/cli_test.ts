/** The host program: serves in the foreground, is found by clients, and ends with its server. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { PythonHostHttp } from "../../transports/http.ts";
import { PythonHostPipe } from "../../transports/pipe.ts";
import { makeHome } from "../host/_home.ts";
import { waitUntilGone } from "../servers/_launch.ts";
import { CLI, CONFIG, homeWithEnvironment, run, serve } from "./_cli.ts";

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  Deno.test({
    name: `start serves until ${signal}, and takes its server with it`,
    ignore: Deno.build.os === "windows",
    async fn() {
      await using _home = await homeWithEnvironment();
      const { endpoint, end, process } = await serve("http", "--port", "0");
      assertMatch(endpoint, /^http:\/\/localhost:\d+$/);
      const client = new PythonHostHttp(endpoint);
      const { pid } = await client.initialize();
      assertEquals(await client.evaluate("print('to the log'); 6 * 7"), 42);
      await client.close();
      process.kill(signal);
      const { code, stdout, stderr } = await end();
      assertEquals([code, stdout], [0, `${endpoint}\n`]);
      assertStringIncludes(stderr, `process ${pid}`);
      await waitUntilGone(pid);
    },
  });
}

Deno.test("start serves a pipe by its name, status shows it, stop ends it", async () => {
  await using _home = await homeWithEnvironment();
  const { endpoint, end } = await serve("pipe", "--name", "kettle");
  assertEquals(endpoint, "kettle");
  const client = new PythonHostPipe("kettle");
  assertEquals(await client.evaluate("'hot'"), "hot");
  await client.close();

  const status = await run("status", "--json");
  const [row, ...others] = JSON.parse(status.stdout);
  assertEquals(others, []);
  assertEquals([row.transport, row.endpoint], ["pipe", "kettle"]);
  assertMatch(row.state, /^Python 3\./);
  assertStringIncludes((await run("status")).stdout, "kettle");

  const stopped = await run("stop", "pipe", "--name", "kettle");
  assertEquals([stopped.code, stopped.stderr], [0, ""]);
  assertEquals((await end()).code, 0);
  assertEquals((await run("status")).stdout, "No server is running.\n");
});

Deno.test("flags that no server can be started with are refused by their own names", async () => {
  await using _home = await makeHome();
  const refused = {
    "http --host 0.0.0.0":
      '--host "0.0.0.0": it is not a loopback address, and to go beyond takes --listen-beyond-loopback, ' +
      "--tls-cert with --tls-key",
    "rpc --host :: --listen-beyond-loopback --no-auth":
      '--host "::": it is not a loopback address, and to go beyond takes --tls-cert with --tls-key, ' +
      "a token (leave out --no-auth)",
    "http --allow-host a/b": '--allow-host "a/b": a name is "host" or "host:port"',
    "http --allow-origin a": '--allow-origin "a": an origin is "https://host" or "https://host:port"',
    "pipe --host 127.0.0.1": "--host: only http and rpc take it",
    "pipe --tls-cert a --tls-key b": "--tls-cert with --tls-key: only http and rpc take it",
  };
  for (const [flags, message] of Object.entries(refused)) {
    const { code, stdout, stderr } = await run("start", ...flags.split(" "));
    // Nothing else is told: no environment is made for a server that cannot be.
    assertEquals([code, stdout, stderr], [1, "", `error: Cannot use ${message}\n`]);
  }
});

Deno.test("start --no-auth lets clients in that have no token", async () => {
  await using home = await homeWithEnvironment();
  const { endpoint, end, process } = await serve("http", "--port", "0", "--no-auth");
  const response = await fetch(`${endpoint.replace("localhost", "127.0.0.1")}/api/eval`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ expression: "6 * 7" }),
  });
  assertEquals([response.status, (await response.json()).value], [200, 42]);
  process.kill("SIGTERM");
  const { stderr } = await end();
  assertStringIncludes(stderr, "There is no token");
  assert(!stderr.includes("Its token"));
  assert(home.path.length > 0);
});

Deno.test("start says where a client in another language finds the token, and not what it is", async (t) => {
  await using home = await homeWithEnvironment();
  for (const transport of ["http", "pipe", "rpc"] as const) {
    await t.step(transport, async () => {
      const address = transport === "pipe" ? ["--name", `${home.path}/run/kettle.sock`] : ["--port", "0"];
      const { end, process } = await serve(transport, ...address);
      const run = await Array.fromAsync(Deno.readDir(`${home.path}/run`));
      const name = run.find(({ name }) => name.endsWith(".json"))?.name;
      const { token } = JSON.parse(await Deno.readTextFile(`${home.path}/run/${name}`));
      process.kill("SIGTERM");
      const { stdout, stderr } = await end();
      assertStringIncludes(stderr, `Its token is in ${home.path}/run/${name}, readable by you alone.`);
      assert(!`${stdout}${stderr}`.includes(token));
    });
  }
});

Deno.test("start says how its server ended when it ends by itself", async () => {
  await using _home = await homeWithEnvironment();
  const { endpoint, end } = await serve("pipe", "--name", "kettle");
  const client = new PythonHostPipe(endpoint);
  await client.evaluate("import os; os._exit(9)").catch(() => {});
  await client.close();
  const { code, stderr } = await end();
  assertEquals(code, 1);
  assertStringIncludes(stderr, "error: Cannot go on serving: the Python server exited with code 9");
});

Deno.test("verbs refuse what they cannot do, and say what to do instead", async () => {
  await using _home = await makeHome();
  const cases: [string[], number, string][] = [
    [["start", "carrier-pigeon"], 2, "Allowed choices are http, pipe"],
    [
      ["start", "http", "--port", "70000"],
      1,
      "error: Cannot use --port 70000: a port is an integer from 0 to 65535",
    ],
    [["start", "pipe", "--port", "1"], 1, "error: Cannot use --port 1: a pipe has a --name"],
    [["start", "http", "--name", "kettle"], 1, "error: Cannot use --name kettle: HTTP has a --port"],
    [["stop", "http"], 1, "error: Cannot stop the http server at port 5678: none is running\nhint: "],
    [["dance"], 2, "unknown command"],
  ];
  for (const [args, code, message] of cases) {
    const finished = await run(...args);
    assertStringIncludes(finished.stderr, message);
    assertEquals(finished.code, code, args.join(" "));
  }
  const help = await run("--help");
  assertEquals(help.code, 0);
  for (const verb of ["start", "stop", "status"]) assertStringIncludes(help.stdout, verb);
});

Deno.test("importing the command line loads no npm module", async () => {
  const output = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", "--no-lock", "-c", CONFIG, CLI],
    env: { NO_COLOR: "1" },
  }).output();
  const { modules } = JSON.parse(new TextDecoder().decode(output.stdout));
  interface Dependency {
    readonly specifier: string;
    readonly isDynamic?: boolean;
    readonly code?: unknown;
  }
  const own = modules.filter((one: { specifier: string }) => one.specifier.includes("/cli/"));
  assert(own.length >= 5);
  const eager = own.flatMap((one: { dependencies: Dependency[] }) => one.dependencies ?? [])
    .filter((one: Dependency) =>
      one.specifier.startsWith("npm:") && one.code !== undefined && one.isDynamic !== true
    );
  assertEquals(eager, []);
});
