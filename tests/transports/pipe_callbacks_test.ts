// Python calls functions of the client, and they call Python. The server's side is a script.

import { assertEquals } from "@std/assert";
import { PythonHostPipe } from "../../transports/pipe.ts";
import { type Received, type Script, ScriptedServer, TOKEN } from "./scripted_server.ts";

// What `pickle.dumps((args, kwargs), 5)` gives.
const ARGS_20_UE = Uint8Array.fromHex("80059510000000000000005d94284b148c02c3bc94657d9486942e");
const ARGS_1_K_2 = Uint8Array.fromHex("80059511000000000000005d944b01617d948c016b944b027386942e");

function connect(server: ScriptedServer): PythonHostPipe {
  return new PythonHostPipe(server.path, { token: TOKEN });
}

/** A server that calls the function that came with a call, and answers the call with the outcome. */
function calling(...invocations: Uint8Array[]): Script & { resumed: Received[] } {
  const resumed: Received[] = [];
  return {
    resumed,
    onRequest: async (received, lane) => {
      const { message } = received;
      if (message[1] === "resume") {
        resumed.push(received);
        if (resumed.length === invocations.length) await lane.send([1, "ok", "done"]);
      } else if (message[2][0] === "nested") {
        await lane.send([message[0], "ok", "from Python"]);
      } else {
        for (const [i, packed] of invocations.entries()) {
          await lane.send([message[0], "invoke", 70 + i, 1], [packed]);
        }
      }
    },
  };
}

Deno.test("a function is called with its arguments, keyword arguments last, and its value goes back", async () => {
  const script = calling(ARGS_20_UE, ARGS_1_K_2);
  await using server = new ScriptedServer(script);
  await using backend = connect(server);
  const seen: unknown[][] = [];
  function take(...args: unknown[]): unknown {
    seen.push(args);
    return { count: args.length };
  }
  assertEquals(await backend.evaluate("f()", { f: take }), "done");
  assertEquals(seen, [[20, "ü"], [1, { k: 2 }]]);
  assertEquals(script.resumed.map(({ message }) => message), [
    [0, "resume", [70, "ok", { count: 2 }]],
    [0, "resume", [71, "ok", { count: 2 }]],
  ]);
});

Deno.test("what a function throws goes back as an error, and so does what has no image", async () => {
  const script = calling(ARGS_20_UE, ARGS_20_UE, ARGS_20_UE);
  await using server = new ScriptedServer(script);
  await using backend = connect(server);
  let count = 0;
  // deno-lint-ignore require-await -- whether it throws or rejects must make no difference
  async function fail(): Promise<unknown> {
    count++;
    if (count === 1) throw new RangeError("too far");
    if (count === 2) throw "a string";
    return new WeakMap();
  }
  assertEquals(await backend.evaluate("f()", { f: fail }), "done");
  const outcomes = script.resumed.map(({ message: [, , [invocation, kind, error]] }) => {
    return [invocation, kind, (error as { code: string }).code];
  });
  assertEquals(outcomes, [[70, "error", "javascript"], [71, "error", "javascript"], [
    72,
    "error",
    "conversion",
  ]]);
});

Deno.test("a call made inside a function names the waiting call as its parent; a later one does not", async () => {
  await using server = new ScriptedServer(calling(ARGS_20_UE));
  await using backend = connect(server);
  const afterwards = Promise.withResolvers<void>();
  let late: Promise<unknown> | undefined;
  async function ask(): Promise<unknown> {
    // Started inside, made when the function has long answered: nobody's child any more.
    late = afterwards.promise.then(() => backend.evaluate("nested"));
    return await backend.evaluate("nested");
  }
  assertEquals(await backend.evaluate("f()", { f: ask }), "done");
  afterwards.resolve();
  assertEquals(await late, "from Python");
  const nested = server.received.filter(({ message }) => message[2][0] === "nested");
  assertEquals(nested.map(({ message, lane }) => [message[3] ?? null, lane]), [[{ parent: 1 }, "session"], [
    null,
    "session",
  ]]);
});

Deno.test("the same function keeps its number, and another one gets another", async () => {
  await using server = new ScriptedServer({
    onRequest: ({ message }, lane) => lane.send([message[0], "ok", null]),
  });
  await using backend = connect(server);
  const [f, g] = [() => 1, async () => await 2];
  await backend.evaluate("x", { f, g });
  await backend.evaluate("x", { f });
  assertEquals(server.received.map(({ message }) => message[2][1]), [
    { f: { $: ["function", 1, false] }, g: { $: ["function", 2, true] } },
    { f: { $: ["function", 1, false] } },
  ]);
});
