/** Hand-made hostile openings and frames on the pipe: the connection ends with a reason, and nobody else notices. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { encodeFrame } from "../../core/frames.ts";
import { RawPipe } from "./_pipe.ts";
import { beside, connect, readAll, start } from "./_servers.ts";

const encoder = new TextEncoder();
const nonce = "0123456789abcdef".repeat(2);
const hello = { protocol: 1, client: "raw", lane: "session", session: null, nonce };

/** The bytes of a frame whose lengths are given, and need not be true. */
function claim(jsonBytes: number, parts: readonly number[], rest = ""): Uint8Array {
  const head = new Uint32Array([jsonBytes, parts.length, ...parts]);
  return new Uint8Array([...new Uint8Array(head.buffer), ...encoder.encode(rest)]);
}

function opening(...messages: unknown[]): Uint8Array {
  const frames = messages.map((message) => encodeFrame(JSON.stringify(message)));
  return new Uint8Array([...encoder.encode("BEEP"), ...frames.flatMap((frame) => [...frame])]);
}

function beep(bytes: Uint8Array): Uint8Array {
  return new Uint8Array([...encoder.encode("BEEP"), ...bytes]);
}

/** What a stranger may open with, and the code of the refusal. */
const openings: readonly [name: string, bytes: Uint8Array, code: string][] = [
  ["77 another protocol", encoder.encode("GET / HTTP/1.1\r\n\r\n"), "protocol"],
  ["77 zeros", new Uint8Array(5000), "protocol"],
  ["77 half the magic and then not", encoder.encode("BEEQ"), "protocol"],
  ["77 a frame that is no JSON", beep(encodeFrame("{")), "protocol"],
  ["77 a frame that is not UTF-8", beep(claim(3, [], "\0\0\0").fill(0xff, 8)), "protocol"],
  ["77 an empty frame", beep(claim(0, [])), "protocol"],
  ["77 NaN", beep(encodeFrame('["hello",NaN]')), "protocol"],
  ["77 a key that is a number", beep(encodeFrame('["hello",{1}]')), "protocol"],
  ["77 JSON 5,000 deep", beep(encodeFrame("[".repeat(5000))), "protocol"],
  ["77 a number of 6,000 digits", beep(encodeFrame(`["hello",${"1".repeat(6000)}]`)), "protocol"],
  ["77 no message", opening("hello"), "protocol"],
  ["77 another message", opening(["welcome", hello]), "protocol"],
  ["77 a call before the hello", opening([1, "evaluate", ["1"]]), "protocol"],
  ["77 a hello that is no object", opening(["hello", []]), "protocol"],
  ["77 a hello of nothing", opening(["hello", {}]), "version"],
  ["77 another version", opening(["hello", { ...hello, protocol: 2 }]), "version"],
  ["77 a version that is a list", opening(["hello", { ...hello, protocol: [1] }]), "version"],
  ["77 a version that is true", opening(["hello", { ...hello, protocol: "1" }]), "version"],
  ["77 a version of 50 KiB", opening(["hello", { ...hello, protocol: "x".repeat(50_000) }]), "version"],
  ["77 no nonce", opening(["hello", { ...hello, nonce: null }]), "protocol"],
  ["77 a short nonce", opening(["hello", { ...hello, nonce: "0" }]), "protocol"],
  ["77 a long nonce", opening(["hello", { ...hello, nonce: "0".repeat(129) }]), "protocol"],
  ["77 a nonce of half a character", opening(["hello", { ...hello, nonce: `${nonce}\ud800` }]), "protocol"],
  ["81 a magic that does not come", encoder.encode("BE"), "protocol"],
  ["81 a frame that does not end", beep(claim(3, [], "[")), "protocol"],
  ["81 a proof that does not come", opening(["hello", hello]), "protocol"],
  ["78 a length of 4 GiB", beep(claim(0xffffffff, [])), "limit"],
  ["78 a length beyond a stranger's room", beep(claim(65_537, [])), "limit"],
  ["78 a part of 4 GiB", beep(claim(2, [0xffffffff])), "limit"],
  ["78 4 billion parts", beep(new Uint8Array([2, 0, 0, 0, 255, 255, 255, 255])), "limit"],
  ["78 a thousand parts of 4 GiB", beep(claim(2, Array(1000).fill(0xffffffff))), "limit"],
  ["S1 no proof", opening(["hello", hello], ["proof", ""]), "authentication"],
  ["S1 a proof of zeros", opening(["hello", hello], ["proof", "0".repeat(64)]), "authentication"],
  ["S1 a proof that is a number", opening(["hello", hello], ["proof", 1]), "authentication"],
  ["S1 a proof that is null", opening(["hello", hello], ["proof", null]), "authentication"],
  ["S1 a proof of half a character", opening(["hello", hello], ["proof", "\ud800"]), "authentication"],
  ["S1 a proof of 60 KiB", opening(["hello", hello], ["proof", "0".repeat(60_000)]), "authentication"],
  ["S1 something else for a proof", opening(["hello", hello], [1, "evaluate", ["1"]]), "protocol"],
  ["S1 a second hello for a proof", opening(["hello", hello], ["hello", hello]), "protocol"],
];

/** What somebody may send who was let in, and the code with which the connection ends. */
const frames: readonly [name: string, bytes: Uint8Array, code: string][] = [
  ["77 no JSON", encodeFrame("{"), "protocol"],
  ["77 an empty frame", claim(0, []), "protocol"],
  ["77 two values", encodeFrame("[] []"), "protocol"],
  // The first error of this kind: until then, the scanner of some versions cannot say what is wrong.
  ["77 a key that is a number", encodeFrame('[1,"ping",[{1}]]'), "protocol"],
  ["77 a control character behind white space", encodeFrame(' ["\x01"]'), "protocol"],
  ["77 an object", encodeFrame("{}"), "protocol"],
  ["77 a number", encodeFrame("7"), "protocol"],
  ["77 an empty list", encodeFrame("[]"), "protocol"],
  ["77 too many items", encodeFrame('[1,"ping",[],{},0]'), "protocol"],
  ["77 a text for an id", encodeFrame('["1","ping",[]]'), "protocol"],
  ["77 a fraction for an id", encodeFrame('[1.5,"ping",[]]'), "protocol"],
  ["77 true for an id", encodeFrame('[true,"ping",[]]'), "protocol"],
  ["77 a list for an operation", encodeFrame('[1,["ping"],[]]'), "protocol"],
  ["77 an object for arguments", encodeFrame('[1,"ping",{}]'), "protocol"],
  ["77 a list for options", encodeFrame('[1,"ping",[],[]]'), "protocol"],
  ["77 JSON 100,000 deep", encodeFrame("[".repeat(100_000)), "protocol"],
  ["77 half a character in UTF-8", claim(3, [], "\0\0\0").fill(0xed, 8), "protocol"],
  ["78 a length of 4 GiB", claim(0xffffffff, []), "limit"],
  ["78 one byte beyond the limit", claim(256 * 1024 * 1024 - 7, []), "limit"],
  ["78 65,537 parts", new Uint8Array([2, 0, 0, 0, 1, 0, 1, 0]), "limit"],
  ["78 a thousand parts of 4 GiB", claim(2, Array(1000).fill(0xffffffff)), "limit"],
];

Deno.test("case 77, 78, S1: every hostile opening of a pipe is refused with its code and the end", async () => {
  // All at once are more strangers than a server usually keeps; one of them is to be late, and the others not.
  const limits = { refusedTokenDelayMs: 20, maxUnauthenticated: 1_000, headTimeoutMs: 3_000 };
  await using server = await start({ limits });
  await beside(server, async () => {
    await Promise.all(openings.map(async ([name, bytes, code]) => {
      using pipe = await RawPipe.open(server);
      await pipe.write(bytes);
      let last: unknown = null;
      for (let message = await pipe.receive(); message !== null; message = await pipe.receive()) {
        last = message;
      }
      assert(last !== null, `${name}: the connection ended without a reason`);
      const [kind, error] = last as [string, { code: string; message: string }];
      assertEquals([name, kind, error.code], [name, "refused", code]);
      assert(error.message.length < 1000, `${name}: the refusal is as long as what it refuses`);
    }));
  });
  assert(!server.stderr.text.includes("Traceback"), server.stderr.text);
});

Deno.test("case 77, 78: every hostile frame of a client ends its connection with a reason, on both lanes", async () => {
  await using server = await start();
  await beside(server, async () => {
    for (const [name, bytes, code] of frames) {
      for (const lane of ["session", "control"]) {
        const [first, session] = await RawPipe.join(server);
        using _first = first;
        const [second] = await RawPipe.join(server, "control", session);
        using _second = second;
        const pipe = lane === "session" ? first : second;
        await pipe.write(bytes);
        const message = await pipe.receive() as [number, string, { code: string }] | null;
        assertEquals([name, lane, message?.[0], message?.[1], message?.[2].code], [
          name,
          lane,
          0,
          "error",
          code,
        ]);
        assertEquals(await pipe.receive(), null, `${name}: the ${lane} lane ends`);
      }
    }
  });
  assert(!server.stderr.text.includes("Traceback"), server.stderr.text);
});

Deno.test("case 94: requests that are whole but make no sense are answered with typed errors, and the lane goes on", async () => {
  await using server = await start();
  const [pipe, session] = await RawPipe.join(server);
  using _pipe = pipe;
  const [control] = await RawPipe.join(server, "control", session);
  using _control = control;
  const requests: [string, unknown[], unknown?][] = [
    ["nothing", []],
    ["__class__", []],
    ["evaluate", []],
    ["evaluate", [1]],
    ["evaluate", ["1", []]],
    ["evaluate", ["1", { "not a name": 1 }]],
    ["evaluate", ["a", { a: { $: ["nothing"] } }], { tagged: 1 }],
    ["evaluate", ["a", { a: { $: ["bytes", 99] } }], { tagged: 1 }],
    ["evaluate", ["a", { a: { $: ["ref", 99] } }], { tagged: 1 }],
    ["evaluate", ["a", { a: { $: ["array", "O", [1], 0] } }], { tagged: 1 }],
    ["evaluate", ["a", { a: { $: ["object", "converted", "os.system", ["true"], {}] } }], { tagged: 1 }],
    ["evaluate", ["a", { a: { $: ["handle", 1] } }], { tagged: 1 }],
    ["import", [""]],
    ["import", ["..os"]],
    ["import", [null]],
    ["create", ["os", "nothing", []]],
    ["create", [99, "x", [], {}]],
    ["call", [99, "x", []]],
    ["call", ["1", "x", []]],
    ["get", [-1, "x"]],
    ["get", [1.5, "x"]],
    ["set", [1, 2, 3]],
    ["release", ["x"]],
    ["floats", [[]]],
    ["available", [{}]],
    ["cancel", ["x"]],
    ["cancel", [[]]],
    ["open_session", [1]],
    ["open_session", ["x".repeat(1000)]],
    ["evaluate", ["1"], { session: "nobody's" }],
    ["evaluate", ["1"], { session: [] }],
    ["evaluate", ["1"], { result: "nonsense" }],
    ["resume", ["x", "y", "z"]],
    ["resume", [99, "ok", null]],
  ];
  let id = 0;
  for (const [operation, args, options] of requests) {
    for (const lane of [pipe, control]) {
      const shown = JSON.stringify([operation, args, options]).slice(0, 100);
      await lane.send(options === undefined ? [++id, operation, args] : [++id, operation, args, options]);
      const message = await lane.receive() as [number, string, { code?: string }];
      assertEquals(message?.[0], id, shown);
      assertMatch(message[1], /^(error|ok|packed)$/, shown);
      if (message[1] === "error") assertMatch(String(message[2].code), /^[a-z-]+$/, shown);
    }
  }
  // The same request twice is two calls; a reply belongs to the request before it.
  for (const twice of [1, 2]) {
    await pipe.send([9999, "evaluate", [`${twice}`]]);
    assertEquals(await pipe.receive(), [9999, "ok", twice]);
  }
  assert(!server.stderr.text.includes("Traceback"), server.stderr.text);
});

Deno.test("case S9: nothing of a session can be reached from another, whatever ids it guesses", async () => {
  await using server = await start();
  await using mine = connect(server);
  const handle = await mine.createObject("collections", "Counter", ["aab"]);
  await mine.evaluate("secret = 'mine'");
  const [pipe] = await RawPipe.join(server);
  using _pipe = pipe;
  for (let id = 1; id <= 50; id++) {
    await pipe.send([id, "get", [id, "total"]]);
    const [, kind, error] = await pipe.receive() as [number, string, { code: string }];
    assertEquals([kind, error.code], ["error", "stale-handle"]);
  }
  await pipe.send([51, "evaluate", ["secret"]]);
  assertEquals((await pipe.receive() as unknown[])[1], "error");
  await pipe.send([52, "release", [Array.from({ length: 50 }, (_, i) => i)]]);
  assertEquals(await pipe.receive(), [52, "ok", null]);
  assertEquals(await mine.callMethod(handle, "get", ["a"]), 2);
  for (const session of ["", "default", "0".repeat(32), "../x"]) {
    const refused = await RawPipe.join(server, "control", session).catch((error) => String(error));
    assertMatch(String(refused), /stale-handle/);
  }
});

Deno.test("BEEP_WIRE §3: newline JSON is refused by a server with a token, with a reason in its own dialect", async () => {
  await using server = await start();
  for (const line of ['{"command":"ping"}\n', '\ufeff{"command":"ping"}\n']) {
    using pipe = await RawPipe.open(server);
    await pipe.write(encoder.encode(line));
    const { text, ended } = await readAll(pipe.connection);
    assert(ended);
    assertMatch(JSON.parse(text).error, /carries no token/);
  }
});

Deno.test("BEEP_WIRE §3: hostile lines are answered or end their connection, and the server goes on", async () => {
  await using server = await start({ auth: false, limits: { maxFrameBytes: 100_000 } });
  const lines: [string, RegExp | null][] = [
    ["{", /error/],
    ["{}", /command/],
    ["[]", /refused/],
    ['{"command":7}', /command/],
    ['{"command":"nothing"}', /error/],
    ['{"command":"__class__"}', /error/],
    ['{"command":"eval"}', /error/],
    ['{"command":"eval","payload":[]}', /error/],
    ['{"command":"eval","payload":{"expression":7}}', /error/],
    ['{"command":"call","payload":{"handleId":"handle_99","methodName":"x"}}', /error/],
    ['{"command":"call","payload":{"handleId":{"a":1},"methodName":"x"}}', /error/],
    [`{"command":${"[".repeat(50_000)}`, /error/],
    [`{"command":"${"x".repeat(200_000)}"}`, /maxFrameBytes/],
    ["{\u0000}", /error/],
    ['{"command":"ping"}', /"status":"ok"/],
  ];
  await beside(server, async () => {
    for (const [line, answer] of lines) {
      using pipe = await RawPipe.open(server);
      await pipe.write(encoder.encode(`${line}\n`));
      await (pipe.connection as Deno.UnixConn).closeWrite();
      const { text, ended } = await readAll(pipe.connection);
      assert(ended, line.slice(0, 60));
      if (answer !== null) assertMatch(text, answer, line.slice(0, 60));
    }
  });
  assert(!server.stderr.text.includes("Traceback"), server.stderr.text);
});
