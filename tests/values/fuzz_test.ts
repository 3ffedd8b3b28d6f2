/**
 * Broken streams and broken tags: a typed error or a value, never anything else. Seeded: BEEP_TEST_SEED
 * repeats a failure.
 */

import { assert, assertStrictEquals, assertThrows } from "@std/assert";
import { ProtocolError, PythonHostError } from "../../core/errors.ts";
import { type HandleOwner, PythonObjectHandle } from "../../core/handles.ts";
import { decodePacked, decodeTagged } from "../../core/values.ts";

const RUNS = 30_000;
const SEED = Number(Deno.env.get("BEEP_TEST_SEED") ?? Date.now() % 2 ** 31);

const { values: vectors } = JSON.parse(
  await Deno.readTextFile(new URL("../golden/values.json", import.meta.url)),
);
const context = { handle: (id: number, name: string) => new PythonObjectHandle({} as HandleOwner, id, name) };

/** mulberry32: small, fast and good enough to break things. */
function randomBelow(seed: number): (limit: number) => number {
  let state = seed | 0;
  return (limit) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  };
}

function mutate(bytes: Uint8Array, below: (limit: number) => number, other: Uint8Array): Uint8Array {
  let made: Uint8Array = bytes.slice();
  for (let changes = 1 + below(4); changes > 0; changes--) {
    const at = below(made.length + 1);
    switch (below(6)) {
      case 0: // another byte
        if (at < made.length) made[at] = below(256);
        break;
      case 1: // another opcode that exists
        if (at < made.length) made[at] = OPCODES[below(OPCODES.length)]!;
        break;
      case 2: // cut
        made = made.slice(0, at);
        break;
      case 3: // left out
        made = Uint8Array.from([...made.subarray(0, at), ...made.subarray(at + 1 + below(8))]);
        break;
      case 4: // put in
        made = Uint8Array.from([
          ...made.subarray(0, at),
          OPCODES[below(OPCODES.length)]!,
          ...made.subarray(at),
        ]);
        break;
      case 5: { // a piece of another stream
        const from = below(other.length);
        made = Uint8Array.from([
          ...made.subarray(0, at),
          ...other.subarray(from, from + below(20)),
          ...made.subarray(at),
        ]);
      }
    }
  }
  return made;
}

const OPCODES: readonly number[] = [
  ...[
    0x8c,
    0x94,
    0x68,
    0x6a,
    0x4b,
    0x4d,
    0x4a,
    0x47,
    0x8a,
    0x8b,
    0x4e,
    0x88,
    0x89,
    0x28,
    0x7d,
    0x75,
    0x73,
    0x5d,
    0x65,
  ],
  ...[
    0x61,
    0x29,
    0x85,
    0x86,
    0x87,
    0x74,
    0x58,
    0x8d,
    0x43,
    0x42,
    0x8e,
    0x96,
    0x8f,
    0x90,
    0x91,
    0x93,
    0x52,
    0x62,
    0x51,
  ],
  ...[0x97, 0x98, 0x30, 0x31, 0x95, 0x80, 0x2e],
];

Deno.test("a broken stream gives a typed error or a value", () => {
  const streams: Uint8Array[] = vectors.flatMap(({ packed }: { packed?: string[] }) =>
    packed === undefined ? [] : [Uint8Array.fromHex(packed[0]!)]
  );
  const below = randomBelow(SEED);
  let refused = 0;
  for (let run = 0; run < RUNS; run++) {
    const stream = mutate(streams[below(streams.length)]!, below, streams[below(streams.length)]!);
    try {
      decodePacked([stream, new Uint8Array(8)], context);
    } catch (error) {
      const where = `seed ${SEED}, run ${run}, stream ${stream.toHex()}: ${error}`;
      assert(error instanceof PythonHostError, where);
      refused++;
    }
  }
  assert(refused > RUNS / 4, `only ${refused} of ${RUNS} were refused`);
});

Deno.test("broken tags give a typed error or a value", () => {
  const below = randomBelow(SEED);
  const pool: unknown[] = [
    null,
    true,
    -1,
    0,
    1,
    1e9,
    0.5,
    "",
    "nan",
    "ff",
    "__proto__",
    "2024-01-01",
    "<f8",
    [],
    {},
    [1, 2],
  ];
  for (const { tagged } of vectors) collect(tagged, pool);
  const names = [
    "int",
    "float",
    "str",
    "bytes",
    "bytearray",
    "tuple",
    "set",
    "frozenset",
    "dict",
    "map",
    "datetime",
  ];
  names.push(
    "datetime_tz",
    "date",
    "time",
    "timedelta",
    "decimal",
    "uuid",
    "complex",
    "array",
    "handle",
    "object",
    "ref",
  );
  const any = (): unknown => below(3) > 0 ? pool[below(pool.length)] : tag();
  const tag = (): unknown => ({ $: [names[below(names.length)], ...Array.from({ length: below(5) }, any)] });
  for (let run = 0; run < RUNS; run++) {
    const value = structuredClone(tag());
    try {
      decodeTagged(value, [new Uint8Array(3), new Uint8Array(16)], context);
    } catch (error) {
      assert(
        error instanceof PythonHostError,
        `seed ${SEED}, run ${run}, ${JSON.stringify(value)}: ${error}`,
      );
    }
  }
});

function collect(value: unknown, into: unknown[]): void {
  into.push(value);
  if (typeof value === "object" && value !== null) {
    for (const item of Object.values(value)) collect(item, into);
  }
}

Deno.test("a stream cannot name, call or claim what is not there", () => {
  const text = (value: string) => [0x8c, value.length, ...new TextEncoder().encode(value)];
  const global = (module: string, name: string) => [0x80, 5, ...text(module), ...text(name), 0x93];
  const hostile: Record<string, number[]> = {
    "a global of another module": [...global("os", "system"), ...text("id"), 0x85, 0x52, 0x2e],
    "a global outside the table": [...global("beep_host.values", "eval"), ...text("1"), 0x85, 0x52, 0x2e],
    "a method of objects": [...global("beep_host.values", "constructor"), 0x29, 0x52, 0x2e],
    "the old spelling of a global": [0x80, 5, 0x63, ...new TextEncoder().encode("os\nsystem\n"), 0x2e],
    "a global as the value": [...global("beep_host.values", "handle"), 0x2e],
    "text of 2 GiB": [0x80, 5, 0x58, 0, 0, 0, 0x80, 0x2e],
    "bytes of 2**63": [0x80, 5, 0x8e, 0, 0, 0, 0, 0, 0, 0, 0x80, 0x2e],
    "an integer of 2 GiB": [0x80, 5, 0x8b, 0, 0, 0, 0x80, 0x2e],
    "an old protocol": [0x80, 2, 0x4e, 0x2e],
    "nothing": [],
  };
  for (const [name, stream] of Object.entries(hostile)) {
    assertThrows(() => decodePacked([new Uint8Array(stream)], context), ProtocolError, "", name);
  }
  assertThrows(() => decodePacked([], context), ProtocolError);
});

Deno.test("depth costs no stack, and sharing no memory", () => {
  const depth = 1_000_000;
  const deep = new Uint8Array(2 + depth + depth + 1);
  deep.set([0x80, 5]);
  deep.fill(0x5d, 2, 2 + depth); // EMPTY_LIST
  deep.fill(0x61, 2 + depth, 2 + 2 * depth - 1); // APPEND
  deep[2 + 2 * depth - 1] = 0x2e;
  assert(Array.isArray(decodePacked([deep.subarray(0, 2 + 2 * depth)], context)));
  // Each list holds the one before it twice: a hundred levels of doubling, in less than a kilobyte.
  const doubling = [0x80, 5, 0x28, 0x5d, 0x94];
  for (let level = 0; level < 100; level++) doubling.push(0x5d, 0x94, 0x28, 0x68, level, 0x68, level, 0x65);
  const lists = decodePacked([new Uint8Array([...doubling, 0x74, 0x2e])], context) as unknown[][];
  assertStrictEquals(lists[100]![0], lists[100]![1]);
});
