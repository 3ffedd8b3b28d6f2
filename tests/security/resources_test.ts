/** What a bad client costs: time, connections and memory, all of them bounded, and a healthy client beside it never waits. */

import { assert, assertEquals } from "@std/assert";
import type { PythonServer, ServerTransport } from "../../servers/mod.ts";
import { RawPipe } from "./_pipe.ts";
import {
  beside,
  closeQuietly,
  connect,
  isEndedWithin,
  open,
  PATIENCE_MS,
  readAll,
  start,
  writeAll,
} from "./_servers.ts";

const encoder = new TextEncoder();
const MIB = 1024 * 1024;
const hasProc = Deno.build.os === "linux";

/** Where a server runs code. */
const PATHS = { http: "/api/eval", rpc: "/beep.python.v1.PythonService/Evaluate" } as const;

/** The memory that a process has in use, in bytes. */
async function memoryOf(pid: number): Promise<number> {
  const status = await Deno.readTextFile(`/proc/${pid}/status`);
  return Number(status.match(/VmRSS:\s+(\d+) kB/)![1]) * 1024;
}

/** Waits until the memory does not grow any more, for half a second. */
async function settledMemoryOf(pid: number): Promise<number> {
  let last = await memoryOf(pid);
  for (let quiet = 0; quiet < 5;) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    const now = await memoryOf(pid);
    quiet = now > last + MIB ? 0 : quiet + 1;
    last = Math.max(now, last);
  }
  return last;
}

/** The start of something that never goes on, in each of the places where a client can stop. */
function slowStart(server: PythonServer, number: number): Uint8Array {
  if (server.transport === "pipe") {
    return [
      new Uint8Array(),
      encoder.encode("BE"),
      encoder.encode("BEEP\x40"),
      encoder.encode("BEEP\x40\0\0\0\0\0\0\0["),
    ][
      number % 4
    ]!;
  }
  const { host } = new URL(server.address);
  return encoder.encode(
    [
      "",
      "GET /he",
      `GET /health HTTP/1.1\r\nHost: ${host}\r\n`,
      `GET /health HTTP/1.1\r\nX: ${"y".repeat(9000)}`,
    ][
      number % 4
    ]!,
  );
}

for (const transport of ["pipe", "http", "rpc"] as const satisfies readonly ServerTransport[]) {
  Deno.test(`case 81: 200 slow connections over ${transport} beside a healthy client`, async () => {
    // None ends by its own time: what ends them is that others come.
    const limits = { maxUnauthenticated: 32, headTimeoutMs: 120_000 };
    await using server = await start({ transport, limits });
    const slow: Deno.Conn[] = [];
    try {
      await beside(server, async () => {
        for (let i = 0; i < 200; i++) {
          const connection = await open(server);
          slow.push(connection);
          await writeAll(connection, slowStart(server, i));
        }
        let kept = slow.length;
        const dropped = Promise.withResolvers<void>();
        const ends = slow.map(async (connection) => {
          if (await isEndedWithin(connection, PATIENCE_MS) && --kept <= limits.maxUnauthenticated) {
            dropped.resolve();
          }
        });
        await Promise.race([dropped.promise, Promise.all(ends)]);
        assert(kept <= limits.maxUnauthenticated, `${kept} strangers are kept`);
        // A new client gets in while they hold their places.
        await using late = connect(server);
        assertEquals(await late.evaluate("6 * 7"), 42);
        slow.forEach(closeQuietly);
        await Promise.all(ends);
      });
    } finally {
      slow.forEach(closeQuietly);
    }
  });

  Deno.test(`case 81: a handshake that dribbles over ${transport} has one deadline for all of it`, async () => {
    const headTimeoutMs = 2_000;
    await using server = await start({ transport, limits: { headTimeoutMs } });
    const connection = await open(server);
    const bytes = transport === "pipe"
      ? encoder.encode(`BEEP\xff\0\0\0\0\0\0\0${" ".repeat(200)}`)
      : encoder.encode(`GET /health HTTP/1.1\r\n${"X: y\r\n".repeat(50)}`);
    let isAnswered = false;
    const answer = readAll(connection).finally(() => isAnswered = true);
    // Its beginning in one piece, so that it is a handshake in time; the whole would take several times what one has.
    let at = 8;
    let isTaken = await writeAll(connection, bytes.subarray(0, at));
    while (isTaken && !isAnswered && at < bytes.byteLength) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      isTaken = await writeAll(connection, bytes.subarray(at, ++at));
    }
    const { ended, text } = await answer;
    closeQuietly(connection);
    assert(ended, `the connection stays open: ${text}`);
    assert(text.includes(`headTimeoutMs, ${headTimeoutMs}`), `${at} bytes were taken: ${text}`);
    assert(at < bytes.byteLength, "the server waited for the end");
  });

  Deno.test({
    name: `case 78: lengths that only claim to be large cost no memory over ${transport}`,
    ignore: !hasProc,
  }, async () => {
    await using server = await start({ transport });
    const before = await settledMemoryOf(server.pid);
    const open = [];
    try {
      for (let i = 0; i < 20; i++) {
        if (transport === "pipe") {
          const [pipe] = await RawPipe.join(server);
          open.push(pipe.connection);
          // 200 MiB are allowed, and never come: once as text, once as a part.
          const lengths = i % 2 === 0 ? [200 * MIB, 0] : [2, 1, 200 * MIB];
          await pipe.write(new Uint8Array(new Uint32Array(lengths).buffer));
          await pipe.write(encoder.encode("[]"));
        } else {
          const { hostname, port } = new URL(server.address);
          const connection = await Deno.connect({ hostname, port: Number(port) });
          open.push(connection);
          const fields = i % 2 === 0 ? `Content-Length: ${200 * MIB}` : "Transfer-Encoding: chunked";
          const body = i % 2 === 0 ? "{" : "c800000\r\n{";
          await writeAll(
            connection,
            encoder.encode(
              `POST ${
                PATHS[transport]
              } HTTP/1.1\r\nHost: ${hostname}:${port}\r\nAuthorization: Bearer ${server.token}\r\n` +
                `Content-Type: application/json\r\n${fields}\r\n\r\n${body}`,
            ),
          );
        }
      }
      await using healthy = connect(server);
      assertEquals(await healthy.evaluate("1"), 1);
      const grown = await settledMemoryOf(server.pid) - before;
      assert(grown < 40 * MIB, `20 claims of 200 MiB cost ${Math.round(grown / MIB)} MiB`);
    } finally {
      open.forEach(closeQuietly);
    }
  });
}

/** Sends as long as the server takes something, at most `most` times; a server that reads no more is left alone. */
async function flood(pipe: RawPipe, most: number, message: (id: number) => unknown): Promise<number> {
  for (let id = 1; id <= most; id++) {
    const timeout = Promise.withResolvers<"full">();
    const timer = setTimeout(() => timeout.resolve("full"), 1_000);
    const sent = await Promise.race([pipe.send(message(id)), timeout.promise]);
    clearTimeout(timer);
    if (sent !== true) return id;
  }
  return most;
}

/** What a client asks for whose answers it never reads; each answer is 1 MiB. */
const unread: readonly [name: string, lane: "session" | "control", message: (id: number) => unknown][] = [
  ["calls", "session", (id) => [id, "evaluate", ["'x' * 1048576"]]],
  [
    "coroutines",
    "session",
    (id) => [id, "evaluate", ["import asyncio\nawait asyncio.sleep(0)\n'x' * 1048576"]],
  ],
  ["concurrent calls", "control", (id) => [id, "evaluate", ["'x' * 1048576"], { concurrent: 1 }]],
  ["output", "session", (id) => [id, "evaluate", ["print('x' * 1048576)"], { stdout: 1 }]],
  ["output of coroutines", "session", (id) => [
    id,
    "evaluate",
    ["import asyncio\nawait asyncio.sleep(0)\nprint('x' * 1048576)"],
    { stdout: 1 },
  ]],
  ["errors", "session", (id) => [id, "evaluate", ["raise ValueError('x' * 1048576)"]]],
];

for (const [name, lane, message] of unread) {
  Deno.test({
    name: `case 84: a client of the pipe that never reads its replies costs a bounded amount: ${name}`,
    ignore: !hasProc,
  }, async () => {
    await using server = await start({ limits: { maxInFlight: 64, maxBufferedBytes: 8 * MIB } });
    await using healthy = connect(server);
    await healthy.initialize();
    const [first, session] = await RawPipe.join(server);
    const [second] = await RawPipe.join(server, "control", session);
    try {
      const before = await settledMemoryOf(server.pid);
      await flood(lane === "session" ? first : second, 400, message);
      const grown = await settledMemoryOf(server.pid) - before;
      assert(grown < 160 * MIB, `400 answers of 1 MiB that nobody reads cost ${Math.round(grown / MIB)} MiB`);
      assertEquals(await healthy.evaluate("6 * 7"), 42);
    } finally {
      first[Symbol.dispose]();
      second[Symbol.dispose]();
    }
    // Its end frees what waited for it.
    assertEquals(await healthy.evaluate("6 * 7"), 42);
  });
}

Deno.test({
  name: "case 84: a client over HTTP that never reads its answers costs a bounded amount",
  ignore: !hasProc,
}, async () => {
  await using server = await start({
    transport: "http",
    limits: { maxBufferedBytes: 8 * MIB, bodyStallMs: 60_000 },
  });
  await using healthy = connect(server);
  await healthy.initialize();
  const { hostname, port } = new URL(server.address);
  const greeting = await fetch(`${server.address}/beep/v1/call`, {
    method: "POST",
    headers: { authorization: `Bearer ${server.token}`, "content-type": "application/x-beep-frames" },
    body: frameOf([1, "hello", [{ protocol: 1 }]]),
  });
  const session = /"session":"([0-9a-f]+)"/.exec(await greeting.text())![1]!;
  const connection = await Deno.connect({ hostname, port: Number(port) });
  try {
    const before = await settledMemoryOf(server.pid);
    const frames = Array.from({ length: 400 }, (_, i) => frameOf([i + 1, "evaluate", ["'x' * 1048576"]]));
    const size = frames.reduce((sum, frame) => sum + frame.byteLength, 0);
    await writeAll(
      connection,
      encoder.encode(
        `POST /beep/v1/call HTTP/1.1\r\nHost: ${hostname}:${port}\r\nAuthorization: Bearer ${server.token}\r\n` +
          `Content-Type: application/x-beep-frames\r\nBeep-Session: ${session}\r\nContent-Length: ${size}\r\n\r\n`,
      ),
    );
    for (const frame of frames) await writeAll(connection, frame);
    await expectBeginning(connection);
    const grown = await settledMemoryOf(server.pid) - before;
    assert(grown < 100 * MIB, `400 answers of 1 MiB that nobody reads cost ${Math.round(grown / MIB)} MiB`);
    assertEquals(await healthy.evaluate("6 * 7"), 42);
  } finally {
    connection.close();
  }
});

Deno.test({
  name: "case 84: a client over RPC that never reads its answers costs a bounded amount",
  ignore: !hasProc,
}, async () => {
  await using server = await start({
    transport: "rpc",
    limits: { maxBufferedBytes: 8 * MIB, bodyStallMs: 60_000 },
  });
  await using healthy = connect(server);
  await healthy.initialize();
  const { hostname, port } = new URL(server.address);
  // Answers and output of one Run, and as many answers of calls of their own.
  const code = "print('x' * 1048576)\n'x' * 1048576";
  const operations = Array.from({ length: 200 }, () => ({ evaluate: { code, options: { stdout: true } } }));
  const run = JSON.stringify({ operations });
  const envelope = new Uint8Array(5 + run.length);
  new DataView(envelope.buffer).setUint32(1, run.length);
  envelope.set(encoder.encode(run), 5);
  // Not in the session that the Run holds up.
  const options = { concurrent: true };
  const evaluate = encoder.encode(JSON.stringify({ code: "'x' * 1048576", options }));
  const requests = [
    { path: "/beep.python.v1.PythonService/Run", type: "application/connect+json", body: envelope },
    ...Array.from({ length: 20 }, () => ({ path: PATHS.rpc, type: "application/json", body: evaluate })),
  ];
  const connections: Deno.Conn[] = [];
  try {
    const before = await settledMemoryOf(server.pid);
    for (const { path, type, body } of requests) {
      const connection = await Deno.connect({ hostname, port: Number(port) });
      connections.push(connection);
      const head =
        `POST ${path} HTTP/1.1\r\nHost: ${hostname}:${port}\r\nAuthorization: Bearer ${server.token}\r\n` +
        `Content-Type: ${type}\r\nContent-Length: ${body.byteLength}\r\n\r\n`;
      await writeAll(connection, encoder.encode(head));
      await writeAll(connection, body);
    }
    for (const connection of connections) await expectBeginning(connection);
    const grown = await settledMemoryOf(server.pid) - before;
    assert(grown < 120 * MIB, `420 answers of 1 MiB that nobody reads cost ${Math.round(grown / MIB)} MiB`);
    assertEquals(await healthy.evaluate("6 * 7"), 42);
  } finally {
    connections.forEach(closeQuietly);
  }
});

/** Reads where an answer begins, which shows that the calls have been taken, and no further. */
async function expectBeginning(connection: Deno.Conn): Promise<void> {
  const beginning = new Uint8Array(15);
  for (let at = 0; at < beginning.byteLength;) {
    const count = await connection.read(beginning.subarray(at));
    assert(count !== null, "the connection ended without an answer");
    at += count;
  }
  assertEquals(new TextDecoder().decode(beginning), "HTTP/1.1 200 OK");
}

function frameOf(message: unknown): Uint8Array<ArrayBuffer> {
  const json = encoder.encode(JSON.stringify(message));
  return new Uint8Array([...new Uint8Array(new Uint32Array([json.byteLength, 0]).buffer), ...json]);
}

Deno.test("case 84: more cancels than calls cost a bounded amount", async () => {
  await using server = await start({ limits: { maxInFlight: 100 } });
  const [pipe, session] = await RawPipe.join(server);
  using _pipe = pipe;
  const [control] = await RawPipe.join(server, "control", session);
  using _control = control;
  let refused = 0;
  for (let id = 1; id <= 200; id++) {
    await control.send([id, "cancel", [1_000_000 + id]]);
    const [, kind] = await control.receive() as [number, string];
    if (kind === "error") refused++;
  }
  assertEquals(refused, 100);
});

Deno.test("case 81: connections beyond maxConnections are refused with a reason, and places come free again", async () => {
  await using server = await start({ limits: { maxConnections: 4 } });
  const clients = [];
  try {
    for (let i = 0; i < 4; i++) clients.push((await RawPipe.join(server))[0]);
    const error = await RawPipe.join(server).then(() => "let in", String);
    assert(error.includes("maxConnections, 4, are open"), error);
  } finally {
    for (const client of clients) client[Symbol.dispose]();
  }
  for (const giveUp = performance.now() + PATIENCE_MS;;) {
    const [pipe, refusal] = await RawPipe.join(server).then(
      ([pipe]) => [pipe, ""] as const,
      (error) => [null, String(error)] as const,
    );
    pipe?.[Symbol.dispose]();
    if (pipe !== null) break;
    assert(performance.now() < giveUp, `the places of clients that have gone stay taken: ${refusal}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
});
