/**
 * Large values over the pipe, beside the same bytes over a bare socket, and rows beside JSON sent and parsed.
 *
 * @module
 */

import { PythonArray, PythonHostPipe, servers } from "@beep/python-host";
import { startFloor } from "./floor.ts";
import { type Case, measure, report } from "./measure.ts";
import { chosenPython } from "./python.ts";

const ROUNDS = 9;
const COUNT = 7;
const SIZE = 8_000_000;

const ROWS =
  `rows = [{"id": i, "name": f"name {i}", "value": i * 1.1, "ok": i % 2 == 0, "group": f"g{i % 7}"} for i in range(10_000)]`;

async function readFull(connection: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let offset = 0; offset < bytes.byteLength;) {
    const count = await connection.read(bytes.subarray(offset));
    if (count === null) throw new Error("The floor ended");
    offset += count;
  }
}

async function writeFull(connection: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let offset = 0; offset < bytes.byteLength;) offset += await connection.write(bytes.subarray(offset));
}

/** Measures and reports. */
export async function benchLarge(python: string): Promise<void> {
  const directory = await Deno.makeTempDir();
  const path = `${directory}/floor.sock`;
  const floor = await startFloor(python, "transfer.py", [path]);
  const peer = await Deno.connect({ transport: "unix", path });
  const server = await servers.startServer({ python, transport: "pipe" });
  const pipe = new PythonHostPipe(server.endpoint);
  const ask = (letter: string) => writeFull(peer, new TextEncoder().encode(letter));
  const text = new TextDecoder();
  try {
    await pipe.evaluate(`import array\nnumbers = array.array("d", bytes(${SIZE}))\n${ROWS}`);
    const array = new PythonArray(new Float64Array(SIZE / 8));
    const source = new Uint8Array(SIZE);
    const one = new Uint8Array(1);
    const rows: unknown = await pipe.evaluate("rows");
    const times = (work: () => Promise<unknown>) => async (count: number): Promise<void> => {
      for (let i = 0; i < count; i++) await work();
    };
    const cases: Case[] = [
      {
        name: "raw: 8 MB to JavaScript",
        run: times(async () => {
          await ask("r");
          await readFull(peer, new Uint8Array(SIZE));
        }),
      },
      {
        name: "float64 array of 8 MB to JavaScript",
        floor: "raw: 8 MB to JavaScript",
        goal: 1.5,
        run: times(() => pipe.evaluate("numbers")),
      },
      {
        name: "raw: 8 MB to Python",
        run: times(async () => {
          await ask("w");
          await writeFull(peer, source);
          await readFull(peer, one);
        }),
      },
      {
        name: "float64 array of 8 MB to Python",
        floor: "raw: 8 MB to Python",
        goal: 1.5,
        run: times(() => pipe.evaluate("len(a) and None", { a: array })),
      },
      {
        name: "json.dumps, socket, JSON.parse of 10,000 rows",
        run: times(async () => {
          await ask("j");
          const head = new Uint8Array(4);
          await readFull(peer, head);
          const body = new Uint8Array(new DataView(head.buffer).getUint32(0, true));
          await readFull(peer, body);
          JSON.parse(text.decode(body));
        }),
      },
      {
        name: "10,000 rows to JavaScript",
        floor: "json.dumps, socket, JSON.parse of 10,000 rows",
        goal: 0.6,
        run: times(() => pipe.evaluate("rows")),
      },
      {
        name: "10,000 rows to Python",
        floor: "json.dumps, socket, JSON.parse of 10,000 rows",
        run: times(() => pipe.evaluate("len(r) and None", { r: rows })),
      },
    ];
    report("Large values", await measure(cases, ROUNDS, COUNT));
  } finally {
    await pipe.close();
    await server.close();
    peer.close();
    await floor.child.status;
    await Deno.remove(directory, { recursive: true });
  }
}

if (import.meta.main) await benchLarge(await chosenPython());
