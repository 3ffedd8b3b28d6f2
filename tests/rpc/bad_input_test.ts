// What bad input gets: the same code by Connect in JSON, by Connect in binary, and by gRPC, sent as bytes that no client would send.

import { assertEquals } from "@std/assert";
import { Buffer } from "node:buffer";
import { type ClientHttp2Session, connect } from "node:http2";
import { type PythonServer, startServer } from "../../servers/mod.ts";
import { makeHome } from "../host/_home.ts";
import { grpcPython } from "./_grpc.ts";

const SERVICE = "/beep.python.v1.PythonService/";
const MAX_FRAME_BYTES = 65_536;
const LOOP = "while True: pass";
const python = await grpcPython();
const encoder = new TextEncoder();

type Bytes = Uint8Array<ArrayBuffer>;

/** A request, and the code that all three are to give. */
interface Case {
  readonly name: string;
  readonly method?: string;
  readonly isStream?: true;
  /** What makes the message of either codec. */
  readonly json: string;
  readonly binary: Bytes;
  readonly timeoutMs?: number;
  readonly metadata?: Record<string, string>;
  readonly code: string;
}

function bytes(...pieces: (number | string | Bytes)[]): Bytes {
  return new Uint8Array(pieces.flatMap((piece) => {
    if (typeof piece === "number") return [piece];
    return [...(typeof piece === "string" ? encoder.encode(piece) : piece)];
  }));
}

function varint(number: number): Bytes {
  const digits: number[] = [];
  for (; number >= 0x80; number = Math.floor(number / 0x80)) digits.push(number % 0x80 | 0x80);
  return new Uint8Array([...digits, number]);
}

/** A field whose content has a length. */
function field(number: number, content: string | Bytes): Bytes {
  const data = typeof content === "string" ? encoder.encode(content) : content;
  return bytes(number << 3 | 2, varint(data.byteLength), data);
}

function evaluate(code: string): Pick<Case, "json" | "binary"> {
  return { json: JSON.stringify({ code }), binary: field(2, code) };
}

const LARGE = "#".repeat(MAX_FRAME_BYTES + 100);

const CASES: readonly Case[] = [
  { name: "nothing bad", ...evaluate("1"), code: "ok" },
  {
    name: "a message as large as the limit",
    json: JSON.stringify({ code: "#".repeat(MAX_FRAME_BYTES - 11) }),
    binary: field(2, "#".repeat(MAX_FRAME_BYTES - 4)),
    code: "ok",
  },
  {
    name: "a message one byte larger",
    json: JSON.stringify({ code: "#".repeat(MAX_FRAME_BYTES - 10) }),
    binary: field(2, "#".repeat(MAX_FRAME_BYTES - 3)),
    code: "resource_exhausted",
  },
  { name: "an unknown method", method: "Nope", ...evaluate("1"), code: "unimplemented" },
  { name: "a body over the limit", ...evaluate(LARGE), code: "resource_exhausted" },
  {
    name: "a body over the limit, to a stream",
    method: "Run",
    isStream: true,
    json: JSON.stringify({ operations: [{ evaluate: { code: LARGE } }] }),
    binary: field(1, field(1, field(2, LARGE))),
    code: "resource_exhausted",
  },
  { name: "a malformed message", json: '{"code":', binary: bytes(0x12, 9, "1"), code: "invalid_argument" },
  {
    name: "a malformed message, to a stream",
    method: "Run",
    isStream: true,
    json: '{"operations":5}',
    binary: bytes(0x0a, 9),
    code: "invalid_argument",
  },
  {
    name: "text that is no text",
    json: '{"code":5}',
    binary: bytes(0x12, 1, 0xff),
    code: "invalid_argument",
  },
  {
    name: "a field that ends in its middle",
    json: '{"options":[]}',
    binary: bytes(0x0a, 2, 0x08, 0x80),
    code: "invalid_argument",
  },
  {
    name: "a value that refers to none",
    method: "WrapValue",
    json: '{"value":{"reference":7}}',
    binary: field(2, bytes(29 << 3 & 0x7f | 0x80, 1, 7)),
    code: "invalid_argument",
  },
  { name: "a deadline that passes", ...evaluate(LOOP), timeoutMs: 50, code: "deadline_exceeded" },
  {
    name: "a deadline that passes, of a stream",
    method: "Run",
    isStream: true,
    json: JSON.stringify({ operations: [{ evaluate: { code: LOOP } }] }),
    binary: field(1, field(1, field(2, LOOP))),
    timeoutMs: 50,
    code: "deadline_exceeded",
  },
  {
    name: "a token that is missing",
    ...evaluate("1"),
    metadata: { authorization: "" },
    code: "unauthenticated",
  },
  {
    name: "a token that is wrong",
    ...evaluate("1"),
    metadata: { authorization: "Bearer x" },
    code: "unauthenticated",
  },
  {
    name: "a handle that is not held",
    method: "GetAttribute",
    json: '{"handleId":"99","attributeName":"x"}',
    binary: bytes(2 << 3, 99, field(3, "x")),
    code: "failed_precondition",
  },
  {
    name: "a handle that is not held, to a stream",
    method: "Iterate",
    isStream: true,
    json: '{"handleId":"99"}',
    binary: bytes(2 << 3, 99),
    code: "failed_precondition",
  },
  {
    name: "a session of nobody",
    ...evaluate("1"),
    metadata: { "beep-session": "nobody" },
    code: "failed_precondition",
  },
  {
    name: "another protocol version",
    method: "OpenSession",
    isStream: true,
    json: '{"protocol":99}',
    binary: bytes(1 << 3, 99),
    code: "failed_precondition",
  },
  {
    name: "a session that is not open by its label",
    json: '{"code":"1","options":{"sessionLabel":"none"}}',
    binary: bytes(field(1, field(sessionLabelNumber(), "none")), field(2, "1")),
    code: "failed_precondition",
  },
  { name: "code that raises", ...evaluate("1/0"), code: "unknown" },
];

/** The number of `CallOptions.session_label`, from the schema itself. */
function sessionLabelNumber(): number {
  const schema = Deno.readTextFileSync(
    new URL("../../proto/beep/python/v1/python_host.proto", import.meta.url),
  );
  return Number(/string session_label = (\d+);/.exec(schema)![1]);
}

function enveloped(message: Bytes): Bytes {
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, message.byteLength);
  return bytes(0, length, message);
}

function metadataOf(server: PythonServer, { metadata }: Case): Record<string, string> {
  return { authorization: `Bearer ${server.token}`, ...metadata };
}

/** The code that Connect gives, in JSON or in binary. */
async function byConnect(server: PythonServer, codec: "json" | "proto", one: Case): Promise<string> {
  const message = codec === "json" ? encoder.encode(one.json) : one.binary;
  const headers = {
    ...metadataOf(server, one),
    "content-type": one.isStream ? `application/connect+${codec}` : `application/${codec}`,
    ...(one.timeoutMs === undefined ? {} : { "connect-timeout-ms": String(one.timeoutMs) }),
  };
  const response = await fetch(`${server.info.connectAddress}${SERVICE}${one.method ?? "Evaluate"}`, {
    method: "POST",
    headers,
    body: one.isStream ? enveloped(message) : message,
  });
  const answer = await response.bytes();
  if (!one.isStream && response.ok) return "ok";
  const text = new TextDecoder().decode(answer);
  // Refused with the head, or an error in the last envelope of the stream.
  const json = JSON.parse(one.isStream && response.ok ? text.slice(text.indexOf("{")) : text);
  return one.isStream && response.ok ? json.error.code : json.code;
}

const GRPC_CODES = [
  ...["ok", "canceled", "unknown", "invalid_argument", "deadline_exceeded", "not_found", "already_exists"],
  ...["permission_denied", "resource_exhausted", "failed_precondition", "aborted", "out_of_range"],
  ...["unimplemented", "internal", "unavailable", "data_loss", "unauthenticated"],
];

/** The code that gRPC gives. */
function byGrpc(session: ClientHttp2Session, server: PythonServer, one: Case): Promise<string> {
  return new Promise((resolve, reject) => {
    const stream = session.request({
      ":method": "POST",
      ":path": `${SERVICE}${one.method ?? "Evaluate"}`,
      "content-type": "application/grpc+proto",
      te: "trailers",
      ...metadataOf(server, one),
      ...(one.timeoutMs === undefined ? {} : { "grpc-timeout": `${one.timeoutMs}m` }),
    });
    let status: unknown;
    const look = (headers: Record<string, unknown>) => status ??= headers["grpc-status"];
    stream.on("response", look);
    stream.on("trailers", look);
    stream.on("error", reject);
    stream.on("close", () => {
      if (status === undefined) reject(new Error(`no status came: ${one.name}`));
      else resolve(GRPC_CODES[Number(status)]!);
    });
    stream.resume();
    stream.end(Buffer.from(enveloped(one.binary)));
  });
}

Deno.test({
  name: "bad input gets the same code by Connect, in JSON and in binary, and by gRPC",
  ignore: python === null,
  async fn(t) {
    await using _home = await makeHome();
    await using server = await startServer({
      python: python!,
      transport: "rpc",
      rpc: { grpc: true },
      limits: { maxFrameBytes: MAX_FRAME_BYTES },
    });
    const session = connect(server.address);
    const closed = new Promise((resolve) => session.on("close", resolve));
    try {
      for (const one of CASES) {
        await t.step(one.name, async () => {
          const found = {
            json: await byConnect(server, "json", one),
            binary: await byConnect(server, "proto", one),
            grpc: await byGrpc(session, server, one),
          };
          assertEquals(found, { json: one.code, binary: one.code, grpc: one.code });
        });
      }
    } finally {
      session.close();
      await closed;
    }
  },
});
