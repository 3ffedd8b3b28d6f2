/** What Python can do to the program that hosts it: call the functions that it was given, and nothing else (cases S8, S9). */

import { assertEquals, assertMatch } from "@std/assert";
import { PythonHostPipe } from "../../transports/pipe.ts";
import { ScriptedServer, TOKEN } from "../transports/scripted_server.ts";
import { connect, start } from "./_servers.ts";

// What `pickle.dumps(((), {}), 5)` gives.
const NO_ARGUMENTS = Uint8Array.fromHex(
  "80059505000000000000002994297d86942e".replace("2994297d8694", "297d8694"),
);

Deno.test("case S8: a server that calls what it was not given gets an error, and no function runs", async () => {
  const resumed: unknown[] = [];
  const given = ["constructor", "__proto__", -1, 0, 2, 99, 1.5, null, "1"];
  await using server = new ScriptedServer({
    onRequest: async ({ message }, lane) => {
      if (message[1] === "resume") {
        resumed.push(message[2]);
        if (resumed.length === given.length) await lane.send([1, "ok", "done"]);
        return;
      }
      for (const [i, id] of given.entries()) {
        await lane.send([message[0], "invoke", 10 + i, id], [NO_ARGUMENTS]);
      }
    },
  });
  await using backend = new PythonHostPipe(server.path, { token: TOKEN });
  let calls = 0;
  const outcome = await backend.evaluate("f()", { f: () => ++calls }).then(String, String);
  assertEquals(calls, 0);
  // Either each is refused by itself, or what no server of ours would say ends the connection.
  assertMatch(outcome, /done|ProtocolError|ConnectionClosed/);
  for (const answer of resumed) assertMatch(JSON.stringify(answer), /"error"/);
});

Deno.test("case S9: a function of the host is a capability: Python can call it, and reach nothing through it", async () => {
  for (const transport of ["pipe", "http"] as const) {
    await using server = await start({ transport });
    await using backend = connect(server);
    const secret = { value: "mine" };
    const f = Object.assign(() => "called", { secret, nested: { g: () => "reached" } });
    assertEquals(await backend.evaluate("f()", { f }), "called");
    const reached = await backend.evaluate<string[]>(
      `
      found = []
      for name in ("secret", "nested", "constructor", "prototype", "call", "apply", "bind", "caller", "arguments"):
          try:
              found.append(f"{name}: {getattr(f, name)!r}")
          except AttributeError:
              pass
      for key in ("constructor", "__proto__"):
          try:
              found.append(f"{key}: {f[key]!r}")
          except TypeError:
              pass
      found
      `,
      { f },
    );
    assertEquals(reached, []);
    // What comes back as a value is data: names of JavaScript's own mean nothing in it.
    const data = await backend.evaluate<Record<string, unknown>>(
      "{'__proto__': {'polluted': 1}, 'constructor': 2}",
    );
    assertEquals(Object.keys(data).sort(), ["__proto__", "constructor"]);
    assertEquals(({} as Record<string, unknown>).polluted, undefined);
  }
});
