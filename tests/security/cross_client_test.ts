/** One client and another's things: handles, sessions, calls that run, answers to functions. What is named is not had. */

import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { encodeFrame } from "../../core/frames.ts";
import { FRAMES_CONTENT_TYPE } from "../../core/protocol.ts";
import type { PythonServer } from "../../servers/mod.ts";
import { proofOf, RawPipe } from "./_pipe.ts";
import { connect, PYTHON, start } from "./_servers.ts";

type Reply = [id: number, kind: string, value: { code?: string }];

/** Asks on a lane and gives the reply with that id; events of other calls are passed over. */
async function ask(pipe: RawPipe, ...request: unknown[]): Promise<Reply> {
  await pipe.send(request);
  for (;;) {
    const message = await pipe.receive() as Reply | null;
    assert(message !== null, "the connection goes on");
    if (message[0] === request[0] && message[1] !== "invoke") return message;
  }
}

/** Two clients of one server, each with both lanes. */
async function two(server: PythonServer): Promise<{ lanes: RawPipe[]; sessions: string[] } & Disposable> {
  const lanes: RawPipe[] = [];
  const sessions: string[] = [];
  for (let client = 0; client < 2; client++) {
    const [first, session] = await RawPipe.join(server);
    const [control] = await RawPipe.join(server, "control", session);
    lanes.push(first, control);
    sessions.push(session);
  }
  return { lanes, sessions, [Symbol.dispose]: () => lanes.forEach((lane) => lane[Symbol.dispose]()) };
}

Deno.test("case S7: handles, names and sessions of one client are nothing to another", async () => {
  await using server = await start();
  using clients = await two(server);
  const [mine, , theirs, theirControl] = clients.lanes as [RawPipe, RawPipe, RawPipe, RawPipe];
  await ask(mine, 1, "evaluate", ["secret = object()"]);
  await ask(mine, 2, "open_session", ["label"]);
  const kept = await ask(mine, 3, "evaluate", ["secret"], { result: "handle" });
  assertEquals(kept[1], "packed");
  for (let handle = 0; handle <= 20; handle++) {
    const [, kind, { code }] = await ask(theirs, 10 + handle, "get", [handle, "__class__"]);
    assertEquals([kind, code], ["error", "stale-handle"], `handle ${handle}`);
    await ask(theirControl, 40 + handle, "release", [[handle]]);
  }
  assertEquals((await ask(theirs, 100, "evaluate", ["secret"]))[2].code, "python");
  assertEquals((await ask(theirs, 101, "evaluate", ["1"], { session: "label" }))[2].code, "stale-handle");
  // By its own numbers the owner still has it.
  assertEquals((await ask(mine, 4, "evaluate", ["secret is not None"]))[1], "ok");
});

Deno.test("case S7: a call of one client is not cancelled, nor its function answered, by another", async () => {
  await using server = await start();
  using clients = await two(server);
  const [mine, , theirs, theirControl] = clients.lanes as [RawPipe, RawPipe, RawPipe, RawPipe];
  // It runs until the other client has tried.
  await ask(mine, 6, "evaluate", ["import builtins, threading\nbuiltins.gate = threading.Event()"]);
  await mine.send([7, "evaluate", ["gate.wait(30)"]]);
  for (const id of [7, 1, 8]) assertEquals((await ask(theirControl, 20 + id, "cancel", [id]))[1], "ok");
  assertEquals((await ask(theirs, 30, "evaluate", ["gate.set()"]))[1], "ok");
  assertEquals(await mine.receive(), [7, "ok", true]);
  assertEquals(await ask(mine, 8, "evaluate", ["1"]), [8, "ok", 1] as never);
  // Its function is called: the question goes to its own client, and only an answer from there counts.
  await mine.send([9, "evaluate", ["f()", { f: { $: ["function", 1, false] } }], { tagged: 1 }]);
  for (let invocation = 0; invocation <= 5; invocation++) {
    await ask(theirControl, 50 + invocation, "resume", [invocation, "ok", "stolen"]);
    await ask(theirs, 60 + invocation, "resume", [invocation, "ok", "stolen"]);
  }
  const question = await mine.receive() as [number, string, number];
  assertEquals(question.slice(0, 2), [9, "invoke"]);
  await mine.send([0, "resume", [question[2], "ok", "mine"]]);
  let answer = await mine.receiveFrame();
  // First it may tell which functions Python has let go of.
  while (answer !== null && (answer.message as Reply)[0] !== 9) answer = await mine.receiveFrame();
  const said = JSON.stringify(answer?.message) +
    answer?.parts.map((part) => new TextDecoder().decode(part)).join();
  assert(said.includes("mine") && !said.includes("stolen"), said);
});

Deno.test("case S7: a session of HTTP is had by its name alone, which is 128 random bits", async () => {
  await using server = await start({ transport: "http" });
  const post = async (session: string, ...request: unknown[]): Promise<{ status: number; text: string }> => {
    const response = await fetch(`${server.address}/beep/v1/call`, {
      method: "POST",
      headers: {
        "content-type": FRAMES_CONTENT_TYPE,
        authorization: `Bearer ${server.token}`,
        ...(session === "" ? {} : { "beep-session": session }),
      },
      body: encodeFrame(JSON.stringify(request)) as BodyInit,
    });
    return { status: response.status, text: await response.text() };
  };
  const sessions: string[] = [];
  for (let i = 0; i < 3; i++) {
    const { text } = await post("", 1, "hello", [{ protocol: 1 }]);
    sessions.push(/"session":"([0-9a-f]{32})"/.exec(text)![1]!);
  }
  assertEquals(new Set(sessions).size, 3);
  await post(sessions[0]!, 2, "evaluate", ["mine = 1"]);
  assertMatch((await post(sessions[1]!, 2, "evaluate", ["mine"])).text, /NameError/);
  for (
    const session of [
      "default",
      "0",
      sessions[0]!.slice(1),
      `${sessions[0]}0`,
      sessions[0]!.toUpperCase(),
      "../x",
    ]
  ) {
    if (session === sessions[0]) continue;
    assertEquals((await post(session, 2, "evaluate", ["mine"])).status, 404, session);
  }
});

Deno.test("case S1: a proof of a pipe is good for one connection, and the server's own for none", async () => {
  // The first connection waits with its proof until all others have been tried.
  await using server = await start({ limits: { refusedTokenDelayMs: 1, headTimeoutMs: 60_000 } });
  const nonce = "0".repeat(32);
  const hello =
    (): unknown => ["hello", { protocol: 1, client: "raw", lane: "session", session: null, nonce }];
  const opened = async (): Promise<[RawPipe, { nonce: string; proof: string }]> => {
    const pipe = await RawPipe.open(server);
    await pipe.write(new TextEncoder().encode("BEEP"));
    await pipe.send(hello());
    return [pipe, (await pipe.receive() as [string, { nonce: string; proof: string }])[1]];
  };
  const refused = async (pipe: RawPipe, proof: unknown): Promise<void> => {
    using _pipe = pipe;
    await pipe.send(["proof", proof]);
    const [kind, { code }] = await pipe.receive() as [string, { code: string }];
    assertEquals([kind, code], ["refused", "authentication"]);
    assertEquals(await pipe.receive(), null);
  };
  const [first, challenge] = await opened();
  const right = await proofOf(server.token, `client:${nonce}:${challenge.nonce}`);
  // On another connection there is another nonce of the server.
  const [second, another] = await opened();
  assert(another.nonce !== challenge.nonce && another.proof !== challenge.proof);
  await refused(second, right);
  const [third, reflected] = await opened();
  await refused(third, reflected.proof);
  for (
    const wrong of [right.slice(1), `${right}0`, right.toUpperCase(), ` ${right}`, [right], { proof: right }]
  ) {
    await refused((await opened())[0], wrong);
  }
  using _first = first;
  await first.send(["proof", right]);
  assertEquals((await first.receive() as [string])[0], "welcome");
});

Deno.test("case S4: descriptors that are passed over the socket are not kept", async () => {
  if (Deno.build.os !== "linux") return;
  await using server = await start();
  await using backend = connect(server);
  // By the answer both of its connections are there, and counted: this goes over the second one.
  await backend.evaluate("1", {}, { concurrent: true });
  const count =
    "import os\n{name: os.readlink(f'/proc/self/fd/{name}') for name in os.listdir('/proc/self/fd') if " +
    "os.path.exists(f'/proc/self/fd/{name}')}";
  const before = await backend.evaluate<Record<string, string>>(count);
  // The challenge shows that the server has read all to which they were tied.
  const script = `import array, os, socket, sys
sock = socket.socket(socket.AF_UNIX)
sock.connect(sys.argv[1])
fds = array.array("i", [os.open("/dev/zero", os.O_RDONLY) for _ in range(50)])
hello = bytes.fromhex(sys.argv[2])
for piece in (b"BE", b"EP", hello[:20], hello[20:]):
    sock.sendmsg([piece], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
print(sock.recv(4096)[8:], flush=True)
sys.stdin.read()`;
  const hello = { protocol: 1, client: "raw", lane: "session", session: null, nonce: "0".repeat(32) };
  const python = new Deno.Command(PYTHON, {
    args: ["-I", "-c", script, server.address, encodeFrame(JSON.stringify(["hello", hello])).toHex()],
    stdin: "piped",
    stdout: "piped",
  });
  await using child = python.spawn();
  const said = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  assertMatch((await said.read()).value ?? "", /challenge/);
  const after = await backend.evaluate<Record<string, string>>(count);
  // That of its connection, as long as it is open.
  const more = Object.keys(after).length - Object.keys(before).length;
  assert(more <= 1, `${more} descriptors more: ${Deno.inspect(after)}, ${Deno.inspect(before)} before`);
  assert(!Object.values(after).includes("/dev/zero"), Deno.inspect(after));
  await child.stdin.close();
  await said.cancel();
  assertEquals((await child.status).code, 0);
});

Deno.test("case S7: over HTTP and RPC a handle of one backend is refused by another", async () => {
  for (const transport of ["http", "rpc"] as const) {
    await using server = await start({ transport });
    await using mine = connect(server);
    await using theirs = connect(server);
    const handle = await mine.evaluate<never>("object()", {}, { result: "handle" });
    await assertRejects(() => theirs.getAttribute(handle, "__class__"), Error);
    await assertRejects(() => theirs.evaluate("h", { h: handle }), Error);
  }
});
