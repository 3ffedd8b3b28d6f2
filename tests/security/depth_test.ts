/** Values nested in values (case 88): bounded by `maxDepth` on every wire and in every dialect, by a typed error of the call alone. */

import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { encodeFrame } from "../../core/frames.ts";
import { FRAMES_CONTENT_TYPE } from "../../core/protocol.ts";
import { PythonHostError } from "../../core/errors.ts";
import type { PythonServer } from "../../servers/mod.ts";
import { PythonHostPipe } from "../../transports/pipe.ts";
import { ScriptedServer, TOKEN } from "../transports/scripted_server.ts";
import { RawPipe } from "./_pipe.ts";
import { beside, closeQuietly, connect, open, readAll, start, writeAll } from "./_servers.ts";

const encoder = new TextEncoder();
const MOST = 200;

/** JSON of arrays, or of objects, in each other. */
function nested(depth: number, kind: "[" | "{" = "["): string {
  return kind === "["
    ? `${"[".repeat(depth)}${"]".repeat(depth)}`
    : `${'{"a":'.repeat(depth)}1${"}".repeat(depth)}`;
}

/** The same as values of the schema of RPC. */
function nestedInSchema(depth: number): string {
  return `${'{"list":{"items":['.repeat(depth - 1)}{"list":{}}${"]}}".repeat(depth - 1)}`;
}

/** Posts a body and gives status and body of the answer. */
async function post(
  server: PythonServer,
  path: string,
  type: string,
  body: string | Uint8Array,
  session = "",
) {
  const bytes = typeof body === "string" ? encoder.encode(body) : body;
  const connection = await open(server);
  const head = `POST ${path} HTTP/1.1\r\nHost: ${new URL(server.address).host}\r\nConnection: close\r\n` +
    `Authorization: Bearer ${server.token}\r\nContent-Type: ${type}\r\nContent-Length: ${bytes.byteLength}\r\n` +
    (session === "" ? "" : `Beep-Session: ${session}\r\n`);
  await writeAll(connection, encoder.encode(`${head}\r\n`));
  await writeAll(connection, bytes);
  const { text, ended } = await readAll(connection);
  closeQuietly(connection);
  assert(ended && text !== "", `${path} answers and ends`);
  return { status: Number(text.slice(9, 12)), text };
}

/** What a wire is asked with JSON for the value of the local `a`, and how the answer shows that it was too deep. */
type Ask = (value: string) => Promise<string>;

async function checkBounds(ask: Ask): Promise<void> {
  for (const kind of ["[", "{"] as const) {
    assertMatch(await ask(nested(MOST, kind)), /42/);
    for (const depth of [MOST + 2, 400, 900]) {
      assertMatch(await ask(nested(depth, kind)), /nested|conversion|invalid_argument/, `${kind} ${depth}`);
    }
    for (const depth of [3_000, 100_000]) {
      assertMatch(
        await ask(nested(depth, kind)),
        /nested|recursion|conversion|protocol|invalid/,
        `${kind} ${depth}`,
      );
    }
  }
}

Deno.test("case 88: values without tags over the pipe are bounded, and only the call fails", async () => {
  await using server = await start();
  await beside(server, async () => {
    let id = 0;
    let pipe: RawPipe | undefined;
    const ask: Ask = async (value) => {
      pipe ??= (await RawPipe.join(server))[0];
      await pipe.write(encodeFrame(`[${++id},"evaluate",["42",{"a":${value}}]]`));
      const message = await pipe.receive() as [number, string, unknown] | null;
      if (message === null) return "the connection ended without a reason";
      const [about, , answer] = message;
      if (about === 0) { // ended with a reason: what the interpreter cannot read is no message
        pipe[Symbol.dispose]();
        pipe = undefined;
        id = 0;
      }
      return JSON.stringify(answer);
    };
    try {
      await checkBounds(ask);
      assertMatch(await ask(nested(400)), /"code":"conversion"/);
      assertEquals(await ask("1"), "42");
    } finally {
      pipe?.[Symbol.dispose]();
    }
  });
  assert(!server.stderr.text.includes("Traceback"), server.stderr.text);
});

Deno.test("case 88: values without tags over HTTP are bounded, in frames, in JSON, and with tags", async () => {
  await using server = await start({ transport: "http" });
  await beside(server, async () => {
    const hello = encodeFrame('[1,"hello",[{"protocol":1}]]');
    const { text } = await post(server, "/beep/v1/call", FRAMES_CONTENT_TYPE, hello);
    const session = /"session":"([0-9a-f]+)"/.exec(text)![1]!;
    await checkBounds(async (value) => {
      const frame = encodeFrame(`[2,"evaluate",["42",{"a":${value}}]]`);
      return (await post(server, "/beep/v1/call", FRAMES_CONTENT_TYPE, frame, session)).text;
    });
    for (const query of ["", "?exact=1"]) {
      await checkBounds(async (value) => {
        const body = `{"expression":"42","locals":{"a":${value}}}`;
        const answer = await post(server, `/api/eval${query}`, "application/json", body);
        // With tags a few levels are those of tags.
        return query !== "" && answer.status === 200 ? "42 nested" : answer.text;
      });
    }
  });
  assert(!server.stderr.text.includes("Traceback"), server.stderr.text);
});

Deno.test("case 88: values over RPC are bounded, in the schema, in native messages and for the original's clients", async () => {
  await using server = await start({ transport: "rpc" });
  const path = "/beep.python.v1.PythonService/Evaluate";
  await beside(server, async () => {
    await checkBounds(async (value) => {
      const json = encoder.encode(`["42",{"a":${value}}]`).toBase64();
      return (await post(server, path, "application/json", `{"native":{"json":"${json}"}}`)).text;
    });
    await checkBounds(async (value) => {
      const body = `{"Expression":"42","Locals":{"a":${value}}}`;
      return (await post(server, "/rpc/PythonService/Evaluate", "application/json", body)).text;
    });
    const ask = async (depth: number): Promise<string> => {
      const body = `{"code":"42","locals":[{"name":"a","value":${nestedInSchema(depth)}}]}`;
      return (await post(server, path, "application/json", body)).text;
    };
    assertMatch(await ask(MOST), /"integer":"42"/);
    for (const depth of [MOST + 1, 300, 3_000, 50_000]) assertMatch(await ask(depth), /invalid_argument/);
  });
  assert(!server.stderr.text.includes("Traceback"), server.stderr.text);
});

Deno.test("case 88: lines of JSON are bounded too", async () => {
  await using server = await start({ auth: false });
  await checkBounds(async (value) => {
    const connection = await open(server);
    const request = { command: "eval", payload: { expression: "42", locals: { a: 0 } } };
    const line = JSON.stringify(request).replace('"a":0', `"a":${value}`);
    await writeAll(connection, encoder.encode(`${line}\n`));
    await (connection as Deno.UnixConn).closeWrite();
    const { text } = await readAll(connection);
    closeQuietly(connection);
    return text;
  });
  assert(!server.stderr.text.includes("Traceback"), server.stderr.text);
});

Deno.test("case 88: maxDepth is the server's to choose, and the client's own bound comes before it", async () => {
  await using server = await start({ limits: { maxDepth: 10 } });
  await using backend = connect(server);
  const value = (depth: number): unknown => depth === 1 ? [] : [value(depth - 1)];
  assertEquals(await backend.evaluate("42", { a: value(10) }), 42);
  await assertRejects(() => backend.evaluate("42", { a: value(15) }), PythonHostError, "more than 10 deep");
  await assertRejects(() => backend.evaluate("42", { a: value(201) }), PythonHostError, "more than 200 deep");
  assertEquals(await backend.evaluate("42"), 42);
});

/** Replies that nest, each in the place where the client reads it. */
const replies: readonly [name: string, make: (depth: number) => string][] = [
  ["a plain value", (depth) => `[ID,"ok",${nested(depth)}]`],
  ["a value with tags", (depth) => `[ID,"tagged",${nested(depth)}]`],
  ["tags in tags", (depth) => `[ID,"tagged",${'{"$":["tuple",['.repeat(depth)}${"]]}".repeat(depth)}]`],
  ["an error's message", (depth) => `[ID,"error",{"code":"python","message":${nested(depth)}}]`],
  [
    "causes of an error",
    (depth) =>
      `[ID,"error",{"code":"python","message":"x","exception":${'{"type":"E","cause":'.repeat(depth)}null${
        "}".repeat(depth)
      }}]`,
  ],
  ["an id", (depth) => `[${nested(depth)},"ok",1]`],
];

for (const [name, make] of replies) {
  Deno.test(`case 88: a server's reply 100,000 deep leaves the client a value or a typed error: ${name}`, async () => {
    await using server = new ScriptedServer({
      onRequest: async ({ message }, lane) => {
        if (message[1] !== "evaluate") return void await lane.send([message[0], "ok", null]);
        await lane.sendBytes(encodeFrame(make(100_000).replace("ID", String(message[0]))));
      },
    });
    await using backend = new PythonHostPipe(server.path, { token: TOKEN });
    const outcome = await backend.evaluate("1", {}, { timeoutMs: 5_000 }).then(
      () => null,
      (error: unknown) => error,
    );
    assert(outcome === null || outcome instanceof PythonHostError, Deno.inspect(outcome).slice(0, 500));
    // Showing it must not fail either.
    assert(Deno.inspect(outcome).length < 1_000_000);
  });
}
