/**
 * What the original's C# clients send, replayed byte for byte over HTTP, the pipe and RPC, and what they parse.
 *
 * HTTP: `JsonContent`, so a chunked body without Content-Length. Pipe: a BOM, then lines. RPC: PascalCase both ways.
 */

import { assertEquals } from "@std/assert";
import { type PythonServer, startServer } from "../../servers/mod.ts";
import { makeHome } from "../host/_home.ts";

/** One request shape: pipe command, HTTP path, RPC method, the payload's text as .NET writes it, and the answer's text. */
type Shape = readonly [command: string, path: string, method: string, payload: string, answer: string];

// In the order of a client's life: handles are numbered from 1 in a server that is new.
const SHAPES: readonly Shape[] = [
  ["import", "import", "ImportModule", '{"moduleName":"math"}', '{"handleId":"handle_1"}'],
  [
    "call",
    "call",
    "CallMethod",
    '{"handleId":"handle_1","methodName":"sqrt","args":[9],"returnType":"Double"}',
    '{"value":3.0}',
  ],
  [
    "getattr",
    "getattr",
    "GetAttribute",
    '{"handleId":"handle_1","attributeName":"pi","returnType":"Double"}',
    '{"value":3.141592653589793}',
  ],
  ["import", "import", "ImportModule", '{"moduleName":"collections"}', '{"handleId":"handle_2"}'],
  // A falsy object is an object.
  [
    "create",
    "create",
    "CreateObject",
    '{"moduleHandleId":"handle_2","className":"OrderedDict"}',
    '{"handleId":"handle_3","typeName":"OrderedDict"}',
  ],
  [
    "call",
    "call",
    "CallMethod",
    '{"handleId":"handle_3","methodName":"__len__","args":[],"kwargs":{}}',
    '{"value":0}',
  ],
  [
    "call",
    "call",
    "CallMethod",
    '{"handleId":"handle_3","methodName":"update","kwargs":{"a":1}}',
    '{"value":null}',
  ],
  [
    "setattr",
    "setattr",
    "SetAttribute",
    '{"handleId":"handle_3","attributeName":"note","value":"kept"}',
    '{"success":true}',
  ],
  [
    "getattr",
    "getattr",
    "GetAttribute",
    '{"handleId":"handle_3","attributeName":"note"}',
    '{"value":"kept"}',
  ],
  ["eval", "eval", "Evaluate", '{"expression":"1+1","returnType":"Int32"}', '{"value":2}'],
  ["eval", "eval", "Evaluate", '{"expression":"[x for i in range(2)]","locals":{"x":5}}', '{"value":[5,5]}'],
  ["eval", "eval", "Evaluate", '{"expression":"x = 1\\nx + 1"}', '{"value":2}'],
  ["eval", "eval", "Evaluate", '{"expression":"float(\\u0027nan\\u0027)"}', '{"value":"NaN"}'],
  ["eval", "eval", "Evaluate", '{"expression":"b\\u0027ab\\u0027"}', '{"value":"YWI="}'],
  ["eval", "eval", "Evaluate", '{"expression":"(1, {2})"}', '{"value":[1,[2]]}'],
  ["eval", "eval", "Evaluate", '{"expression":"2**64"}', '{"value":"18446744073709551616"}'],
  // A function has no image in JSON: it is a handle.
  [
    "eval",
    "eval",
    "Evaluate",
    '{"expression":"len"}',
    '{"isHandle":true,"handleId":"handle_4","typeName":"builtin_function_or_method"}',
  ],
  [
    "eval",
    "eval",
    "Evaluate",
    '{"expression":"f([1,2])","locals":{"f":{"isHandle":true,"handleId":"handle_4","typeName":"x"}}}',
    '{"value":2}',
  ],
  ["wrap", "wrap", "WrapValue", '{"value":[1.5,2]}', '{"handleId":"handle_5","typeName":"list"}'],
  ["tofloatarray", "tofloatarray", "ToFloatArray", '{"handleId":"handle_5"}', "[1.5,2.0]"],
  ["wrap", "wrap", "WrapValue", '{"value":[[1,2],[3,4]]}', '{"handleId":"handle_6","typeName":"list"}'],
  ["tofloatarray2d", "tofloatarray2d", "ToFloatArray2D", '{"handleId":"handle_6"}', "[[1.0,2.0],[3.0,4.0]]"],
  [
    "module_available",
    "module-available",
    "IsModuleAvailable",
    '{"moduleName":"json"}',
    '{"available":true}',
  ],
  [
    "module_available",
    "module-available",
    "IsModuleAvailable",
    '{"moduleName":"no.such"}',
    '{"available":false}',
  ],
  ["dispose", "dispose", "DisposeHandle", '{"handleId":"handle_5"}', '{"success":true}'],
  ["dispose", "dispose", "DisposeHandle", '{"handleId":"handle_5"}', '{"success":true}'],
];

const KEYS_REGEXP =
  /"(moduleName|moduleHandleId|className|args|kwargs|handleId|methodName|attributeName|value|expression|locals|returnType|isHandle|typeName|success|available)":/g;

/** As the C# client of RPC spells it. */
function pascal(text: string): string {
  return text.replaceAll(KEYS_REGEXP, (_, key: string) => `"${key[0]!.toUpperCase()}${key.slice(1)}":`);
}

async function python(): Promise<string> {
  const { stdout } = await new Deno.Command(Deno.env.get("BEEP_TEST_PYTHON") ?? "python3", {
    args: ["-I", "-c", "import sys; print(sys.executable)"],
  }).output();
  return new TextDecoder().decode(stdout).trim();
}

/** Sends bytes and gives the text that comes until `isWhole` says so. */
async function exchange(
  conn: Deno.Conn,
  request: string,
  isWhole: (text: string) => boolean,
): Promise<string> {
  const bytes = new TextEncoder().encode(request);
  for (let at = 0; at < bytes.byteLength;) at += await conn.write(bytes.subarray(at));
  const buffer = new Uint8Array(65_536);
  let text = "";
  while (!isWhole(text)) {
    const count = await conn.read(buffer);
    if (count === null) break;
    text += new TextDecoder().decode(buffer.subarray(0, count));
  }
  return text;
}

/** A request as `HttpClient.PostAsJsonAsync` writes it. */
function chunkedPost(host: string, path: string, body: string, token = ""): string {
  const length = new TextEncoder().encode(body).byteLength.toString(16).toUpperCase();
  const authorization = token === "" ? "" : `Authorization: Bearer ${token}\r\n`;
  return `POST ${path} HTTP/1.1\r\nHost: ${host}\r\n${authorization}Transfer-Encoding: chunked\r\n` +
    `Content-Type: application/json; charset=utf-8\r\n\r\n${length}\r\n${body}\r\n0\r\n\r\n`;
}

/** Status and body of an answer with a Content-Length. */
async function ask(conn: Deno.Conn, request: string): Promise<[status: number, body: string]> {
  const text = await exchange(conn, request, (text) => {
    const length = /content-length: (\d+)/i.exec(text)?.[1];
    const end = text.indexOf("\r\n\r\n");
    return end >= 0 && text.length >= end + 4 + Number(length);
  });
  return [Number(text.slice(9, 12)), text.slice(text.indexOf("\r\n\r\n") + 4)];
}

async function connect(server: PythonServer): Promise<Deno.TcpConn> {
  const { hostname, port } = new URL(server.address);
  return await Deno.connect({ hostname, port: Number(port) });
}

Deno.test("the C# client over HTTP", async () => {
  await using _home = await makeHome();
  await using server = await startServer({ python: await python(), transport: "http" });
  using conn = await connect(server);
  const { host } = new URL(server.endpoint);
  for (const [, path, , payload, answer] of SHAPES) {
    assertEquals(
      await ask(conn, chunkedPost(host, `/api/${path}`, payload, server.token)),
      [200, answer],
      payload,
    );
  }
  // A second client at once shares the handles. One that connects and says nothing for long is dropped.
  using other = await connect(server);
  const payload = '{"handleId":"handle_1","attributeName":"e"}';
  const both = [conn, other].map((one) => ask(one, chunkedPost(host, "/api/getattr", payload, server.token)));
  assertEquals(new Set((await Promise.all(both)).map(([status]) => status)), new Set([200]));
  const [status, body] = await ask(
    conn,
    chunkedPost(host, "/api/eval", '{"expression":"1/0"}', server.token),
  );
  const { error, type } = JSON.parse(body);
  assertEquals([status, error, type], [500, "ZeroDivisionError: division by zero", "ZeroDivisionError"]);
});

Deno.test("the C# client over RPC", async () => {
  await using _home = await makeHome();
  await using server = await startServer({ python: await python(), transport: "rpc", auth: false });
  using conn = await connect(server);
  const { host } = new URL(server.endpoint);
  for (const [, , method, payload, answer] of SHAPES) {
    const request = chunkedPost(host, `/rpc/PythonService/${method}`, pascal(payload));
    assertEquals(await ask(conn, request), [200, pascal(answer)], payload);
  }
  // It writes nulls out, and the full name of the type.
  const nulls = '{"Expression":"3","Locals":null,"ReturnType":"System.Int32"}';
  assertEquals(await ask(conn, chunkedPost(host, "/rpc/PythonService/Evaluate", nulls)), [
    200,
    '{"Value":3}',
  ]);
  assertEquals((await ask(conn, `GET /health HTTP/1.1\r\nHost: ${host}\r\n\r\n`))[0], 200);
  assertEquals((await ask(conn, chunkedPost(host, "/rpc/PythonService/Nope", "{}")))[0], 404);
});

Deno.test({
  name: "the C# client over the pipe, where .NET looks for it",
  ignore: Deno.build.os === "windows",
  async fn() {
    await using home = await makeHome();
    const temporary = Deno.env.get("TMPDIR");
    Deno.env.set("TMPDIR", home.path);
    try {
      const name = `beep-${crypto.randomUUID().slice(0, 8)}`;
      await using _server = await startServer({
        python: await python(),
        transport: "pipe",
        name,
        auth: false,
      });
      const path = `${home.path}/CoreFxPipe_${name}`;
      using conn = await Deno.connect({ transport: "unix", path });
      let prefix = "\ufeff"; // StreamWriter(Encoding.UTF8) opens with it
      for (const [command, , , payload, answer] of SHAPES) {
        const line = `${prefix}{"command":"${command}","payload":${payload}}\n`;
        prefix = "";
        const got = await exchange(conn, line, (text) => text.endsWith("\n"));
        assertEquals(got, `{"result":${answer},"error":null}\n`, payload);
      }
      // One that connects and says nothing for long is dropped.
      using other = await Deno.connect({ transport: "unix", path });
      const ping = '{"command":"ping","payload":{}}\n';
      const pong = '{"result":{"status":"ok"},"error":null}\n';
      assertEquals(await exchange(other, `\ufeff${ping}`, (text) => text.endsWith("\n")), pong);
      const failing = '{"command":"eval","payload":{"expression":"1/0"}}\n';
      const failed = '{"result":null,"error":"ZeroDivisionError: division by zero"}\n';
      assertEquals(await exchange(conn, failing, (text) => text.endsWith("\n")), failed);
      assertEquals(await exchange(conn, ping, (text) => text.endsWith("\n")), pong);
    } finally {
      if (temporary === undefined) Deno.env.delete("TMPDIR");
      else Deno.env.set("TMPDIR", temporary);
    }
  },
});
