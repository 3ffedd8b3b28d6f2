// How calls over a pipe are answered, stopped and ended. The server's side is a script.

import { assert, assertEquals, assertInstanceOf, assertRejects, assertStringIncludes } from "@std/assert";
import {
  CallNotInterruptedError,
  CallTimeoutError,
  ConnectionClosedError,
  ProtocolError,
  PythonError,
  PythonHostError,
  ServerExitedError,
  StaleHandleError,
} from "../../core/errors.ts";
import { PythonHostPipe, type PythonHostPipeOptions } from "../../transports/pipe.ts";
import { type Received, type ScriptedLane, ScriptedServer, TOKEN } from "./scripted_server.ts";

/** Connects. Where the grace time is to pass, a test gives a short one. */
function connect(server: ScriptedServer, options: PythonHostPipeOptions = {}): PythonHostPipe {
  return new PythonHostPipe(server.path, { token: TOKEN, interruptGraceMs: 60_000, ...options });
}

/** Answers each request with its first argument. */
async function echo({ message }: Received, lane: ScriptedLane): Promise<void> {
  await lane.send([message[0], "ok", message[2][0] ?? null]);
}

Deno.test("the first call connects by itself, and many calls of one tick go out together", async () => {
  await using server = new ScriptedServer({ onRequest: echo });
  await using backend = connect(server);
  assertEquals(backend.isInitialized, false);
  assertEquals(await Promise.all(["a", "ü", "🐍"].map((code) => backend.evaluate(code))), ["a", "ü", "🐍"]);
  assertEquals(backend.isInitialized, true);
  assertEquals(server.received.map(({ message }) => message.slice(0, 3)), [
    [1, "evaluate", ["a"]],
    [2, "evaluate", ["ü"]],
    [3, "evaluate", ["🐍"]],
  ]);
});

Deno.test("initialize() gives what the server says about itself, and the same to all who ask", async () => {
  await using server = new ScriptedServer();
  await using backend = connect(server);
  const [first, second] = await Promise.all([backend.initialize(), backend.initialize()]);
  assertEquals(first, second);
  assertEquals(first.implementation, "scripted");
  assertEquals("session" in first, false, "the session's name is nobody's business");
});

Deno.test("replies out of order reach their callers", async () => {
  const kept: [Received, ScriptedLane][] = [];
  await using server = new ScriptedServer({
    onRequest: async (received, lane) => {
      kept.push([received, lane]);
      if (kept.length === 3) {
        for (const [{ message }, lane] of kept.reverse()) await lane.send([message[0], "ok", message[0]]);
      }
    },
  });
  await using backend = connect(server);
  assertEquals(await Promise.all([backend.evaluate("1"), backend.evaluate("2"), backend.evaluate("3")]), [
    1,
    2,
    3,
  ]);
});

for (
  const [name, message] of [
    ["a reply to a call that was never made", [99, "ok", 1]],
    ["a message that is no array", { id: 1 }],
    ["a message without a kind", [1]],
    ["a message whose id is a string", ["1", "ok", 1]],
  ] as const
) {
  Deno.test(`${name} ends the connection, and every call with it`, async () => {
    await using server = new ScriptedServer({ onRequest: (_, lane) => lane.send(message) });
    await using backend = connect(server);
    const errors = await Promise.all(
      [1, 2, 3].map((code) => assertRejects(() => backend.evaluate(`${code}`), ProtocolError)),
    );
    for (const error of errors) assertEquals(error.fault, "remote");
    assertEquals(backend.isInitialized, false);
  });
}

Deno.test("a second reply to the same call ends the connection", async () => {
  await using server = new ScriptedServer({
    onRequest: async ({ message }, lane) => {
      await lane.send([message[0], "ok", 1]);
      await lane.send([message[0], "ok", 2]);
    },
  });
  const ended = Promise.withResolvers<PythonHostError>();
  await using backend = connect(server, { onEnd: ended.resolve });
  assertEquals(await backend.evaluate("x"), 1);
  assertInstanceOf(await ended.promise, ProtocolError);
});

for (
  const [name, bytes, code] of [
    ["bytes that are no frame", new Uint8Array(16).fill(0xff), "limit"],
    ["a frame whose text is no JSON", new Uint8Array([1, 0, 0, 0, 0, 0, 0, 0, 0x7b]), "protocol"],
    ["a frame whose text is no UTF-8", new Uint8Array([1, 0, 0, 0, 0, 0, 0, 0, 0xff]), "protocol"],
  ] as const
) {
  Deno.test(`${name} end the connection with whose fault it is`, async () => {
    await using server = new ScriptedServer({ onRequest: (_, lane) => lane.sendBytes(bytes) });
    await using backend = connect(server);
    const error = await assertRejects(() => backend.evaluate("x"), ProtocolError);
    assertEquals([error.fault, error.code], ["remote", code]);
    assertEquals(
      await backend.evaluate("y").catch((later) => later),
      error,
      "later calls get the same reason",
    );
  });
}

Deno.test("a server that closes in the middle of a call rejects all pending calls, and later ones at once", async () => {
  await using server = new ScriptedServer({
    onRequest: ({ message }, lane) => message[2][0] === "die" ? lane.close() : undefined,
  });
  await using backend = connect(server);
  const calls = ["wait", "wait", "die"].map((code) => backend.evaluate(code).catch((error) => error));
  const reasons = await Promise.all(calls);
  for (const reason of reasons) assertInstanceOf(reason, ConnectionClosedError);
  assert(await backend.evaluate("later").catch((error) => error) === reasons[0]);
});

Deno.test("a server that closes in the middle of a frame is told apart", async () => {
  await using server = new ScriptedServer({
    onRequest: async (_, lane) => {
      await lane.sendBytes(new Uint8Array([100, 0, 0, 0, 0, 0, 0, 0, 0x5b]));
      lane.close();
    },
  });
  await using backend = connect(server);
  const error = await assertRejects(() => backend.evaluate("x"), ConnectionClosedError);
  assertStringIncludes(error.message, "in the middle of a frame");
});

Deno.test("an error of the connection itself is the reason of the end", async () => {
  await using server = new ScriptedServer({
    onRequest: (_, lane) =>
      lane.send([0, "error", { code: "limit", message: "Cannot read frame of 9 bytes" }]),
  });
  await using backend = connect(server);
  const error = await assertRejects(
    () => backend.evaluate("x"),
    ProtocolError,
    "Cannot read frame of 9 bytes",
  );
  assertEquals(error.code, "limit");
});

Deno.test("explainEnd says how an owned server ended; without an answer the usual reason stays", async () => {
  const facts = { code: 139, signal: "SIGSEGV", stderrTail: "Fatal Python error" };
  for (const known of [true, false]) {
    await using server = new ScriptedServer({ onRequest: (_, lane) => lane.close() });
    const explainEnd = (action: string) =>
      Promise.resolve(known ? new ServerExitedError(action, facts) : undefined);
    await using backend = connect(server, { explainEnd });
    const error = await assertRejects(
      () => backend.evaluate("x"),
      known ? ServerExitedError : ConnectionClosedError,
    );
    if (known) {
      assertStringIncludes(error.message, "Cannot complete call: the Python server was ended by SIGSEGV");
    }
  }
});

Deno.test("explainEnd that throws is logged, and the usual reason stays", async () => {
  await using server = new ScriptedServer({ onRequest: (_, lane) => lane.close() });
  const logged: string[] = [];
  const log = (message: string) => void logged.push(message);
  await using backend = connect(server, {
    explainEnd: () => Promise.reject(new Error("no idea")),
    logger: { debug: log, info: log, warn: log, error: log },
  });
  await assertRejects(() => backend.evaluate("x"), ConnectionClosedError);
  assertEquals(logged, ["Cannot find out how the server ended"]);
});

Deno.test("a frame over maxFrameBytes is refused before it is sent, and the connection goes on", async () => {
  await using server = new ScriptedServer({ onRequest: echo });
  await using backend = connect(server, { maxFrameBytes: 4096 });
  const error = await assertRejects(() => backend.evaluate("x".repeat(5000)), ProtocolError);
  assertEquals([error.fault, error.code], ["local", "limit"]);
  assertStringIncludes(error.hint!, "maxFrameBytes");
  assertEquals(await backend.evaluate("still here"), "still here");
});

Deno.test("a call whose signal has aborted is never sent", async () => {
  await using server = new ScriptedServer({ onRequest: echo });
  await using backend = connect(server);
  const reason = new Error("changed my mind");
  assert(
    await backend.evaluate("x", undefined, { signal: AbortSignal.abort(reason) }).catch((e) => e) === reason,
  );
  const controller = new AbortController();
  const whileConnecting = backend.evaluate("y", undefined, { signal: controller.signal }).catch((e) => e);
  controller.abort(reason);
  assert(await whileConnecting === reason);
  await backend.evaluate("z");
  assertEquals(server.received.map(({ message }) => message[2]), [["z"]]);
});

Deno.test("a running call is stopped by a cancel on the control lane and rejects with the signal's reason", async () => {
  let running: ScriptedLane;
  await using server = new ScriptedServer({
    onRequest: async ({ message }, lane) => {
      if (message[1] === "evaluate") running = lane;
      else {
        await running.send([message[2][0], "error", {
          code: "cancelled",
          message: "The call was cancelled",
        }]);
        await lane.send([message[0], "ok", "stopped"]);
      }
    },
  });
  await using backend = connect(server);
  await backend.initialize();
  const controller = new AbortController();
  const call = backend.evaluate("x", undefined, { signal: controller.signal }).catch((e) => e);
  await server.waitFor(1);
  controller.abort("enough");
  assertEquals(await call, "enough");
  assertEquals(server.received.map(({ message, lane }) => [message[1], message[2], lane]), [
    ["evaluate", ["x"], "session"],
    ["cancel", [1], "control"],
  ]);
});

Deno.test("a call that still waits in the server's queue is given up at once; its late reply harms nobody", async () => {
  let session: ScriptedLane;
  await using server = new ScriptedServer({
    onRequest: async ({ message }, lane) => {
      if (message[1] === "evaluate") session = lane;
      if (message[1] === "cancel") await lane.send([message[0], "ok", "queued"]);
      if (message[2][0] === "next") {
        await session.send([1, "error", {
          code: "cancelled",
          message: "The call was cancelled before it ran",
        }]);
        await lane.send([message[0], "ok", "fine"]);
      }
    },
  });
  await using backend = connect(server);
  await backend.initialize();
  const error = await assertRejects(
    () => backend.evaluate("x", undefined, { timeoutMs: 20 }),
    CallTimeoutError,
  );
  assertEquals(error.timeoutMs, 20);
  assertEquals(await backend.evaluate("next"), "fine");
});

Deno.test("a call that Python does not stop rejects after the grace time, with why as the cause", async () => {
  await using server = new ScriptedServer({
    onRequest: ({ message }, lane) =>
      message[1] === "cancel" ? lane.send([message[0], "ok", "running"]) : undefined,
  });
  await using backend = connect(server, { interruptGraceMs: 30 });
  await backend.initialize();
  const error = await assertRejects(
    () => backend.evaluate("x", undefined, { timeoutMs: 20 }),
    CallNotInterruptedError,
  );
  assertEquals(error.graceMs, 30);
  assertInstanceOf(error.cause, CallTimeoutError);
});

Deno.test("a handle in a reply that nobody waits for any more is released", async () => {
  await using server = new ScriptedServer({
    onRequest: async ({ message }, lane) => {
      if (message[1] === "cancel") await lane.send([message[0], "ok", "finished"]);
      else if (message[1] === "ping") await server.lanes[0]!.send([1, "ok", [41, "Late"]]);
      else if (message[1] === "release") await lane.send([message[0], "ok", null]);
    },
  });
  await using backend = connect(server, { interruptGraceMs: 10 });
  await backend.initialize();
  await assertRejects(
    () => backend.createObject("m", "Late", [], {}, { timeoutMs: 10 }),
    CallNotInterruptedError,
  );
  backend.ping().catch(() => {}); // it is never answered
  await server.waitFor(4);
  assertEquals(server.received[3]!.message.slice(1), ["release", [[41]]]);
});

for (const timeoutMs of [0, -1, NaN]) {
  Deno.test(`timeoutMs ${timeoutMs} is an argument error, and nothing is sent`, async () => {
    await using server = new ScriptedServer({ onRequest: echo });
    await using backend = connect(server);
    const error = await assertRejects(() => backend.evaluate("x", undefined, { timeoutMs }), PythonHostError);
    assertEquals(error.code, "argument");
    assertStringIncludes(error.message, `current value is ${timeoutMs}`);
    assertEquals(server.received.length, 0);
  });
}

Deno.test("output comes to the callbacks in order, and one that throws is logged and harms nothing", async () => {
  await using server = new ScriptedServer({
    onRequest: async ({ message: [id] }, lane) => {
      await lane.send([id, "stdout", "a"]);
      await lane.send([id, "stderr", "b"]);
      await lane.send([id, "stdout", "c"]);
      await lane.send([id, "ok", null]);
    },
  });
  const failures: unknown[][] = [];
  const silent = () => {};
  const logger = {
    debug: silent,
    info: silent,
    warn: silent,
    error: (...all: unknown[]) => void failures.push(all),
  };
  await using backend = connect(server, { logger });
  const seen: string[] = [];
  await backend.evaluate("x", undefined, {
    onStdout: (text) => void seen.push(text),
    onStderr: () => {
      throw new Error("broken callback");
    },
  });
  assertEquals(seen, ["a", "c"]);
  assertEquals(failures.map(([message]) => message), ["Callback for stderr of call 1 threw"]);
  assertEquals(server.received[0]!.message[3], { stdout: 1, stderr: 1 });
});

Deno.test("options travel only when they are not the usual ones, and choose the lane", async () => {
  await using server = new ScriptedServer({ onRequest: echo });
  await using backend = connect(server);
  await backend.initialize();
  await backend.evaluate("1", undefined, { result: "auto", concurrent: false });
  await backend.evaluate("2", undefined, { concurrent: true });
  await backend.evaluate("3", undefined, { session: "s", result: "value" });
  assertEquals(server.received.map(({ message, lane }) => [message[3] ?? null, lane]), [
    [null, "session"],
    [{ concurrent: 1 }, "control"],
    [{ session: "s", result: "value" }, "control"],
  ]);
});

Deno.test("an error's stack leads to the line that awaits the call", async () => {
  const exception = { type: "ValueError", module: "builtins", bases: ["builtins.ValueError"], message: "no" };
  await using server = new ScriptedServer({
    onRequest: ({ message }, lane) =>
      lane.send([message[0], "error", { code: "python", message: "no", exception }]),
  });
  await using backend = connect(server);
  async function whoAsks(): Promise<void> {
    await backend.evaluate("x");
  }
  const error = await assertRejects(whoAsks, PythonError, "ValueError: no");
  assertStringIncludes(error.stack!, "whoAsks");
  assertEquals([error.pythonType, error.frames, error.isInstance("ValueError")], ["ValueError", [], true]);
});

Deno.test("handles are released together, not before the calls that use them have ended, and not twice", async () => {
  let answerLate: (() => Promise<void>) | undefined;
  await using server = new ScriptedServer({
    onRequest: async ({ message: [id, operation, args] }, lane) => {
      if (operation === "create") await lane.send([id, "ok", [10 + id, "Thing"]]);
      else if (operation === "call") answerLate = () => lane.send([id, "ok", null]);
      else await lane.send([id, "ok", args[0] ?? null]);
    },
  });
  await using backend = connect(server);
  const [a, b, c] = await Promise.all([1, 2, 3].map(() => backend.createObject("m", "Thing")));
  const call = backend.callMethod(a!, "run", [], undefined, { concurrent: true });
  await server.waitFor(4);
  a![Symbol.dispose]();
  b![Symbol.dispose]();
  await c!.dispose();
  await c!.dispose();
  assertEquals(server.received[4]!.message.slice(1), ["release", [[12, 13]]]);
  await answerLate!();
  await call;
  await server.waitFor(6);
  assertEquals(server.received[5]!.message.slice(1), ["release", [[11]]]);
  await assertRejects(() => backend.getAttribute(a!, "x"), StaleHandleError, "it was disposed");
});

Deno.test("a handle of another backend is stale without a round trip", async () => {
  await using server = new ScriptedServer({
    onRequest: ({ message }, lane) => lane.send([message[0], "ok", [1, "Thing"]]),
  });
  await using one = connect(server);
  await using other = connect(server);
  const handle = await one.createObject("m", "Thing");
  await other.initialize();
  const before = server.received.length;
  await assertRejects(() => other.getAttribute(handle, "x"), StaleHandleError, "another backend");
  await assertRejects(() => other.evaluate("x", { handle }), StaleHandleError, "another backend");
  await assertRejects(() => other.disposeHandle(handle), StaleHandleError, "another backend");
  assertEquals(server.received.length, before);
});

Deno.test("close() rejects pending calls, ends the session in order, and is the same promise twice", async () => {
  await using server = new ScriptedServer();
  const reasons: PythonHostError[] = [];
  const backend = connect(server, { onEnd: (reason) => void reasons.push(reason) });
  await backend.initialize();
  const pending = backend.evaluate("x").catch((error) => error);
  await server.waitFor(1);
  const closing = backend.close();
  assert(closing === backend.close());
  await closing;
  const reason = await pending;
  assertInstanceOf(reason, ConnectionClosedError);
  assert(await backend.evaluate("y").catch((error) => error) === reason);
  assert(await backend.initialize().catch((error) => error) === reason);
  assertEquals(reasons, [reason]);
  assertEquals(server.received.at(-1)!.message.slice(1), ["close_session", []]);
});

Deno.test("close() does not wait longer than asked for a server that is silent", async () => {
  await using server = new ScriptedServer({ silentLane: "control" });
  const backend = connect(server);
  await backend.initialize();
  await backend.close({ timeoutMs: 50 });
  await assertRejects(() => backend.evaluate("x"), ConnectionClosedError);
});

Deno.test("close() while connecting leaves nothing open", async () => {
  await using server = new ScriptedServer({ silentLane: "session" });
  const backend = connect(server);
  const opening = backend.initialize().catch((error) => error);
  const call = backend.evaluate("x").catch((error) => error);
  await backend.close();
  assertInstanceOf(await opening, ConnectionClosedError);
  assertInstanceOf(await call, ConnectionClosedError);
});

Deno.test("close() of a backend that was never used does nothing but close it", async () => {
  const backend = new PythonHostPipe("never-used");
  await backend.close();
  await assertRejects(() => backend.evaluate("x"), ConnectionClosedError);
});

Deno.test("initialize() stops at its timeout and its signal, and can be tried again", async () => {
  await using server = new ScriptedServer({ silentLane: "session" });
  await using backend = connect(server);
  await assertRejects(() => backend.initialize({ timeoutMs: 20 }), CallTimeoutError, "Cannot connect");
  const controller = new AbortController();
  const opening = backend.initialize({ signal: controller.signal }).catch((error) => error);
  controller.abort("enough");
  assertEquals(await opening, "enough");
});
