/**
 * What a user sees who looks at a host or misuses it: a line without a token, and errors with the next step.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { inspect } from "node:util";
import {
  ConnectError,
  createHostApi,
  openSession,
  proxy,
  PythonError,
  PythonHost,
  PythonHostError,
  PythonHostHttp,
  type PythonHostOptions,
  PythonHostPipe,
  PythonHostPool,
  PythonHostRpc,
  type PythonObjectHandle,
  ServerExitedError,
  StaleHandleError,
} from "../../mod.ts";

Deno.test("a console shows a host and its parts in a line, and no secret", async () => {
  await using host = await PythonHost.start();
  await using session = await openSession(host, "mine");
  await using api = createHostApi(host);
  const handle = await host.createObject("collections", "Counter", ["aab"]);
  const shown: Record<string, unknown> = {
    'PythonHost { transport: "pipe", environment: "admin", pid: ': host,
    'PythonServer { transport: "pipe", endpoint: "host-': host.server,
    'PythonSession { id: "mine", transport: "pipe" }': session,
    "HostApi {}": api,
    "VenvManager { runtimes: RuntimeManager { home: ": host.environments,
    'PythonObjectHandle { id: 1, typeName: "Counter" }': handle,
    'PythonHostHttp { transport: "http" }': new PythonHostHttp("http://localhost:1", { token: "s3cret" }),
    'PythonHostPipe { transport: "pipe" }': new PythonHostPipe("nobody", { token: "s3cret" }),
    'PythonHostRpc { transport: "rpc" }': new PythonHostRpc("http://localhost:1", { token: "s3cret" }),
  };
  for (const [start, value] of Object.entries(shown)) {
    for (const text of [Deno.inspect(value), inspect(value).replaceAll("'", '"')]) {
      const line = text.replace(/\s+/g, " ");
      assert(line.startsWith(start), line);
      for (const secret of ["s3cret", host.server.token, api.token]) assert(!line.includes(secret), line);
    }
  }
  // Whatever else it is printed within.
  assert(
    !Deno.inspect({ deep: [{ host, api, server: host.server }] }, { depth: 9 }).includes(host.server.token),
  );
});

Deno.test("a value where a handle is wanted is refused with the way to keep it in Python", async () => {
  await using host = await PythonHost.start();
  const untyped = host as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>;
  const calls: (() => Promise<unknown>)[] = [
    () => untyped.callMethod!([1, 2], "append", [3]),
    () => untyped.getAttribute!({ a: 1 }, "a"),
    () => untyped.setAttribute!(5, "x", 1),
    () => untyped.callMethod!(undefined, "x"),
    () => untyped.callMethod!("abc", "upper"),
    () => untyped.toFloatArray!([1, 2]),
    () => untyped.disposeHandle!(5),
    () => untyped.createObject!(5, "x"),
    () => untyped.createObject!(null, "x"),
  ];
  for (const call of calls) {
    const failure = await assertRejects(call, PythonHostError, "it is a value of JavaScript", String(call));
    assertEquals(failure.code, "argument");
    assert(failure.hint!.includes('result: "handle"'));
  }
});

Deno.test("a proxy or a path where a handle is wanted is named as what it is", async () => {
  await using host = await PythonHost.start();
  const text = proxy(await host.evaluate("object()") as PythonObjectHandle);
  for (const [given, words] of [[text, "[PythonProxy"], [text.name, "[PythonPath object.name]"]] as const) {
    const handle = given as unknown as PythonObjectHandle;
    const failure = await assertRejects(() => host.callMethod(handle, "x"), PythonHostError, words);
    assert(failure.hint!.includes("handleOf()"));
  }
});

Deno.test("a handle of before a restart is told to be made again", async () => {
  await using host = await PythonHost.start({ restart: true });
  const handle = await host.evaluate<PythonObjectHandle>("object()");
  await assertRejects(() => host.evaluate("import os\nos._exit(3)"), ServerExitedError);
  const failure = await assertRejects(() => host.evaluate("x", { x: handle }), StaleHandleError);
  assert(failure.hint!.includes("restart"));
});

Deno.test("who misses a module is told how a server gets it", async () => {
  await using host = await PythonHost.start();
  const failure = await assertRejects(() => host.evaluate("import no_such_module"), PythonError);
  assert(failure.hint!.includes("`packages`") && failure.hint!.includes("`modulePaths`"));
  const own = "class ModuleNotFoundError(Exception): pass\nraise ModuleNotFoundError('of mine')";
  assertEquals((await assertRejects(() => host.evaluate(own), PythonError)).hint, undefined);
});

Deno.test("packages that are no list are refused before anything is made", async () => {
  const packages = "numpy" as unknown as string[];
  const failure = await assertRejects(
    () => PythonHost.start({ packages }),
    PythonHostError,
    'Cannot use option "packages": it must be a list of strings, not "numpy"',
  );
  assertEquals(failure.hint, 'Write it as packages: ["numpy"].');
});

Deno.test("an option that there is none of is refused with those that there are", async () => {
  const starts: readonly (readonly [start: (options: object) => Promise<unknown>, option: string])[] = [
    [(options) => PythonHost.start(options), "restart"],
    [(options) => PythonHostPool.start(options), "maxWorkerAgeMs"],
  ];
  for (const [start, option] of starts) {
    for (const name of ["package", "toString", "__proto__x"]) {
      const failure = await assertRejects(
        () => start({ [name]: ["numpy"] }),
        PythonHostError,
        `Cannot use option "${name}": there is none of this name`,
      );
      assertEquals(failure.code, "argument");
      assert(failure.hint!.includes("packages, ") && failure.hint!.includes(option));
    }
  }
  // Each worker is replaced anyway.
  const restart = { restart: true } as object;
  await assertRejects(() => PythonHostPool.start(restart), PythonHostError, 'option "restart"');
  // What a spread leaves empty is nothing that was asked for.
  await using host = await PythonHost.start({ leftEmpty: undefined } as PythonHostOptions);
  assertEquals(await host.evaluate("1"), 1);
});

Deno.test("who lost a server is told how to have another take its place", async () => {
  await using host = await PythonHost.start();
  const failure = await assertRejects(() => host.evaluate("import os\nos._exit(3)"), ServerExitedError);
  assert(failure.hint!.includes("restart: true"));
  const again = await assertRejects(() => host.evaluate("1"), ServerExitedError);
  assert(again.hint!.includes("restart: true"));
});

Deno.test("an endpoint where nobody listens is that, over every transport", async () => {
  const nobody = [
    new PythonHostHttp("http://127.0.0.1:1", { token: "any" }),
    new PythonHostRpc("http://127.0.0.1:1", { token: "any" }),
    new PythonHostRpc("http://no-such-host.invalid:1", { token: "any" }),
    new PythonHostPipe("nobody-is-there", { token: "any" }),
  ];
  for (const backend of nobody) {
    await assertRejects(() => backend.initialize(), ConnectError, "Cannot connect");
  }
});

Deno.test("a transport that cannot connect is refused before anything is begun", async () => {
  for (const transport of [{}, null, { name: "mine" }, { name: "mine", connect: 5 }, { connect() {} }]) {
    const failure = await assertRejects(
      () => PythonHost.start({ transport } as unknown as PythonHostOptions),
      PythonHostError,
      "Cannot use the transport that was given",
    );
    assertEquals(failure.code, "argument");
  }
});

Deno.test("what Python prints where no call listens is told to the host's own listener", async () => {
  let printed = "";
  let complained = "";
  const { promise, resolve } = Promise.withResolvers<void>();
  const check = (): void => {
    if (printed.includes("from a subprocess\n") && complained.includes("warned\n")) resolve();
  };
  await using host = await PythonHost.start({
    onStdout(text) {
      printed += text;
      check();
    },
    onStderr(text) {
      complained += text;
      check();
    },
  });
  let own = "";
  await host.evaluate("print('for the call')", {}, { onStdout: (text) => own += text });
  await host.evaluate(`
    import subprocess, sys
    print("from Python", flush=True)
    print("warned", file=sys.stderr)
    subprocess.run([sys.executable, "-c", "print('from a subprocess')"])
    None
  `);
  await promise;
  assertEquals([own, printed], ["for the call\n", "from Python\nfrom a subprocess\n"]);
});
