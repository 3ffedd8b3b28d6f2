/** A server starts, says where it is, and is entered in the run directory; or says why it did not start. */

import { assert, assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import { parseRunEntry } from "../../core/endpoint.ts";
import { AddressInUseError, ServerStartError } from "../../core/errors.ts";
import { makeWorkbench, PYTHON, runFiles, waitForOutput, waitUntilGone } from "./_launch.ts";

const unix = Deno.build.os !== "windows";

Deno.test("startServer() gives address, token and pid, and enters them for clients", async () => {
  await using bench = await makeWorkbench();
  await using server = await bench.start({ name: "kettle" });
  assertEquals(server.transport, "pipe");
  assertEquals(server.endpoint, "kettle");
  assertEquals(server.address, `${bench.context.runDirectory}/kettle.sock`);
  assertMatch(server.token, /^[0-9a-f]{64}$/);
  assertMatch(server.info.pythonVersion, /^3\.\d+\.\d+/);
  const path = `${bench.context.runDirectory}/pipe-kettle.json`;
  const { address, endpoint, pid, token, transport } = server;
  assertEquals(parseRunEntry(await Deno.readTextFile(path), path), {
    schema: 1,
    address,
    endpoint,
    pid,
    token,
    transport,
  });
});

Deno.test({
  name: "startServer() keeps its files from other users",
  ignore: !unix,
  async fn() {
    await using bench = await makeWorkbench();
    await Deno.mkdir(bench.context.runDirectory, { mode: 0o755 });
    await using _server = await bench.start({ name: "kettle" });
    const modeOf = async (path: string): Promise<string> =>
      ((await Deno.lstat(path)).mode! & 0o777).toString(8);
    assertEquals(await modeOf(bench.context.runDirectory), "700");
    assertEquals(await modeOf(`${bench.context.runDirectory}/pipe-kettle.json`), "600");
    assertEquals(await modeOf(bench.context.sourcesRoot), "700");
  },
});

Deno.test("startServer() does not use a run directory that is a link", async () => {
  await using bench = await makeWorkbench();
  await Deno.mkdir(`${bench.home}/elsewhere`);
  await Deno.symlink(`${bench.home}/elsewhere`, bench.context.runDirectory);
  const error = await assertRejects(() => bench.start(), ServerStartError);
  assertStringIncludes(error.message, "is not a directory of its own but a link or a file");
});

Deno.test({
  name: "startServer() tells the token on stdin alone",
  ignore: Deno.build.os !== "linux",
  async fn() {
    await using bench = await makeWorkbench();
    await using server = await bench.start();
    for (const file of ["cmdline", "environ"]) {
      const text = await Deno.readTextFile(`/proc/${server.pid}/${file}`);
      assert(text.length > 0);
      assert(!text.includes(server.token), `the token is in ${file}`);
    }
  },
});

Deno.test("startServer() keeps the token out of the log", async () => {
  await using bench = await makeWorkbench();
  const lines: string[] = [];
  const log = (...facts: unknown[]): void => void lines.push(facts.map(String).join(" "));
  let token: string;
  {
    await using server = await bench.start({ logger: { debug: log, info: log, warn: log, error: log } });
    token = server.token;
  }
  assert(lines.some((line) => line.includes("is ready at")));
  assert(!lines.join("\n").includes(token));
});

Deno.test("startServer() passes on limits, module paths and an environment without secrets", async () => {
  await using bench = await makeWorkbench();
  Deno.env.set("BEEP_TEST_SECRET", "hunter2");
  Deno.env.set("BEEP_TEST_WANTED_A", "1");
  Deno.env.set("PYTHONSTARTUP", "/nowhere.py");
  try {
    await using server = await bench.start({
      transport: "http",
      auth: false,
      modulePaths: ["/my/modules"],
      limits: { maxHandles: 5 },
      env: { STAND_IN: "boot", MINE: "2" },
      inheritEnv: ["BEEP_TEST_WANTED_*"],
      cwd: bench.home,
    });
    assertEquals(server.token, "");
    assertMatch(server.endpoint, /^http:\/\/localhost:\d+$/);
    assertMatch(server.address, /^http:\/\/127\.0\.0\.1:\d+$/);
    const [, boot] = await waitForOutput(() => server.stdout.text, /^boot (.*)$/m);
    assertEquals(JSON.parse(boot!), {
      transport: "http",
      auth: false,
      host: "127.0.0.1",
      port: 0,
      modulePaths: ["/my/modules"],
      limits: { maxHandles: 5 },
    });
    const [, text] = await waitForOutput(() => server.stdout.text, /^env (.*)$/m);
    const env = JSON.parse(text!);
    assertEquals(env.MINE, "2");
    assertEquals(env.BEEP_TEST_WANTED_A, "1");
    assertEquals(env.BEEP_TEST_SECRET, undefined);
    assertEquals(env.PYTHONSTARTUP, undefined);
    assertEquals(env.PATH.split(":")[0], PYTHON.slice(0, PYTHON.lastIndexOf("/")));
  } finally {
    for (const name of ["BEEP_TEST_SECRET", "BEEP_TEST_WANTED_A", "PYTHONSTARTUP"]) Deno.env.delete(name);
  }
});

Deno.test("startServer() finds the ready line behind other output", async () => {
  await using bench = await makeWorkbench();
  await using server = await bench.start({ env: { STAND_IN: "chatty" } });
  assertStringIncludes(server.stdout.text, "no newline before the line");
  assert(!server.stdout.text.includes("beep-host-ready"));
});

Deno.test("startServer() says what a server that dies at its start wrote", async () => {
  await using bench = await makeWorkbench();
  const error = await assertRejects(
    () => bench.start({ env: { STAND_IN: "die_at_import" } }),
    ServerStartError,
  );
  assertStringIncludes(error.message, "Python exited with code 1 before it was ready");
  assertStringIncludes(error.stderrTail, "ImportError: no module named teapot");
  assertEquals(await runFiles(bench.context), []);
});

Deno.test("case 54: startServer() says where a server hangs that never becomes ready", async () => {
  await using bench = await makeWorkbench();
  // As much time as it takes until Python has come to where it hangs, which it says.
  for (let startTimeoutMs = 500;; startTimeoutMs *= 4) {
    const started = bench.start({ env: { STAND_IN: "never_ready" }, startTimeoutMs });
    const error = await assertRejects(() => started, ServerStartError);
    assertStringIncludes(error.message, `within startTimeoutMs: ${startTimeoutMs} ms passed`);
    if (!error.stderrTail.includes("waiting as") && startTimeoutMs < 30_000) continue;
    if (unix) assertMatch(error.stderrTail, /__main__\.py", line \d+ in <module>/);
    break;
  }
  assertEquals(await runFiles(bench.context), []);
});

Deno.test("startServer() ends a process whose stdout ends without a ready line", async () => {
  await using bench = await makeWorkbench();
  const started = bench.start({ env: { STAND_IN: "close_stdout" } });
  const error = await assertRejects(() => started, ServerStartError);
  assertStringIncludes(error.message, "Python closed its stdout before it was ready");
});

Deno.test("startServer() refuses a ready line that lacks what it needs", async () => {
  await using bench = await makeWorkbench();
  const error = await assertRejects(() => bench.start({ env: { STAND_IN: "bad_ready" } }), ServerStartError);
  assertStringIncludes(error.message, "its ready line lacks address, pid or pythonVersion");
});

Deno.test("startServer() says that there is no interpreter at a path", async () => {
  await using bench = await makeWorkbench();
  const started = bench.start({ python: `${bench.home}/bin/python` });
  const error = await assertRejects(() => started, ServerStartError);
  assertStringIncludes(error.message, `there is no interpreter at "${bench.home}/bin/python"`);
});

Deno.test("startServer() refuses options that do not fit the transport, before it begins anything", async () => {
  await using bench = await makeWorkbench();
  const cases: [Parameters<typeof bench.start>[0], string][] = [
    [{ transport: "pipe", port: 1 }, "a pipe has no port"],
    [{ transport: "http", name: "kettle" }, "only a pipe has a name"],
    [{ transport: "http", port: 65_536 }, "an integer from 0 to 65535"],
    [{ transport: "http", host: "0.0.0.0" }, "not a loopback address"],
  ];
  for (const [options, message] of cases) {
    const error = await assertRejects(() => bench.start(options), ServerStartError);
    assertStringIncludes(error.message, message);
  }
  assertEquals(await Array.fromAsync(Deno.readDir(bench.home)), []);
});

Deno.test("case 58: startServer() says that a port is taken", async () => {
  await using bench = await makeWorkbench();
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  const error = await assertRejects(() => bench.start({ transport: "http", port }), AddressInUseError);
  assertEquals(error.address, String(port));
  assertEquals(await runFiles(bench.context), []);
});

Deno.test("startServer() says that a name is taken, and leaves its owner alone", async () => {
  await using bench = await makeWorkbench();
  await using first = await bench.start({ name: "kettle" });
  const error = await assertRejects(() => bench.start({ name: "kettle" }), AddressInUseError);
  assertEquals(error.address, "kettle");
  const path = `${bench.context.runDirectory}/pipe-kettle.json`;
  assertEquals(parseRunEntry(await Deno.readTextFile(path), path).pid, first.pid);
  (await Deno.connect({ transport: "unix", path: first.address })).close();
});

Deno.test("case 59: startServer() replaces the socket of a server that died", async () => {
  await using bench = await makeWorkbench();
  await Deno.mkdir(bench.context.runDirectory);
  const path = `${bench.context.runDirectory}/kettle.sock`;
  await leaveSocket(path);
  await using server = await bench.start({ name: "kettle" });
  assertEquals(server.address, path);
});

Deno.test("startServer() listens on a path, but not where somebody else does or where a file is", async () => {
  await using bench = await makeWorkbench();
  const path = `${bench.home}/mine.sock`;
  {
    using _listener = Deno.listen({ transport: "unix", path });
    await assertRejects(() => bench.start({ name: path }), AddressInUseError);
  }
  await using server = await bench.start({ name: path });
  assertEquals([server.endpoint, server.address], [path, path]);
  const file = `${bench.home}/file`;
  await Deno.writeTextFile(file, "precious");
  await assertRejects(() => bench.start({ name: file }), AddressInUseError, "is a file");
  assertEquals(await Deno.readTextFile(file), "precious");
});

Deno.test("case 60: startServer() listens in a short directory when the run directory's path is too long for a socket", async () => {
  await using bench = await makeWorkbench();
  const runDirectory = `${bench.home}/${"long".repeat(30)}/run`;
  await using server = await launchIn(bench, runDirectory);
  assertMatch(server.address, /^\/tmp\/beep-\d+\/[0-9a-f]{16}\.sock$/);
  const path = `${runDirectory}/pipe-kettle.json`;
  assertEquals(parseRunEntry(await Deno.readTextFile(path), path).address, server.address);
  const error = await assertRejects(() => bench.start({ name: `/${"long".repeat(30)}` }));
  assertStringIncludes((error as Error).message, "it is 121 bytes long, the most is 103");
});

Deno.test("an abort stops a start, and nothing is left", async () => {
  await using bench = await makeWorkbench();
  await assertRejects(() => bench.start({ signal: AbortSignal.abort(new Error("early")) }), Error, "early");
  const controller = new AbortController();
  const waiting = Promise.withResolvers<string>();
  const started = bench.start({
    env: { STAND_IN: "never_ready" },
    signal: controller.signal,
    name: "kettle",
    onStderr: waiting.resolve,
  });
  const pid = Number((await waiting.promise).replace("waiting as ", ""));
  controller.abort(new Error("enough"));
  await assertRejects(() => started, Error, "enough");
  await waitUntilGone(pid);
  assertEquals(await runFiles(bench.context), []);
});

Deno.test("many servers start at once", async () => {
  await using bench = await makeWorkbench();
  const servers = await Promise.all(
    Array.from({ length: 6 }, (_, i) => bench.start({ transport: i % 2 ? "pipe" : "http" })),
  );
  try {
    assertEquals(new Set(servers.map((server) => server.address)).size, 6);
    assertEquals(new Set(servers.map((server) => server.token)).size, 6);
  } finally {
    await Promise.all(servers.map((server) => server.close()));
  }
  assertEquals(await runFiles(bench.context), []);
});

/** Leaves the socket file of a listener that went without removing it, as one that was killed does. */
async function leaveSocket(path: string): Promise<void> {
  const code = `import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])`;
  await new Deno.Command(PYTHON, { args: ["-I", "-c", code, path] }).output();
}

async function launchIn(
  bench: Awaited<ReturnType<typeof makeWorkbench>>,
  runDirectory: string,
): Promise<Awaited<ReturnType<typeof bench.start>>> {
  const { launch } = await import("../../servers/start.ts");
  return await launch({ python: PYTHON, name: "kettle" }, { ...bench.context, runDirectory });
}
