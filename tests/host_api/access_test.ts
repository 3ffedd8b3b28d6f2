/** What Python may ask of its host, and what becomes of it when the host is not there. */

import { assert, assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { PythonError, PythonHostError } from "../../core/errors.ts";
import { PythonHost, type PythonHostOptions } from "../../host/mod.ts";
import { PythonHostPipe } from "../../transports/mod.ts";
import { findPython, makeHome, ownerOptions, startHosted } from "./_hosted.ts";
import { PACKAGE, startIndex, startSilentIndex } from "./_index.ts";

/** Starts a host on an empty environment of its own. */
async function start(options: PythonHostOptions = {}): Promise<PythonHost> {
  return await PythonHost.start({ environment: "bare", ...options });
}

async function raised(work: Promise<unknown>): Promise<PythonError> {
  return await assertRejects(() => work, PythonError);
}

const MANAGERS = "from beep_host.infrastructure import *\n";

Deno.test("what is not granted is refused, and tells how it is granted", async () => {
  await using _home = await makeHome();
  await using host = await start({ infrastructure: { allow: ["environments:read"] } });
  assertEquals(await host.evaluate(`${MANAGERS}[one.name for one in VenvManager().list()]`), ["bare"]);
  for (
    const [code, capability] of [
      ["VenvManager().ensure('x')", "environments:write"],
      ["VenvManager().delete('bare')", "environments:write"],
      ["VenvManager().install('bare', ['six'])", "packages:write"],
      ["VenvManager().run('bare', module='this')", "environments:run"],
      ["RuntimeManager().list()", "runtimes:read"],
      ["RuntimeManager().install('3.12')", "runtimes:write"],
      ["ServerManager().list()", "servers:read"],
      ["ServerManager().start('bare')", "servers:write"],
    ] as const
  ) {
    const error = await raised(host.evaluate(code));
    assertEquals([code, error.pythonType], [code, "NotGrantedError"]);
    assertStringIncludes(error.message, capability);
  }
});

Deno.test("infrastructure: false leaves no way to the host", async () => {
  await using home = await makeHome();
  await using host = await start({ infrastructure: false });
  const error = await raised(host.evaluate(`${MANAGERS}VenvManager().list()`));
  assertEquals(error.pythonType, "HostUnavailableError");
  assertEquals(await host.evaluate("import os; os.environ.get('BEEP_HOST_API')"), null);
  assertThrows(() => host.expose("a", { fn: () => 1 }), PythonHostError, "no way to this host");
  const files = Array.from(Deno.readDirSync(`${home.path}/run`), ({ name }) => name);
  assertEquals(files.filter((name) => name.endsWith(".api")), []);
});

Deno.test("a server that listens beyond loopback has no way to the host unless that is asked for", async () => {
  await using home = await makeHome();
  for (const host of ["127.0.0.1", "localhost", "::1", undefined]) {
    await using access = await home.servers.access(undefined, host);
    assert(access !== undefined, host);
  }
  for (const host of ["0.0.0.0", "::", "192.0.2.1", "box.example"]) {
    assertEquals(await home.servers.access(undefined, host), undefined, host);
    await using access = await home.servers.access({ allow: ["environments:read"] }, host);
    assert(access !== undefined, host);
  }
});

Deno.test("a capability that does not exist is refused before anything is started", async () => {
  await using _home = await makeHome();
  // deno-lint-ignore no-explicit-any -- what a program without types might pass
  const allow = ["environments:raed"] as any;
  await assertRejects(() => start({ infrastructure: { allow } }), PythonHostError, "environments:raed");
});

Deno.test("a server that Python starts gets no more than its starter has", async () => {
  await using home = await makeHome();
  await using host = await start({ infrastructure: { allow: ["servers:read", "servers:write"] } });
  const endpoint = await host.evaluate<string>(`${MANAGERS}ServerManager().start('bare').endpoint`);
  await using client = new PythonHostPipe(endpoint);
  await client.initialize();
  assertEquals(
    (await raised(client.evaluate(`${MANAGERS}VenvManager().list()`))).pythonType,
    "NotGrantedError",
  );
  assertEquals(await client.evaluate("len(ServerManager().list())"), 2);
  assertEquals((await home.environments.status("bare")).state, "ready");
});

Deno.test("the host's own server is listed, and cannot be stopped from Python", async () => {
  await using _home = await makeHome();
  await using host = await start();
  assertEquals(host.servers.list().map(({ owner, environment }) => [owner, environment]), [["host", "bare"]]);
  const error = await raised(host.evaluate(`${MANAGERS}ServerManager().stop(ServerManager().list()[0])`));
  assertStringIncludes(error.message, "belongs to the host program");
  assertEquals(error.pythonType, "NotGrantedError");
});

Deno.test("what a host started ends with it, and leaves no file", async () => {
  await using home = await makeHome();
  const host = await start();
  const endpoint = await host.evaluate<string>(`${MANAGERS}ServerManager().start('bare', 'http').endpoint`);
  await host.close();
  assert(await fetch(`${endpoint}/health`).catch((error: unknown) => error) instanceof TypeError);
  assertEquals(Array.from(Deno.readDirSync(`${home.path}/run`), ({ name }) => name), []);
});

Deno.test("Python that waits for a host that goes away gets an exception at once", async () => {
  await using home = await makeHome();
  await using index = startSilentIndex();
  const hostApi = await home.servers.access(true);
  assert(hostApi !== undefined);
  const script = `${home.path}/wait.py`;
  await Deno.writeTextFile(
    script,
    `
import sys, time
from beep_host.infrastructure import HostGoneError, VenvManager
def told(event):
    print("waiting", flush=True)
try:
    # Its installer waits for an index that never answers, longer than the host lives.
    VenvManager().ensure("endless", ["six"], index_url=sys.argv[1], on_progress=told)
except HostGoneError:
    print("gone", flush=True)
try:
    VenvManager().list()
except HostGoneError:
    print("still gone", flush=True)
`,
  );
  await using child = new Deno.Command(await findPython(), {
    args: ["-u", script, index.url],
    env: {
      BEEP_HOST_API: hostApi.path,
      PYTHONPATH: new URL("../../servers/python", import.meta.url).pathname,
    },
    stdout: "piped",
  }).spawn();
  const lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  assertStringIncludes((await lines.read()).value ?? "", "waiting");
  const started = performance.now();
  await hostApi[Symbol.asyncDispose]();
  let text = "";
  for (let chunk = await lines.read(); !chunk.done; chunk = await lines.read()) text += chunk.value;
  const took = performance.now() - started;
  assertStringIncludes(text, "gone\nstill gone\n");
  // Milliseconds; by itself the installer would give up after a minute and more.
  assert(took < 10_000, `It took ${took.toFixed()} ms`);
});

Deno.test("an index that cannot be reached, and a package that is not there, give the installer's lines", async () => {
  await using _home = await makeHome();
  await using host = await start();
  await host.evaluate(MANAGERS);
  const [message, output] = await host.evaluate<[string, string]>(`
    try:
        VenvManager().ensure('p', ['no-such-package-8f2'], index_url='http://127.0.0.1:9/simple')
    except CommandFailedError as error:
        told = [str(error), error.output]
    told
  `);
  for (const lines of [message, output]) {
    assertStringIncludes(lines, "No matching distribution found for no-such-package-8f2");
    // Not only that there is no such package, which is not what is wrong.
    assertStringIncludes(lines, "Connection refused");
  }
  assertEquals(await host.evaluate("VenvManager().exists('p')"), false);
});

Deno.test("two servers that ensure the same environment at once get the same", async () => {
  await using home = await makeHome();
  await using index = await startIndex();
  await using one = await startHosted(home, "pipe");
  await using two = await startHosted(home, "http");
  await using first = new PythonHostPipe(one.address, ownerOptions(one));
  await first.initialize();
  const second = await import("../../transports/mod.ts").then(({ PythonHostHttp }) =>
    new PythonHostHttp(two.address, ownerOptions(two))
  );
  await using _second = second;
  await second.initialize();
  const code = `${MANAGERS}VenvManager().ensure('shared', ['${PACKAGE}'], index_url='${index.url}').path`;
  const paths = await Promise.all([first.evaluate(code), second.evaluate(code)]);
  assertEquals(paths[0], paths[1]);
  assertEquals(await first.evaluate("[one.name for one in VenvManager().packages('shared')]"), [PACKAGE]);
});

Deno.test({
  name: "a token opens its own server's way to the host, and no other",
  ignore: Deno.build.os === "windows",
  async fn() {
    await using home = await makeHome();
    await using own = await startHosted(home, "pipe");
    await using other = await startHosted(home, "pipe", { allow: ["environments:read"] });
    const ways = await Promise.all([own, other].map(async (server) => {
      await using backend = new PythonHostPipe(server.endpoint, ownerOptions(server));
      const path = await backend.evaluate<string>("import os; os.environ['BEEP_HOST_API']");
      return JSON.parse(await Deno.readTextFile(path)) as { address: string; token: string };
    }));
    const statusOf = async (address: string, token: string): Promise<string> => {
      const connection = await Deno.connect({ transport: "unix", path: address.slice("unix:".length) });
      const head = `GET /environments HTTP/1.0\r\nhost: x\r\nauthorization: Bearer ${token}\r\n\r\n`;
      await connection.write(new TextEncoder().encode(head));
      return (await new Response(connection.readable).text()).split(" ")[1]!;
    };
    const [first, second] = ways as [typeof ways[0], typeof ways[0]];
    assertEquals(await statusOf(first!.address, first!.token), "200");
    assertEquals(await statusOf(second!.address, second!.token), "200");
    for (const token of [second!.token, own.token, "", "x".repeat(64)]) {
      assertEquals(await statusOf(first!.address, token), "401");
    }
  },
});

Deno.test("a progress callback that raises StopIteration leaves nobody waiting", async () => {
  await using home = await makeHome();
  await using server = await startHosted(home, "pipe");
  await using backend = new PythonHostPipe(server.endpoint, ownerOptions(server));
  const code =
    `${MANAGERS}await AsyncVenvManager().ensure("stopped", on_progress=lambda event: next(iter([])))`;
  const error = await raised(backend.evaluate(code));
  assertEquals([error.pythonType, error.pythonMessage], ["RuntimeError", "ensure raised StopIteration: "]);
});

Deno.test("a progress callback that raises ends the operation, and a cancelled one leaves nothing", async () => {
  await using home = await makeHome();
  await using server = await startHosted(home, "pipe");
  await using backend = new PythonHostPipe(server.endpoint, ownerOptions(server));
  const said = await backend.evaluate(`
    import asyncio
    from beep_host.infrastructure import AsyncVenvManager, VenvManager
    def refuse(event):
        raise ValueError("mine")
    said = []
    try:
        VenvManager().ensure("raised", packages=[], on_progress=refuse)
    except ValueError as error:
        said.append(str(error))
    begun = asyncio.Event()
    task = asyncio.ensure_future(
        AsyncVenvManager().ensure("cancelled", packages=["numpy"], on_progress=lambda event: begun.set())
    )
    await begun.wait()
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        said.append("cancelled")
    said
  `);
  assertEquals(said, ["mine", "cancelled"]);
  await server.close();
  await home.servers[Symbol.asyncDispose]();
  assertEquals(await home.environments.list(), []);
});
