/** Hostile messages of RPC in requests that are right but for them: envelopes, JSON and binary that lie, and what they are told. */

import { type HostileRequest, MARKER } from "./_http_requests.ts";

const SERVICE = "/beep.python.v1.PythonService";
const encoder = new TextEncoder();

/** All of them, for a server that speaks Connect. */
export function hostileMessages(port: number, token: string): HostileRequest[] {
  const make = (
    name: string,
    [path, type, body]: readonly [path: string, type: string, body: Uint8Array],
    status: readonly number[],
    says: string,
    fields: readonly string[] = [],
  ): HostileRequest => {
    const head = [
      `POST ${path} HTTP/1.1`,
      `Host: localhost:${port}`,
      `Authorization: Bearer ${token}`,
      `Content-Type: ${type}`,
      `Content-Length: ${body.byteLength}`,
      "Connection: close",
      ...fields,
    ].join("\r\n");
    return { name, bytes: join(encoder.encode(`${head}\r\n\r\n`), body), status, says };
  };
  return [
    ...streams().map(([name, body, says, type = "application/connect+json"]) =>
      make(`77 stream: ${name}`, [`${SERVICE}/Run`, type, body], [200], says)
    ),
    ...jsons().map(([name, text, says, status = 400]) =>
      make(
        `77 JSON: ${name}`,
        [`${SERVICE}/Evaluate`, "application/json", encoder.encode(text)],
        [status],
        says,
      )
    ),
    ...binaries().map(([name, body, says]) =>
      make(`77 binary: ${name}`, [`${SERVICE}/Evaluate`, "application/proto", body], [400], says)
    ),
    ...dialects().map(([name, text, says, method = "Evaluate"]) =>
      make(
        `77 the original's clients: ${name}`,
        [`/rpc/PythonService/${method}`, "application/json", encoder.encode(text)],
        [400, 404, 409, 422, 500],
        says,
      )
    ),
    ...fieldLines().map(([name, fields, status, says]) =>
      make(
        `77 header: ${name}`,
        [`${SERVICE}/Evaluate`, "application/json", encoder.encode('{"code":"1"}')],
        [status],
        says,
        fields,
      )
    ),
  ];
}

function join(...pieces: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(pieces.flatMap((piece) => [...piece]));
}

/** An envelope whose length need not be true. */
function envelope(flags: number, text: string, length = text.length): Uint8Array {
  const head = new DataView(new ArrayBuffer(5));
  head.setUint8(0, flags);
  head.setUint32(1, length);
  return join(new Uint8Array(head.buffer), encoder.encode(text));
}

const RUN = JSON.stringify({ operations: [{ evaluate: { code: MARKER } }] });

function streams(): [string, Uint8Array, string, string?][] {
  const proto = "application/connect+proto";
  return [
    ["nothing", new Uint8Array(), "unimplemented"],
    ["half of a prefix", new Uint8Array([0, 0]), "invalid_argument"],
    ["no message behind the prefix", envelope(0, "", 100), "invalid_argument"],
    ["a length that is one too long", envelope(0, RUN, RUN.length + 1), "invalid_argument"],
    ["a length that is one too short", envelope(0, RUN, RUN.length - 1), "unimplemented"],
    ["a length of 4 GiB", envelope(0, RUN, 0xffffffff), "invalid_argument"],
    ["compressed", envelope(1, RUN), "internal"],
    ["compressed and last", envelope(3, RUN), "invalid_argument"],
    ["two messages", join(envelope(0, RUN), envelope(0, RUN)), "unimplemented"],
    ["a message and an end", join(envelope(0, RUN), envelope(2, "{}")), "unimplemented"],
    ["only an end", envelope(2, "{}"), "invalid_argument"],
    ["unknown flags", envelope(0xfc, RUN), "invalid_argument"],
    ["no JSON", envelope(0, "{"), "invalid_argument"],
    ["JSON for binary", envelope(0, RUN), "invalid_argument", proto],
    ["JSON 100,000 deep", envelope(0, "[".repeat(100_000)), "invalid_argument"],
    ["binary of zeros", envelope(0, "\0".repeat(100)), "invalid_argument", proto],
    ["groups 50,000 deep", envelope(0, "\x0b".repeat(50_000)), "invalid_argument", proto],
  ];
}

/** Values in values, as the schema nests them. */
function nested(depth: number): string {
  return `${'{"list":{"items":['.repeat(depth)}{"text":"x"}${"]}}".repeat(depth)}`;
}

function jsons(): [string, string, string, number?][] {
  const local = (value: string): string => `{"code":"1","locals":[{"name":"a","value":${value}}]}`;
  const refused = '"code":"invalid_argument"';
  return [
    ["nothing of an object", "[]", refused],
    ["a text", '"code"', refused],
    ["cut off", '{"code":', refused],
    ["two values", "{} {}", refused],
    ["a key that is a number", "{1}", refused],
    ["NaN", '{"code":NaN}', refused],
    ["not UTF-8", '{"code":"\ud800"}'.slice(0, 9), refused],
    ["a code that is a number", '{"code":1}', refused],
    ["locals that are no array", '{"locals":{}}', refused],
    ["a local that is no object", '{"locals":[1]}', refused],
    ["arrays 100,000 deep", "[".repeat(100_000), refused],
    ["arrays 100,000 deep that end", `${"[".repeat(100_000)}${"]".repeat(100_000)}`, refused],
    ["objects 100,000 deep", '{"a":'.repeat(100_000), refused],
    [
      "arrays 100,000 deep in an unknown field",
      `{"x":${"[".repeat(100_000)}${"]".repeat(100_000)}}`,
      refused,
    ],
    ["values 190 deep beyond the limit", local(nested(390)), refused],
    ["values 5,000 deep", local(nested(5_000)), refused],
    ["an integer of 400 digits for a float", local(`{"real":${"9".repeat(400)}}`), refused],
    ["an integer of 6,000 digits", local(`{"integer":${"9".repeat(6_000)}}`), refused],
    ["an integer of 6,000 digits as text", local(`{"integer":"${"9".repeat(6_000)}"}`), refused],
    ["an integer beyond 64 bits", local('{"integer":"9223372036854775808"}'), refused],
    ["an integer with a fraction", local('{"integer":1.5}'), refused],
    ["an integer that is infinite", local('{"integer":1e999}'), refused],
    ["a big integer that is none", local('{"bigInteger":"0x10"}'), refused],
    ["a float in other digits", local('{"real":"\u0661"}'), refused],
    ["bytes that are no base64", local('{"binary":"*"}'), refused],
    ["a reference to nothing", local('{"reference":7}'), refused],
    ["a handle of nobody", local('{"handle":{"id":"999"}}'), '"code":'],
    ["a result mode that is unknown", '{"code":"1","options":{"resultMode":"NOPE"}}', refused],
    [
      "a session that is not there",
      '{"code":"1","options":{"sessionLabel":"nope"}}',
      '"code":"failed_precondition"',
    ],
    ["a sequence that is negative", '{"code":"1","options":{"sequence":"-1"}}', refused],
    ["native parts without a message", '{"native":{"parts":["AA=="]}}', refused],
  ];
}

function binaries(): [string, Uint8Array, string][] {
  const refused = '"code":"invalid_argument"';
  const bytes = (...all: number[]): Uint8Array => new Uint8Array(all);
  return [
    ["a tag of 0", bytes(0), refused],
    ["a varint without end", bytes(...Array(20).fill(0xff)), refused],
    ["a varint of 11 bytes", bytes(0x08, ...Array(10).fill(0x80), 1), refused],
    ["a length beyond the end", bytes(0x12, 0x7f, 0x31), refused],
    ["a length of 4 GiB", bytes(0x12, 0xff, 0xff, 0xff, 0xff, 0x0f), refused],
    ["a length of 2^64", bytes(0x12, ...Array(9).fill(0xff), 1), refused],
    ["a group", bytes(0x13), refused],
    ["the end of a group", bytes(0x14), refused],
    ["wire type 6", bytes(0x16), refused],
    ["code that is not UTF-8", bytes(0x12, 1, 0xff), refused],
    ["half of a fixed number", bytes(0x19, 0, 0), refused],
    ["messages 5,000 deep", deep(5_000), refused],
  ];
}

/** Messages in messages: locals, a value, a list, an item, a list … */
function deep(depth: number): Uint8Array {
  let inner: number[] = [];
  const around = (tag: number): void => {
    const length: number[] = [];
    for (let left = inner.length; length.length === 0 || left > 0; left >>>= 7) {
      length.push(left & 0x7f | (left > 0x7f ? 0x80 : 0));
    }
    inner = [tag, ...length, ...inner];
  };
  for (let level = 0; level < depth; level++) {
    around(0x0a); // items
    around(0x4a); // list
  }
  around(0x12); // value
  around(0x1a); // locals
  return Uint8Array.from(inner);
}

function dialects(): [string, string, string, string?][] {
  const failed = "error";
  return [
    ["no object", "[]", failed],
    ["cut off", "{", failed],
    ["a key that is a number", '{"Expression":"1","Locals":{1}}', failed],
    ["an expression that is a number", '{"Expression":1}', failed],
    ["arrays 100,000 deep", "[".repeat(100_000), failed],
    [
      "arrays 700 deep in the locals",
      `{"Expression":"1","Locals":{"a":${"[".repeat(700)}${"]".repeat(700)}}}`,
      failed,
    ],
    ["an unknown handle", '{"HandleId":"handle_999","MethodName":"x"}', failed, "CallMethod"],
    ["a handle that is no name", '{"HandleId":{},"MethodName":"x"}', failed, "CallMethod"],
    [
      "a handle id of 6,000 digits",
      `{"HandleId":"handle_${"9".repeat(6_000)}","MethodName":"x"}`,
      failed,
      "CallMethod",
    ],
    ["a module that is a path", '{"ModuleName":"../../etc/passwd"}', failed, "ImportModule"],
    ["a module name of 100 KiB", `{"ModuleName":"${"a".repeat(100_000)}"}`, failed, "ImportModule"],
  ];
}

function fieldLines(): [string, string[], number, string][] {
  return [
    [
      "a version of Connect that is not known",
      ["Connect-Protocol-Version: 2"],
      400,
      "Connect-Protocol-Version",
    ],
    ["a compressed message", ["Content-Encoding: gzip"], 501, "content encoding"],
    ["several codings", ["Content-Encoding: identity, gzip"], 501, "content encoding"],
    ["a deadline that is negative", ["Connect-Timeout-Ms: -1"], 400, "Connect-Timeout-Ms"],
    ["a deadline of 11 digits", ["Connect-Timeout-Ms: 99999999999"], 400, "Connect-Timeout-Ms"],
    ["a deadline in other digits", ["Connect-Timeout-Ms: \xb2"], 400, "Connect-Timeout-Ms"],
    ["a session of nobody", ["Beep-Session: nope"], 400, "failed_precondition"],
  ];
}
