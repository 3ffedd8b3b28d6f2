// How a pipe backend finds its server, and which servers and entries it refuses.

import { assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import { formatRunEntry, type RunEntry } from "../../core/endpoint.ts";
import {
  AuthenticationError,
  ConnectError,
  PermissionNeededError,
  ProtocolError,
  type PythonHostError,
  StaleHandleError,
} from "../../core/errors.ts";
import { PythonHostPipe } from "../../transports/pipe.ts";
import { type Script, ScriptedServer, TOKEN } from "./scripted_server.ts";

type ErrorClass = new (...args: never[]) => Error;

/** Connects with a token and gives the error. */
async function refusal(
  script: Script,
  token: string | undefined,
  errorClass: ErrorClass,
): Promise<PythonHostError> {
  await using server = new ScriptedServer(script);
  await using backend = new PythonHostPipe(server.path, { token });
  const error = await assertRejects(() => backend.evaluate("x"), errorClass as new () => PythonHostError);
  assertEquals(server.received, [], "no call was sent");
  return error;
}

Deno.test("a wrong token is refused by the client itself, which tells the server nothing", async () => {
  const error = await refusal({}, "another token", AuthenticationError);
  assertStringIncludes(error.message, "did not prove that it knows the token");
});

Deno.test("an impostor that repeats the client's nonce or sends any other proof is refused", async () => {
  for (const proof of ["", "00", "zz", "0".repeat(64), 7, null, "A".repeat(64)]) {
    await refusal({ challenge: { proof } }, TOKEN, AuthenticationError);
  }
});

Deno.test("a server that wants no token is refused by a client that knows one", async () => {
  await refusal({ token: "" }, TOKEN, AuthenticationError);
});

Deno.test("a client without a token says what is missing", async () => {
  const error = await refusal({}, "", AuthenticationError);
  assertStringIncludes(error.hint!, "token");
});

Deno.test("a server without authentication takes a client without a token", async () => {
  await using server = new ScriptedServer({ token: "" });
  await using backend = new PythonHostPipe(server.path, { token: "" });
  assertEquals((await backend.initialize()).implementation, "scripted");
});

Deno.test("another protocol version is told with both versions", async () => {
  const error = await refusal({ challenge: { protocol: 7 } }, TOKEN, ProtocolError);
  assertEquals(error.code, "version");
  assertStringIncludes(error.message, "the server speaks protocol 7, this library 1");
});

for (
  const [code, errorClass] of [
    ["version", ProtocolError],
    ["authentication", AuthenticationError],
    ["limit", ProtocolError],
    ["stale-handle", StaleHandleError],
    ["protocol", ProtocolError],
  ] as const
) {
  Deno.test(`a refusal with code ${code} arrives with its code and message`, async () => {
    const message = `Cannot open connection: ${code}`;
    for (const script of [{ refuse: { code, message } }, { refuseHello: { code, message } }]) {
      const error = await refusal(script, TOKEN, errorClass);
      assertEquals([error.code, error.message], [code, message]);
    }
  });
}

Deno.test("what is no server of ours is refused with a typed error", async () => {
  await refusal({ hangUp: Infinity }, TOKEN, ConnectError);
  const http = new TextEncoder().encode("HTTP/1.1 400 Bad Request\r\n\r\n");
  await refusal({ garbage: http }, TOKEN, ProtocolError);
});

Deno.test("a lane that the server drops before it has proved itself is opened again", async () => {
  await using server = new ScriptedServer({
    hangUp: 2,
    onRequest: ({ message: [id, operation] }, lane) =>
      void lane.send([id, "ok", operation === "ping" ? [] : 7]),
  });
  await using backend = new PythonHostPipe(server.path, { token: TOKEN });
  assertEquals(await backend.evaluate("x"), 7);
  await backend.ping();
  assertEquals(server.lanes.map(({ lane }) => lane).sort(), [
    ...Array(3).fill("control"),
    ...Array(3).fill("session"),
  ]);
});

/** A home directory with a run directory in it, and the variable that names it. */
async function withHome(body: (runDirectory: string) => Promise<void>): Promise<void> {
  const home = await Deno.makeTempDir({ prefix: "beep-home-" });
  const before = Deno.env.get("BEEP_PYTHON_HOME");
  Deno.env.set("BEEP_PYTHON_HOME", home);
  try {
    await Deno.mkdir(`${home}/run`, { mode: 0o700 });
    await body(`${home}/run`);
  } finally {
    if (before === undefined) Deno.env.delete("BEEP_PYTHON_HOME");
    else Deno.env.set("BEEP_PYTHON_HOME", before);
    await Deno.remove(home, { recursive: true });
  }
}

async function enter(
  runDirectory: string,
  address: string,
  changes: Partial<RunEntry> = {},
): Promise<string> {
  const entry: RunEntry = {
    schema: 1,
    transport: "pipe",
    endpoint: "test-pipe",
    address,
    pid: 4_000_000,
    token: TOKEN,
    ...changes,
  };
  const path = `${runDirectory}/pipe-test-pipe.json`;
  await Deno.writeTextFile(path, formatRunEntry(entry), { mode: 0o600 });
  return path;
}

Deno.test("a name is looked up in the run directory, with its token", async () => {
  await withHome(async (run) => {
    await using server = new ScriptedServer();
    await enter(run, server.path);
    await using byName = new PythonHostPipe("test-pipe");
    assertEquals((await byName.initialize()).implementation, "scripted");
    await using byPath = new PythonHostPipe(server.path);
    assertEquals((await byPath.initialize()).implementation, "scripted");
  });
});

Deno.test("a name that nobody entered is told with the directory and the next step", async () => {
  await withHome(async (run) => {
    await using backend = new PythonHostPipe("test-pipe");
    const error = await assertRejects(() => backend.initialize(), ConnectError);
    assertStringIncludes(error.message, `no server of that name is entered in "${run}"`);
    assertStringIncludes(error.hint!, "start pipe --name test-pipe");
    await Deno.remove(run);
    await assertRejects(() => backend.initialize(), ConnectError, "no server of that name");
  });
});

Deno.test("an entry whose server has gone is told as stale, and can be tried again when it is back", async () => {
  await withHome(async (run) => {
    const socket = `${run}/gone`;
    await enter(run, socket);
    await using backend = new PythonHostPipe("test-pipe");
    for (const leaveFile of [false, true]) {
      if (leaveFile) await Deno.writeFile(socket, new Uint8Array());
      const error = await assertRejects(() => backend.initialize(), ConnectError);
      assertStringIncludes(error.message, `nobody listens at socket "${socket}"`);
      assertStringIncludes(error.hint!, "process 4000000, has ended");
    }
    await using server = new ScriptedServer();
    await enter(run, server.path);
    assertEquals((await backend.initialize()).implementation, "scripted");
  });
});

Deno.test({
  name: "an entry that others could have written is not trusted",
  ignore: Deno.build.os === "windows",
  fn: async () => {
    await withHome(async (run) => {
      await using server = new ScriptedServer();
      const path = await enter(run, server.path);
      await using backend = new PythonHostPipe("test-pipe");
      await Deno.chmod(path, 0o644);
      await assertRejects(() => backend.initialize(), ConnectError, "its mode is 644");
      await Deno.chmod(path, 0o600);
      await Deno.chmod(run, 0o777);
      await assertRejects(() => backend.initialize(), ConnectError, "its mode is 777");
      await Deno.chmod(run, 0o700);
      await Deno.rename(path, `${run}/real.json`);
      await Deno.symlink(`${run}/real.json`, path);
      await assertRejects(() => backend.initialize(), ConnectError, "it is a symbolic link");
      assertEquals(server.received, []);
    });
  },
});

Deno.test("an entry that cannot be read is told with its path", async () => {
  await withHome(async (run) => {
    const path = await enter(run, "/x");
    await Deno.writeTextFile(path, "{");
    await using backend = new PythonHostPipe("test-pipe");
    await assertRejects(() => backend.initialize(), ProtocolError, path);
  });
});

Deno.test("a socket path that is too long is told before anything is tried", async () => {
  await using backend = new PythonHostPipe(`/${"x".repeat(120)}`, { token: TOKEN });
  await assertRejects(() => backend.initialize(), ConnectError, "121 bytes long, the most is 103");
});

Deno.test({
  name: "missing permissions are told all at once",
  permissions: { read: false, write: false, net: false, env: false },
  fn: async () => {
    await using byPath = new PythonHostPipe("/tmp/s", { token: TOKEN });
    const error = await assertRejects(() => byPath.initialize(), PermissionNeededError);
    assertEquals(error.flags, ["--allow-read=/tmp/s", "--allow-write=/tmp/s", "--allow-net=unix:/tmp/s"]);
    await using byName = new PythonHostPipe("test-pipe");
    // Without the variables its paths have no names.
    const unnamed = await assertRejects(() => byName.initialize(), PermissionNeededError);
    assertEquals(unnamed.flags, ["--allow-read", "--allow-write", "--allow-net", "--allow-env"]);
    assertMatch(unnamed.hint!, /can be narrowed/);
  },
});

const IDLE_PROGRAM = `
import { PythonHostPipe } from ${JSON.stringify(import.meta.resolve("../../transports/pipe.ts"))};
const backend = new PythonHostPipe(Deno.args[0], { token: Deno.args[1] });
console.log(await backend.evaluate("x"));
if (Deno.args[2] === "pending") await backend.evaluate("slow").then(console.log);
`;

Deno.test("an open but idle backend lets the program end; a pending call keeps it running", async () => {
  await using server = new ScriptedServer({
    onRequest: async ({ message: [id, , [code]] }, lane) => {
      // Long enough that a program which did not wait would have ended.
      if (code === "slow") await new Promise((resolve) => setTimeout(resolve, 300));
      await lane.send([id, "ok", code]);
    },
  });
  for (const [mode, expected] of [["idle", "x\n"], ["pending", "x\nslow\n"]] as const) {
    const command = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", "-", server.path, TOKEN, mode],
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    });
    await using child = command.spawn();
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(IDLE_PROGRAM));
    await writer.close();
    const { code, stdout, stderr } = await child.output();
    assertEquals([code, new TextDecoder().decode(stdout)], [0, expected], new TextDecoder().decode(stderr));
  }
});
