/** `PythonHost` owns the chain: environment, server, backend; and explains how its server ended. */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import {
  ConnectError,
  EnvironmentError,
  PythonHostError,
  PythonNotFoundError,
  ServerExitedError,
} from "../../core/errors.ts";
import { PythonHost, type PythonHostOptions } from "../../host/mod.ts";
import { PythonHostHttp } from "../../transports/http.ts";
import { PythonHostPipe } from "../../transports/pipe.ts";
import { waitUntilGone } from "../servers/_launch.ts";
import { inTime, makeHome, makeVenv } from "./_home.ts";

const TRANSPORTS = ["pipe", "http"] as const;

/** Starts a host in an empty venv. */
async function start(home: { path: string }, options: PythonHostOptions = {}): Promise<PythonHost> {
  return await PythonHost.start({ environment: { path: await makeVenv(home.path) }, ...options });
}

for (const transport of TRANSPORTS) {
  Deno.test(`a host is a backend over ${transport}`, async () => {
    await using home = await makeHome();
    await using host = await start(home, { transport });
    assertEquals(host.transport, transport);
    assert(host.isInitialized);
    assertEquals((await host.initialize()).pid, host.server.pid);
    assertEquals(await host.evaluate("1 + 1"), 2);
    assertEquals(await host.isModuleAvailable("json"), true);
    const json = await host.importModule("json");
    assertEquals(await host.callMethod(json, "dumps", [[1, null]]), "[1, null]");
    await using space = await host.createObject("types", "SimpleNamespace", [], { a: 1 });
    await host.setAttribute(space, "b", 2);
    assertEquals(await host.getAttribute(space, "b"), 2);
    const list = await host.createObjectHandleFromResult([[1, 2], [3, 4.5]]);
    assertEquals(await host.toFloatArray2D(list), [new Float32Array([1, 2]), new Float32Array([3, 4.5])]);
    assertEquals(await host.toFloatArray(list), new Float32Array([1, 2, 3, 4.5]));
    await host.disposeHandle(list);
  });

  Deno.test(`a client of the same user needs the endpoint alone: ${transport}`, async () => {
    await using home = await makeHome();
    await using host = await start(home, { transport });
    const Backend = transport === "pipe" ? PythonHostPipe : PythonHostHttp;
    await using client = new Backend(host.server.endpoint);
    assertEquals((await client.initialize()).pid, host.server.pid);
    assertEquals(await client.evaluate("6 * 7"), 42);
  });

  Deno.test(`a server that is killed rejects the running call with its signal: ${transport}`, async () => {
    await using home = await makeHome();
    await using host = await start(home, { transport });
    // Ends itself from a thread, so that the call is surely running.
    const call = host.evaluate(`
      import os, signal, threading, time
      threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGKILL)).start()
      time.sleep(60)
    `);
    const error = await inTime(assertRejects(() => call, ServerExitedError));
    assertEquals([error.signal, error.exitCode], ["SIGKILL", 137]);
    const later = await assertRejects(() => host.evaluate("1"), ServerExitedError);
    assertEquals(later.signal, "SIGKILL");
  });

  Deno.test(`a server that exits rejects the running call with its code and last words: ${transport}`, async () => {
    await using home = await makeHome();
    await using host = await start(home, { transport });
    const call = host.evaluate(`import os; os.write(2, b"last words\\n"); os._exit(7)`);
    const error = await inTime(assertRejects(() => call, ServerExitedError));
    assertEquals([error.signal, error.exitCode], [null, 7]);
    assertStringIncludes(error.stderrTail, "last words");
  });

  Deno.test(`a server that crashes leaves the trace of its threads: ${transport}`, async () => {
    await using home = await makeHome();
    await using host = await start(home, { transport });
    const call = host.evaluate(`import ctypes; ctypes.string_at(0)`);
    const error = await inTime(assertRejects(() => call, ServerExitedError));
    assertEquals(error.signal, "SIGSEGV");
    assertMatch(error.stderrTail, /Fatal Python error: Segmentation fault/);
  });

  Deno.test(`close() rejects what is pending and ends the server: ${transport}`, async () => {
    await using home = await makeHome();
    const host = await start(home, { transport });
    const call = host.evaluate("import time; time.sleep(60)").catch((error: unknown) => error);
    await inTime(host.close());
    assertInstanceOf(await call, PythonHostError);
    assertEquals((await host.server.exited).signal, null);
    await host.close();
    await assertRejects(() => host.evaluate("1"), PythonHostError);
  });
}

Deno.test("code sees module paths, variables and the working directory that it was given", async () => {
  await using home = await makeHome();
  await Deno.mkdir(`${home.path}/modules`);
  await Deno.writeTextFile(`${home.path}/modules/kettle.py`, "volume = 1.5\n");
  await using host = await start(home, {
    modulePaths: [`${home.path}/modules`],
    env: { GREETING: "grüß Gott" },
    cwd: home.path,
  });
  assertEquals(await host.evaluate("import kettle; kettle.volume"), 1.5);
  assertEquals(await host.evaluate("import os; os.environ['GREETING']"), "grüß Gott");
  assertEquals(await host.evaluate("os.path.samefile(os.getcwd(), path)", { path: home.path }), true);
});

Deno.test("code runs in the environment, and neither knows the token nor reads stdin", async () => {
  await using home = await makeHome();
  await using host = await start(home);
  assertEquals(await host.evaluate("import sys; sys.prefix != sys.base_prefix"), true);
  assertEquals(
    await host.evaluate("import os; os.path.samefile(os.environ['VIRTUAL_ENV'], sys.prefix)"),
    true,
  );
  assertEquals(await host.evaluate("repr(dict(os.environ)).count(token)", { token: host.server.token }), 0);
  const error = await assertRejects(() => host.evaluate("input()"));
  assertStringIncludes((error as Error).message, "EOFError");
});

Deno.test("what code prints never breaks a call, and is kept", async () => {
  await using home = await makeHome();
  await using host = await start(home);
  assertEquals(
    await host.evaluate(`import os; os.write(1, b"x" * 300_000); os.system("echo from a child"); 1`),
    1,
  );
  await inTime((async () => {
    while (!host.server.stdout.text.includes("from a child")) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  })());
});

Deno.test("children of the server end with it", async () => {
  await using home = await makeHome();
  const host = await start(home);
  const pid = await host.evaluate<number>("import subprocess; subprocess.Popen(['sleep', '1000']).pid");
  await host.close();
  await waitUntilGone(pid); // it was killed, which takes its time where others want the processor too
});

Deno.test("start() refuses what cannot be an environment", async () => {
  await using home = await makeHome();
  const missing = { path: `${home.path}/missing` };
  const error = await assertRejects(() => PythonHost.start({ environment: missing }), EnvironmentError);
  assertStringIncludes(error.message, "it has no pyvenv.cfg or no interpreter");
  const fixed = await assertRejects(
    () => PythonHost.start({ environment: missing, packages: ["numpy"] }),
    EnvironmentError,
  );
  assertStringIncludes(fixed.message, 'with option "packages": it is used as it is');
});

Deno.test("start() says what it looked at when no Python is good enough", async () => {
  await using _home = await makeHome();
  const started = PythonHost.start({ python: ">=3.99", download: "never" });
  const error = await assertRejects(() => started, PythonNotFoundError);
  assertStringIncludes(error.message, 'Cannot find a Python for request ">=3.99"');
  assert(error.candidates.length > 0);
});

Deno.test("start() makes the environment that is asked for by name, once", async () => {
  await using _home = await makeHome();
  const paths: string[] = [];
  for (let i = 0; i < 2; i++) {
    await using host = await PythonHost.start({ environment: "kettle" });
    assertEquals(host.environment.name, "kettle");
    assertEquals(
      await host.evaluate("import sys, os; os.path.samefile(sys.prefix, path)", {
        path: host.environment.path,
      }),
      true,
    );
    paths.push(host.environment.path);
  }
  assertEquals(paths[0], paths[1]);
});

Deno.test("start() refuses a transport that it does not know", async () => {
  const transport = "carrier-pigeon" as "pipe";
  const error = await assertRejects(() => PythonHost.start({ transport }), PythonHostError);
  assertEquals(error.message, 'Cannot use transport "carrier-pigeon": known are pipe, http, rpc');
});

Deno.test("start() takes a transport of the user's own", async () => {
  await using home = await makeHome();
  const seen: string[] = [];
  await using host = await start(home, {
    transport: {
      name: "mine",
      serverArguments: { transport: "pipe", name: "mine" },
      connect({ address, endpoint, token }) {
        seen.push(endpoint);
        return new PythonHostPipe(address, { token });
      },
    },
  });
  assertEquals(seen, ["mine"]);
  assertEquals(await host.evaluate("'mine'"), "mine");
});

Deno.test("start() leaves no server when connecting fails", async () => {
  await using home = await makeHome();
  let address = "";
  const started = start(home, {
    transport: {
      name: "broken",
      connect(endpoint) {
        address = endpoint.address;
        return new PythonHostPipe(`${home.path}/nowhere.sock`, { token: endpoint.token });
      },
    },
  });
  await assertRejects(() => started, ConnectError);
  await assertRejects(() => Deno.connect({ transport: "unix", path: address }));
});

Deno.test("start() stops when it is aborted", async () => {
  await using home = await makeHome();
  const environment = { path: await makeVenv(home.path) };
  const controller = new AbortController();
  const started = PythonHost.start({
    environment,
    signal: controller.signal,
    transport: {
      name: "slow",
      connect({ address, token }) {
        controller.abort(new Error("enough"));
        return new PythonHostPipe(address, { token });
      },
    },
  });
  await assertRejects(() => started, Error, "enough");
  await assertRejects(() => PythonHost.start({ environment, signal: controller.signal }), Error, "enough");
});
