/**
 * The Connect protocol, case by case, for what we claim: unary and server-streaming procedures over HTTP/1.1, JSON and binary,
 * deadlines, errors, compression negotiated away. The protocol's own conformance suite runs too, where Go is there
 * (tests/interop/conformance_test.ts); these cases run everywhere, on the real service, and hold what is ours: sessions, the
 * token, places in malformed messages. They are made from the published specification (its section is named in each group).
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { type PythonServer, startServer } from "../../servers/mod.ts";
import { makeHome } from "../host/_home.ts";

const JSON_TYPE = "application/json";
const STREAM_TYPE = "application/connect+json";
const SLOW = "import time\nwhile True: time.sleep(0.01)";
const encoder = new TextEncoder();

interface Answer {
  readonly status: number;
  readonly type: string | null;
  // deno-lint-ignore no-explicit-any -- JSON of any shape
  readonly json: any;
}

type Headers = Record<string, string>;
type Ask = (method: string, body: BodyInit, headers?: Headers) => Promise<Answer>;

/** A case: what is sent, and what must come back. */
interface Case {
  readonly name: string;
  readonly body: BodyInit;
  readonly headers?: Headers;
  readonly method?: string;
  readonly status: number;
  readonly code?: string;
}

const UNARY: readonly Case[] = [
  // Unary-Request: Content-Type
  { name: "JSON", body: '{"code":"1+1"}', status: 200 },
  {
    name: "JSON with a charset",
    body: '{"code":"1"}',
    headers: { "content-type": "application/json; charset=utf-8" },
    status: 200,
  },
  {
    name: "binary",
    body: new Uint8Array([0x12, 1, 0x31]),
    headers: { "content-type": "application/proto" },
    status: 200,
  },
  { name: "an unknown field in JSON is ignored", body: '{"code":"1","later":[1]}', status: 200 },
  {
    name: "an unknown field in binary is ignored",
    body: new Uint8Array([0x12, 1, 0x31, 0xa0, 6, 1]),
    headers: { "content-type": "application/proto" },
    status: 200,
  },
  {
    name: "names as in the schema",
    body: '{"code":"1","options":{"call_id":"5","session_label":""}}',
    status: 200,
  },
  {
    name: "a type of a stream",
    body: "{}",
    headers: { "content-type": STREAM_TYPE },
    status: 415,
    code: "unknown",
  },
  { name: "a type of gRPC", body: "{}", headers: { "content-type": "application/grpc" }, status: 415 },
  { name: "plain text", body: "{}", headers: { "content-type": "text/plain" }, status: 415 },
  // Unary-Request: bare message
  { name: "malformed JSON", body: '{"code":', status: 400, code: "invalid_argument" },
  { name: "a field of a wrong type", body: '{"code":5}', status: 400, code: "invalid_argument" },
  {
    name: "two alternatives at once",
    body: '{"code":"x","locals":[{"name":"x","value":{"integer":1,"text":"a"}}]}',
    status: 400,
    code: "invalid_argument",
  },
  {
    name: "a module by its name and by its handle",
    method: "CreateObject",
    body: '{"moduleName":"fractions","moduleHandleId":"1","className":"Fraction"}',
    status: 400,
    code: "invalid_argument",
  },
  {
    name: "an integer out of range",
    body: '{"options":{"callId":"18446744073709551616"}}',
    status: 400,
    code: "invalid_argument",
  },
  {
    name: "malformed binary",
    body: new Uint8Array([0x12, 9, 0x31]),
    headers: { "content-type": "application/proto" },
    status: 400,
    code: "invalid_argument",
  },
  {
    name: "a text that is not UTF-8",
    body: new Uint8Array([0x12, 1, 0xff]),
    headers: { "content-type": "application/proto" },
    status: 400,
    code: "invalid_argument",
  },
  // Connect-Protocol-Version
  { name: "version 1", body: '{"code":"1"}', headers: { "connect-protocol-version": "1" }, status: 200 },
  {
    name: "another version",
    body: "{}",
    headers: { "connect-protocol-version": "2" },
    status: 400,
    code: "invalid_argument",
  },
  // Content-Encoding
  { name: "identity", body: '{"code":"1"}', headers: { "content-encoding": "identity" }, status: 200 },
  {
    name: "gzip is refused",
    body: '{"code":"1"}',
    headers: { "content-encoding": "gzip" },
    status: 501,
    code: "unimplemented",
  },
  {
    name: "gzip is not needed for the answer",
    body: '{"code":"1"}',
    headers: { "accept-encoding": "gzip" },
    status: 200,
  },
  // Connect-Timeout-Ms
  {
    name: "a deadline that is kept",
    body: '{"code":"1"}',
    headers: { "connect-timeout-ms": "9999999999" },
    status: 200,
  },
  {
    name: "a deadline that passes",
    body: JSON.stringify({ code: SLOW }),
    headers: { "connect-timeout-ms": "50" },
    status: 504,
    code: "deadline_exceeded",
  },
  {
    name: "a deadline of nothing",
    body: JSON.stringify({ code: SLOW }),
    headers: { "connect-timeout-ms": "0" },
    status: 504,
    code: "deadline_exceeded",
  },
  {
    name: "a deadline that is no number",
    body: "{}",
    headers: { "connect-timeout-ms": "1s" },
    status: 400,
    code: "invalid_argument",
  },
  {
    name: "a deadline of eleven digits",
    body: "{}",
    headers: { "connect-timeout-ms": "10000000000" },
    status: 400,
    code: "invalid_argument",
  },
  // Error codes
  { name: "an unknown procedure", method: "Nope", body: "{}", status: 404, code: "unimplemented" },
  { name: "code of the user raised", body: '{"code":"1/0"}', status: 500, code: "unknown" },
  {
    name: "a handle that is not held",
    method: "GetAttribute",
    body: '{"handleId":"99","attributeName":"x"}',
    status: 400,
    code: "failed_precondition",
  },
  {
    name: "a session that is not open",
    body: '{"code":"1"}',
    headers: { "beep-session": "nobody" },
    status: 400,
    code: "failed_precondition",
  },
  {
    name: "a value that cannot be",
    method: "WrapValue",
    body: '{"value":{"reference":7}}',
    status: 400,
    code: "invalid_argument",
  },
  {
    name: "an image that is wanted and not there",
    body: '{"code":"object()","options":{"resultMode":"RESULT_MODE_VALUE"}}',
    status: 400,
    code: "invalid_argument",
  },
  {
    name: "a token that is wrong",
    body: "{}",
    headers: { authorization: "Bearer wrong" },
    status: 401,
    code: "unauthenticated",
  },
  {
    name: "a token that is missing",
    body: "{}",
    headers: { authorization: "" },
    status: 401,
    code: "unauthenticated",
  },
  {
    name: "a body as large as the limit",
    body: `{"code":"${"#".repeat(65_536 - 11)}"}`,
    status: 200,
  },
  {
    name: "a body one byte over the limit",
    body: `{"code":"${"#".repeat(65_536 - 10)}"}`,
    status: 413,
    code: "resource_exhausted",
  },
  {
    name: "a body over the limit",
    body: `{"code":"${"#".repeat(70_000)}"}`,
    status: 413,
    code: "resource_exhausted",
  },
  {
    name: "a web page",
    body: "{}",
    headers: { origin: "http://evil.example" },
    status: 403,
    code: "permission_denied",
  },
];

interface StreamCase extends Omit<Case, "status"> {
  readonly messages?: number;
  readonly status?: number;
}

const RUN = JSON.stringify({
  operations: [{ evaluate: { code: "print(1)\n2", options: { stdout: true } } }],
});

const STREAMS: readonly StreamCase[] = [
  // Streaming-Request: enveloped messages; Streaming-Response: EndStreamResponse
  { name: "messages and an end without error", body: envelope(RUN), messages: 2 },
  { name: "no operations", body: envelope("{}"), messages: 0 },
  {
    name: "a type of a unary procedure",
    body: envelope("{}"),
    headers: { "content-type": JSON_TYPE },
    status: 415,
  },
  { name: "no message", body: new Uint8Array(0), code: "unimplemented" },
  { name: "two messages", body: join(envelope("{}"), envelope("{}")), code: "unimplemented" },
  { name: "a compressed message, with no encoding named", body: envelope(RUN, 1), code: "internal" },
  { name: "a message with a flag of the end", body: envelope(RUN, 2), code: "invalid_argument" },
  {
    name: "a message as large as the limit",
    body: envelope(RUN.replace("print(1)", "#".repeat(65_536 - RUN.length + "print(1)".length))),
    messages: 1,
  },
  {
    name: "an encoding that is not known",
    body: envelope(RUN),
    headers: { "connect-content-encoding": "br" },
    code: "unimplemented",
  },
  { name: "an envelope that is cut short", body: envelope(RUN).slice(0, -1), code: "invalid_argument" },
  { name: "malformed JSON", body: envelope("{"), code: "invalid_argument" },
  { name: "a body over the limit", body: envelope(" ".repeat(70_000)), code: "resource_exhausted" },
  {
    name: "a deadline",
    body: envelope(RUN.replace("print(1)", "while True: pass")),
    headers: { "connect-timeout-ms": "50" },
    code: "deadline_exceeded",
  },
  {
    name: "an error after messages",
    method: "Iterate",
    body: envelope('{"handleId":"99"}'),
    code: "failed_precondition",
  },
  {
    name: "a session that is not open",
    body: envelope(RUN),
    headers: { "beep-session": "nobody" },
    code: "failed_precondition",
  },
];

function envelope(text: string, flags = 0): Uint8Array<ArrayBuffer> {
  const message = encoder.encode(text);
  const bytes = new Uint8Array(5 + message.byteLength);
  bytes[0] = flags;
  new DataView(bytes.buffer).setUint32(1, message.byteLength);
  bytes.set(message, 5);
  return bytes;
}

function join(...pieces: Uint8Array<ArrayBuffer>[]): Uint8Array<ArrayBuffer> {
  return new Uint8Array(pieces.flatMap((piece) => [...piece]));
}

/** The messages of a stream, and its end. */
function readStream(bytes: Uint8Array): { messages: unknown[]; end: { error?: { code: string } } } {
  const messages: unknown[] = [];
  const view = new DataView(bytes.buffer);
  for (let at = 0; at < bytes.byteLength;) {
    const flags = bytes[at];
    const length = view.getUint32(at + 1);
    const json = JSON.parse(new TextDecoder().decode(bytes.subarray(at + 5, at + 5 + length)));
    at += 5 + length;
    if (flags === 2) {
      assertEquals(at, bytes.byteLength, "nothing follows the end");
      return { messages, end: json };
    }
    assertEquals(flags, 0);
    messages.push(json);
  }
  throw new Error("the stream has no end");
}

async function post(
  server: PythonServer,
  method: string,
  body: BodyInit,
  headers: Headers,
): Promise<Response> {
  const authorization = `Bearer ${server.token}`;
  return await fetch(`${server.address}/beep.python.v1.PythonService/${method}`, {
    method: "POST",
    headers: { authorization, ...headers },
    body,
  });
}

async function withServer(run: (server: PythonServer) => Promise<void>): Promise<void> {
  await using _home = await makeHome();
  const python = Deno.env.get("BEEP_TEST_PYTHON") ?? "/usr/bin/python3";
  await using server = await startServer({ python, transport: "rpc", limits: { maxFrameBytes: 65_536 } });
  await run(server);
}

Deno.test("Connect, unary procedures", async (t) => {
  await withServer(async (server) => {
    const ask: Ask = async (method, body, headers = {}) => {
      const response = await post(server, method, body, { "content-type": JSON_TYPE, ...headers });
      const type = response.headers.get("content-type");
      const bytes = await response.bytes();
      return {
        status: response.status,
        type,
        json: type === JSON_TYPE ? JSON.parse(new TextDecoder().decode(bytes)) : bytes,
      };
    };
    for (const { name, method = "Evaluate", body, headers, status, code } of UNARY) {
      await t.step(name, async () => {
        const answer = await ask(method, body, headers);
        assertEquals(answer.status, status, JSON.stringify(answer.json));
        if (code === undefined) return;
        assertEquals([answer.type, answer.json.code], [JSON_TYPE, code]);
        assertMatch(answer.json.message, /\S/);
      });
    }
    await t.step("details are of the named type, in base64 without padding", async () => {
      const { json } = await ask("Evaluate", '{"code":"raise KeyError(1)"}');
      const [detail] = json.details;
      assertEquals(detail.type, "beep.python.v1.ErrorDetail");
      assertMatch(detail.value, /^[A-Za-z0-9+/]+$/);
      assertEquals(detail.debug.exception.type, "KeyError");
    });
    await t.step("where JSON is malformed is told", async () => {
      const { json } = await ask(
        "CallMethod",
        '{"handleId":1,"args":[{"list":{"items":[{"integer":"x"}]}}]}',
      );
      assertMatch(json.message, /CallMethodRequest\.args\[0\]\.list\.items\[0\]\.integer/);
    });
    await t.step("GET is not offered", async () => {
      const response = await fetch(
        `${server.address}/beep.python.v1.PythonService/Evaluate?encoding=json&message=%7B%7D`,
        {
          headers: { authorization: `Bearer ${server.token}` },
        },
      );
      await response.body?.cancel();
      assertEquals([response.status, response.headers.get("allow")], [405, "POST"]);
    });
    await t.step("health needs no token", async () => {
      const response = await fetch(`${server.address}/health`);
      assertEquals([response.status, await response.json()], [200, { status: "ok" }]);
    });
    await t.step("a client that leaves cancels its call", async () => {
      const abort = new AbortController();
      const gone = fetch(`${server.address}/beep.python.v1.PythonService/Evaluate`, {
        method: "POST",
        headers: { authorization: `Bearer ${server.token}`, "content-type": JSON_TYPE },
        body: JSON.stringify({ code: SLOW }),
        signal: abort.signal,
      }).catch((error) => error);
      setTimeout(() => abort.abort(), 100);
      await gone;
      // It runs on the thread of the same session: only when the other has been stopped.
      assertEquals((await ask("Evaluate", '{"code":"7"}')).json, { value: { integer: "7" } });
    });
  });
});

Deno.test("Connect, server-streaming procedures", async (t) => {
  await withServer(async (server) => {
    for (const { name, method = "Run", body, headers, status = 200, code, messages } of STREAMS) {
      await t.step(name, async () => {
        const response = await post(server, method, body, { "content-type": STREAM_TYPE, ...headers });
        const bytes = await response.bytes();
        assertEquals(response.status, status, new TextDecoder().decode(bytes));
        if (status !== 200) return;
        assertEquals(response.headers.get("content-type"), STREAM_TYPE);
        const stream = readStream(bytes);
        assertEquals(stream.end.error?.code, code);
        if (messages !== undefined) assertEquals(stream.messages.length, messages);
      });
    }
    await t.step("what a call writes comes before its result", async () => {
      const response = await post(server, "Run", envelope(RUN), { "content-type": STREAM_TYPE });
      const { messages } = readStream(await response.bytes());
      assertEquals(messages, [
        { callId: "1", stdout: "1\n" },
        { callId: "1", result: { evaluate: { value: { integer: "2" } } } },
      ]);
    });
    await t.step("a client that ends an iteration early ends the iterator", async () => {
      const code =
        "done = []\ndef g():\n  try:\n    while True: yield 'x' * 1000\n  finally: done.append(1)\ng()";
      const json = { "content-type": JSON_TYPE };
      const made = await (await post(server, "Evaluate", JSON.stringify({ code }), json)).json();
      const body = envelope(JSON.stringify({ handleId: made.value.handle.id }));
      const response = await post(server, "Iterate", body, { "content-type": STREAM_TYPE });
      const reader = response.body!.getReader();
      assert(!(await reader.read()).done);
      await reader.cancel();
      const wait = JSON.stringify({
        code: "import time\nwhile not done: await __import__('asyncio').sleep(0.01)\nlen(done)",
      });
      const after = await (await post(server, "Evaluate", wait, { ...json, "connect-timeout-ms": "30000" }))
        .json();
      assertEquals(after, { value: { integer: "1" } });
    });
  });
});
