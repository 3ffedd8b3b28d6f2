/**
 * Broken input by the hundred thousand, for every reader on both sides (case 77): a typed error or a value, never anything
 * else, and a healthy client beside it never waits.
 *
 * `BEEP_FUZZ_SEED` and `BEEP_FUZZ_FIRST` repeat a failure or go on from there; `BEEP_FUZZ_SCALE` multiplies the counts.
 */

import { assert, assertEquals } from "@std/assert";
import { PythonHostError } from "../../core/errors.ts";
import { encodeFrame, FrameDecoder } from "../../core/frames.ts";
import { type HandleOwner, PythonObjectHandle } from "../../core/handles.ts";
import { decodePacked, decodeTagged } from "../../core/values.ts";
import { FRAMES_CONTENT_TYPE } from "../../core/protocol.ts";
import { readFrames } from "../../transports/http_answers.ts";
import golden from "../golden/frames.json" with { type: "json" };
import type { PythonServer } from "../../servers/mod.ts";
import { RawPipe } from "./_pipe.ts";
import { type Below, countOf, FIRST, mutate, randomOf, SEED } from "./_random.ts";
import { beside, isEndedWithin, open, PATIENCE_MS, PYTHON, start, writeAll } from "./_servers.ts";

const IN_PROCESS = 100_000;
// Connections. One of a client carries five frames or three requests, one of a stranger two: 100,000 for each transport.
const OVER_SOCKETS = { pipe: 30_000, http: 34_000, rpc: 34_000 };
const encoder = new TextEncoder();

/** Runs cases one after the other; what one throws is told with what repeats it. */
async function runCases(
  usual: number,
  run: (below: Below, number: number) => void | Promise<void>,
): Promise<void> {
  const count = countOf(usual);
  for (let number = FIRST; number < FIRST + count; number++) {
    try {
      const running = run(randomOf(number), number);
      if (running !== undefined) await running;
    } catch (cause) {
      throw new Error(`Case failed: BEEP_FUZZ_SEED=${SEED} BEEP_FUZZ_FIRST=${number}: ${cause}`, { cause });
    }
  }
}

/** A refusal must be a typed one; anything else goes on. */
function allow(error: unknown): void {
  if (!(error instanceof PythonHostError)) throw error;
}

for (const reader of ["frames", "http", "values", "rpc"]) {
  Deno.test(`case 77: Python reads ${IN_PROCESS} mutations without a crash: ${reader}`, async () => {
    const script = new URL("./mutate.py", import.meta.url).pathname;
    const { code, stdout, stderr } = await new Deno.Command(PYTHON, {
      args: ["-B", "-X", "utf8", script, reader, String(SEED), String(FIRST), String(countOf(IN_PROCESS))],
      stdin: "null",
    }).output();
    const report = new TextDecoder().decode(stdout).trim();
    assertEquals(code, 0, `${report}\n${new TextDecoder().decode(stderr)}`);
    const { done, refused } = JSON.parse(report);
    assertEquals(done, countOf(IN_PROCESS));
    // Neither all nor none: the mutations reach what lies behind the first check.
    assert(refused > done / 10 && refused < done, report);
  });
}

const replies = [
  ...golden.frames.map(({ bytes }) => Uint8Array.fromHex(bytes)).filter((bytes) => bytes.byteLength < 4096),
  ...[[1, "ok", 7], [1, "tagged", { $: ["bytes", 0] }], [1, "packed"], [1, "error", {
    code: "python",
    message: "x",
  }]]
    .map((message) => encodeFrame(JSON.stringify(message), [encoder.encode("abc"), new Uint8Array()])),
];

Deno.test(`case 77: the client reads ${IN_PROCESS} mutated frames without a crash`, async () => {
  let refused = 0;
  await runCases(IN_PROCESS, (below) => {
    const bytes = mutate(
      concat(Array.from({ length: 1 + below(3) }, () => pick(replies, below))),
      below,
      replies,
    );
    const decoder = new FrameDecoder(1 << 20);
    try {
      for (let at = 0; at < bytes.byteLength;) {
        const size = [1, 7, 64, bytes.byteLength][below(4)]!;
        for (const frame of decoder.push(bytes.subarray(at, at + size))) {
          assert(typeof frame.json === "string");
        }
        at += size;
      }
    } catch (error) {
      allow(error);
      refused++;
    }
  });
  assert(refused > countOf(IN_PROCESS) / 20, `${refused} refused`);
});

Deno.test(`case 77: the client reads ${IN_PROCESS / 5} mutated HTTP answers without a crash`, async () => {
  await runCases(IN_PROCESS / 5, async (below) => {
    const bytes = mutate(
      concat(Array.from({ length: 1 + below(3) }, () => pick(replies, below))),
      below,
      replies,
    );
    const length = below(2) === 0 ? { "content-length": String(bytes.byteLength) } : undefined;
    const headers = { "content-type": FRAMES_CONTENT_TYPE, ...length };
    try {
      await readFrames(new Response(bytes as BodyInit, { headers }), 1 << 20, () => {});
    } catch (error) {
      allow(error);
    }
  });
});

Deno.test(`case 77: the client reads ${IN_PROCESS} mutated values without a crash`, async () => {
  const { values } = JSON.parse(await Deno.readTextFile(new URL("../golden/values.json", import.meta.url)));
  const streams: Uint8Array[] = values.flatMap((vector: { packed?: string[] }) =>
    vector.packed === undefined ? [] : [Uint8Array.fromHex(vector.packed[0]!)]
  );
  const texts: Uint8Array[] = values.map((vector: { tagged: unknown }) =>
    encoder.encode(JSON.stringify(vector.tagged))
  );
  const context = {
    handle: (id: number, name: string) => new PythonObjectHandle({} as HandleOwner, id, name),
  };
  const decoder = new TextDecoder();
  await runCases(IN_PROCESS, (below) => {
    try {
      if (below(2) === 0) {
        decodePacked([mutate(pick(streams, below), below, streams), new Uint8Array(8)], context);
      } else {
        const text = decoder.decode(mutate(pick(texts, below), below, texts));
        let tagged: unknown;
        try {
          tagged = JSON.parse(text);
        } catch {
          return; // stopped by the reader of JSON, as it would be in a message
        }
        decodeTagged(tagged, [new Uint8Array(3), new Uint8Array(16)], context);
      }
    } catch (error) {
      allow(error);
    }
  });
});

Deno.test(`case 77: a pipe server takes ${OVER_SOCKETS.pipe} mutated connections beside a healthy client`, async () => {
  // Long enough for the handshakes that are right, whatever holds them up.
  await using server = await start({ limits: { refusedTokenDelayMs: 1, headTimeoutMs: 3_000 } });
  const hello = { protocol: 1, client: "x", lane: "session", session: null, nonce: "0".repeat(32) };
  const openings = [["hello", hello], ["proof", "0".repeat(64)]].map((message) =>
    encodeFrame(JSON.stringify(message))
  );
  const first = new Uint8Array([...encoder.encode("BEEP"), ...concat(openings)]);
  const requests = [
    [1, "evaluate", ["1 + 1", { a: 1 }]],
    [2, "call", [1, "name", [1], {}], { stdout: 1 }],
    [3, "cancel", [2]],
    [4, "import", ["math"]],
    [5, "resume", [1, "ok", 1]],
    [6, "open_session", ["a"]],
    [7, "evaluate", ["a", { a: { $: ["bytes", 0] } }], { tagged: 1, session: "a" }],
  ].map((message) =>
    encodeFrame(JSON.stringify(message), message[1] === "evaluate" ? [encoder.encode("abc")] : [])
  );
  await beside(server, async () => {
    await inParallel(countOf(OVER_SOCKETS.pipe), async (below) => {
      if (below(2) === 0) {
        const connection = await open(server);
        const isTaken = await writeAll(connection, mutate(first, below, openings));
        // Most say that nothing more comes; the few others have the time for a handshake.
        if (isTaken && below(1_000) > 0) await (connection as Deno.UnixConn).closeWrite().catch(allowGone);
        const ended = await isEndedWithin(connection, PATIENCE_MS);
        connection.close();
        assert(ended, "a stranger is kept");
        return;
      }
      const [pipe] = await RawPipe.join(server);
      try {
        const bytes = concat(Array.from({ length: 1 + below(9) }, () => pick(requests, below)));
        await pipe.write(mutate(bytes, below, requests));
        await (pipe.connection as Deno.UnixConn).closeWrite();
        assert(await isEndedWithin(pipe.connection, PATIENCE_MS), "a client that has said its last is kept");
      } finally {
        pipe[Symbol.dispose]();
      }
    });
  });
  assert(!server.stderr.text.includes("Traceback"), server.stderr.text);
});

/** Requests that are right, for the server's own paths. */
function corpusOf(server: PythonServer): Uint8Array[] {
  const { host } = new URL(server.address);
  const right = `Host: ${host}\r\nAuthorization: Bearer ${server.token}\r\n`;
  const post = (path: string, type: string, body: string | Uint8Array): Uint8Array => {
    const bytes = typeof body === "string" ? encoder.encode(body) : body;
    const head =
      `POST ${path} HTTP/1.1\r\n${right}Content-Type: ${type}\r\nContent-Length: ${bytes.byteLength}\r\n\r\n`;
    return concat([encoder.encode(head), bytes]);
  };
  const health = encoder.encode(`GET /health HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
  const json = "application/json";
  if (server.transport === "http") {
    const chunked =
      `POST /api/eval HTTP/1.1\r\n${right}Content-Type: ${json}\r\nTransfer-Encoding: chunked\r\n\r\n` +
      '12\r\n{"expression":"7"}\r\n0\r\n\r\n';
    return [
      health,
      post("/api/eval", json, '{"expression":"7"}'),
      encoder.encode(chunked),
      post("/api/import", json, '{"moduleName":"math"} '),
      post("/beep/v1/call", FRAMES_CONTENT_TYPE, new Uint8Array(8)),
    ];
  }
  const service = "/beep.python.v1.PythonService";
  const run = encoder.encode('{"operations":[{"evaluate":{"code":"7","options":{"stdout":true}}}]}');
  const enveloped = concat([new Uint8Array([0, 0, 0, 0, run.byteLength]), run]);
  const binary = new Uint8Array([0x12, 1, 0x37, 0x1a, 9, 0x0a, 1, 0x61, 0x12, 4, 0x4a, 2, 0x0a, 0]);
  return [
    health,
    post(
      `${service}/Evaluate`,
      json,
      '{"code":"7","locals":[{"name":"a","value":{"list":{"items":[{"real":1}]}}}]}',
    ),
    post(`${service}/Evaluate`, "application/proto", binary),
    post(
      `${service}/ImportModule`,
      json,
      '{"name":"math","options":{"callId":"1","encoding":"ENCODING_NATIVE"}}',
    ),
    post(`${service}/Run`, "application/connect+json", enveloped),
    post(`${service}/OpenSession`, "application/connect+json", new Uint8Array([0, 0, 0, 0, 2, 0x7b, 0x7d])),
    post("/rpc/PythonService/Evaluate", json, '{"Expression":"7","Locals":{"a":[1]}}'),
  ];
}

for (const transport of ["http", "rpc"] as const) {
  Deno.test(`case 77: a server over ${transport} takes ${OVER_SOCKETS[transport]} mutated connections beside a healthy client`, async () => {
    await using server = await start({
      transport,
      limits: { refusedTokenDelayMs: 1, headTimeoutMs: 3_000, bodyStallMs: 3_000 },
    });
    const corpus = corpusOf(server);
    await beside(server, async () => {
      await inParallel(countOf(OVER_SOCKETS[transport]), async (below) => {
        const connection = await open(server) as Deno.TcpConn;
        try {
          const bytes = concat(Array.from({ length: 1 + below(5) }, () => pick(corpus, below)));
          // A server may answer and end before it has read everything.
          if (await writeAll(connection, mutate(bytes, below, corpus))) {
            await connection.closeWrite().catch(allowGone);
          }
          assert(await isEndedWithin(connection, PATIENCE_MS), "a client that has said its last is kept");
        } finally {
          connection.close();
        }
      });
    });
    assert(!server.stderr.text.includes("Traceback"), server.stderr.text);
  });
}

function allowGone(error: unknown): void {
  if (!(error instanceof Deno.errors.NotConnected || error instanceof Deno.errors.BrokenPipe)) throw error;
}

/** Runs cases eight at a time: fewer than the strangers that a server keeps. */
async function inParallel(count: number, run: (below: Below) => Promise<void>): Promise<void> {
  let next = FIRST;
  await Promise.all(Array.from({ length: 8 }, async () => {
    while (next < FIRST + count) {
      const number = next++;
      try {
        await run(randomOf(number));
      } catch (cause) {
        throw new Error(`Case failed: BEEP_FUZZ_SEED=${SEED} BEEP_FUZZ_FIRST=${number}: ${cause}`, { cause });
      }
    }
  }));
}

function pick<T>(items: readonly T[], below: Below): T {
  return items[below(items.length)]!;
}

function concat(pieces: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(pieces.flatMap((piece) => [...piece]));
}
