/** Hostile clients of gRPC, within what one machine can send: garbage, floods, messages too large, no token; nobody else notices. */

import { assert, assertEquals } from "@std/assert";
import type { PythonServer } from "../../servers/mod.ts";
import { grpcPython } from "../rpc/_grpc.ts";
import { beside, closeQuietly, open, readAll, start, writeAll } from "./_servers.ts";

const python = await grpcPython();
const encoder = new TextEncoder();
const MIB = 1024 * 1024;
const MAX_FRAME_BYTES = 32 * MIB;

function grpcTest(name: string, fn: (server: PythonServer) => Promise<void>): void {
  Deno.test({
    name,
    ignore: python === null,
    fn: async () => {
      const limits = { maxFrameBytes: MAX_FRAME_BYTES, headTimeoutMs: 1_000 };
      await using server = await start({ python: python!, transport: "rpc", rpc: { grpc: true }, limits });
      await fn(server);
      assert(!server.stderr.text.includes("Traceback"), server.stderr.text);
      assert(!server.stderr.text.includes(server.token), "stderr shows the token");
    },
  });
}

async function memoryOf(pid: number): Promise<number> {
  const status = await Deno.readTextFile(`/proc/${pid}/status`);
  return Number(status.match(/VmHWM:\s+(\d+) kB/)![1]) * 1024;
}

grpcTest(
  "case S1, 78: by gRPC nothing of a stranger is read, and what is too large or compressed is refused",
  async (server) => {
    const hasProc = Deno.build.os === "linux";
    const before = hasProc ? await memoryOf(server.pid) : 0;
    let found: Record<string, unknown> = {};
    await beside(server, async () => {
      const script = new URL("./_hostile_grpc.py", import.meta.url).pathname;
      const { stdout, stderr } = await new Deno.Command(python!, {
        args: ["-B", script, new URL(server.address).host, server.token, String(MAX_FRAME_BYTES)],
      }).output();
      const text = new TextDecoder().decode(stdout);
      assert(text !== "", new TextDecoder().decode(stderr));
      found = JSON.parse(text);
    });
    const stranger = "UNAUTHENTICATED";
    assertEquals(found, {
      "right": "OK",
      "none": stranger,
      "empty": stranger,
      "wrong": stranger,
      "shorter": stranger,
      "other scheme": stranger,
      "twice": stranger,
      "a wrong one beside it": stranger,
      "in another field": stranger,
      "4 KiB of it": stranger,
      "a web page": "PERMISSION_DENIED",
      "malformed": "INVALID_ARGUMENT",
      "deep": "INVALID_ARGUMENT",
      "compressed": "UNIMPLEMENTED",
      "a bomb": "UNIMPLEMENTED",
      "too large": "RESOURCE_EXHAUSTED",
      "no method": "UNIMPLEMENTED",
      "no method, no token": stranger,
      "a session of nobody": "FAILED_PRECONDITION",
      "reflections": [stranger],
      "streams": [stranger],
      "watches": [stranger],
      "large without a token": [stranger],
    });
    if (hasProc) {
      const grown = await memoryOf(server.pid) - before;
      assert(grown < 150 * MIB, `messages of strangers cost ${Math.round(grown / MIB)} MiB`);
    }
  },
);

const PREFACE = encoder.encode("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

/** A frame of HTTP/2, whose length need not be true. */
function frame(
  type: number,
  flags: number,
  stream: number,
  payload: Uint8Array,
  length = payload.byteLength,
): Uint8Array {
  const head = [length >>> 16 & 255, length >>> 8 & 255, length & 255, type, flags];
  const id = [stream >>> 24 & 255, stream >>> 16 & 255, stream >>> 8 & 255, stream & 255];
  return new Uint8Array([...head, ...id, ...payload]);
}

const SETTINGS = frame(4, 0, 0, new Uint8Array());
const NOTHING = new Uint8Array();
// :method POST, :scheme http, :path /a, as literals of the static table.
const HEADERS = new Uint8Array([0x83, 0x86, 0x44, 2, 0x2f, 0x61]);

function many(count: number, make: (number: number) => Uint8Array): Uint8Array {
  const pieces = Array.from({ length: count }, (_, number) => make(number));
  const all = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.byteLength, 0));
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.byteLength;
  }
  return all;
}

function opened(...frames: Uint8Array[]): Uint8Array {
  return many(frames.length + 2, (number) => [PREFACE, SETTINGS, ...frames][number]!);
}

const streamOf = (number: number): number => 2 * number + 1;

const openings: readonly [name: string, bytes: Uint8Array][] = [
  ["nothing", NOTHING],
  ["zeros", new Uint8Array(64 * 1024)],
  ["a request of HTTP/1.1", encoder.encode("POST / HTTP/1.1\r\nHost: localhost\r\n\r\n")],
  ["our own pipe protocol", encoder.encode('BEEP\x10\0\0\0\0\0\0\0["hello",{}]')],
  ["the start of TLS", new Uint8Array([0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3])],
  ["half of the preface", PREFACE.subarray(0, 10)],
  ["a preface with another end", encoder.encode("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n")],
  ["a frame of 16 MiB", opened(frame(0, 0, 1, NOTHING, 0xffffff))],
  ["frames of unknown kinds", opened(many(10_000, () => frame(0xee, 0xff, 0, new Uint8Array(8))))],
  [
    "data for streams that are not open",
    opened(many(1_000, (n) => frame(0, 0, streamOf(n), new Uint8Array(100)))),
  ],
  ["headers on stream 0", opened(frame(1, 4, 0, HEADERS))],
  ["headers on an even stream", opened(frame(1, 5, 2, HEADERS))],
  ["an index of headers that is not there", opened(frame(1, 5, 1, new Uint8Array([0xff, 0xff, 0x7f])))],
  [
    "a table of headers that is too large",
    opened(frame(1, 5, 1, new Uint8Array([0x3f, 0xff, 0xff, 0xff, 0x7f]))),
  ],
  [
    "a field of 1 MiB",
    opened(
      frame(1, 0, 1, new Uint8Array([...HEADERS, 0x40, 1, 0x61, 0x7f, 0x81, 0xff, 0x3f])),
      many(64, () => frame(9, 0, 1, new Uint8Array(16_000))),
    ),
  ],
  ["headers that never end", opened(frame(1, 0, 1, HEADERS), many(5_000, () => frame(9, 0, 1, NOTHING)))],
  ["10,000 pings", opened(many(10_000, () => frame(6, 0, 0, new Uint8Array(8))))],
  ["10,000 settings", opened(many(10_000, () => SETTINGS))],
  ["settings that mean nothing", opened(frame(4, 0, 0, new Uint8Array([0, 4, 255, 255, 255, 255])))],
  ["window updates of nothing", opened(many(1_000, () => frame(8, 0, 0, new Uint8Array(4))))],
  ["a window beyond its limit", opened(many(4, () => frame(8, 0, 0, new Uint8Array([0x7f, 255, 255, 255]))))],
  [
    "3,000 streams that are reset at once",
    opened(
      many(
        3_000,
        (n) =>
          many(
            2,
            (i) =>
              i === 0
                ? frame(1, 4, streamOf(n), HEADERS)
                : frame(3, 0, streamOf(n), new Uint8Array([0, 0, 0, 8])),
          ),
      ),
    ),
  ],
  ["3,000 streams that stay open", opened(many(3_000, (n) => frame(1, 4, streamOf(n), HEADERS)))],
  ["a push by a client", opened(frame(5, 4, 1, new Uint8Array([0, 0, 0, 2, ...HEADERS])))],
  ["a goodbye and then requests", opened(frame(7, 0, 0, new Uint8Array(8)), frame(1, 5, 1, HEADERS))],
];

grpcTest(
  "case 77, 81: garbage and floods on the port of gRPC are not noticed by a healthy client",
  async (server) => {
    await beside(server, async () => {
      for (const [name, bytes] of openings) {
        const connection = await open(server) as Deno.TcpConn;
        try {
          const reading = readAll(connection);
          if (await writeAll(connection, bytes)) await connection.closeWrite().catch(allowGone);
          const { ended } = await reading;
          assert(ended, `${name}: a client that has said its last is kept`);
        } finally {
          closeQuietly(connection);
        }
      }
    });
  },
);

grpcTest(
  "case 81: 200 connections to the port of gRPC that say nothing, or half of something, beside a healthy client",
  async (server) => {
    const slow: Deno.Conn[] = [];
    try {
      await beside(server, async () => {
        for (let number = 0; number < 200; number++) {
          const connection = await open(server);
          slow.push(connection);
          await writeAll(
            connection,
            [NOTHING, PREFACE.subarray(0, 10), PREFACE, opened(frame(1, 0, 1, HEADERS))][number % 4]!,
          );
        }
        // Those that never said who they are have the time of a handshake.
        const silent = await readAll(slow[0]!);
        assert(silent.ended, "a connection that says nothing is kept");
      });
    } finally {
      slow.forEach(closeQuietly);
    }
  },
);

function allowGone(error: unknown): void {
  if (!(error instanceof Deno.errors.NotConnected || error instanceof Deno.errors.BrokenPipe)) throw error;
}
