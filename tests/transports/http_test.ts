// What is particular to HTTP: finding the server, telling it from others, order, batches, and every way of ending. What
// all backends promise is in tests/contract_test.ts.

import { assert, assertEquals, assertInstanceOf, assertRejects, assertThrows } from "@std/assert";
import {
  AuthenticationError,
  ConnectError,
  ConnectionClosedError,
  ProtocolError,
  PythonHostError,
  StaleHandleError,
} from "../../core/errors.ts";
import { encodeFrame } from "../../core/frames.ts";
import { PythonHostHttp } from "../../transports/http.ts";
import { echo, frames, type Message, startFake, startForeign, startReal } from "../http/_servers.ts";

const TOKEN = { token: "a token" };

Deno.test("http: a URL that cannot be meant is refused by the constructor", () => {
  for (
    const url of [
      "",
      "localhost:5678",
      "ftp://localhost",
      "http://user:secret@localhost",
      "http://localhost/api",
    ]
  ) {
    assertThrows(() => new PythonHostHttp(url), ConnectError);
  }
});

Deno.test("http: nobody listens", async () => {
  // A port that is free and of those that the system gives away might be another program's at once.
  const url = "http://127.0.0.1:1";
  await using backend = new PythonHostHttp(url, TOKEN);
  const error = await assertRejects(() => backend.initialize(), ConnectError, url);
  assertInstanceOf(error.cause, TypeError);
  assert(error.hint?.includes("start http"));
});

Deno.test("http: a server of another kind is told from ours, and shown", async (t) => {
  const kinds: [string, () => Response, string][] = [
    [
      "a web page",
      () => new Response("<html>hi</html>", { headers: { "content-type": "text/html" } }),
      "<html>hi</html>",
    ],
    ["other JSON", () => Response.json({ message: "hello" }), '{"message":"hello"}'],
    ["not found", () => new Response("no such page", { status: 404 }), "status 404"],
    ["a redirect", () => Response.redirect("http://127.0.0.1:1/"), "status 302"],
    ["nothing", () => new Response(null, { status: 204 }), "an empty body"],
    ["an endless page", () => new Response("x".repeat(1_000_000)), "xxxx"],
  ];
  for (const [name, respond, shown] of kinds) {
    await t.step(name, async () => {
      await using server = startForeign(respond);
      await using backend = new PythonHostHttp(server.url, TOKEN);
      const error = await assertRejects(() => backend.initialize(), ProtocolError, shown);
      assertEquals([error.fault, error.code], ["remote", "protocol"]);
    });
  }
});

Deno.test("http: another version of the protocol", async (t) => {
  const refusal = [1, "error", { code: "version", message: "it speaks protocol 9, this server 1" }];
  for (const welcome of [refusal, [1, "ok", { session: "s", protocol: 2 }]]) {
    await t.step(String(welcome[1]), async () => {
      await using server = startFake(echo, welcome);
      await using backend = new PythonHostHttp(server.url, TOKEN);
      const error = await assertRejects(() => backend.initialize(), ProtocolError);
      assertEquals(error.code, "version");
    });
  }
});

Deno.test("http: a welcome that names no session", async () => {
  await using server = startFake(echo, [1, "ok", {}]);
  await using backend = new PythonHostHttp(server.url, TOKEN);
  await assertRejects(() => backend.initialize(), ProtocolError, "names no session");
});

Deno.test("http: an attempt to connect can be aborted", async () => {
  let release = () => {};
  const held = new Promise<void>((resolve) => release = resolve);
  await using server = startForeign(() => new Response(new ReadableStream({ pull: () => held })));
  await using backend = new PythonHostHttp(server.url, TOKEN);
  const controller = new AbortController();
  const attempt = backend.initialize({ signal: controller.signal });
  controller.abort(new Error("changed my mind"));
  await assertRejects(() => attempt, Error, "changed my mind");
  release();
});

Deno.test("http: calls of one tick go in one request, and later ones wait until it is taken", async () => {
  let take = () => {};
  const taken = new Promise<void>((resolve) => take = resolve);
  await using server = startFake(async (messages) => {
    await taken;
    return echo(messages);
  });
  await using backend = new PythonHostHttp(server.url, TOKEN);
  await backend.initialize();
  const first = Promise.all(Array.from({ length: 100 }, () => backend.evaluate<number>("1")));
  await new Promise((resolve) => setTimeout(resolve, 10));
  const later = [backend.evaluate("2")];
  await new Promise((resolve) => setTimeout(resolve, 10));
  later.push(backend.evaluate("3"));
  take();
  assertEquals((await first).length, 100);
  await Promise.all(later);
  assertEquals(server.posts.map((messages) => messages.length), [100, 2]);
  take();
});

Deno.test("http: a batch never grows beyond maxFrameBytes", async () => {
  await using server = startFake();
  await using backend = new PythonHostHttp(server.url, { ...TOKEN, maxFrameBytes: 10_000 });
  await backend.initialize();
  await Promise.all(Array.from({ length: 5 }, () => backend.evaluate("x".repeat(4_000))));
  assertEquals(server.posts.map((messages) => messages.length), [2, 2, 1]);
  const error = await assertRejects(() => backend.evaluate("x".repeat(10_000)), ProtocolError);
  assertEquals([error.code, error.fault], ["limit", "local"]);
  await backend.evaluate("1");
});

Deno.test("http: replies and events may be cut anywhere", async () => {
  await using server = startFake((messages) => {
    const id = messages[0]![0];
    const answers = [[id, "stdout", "é\n"], [id, "stdout", "two\n"], [id, "ok", 7]];
    const bytes = answers.flatMap((message) => [...encodeFrame(JSON.stringify(message))]);
    let at = 0;
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (at === bytes.length) controller.close();
        else controller.enqueue(Uint8Array.of(bytes[at++]!));
      },
    });
    return new Response(body, { headers: { "content-type": "application/x-beep-frames" } });
  });
  await using backend = new PythonHostHttp(server.url, TOKEN);
  let text = "";
  assertEquals(await backend.evaluate("7", {}, { onStdout: (piece) => text += piece }), 7);
  assertEquals(text, "é\ntwo\n");
});

Deno.test("http: a server whose connections are all in use is asked again", async () => {
  let refusals = 2;
  await using server = startFake((messages) =>
    refusals-- > 0 ? Response.json({ error: "all in use", code: "limit" }, { status: 503 }) : echo(messages)
  );
  await using backend = new PythonHostHttp(server.url, TOKEN);
  assertEquals(await backend.evaluate("1"), 1);
  assertEquals(server.posts.length, 3);
});

Deno.test("http: a request that the server finds too large fails alone", async () => {
  await using server = startFake((messages) =>
    messages[0]![2][0] === "large"
      ? Response.json({ error: "too large", code: "limit" }, { status: 413 })
      : echo(messages)
  );
  await using backend = new PythonHostHttp(server.url, TOKEN);
  const error = await assertRejects(() => backend.evaluate("large"), ProtocolError, "too large");
  assertEquals(error.code, "limit");
  assertEquals(await backend.evaluate("small"), 2);
});

Deno.test("http: answers that break the protocol end the backend", async (t) => {
  const cut = encodeFrame('[1,"ok",1]').subarray(0, 12);
  const answers: [string, (messages: Message[]) => Response][] = [
    ["no reply", () => frames()],
    [
      "a frame that is cut short",
      () => new Response(cut, { headers: { "content-type": "application/x-beep-frames" } }),
    ],
    ["a reply that nobody waits for", (messages) => frames([messages[0]![0], "ok", 1], [77, "ok", 1])],
    ["a message of no known shape", () => frames({ id: 1 })],
    ["a web page", () => new Response("<html>", { headers: { "content-type": "text/html" } })],
    ["a refusal", () => Response.json({ error: "what is this", code: "protocol" }, { status: 400 })],
  ];
  for (const [name, answer] of answers) {
    await t.step(name, async () => {
      await using server = startFake(answer);
      await using backend = new PythonHostHttp(server.url, TOKEN);
      await backend.initialize();
      const outcomes = await Promise.allSettled([backend.evaluate("1"), backend.evaluate("2")]);
      assert(outcomes.some((outcome) => outcome.status === "rejected"));
      await assertRejects(() => backend.evaluate("3"), ProtocolError);
      assertEquals(backend.isInitialized, false);
    });
  }
});

Deno.test("http: a connection that breaks rejects what is pending, with its cause", async () => {
  await using server = startFake((messages) => {
    const start = encodeFrame(JSON.stringify([messages[0]![0], "stdout", "begun\n"]));
    const body = new ReadableStream<Uint8Array>({ start: (controller) => controller.enqueue(start) });
    return new Response(body, { headers: { "content-type": "application/x-beep-frames" } });
  });
  await using backend = new PythonHostHttp(server.url, TOKEN);
  const begun = Promise.withResolvers<void>();
  const call = backend.evaluate("1", {}, { onStdout: () => begun.resolve() });
  await begun.promise;
  server.kill();
  const error = await assertRejects(() => call, ConnectionClosedError);
  assert(error.cause !== undefined);
  assertEquals(await assertRejects(() => backend.evaluate("1"), ConnectionClosedError), error);
});

Deno.test("http: a cancelled call that was not posted yet is never sent", async () => {
  let take = () => {};
  const taken = new Promise<void>((resolve) => take = resolve);
  await using server = startFake(async (messages) => {
    await taken;
    return echo(messages);
  });
  await using backend = new PythonHostHttp(server.url, TOKEN);
  await backend.initialize();
  const first = backend.evaluate("first");
  await new Promise((resolve) => setTimeout(resolve, 10));
  const controller = new AbortController();
  const second = backend.evaluate("second", {}, { signal: controller.signal });
  controller.abort(new Error("not needed"));
  await assertRejects(() => second, Error, "not needed");
  take();
  await first;
  await backend.evaluate("third");
  assertEquals(server.posts.map((messages) => messages.map((message) => message[2][0])), [["first"], [
    "third",
  ]]);
});

Deno.test("http: the token goes to no proxy", async () => {
  const before = Deno.env.get("HTTP_PROXY");
  Deno.env.set("HTTP_PROXY", "http://127.0.0.1:9");
  try {
    await using server = startFake();
    await using backend = new PythonHostHttp(server.url, TOKEN);
    assertEquals(await backend.evaluate("1"), 1);
  } finally {
    if (before === undefined) Deno.env.delete("HTTP_PROXY");
    else Deno.env.set("HTTP_PROXY", before);
  }
});

Deno.test("http: a real server", async (t) => {
  await using server = await startReal();
  const { address, token } = server;

  await t.step("a wrong token is refused, with the next step", async () => {
    await using backend = new PythonHostHttp(address, { token: "wrong" });
    const error = await assertRejects(() => backend.initialize(), AuthenticationError);
    assert(error.hint?.includes("another server"));
    await using without = new PythonHostHttp(address, { token: "" });
    assert(
      (await assertRejects(() => without.initialize(), AuthenticationError)).hint?.includes("option `token`"),
    );
  });

  await t.step("calls of one session run in the order in which they were made", async () => {
    await using backend = new PythonHostHttp(address, { token });
    await backend.evaluate("seen = []");
    const calls: Promise<unknown>[] = [];
    for (let i = 0; i < 200; i++) {
      calls.push(backend.evaluate(`seen.append(${i})`));
      if (i % 3 === 0) await new Promise((resolve) => setTimeout(resolve, 0));
    }
    await Promise.all(calls);
    assertEquals(await backend.evaluate("seen == list(range(200))"), true);
  });

  await t.step("a slow call delays no coroutine and no ping", async () => {
    await using backend = new PythonHostHttp(address, { token });
    const order: string[] = [];
    await backend.evaluate("import asyncio\ngate = None");
    const slow = backend.evaluate("gate = asyncio.Event()\nawait gate.wait()").then(() => order.push("slow"));
    await backend.evaluate("1").then(() => order.push("quick"));
    assertEquals((await backend.ping()).length, 1);
    await backend.evaluate("while gate is None: await asyncio.sleep(0.001)\ngate.set()");
    await slow;
    assertEquals(order, ["quick", "slow"]);
  });

  await t.step("more calls at once than the server takes connections", async () => {
    await using backend = new PythonHostHttp(address, { token });
    const calls: Promise<number>[] = [];
    for (let i = 0; i < 80; i++) {
      calls.push(backend.evaluate(`import asyncio; await asyncio.sleep(0.2, ${i})`));
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
    assertEquals(await Promise.all(calls), Array.from({ length: 80 }, (_, i) => i));
  });

  await t.step("a session that idled away is stale, by a typed error", async () => {
    await using impatient = await startReal({ sessionIdleMs: 300 });
    await using backend = new PythonHostHttp(impatient.address, { token: impatient.token });
    // A server whose process was kept from looking meanwhile gets a longer pause for it.
    let error: unknown;
    for (let pauseMs = 700; error === undefined && pauseMs < 15_000; pauseMs *= 2) {
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
      error = await backend.evaluate("1").then(() => undefined, (error) => error);
    }
    assertInstanceOf(error, StaleHandleError, `The session is still there, or ended by ${error}`);
    await assertRejects(() => backend.evaluate("x"), StaleHandleError);
  });

  await t.step("a thread that outlives its call can call no function, and is told why", async () => {
    await using backend = new PythonHostHttp(address, { token });
    const code = `
import threading
gate, told = threading.Event(), []
def ask():
  gate.wait()
  try: told.append(f(1))
  except ConnectionError as error: told.append(str(error))
thread = threading.Thread(target=ask)
thread.start()`;
    await backend.evaluate(code, { f: () => 1 });
    const [told] = await backend.evaluate<string[]>("gate.set()\nthread.join()\ntold");
    assert(told?.includes("the call that has started this thread is over"), told);
  });

  await t.step("closing with calls pending rejects them and leaves nothing", async () => {
    const backend = new PythonHostHttp(address, { token });
    await backend.initialize();
    const slow = backend.evaluate("import time; time.sleep(30)");
    const outcome = assertRejects(() => slow, ConnectionClosedError);
    await new Promise((resolve) => setTimeout(resolve, 30));
    await Promise.all([backend.close(), backend.close()]);
    await outcome;
  });

  await t.step("large values, both ways", async () => {
    await using backend = new PythonHostHttp(address, { token });
    const data = crypto.getRandomValues(new Uint8Array(60_000));
    const large = new Uint8Array(6_000_000);
    for (let at = 0; at < large.length; at += data.length) large.set(data, at);
    assertEquals(await backend.evaluate<Uint8Array>("b[::-1]", { b: large }), large.toReversed());
  });
});

Deno.test("http: a server that is killed during a call", async () => {
  await using server = await startReal();
  await using backend = new PythonHostHttp(server.address, { token: server.token });
  const error = await assertRejects(() => backend.evaluate("import os; os._exit(7)"), PythonHostError);
  assertInstanceOf(error, ConnectionClosedError);
  await assertRejects(() => backend.evaluate("1"), ConnectionClosedError);
});
