/**
 * Random nested values, each way and back, through a real Python. The seed of a failure is printed; run again
 * with BEEP_TEST_SEED.
 */

import { assertEquals } from "@std/assert";
import fc from "npm:fast-check@^4.3.0";
import { pyFloat, PythonTuple } from "../../core/values.ts";
import { Codec, type Form, testPython } from "./codec.ts";
import { describe } from "./describe.ts";

// 20,000 each way; fewer by BEEP_TEST_RUNS while working on the codecs.
const RUNS = Number(Deno.env.get("BEEP_TEST_RUNS") ?? 20_000);
const SEED = Number(Deno.env.get("BEEP_TEST_SEED") ?? Date.now() % 2 ** 31);
const BATCH = 500;

const text = fc.string({ unit: "binary", maxLength: 12 }).map((made) => made.replaceAll("\ud800", ""));
const key = fc.oneof(
  text,
  fc.constantFrom("__proto__", "$", "constructor", "toJSON", "then", "0", "-1", "length"),
);
const scalar = fc.oneof(
  fc.constantFrom(
    null,
    undefined,
    true,
    false,
    0,
    -0,
    NaN,
    Infinity,
    -Infinity,
    2 ** 53,
    -(2 ** 53),
    2 ** 53 - 1,
    1e21,
  ),
  fc.integer(),
  fc.maxSafeInteger(),
  fc.double(),
  fc.double().map(pyFloat),
  fc.bigInt(),
  text,
  key,
  fc.constantFrom("\ud800", "\udc00", "a\udfff", "\udfff\ud800"),
  fc.uint8Array({ maxLength: 20 }),
);

/** Keys that Python keeps apart: texts and halves. */
const hashable = fc.oneof(key, fc.integer().map((n) => n + 0.5), fc.bigInt({ min: 2n ** 54n }));

const { value: anything } = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    scalar,
    tie("list"),
    tie("record"),
    tie("tuple"),
    tie("set"),
    tie("map"),
    tie("shared"),
  ),
  list: fc.array(tie("value"), { maxLength: 6 }),
  record: fc.dictionary(key, tie("value"), { maxKeys: 6, noNullPrototype: false }),
  tuple: fc.array(tie("value"), { maxLength: 6 }).map((items) => PythonTuple.from(items)),
  set: fc.uniqueArray(hashable, { maxLength: 6 }).map((items) => new Set(items)),
  map: fc.uniqueArray(fc.tuple(hashable, tie("value")), { maxLength: 6, selector: ([k]) => k }).map((items) =>
    new Map(items as [unknown, unknown][])
  ),
  shared: tie("value").map((item) => [item, { item }, item]),
}));

Deno.test("any value arrives in Python as the table says, and comes back", async (t) => {
  await using codec = new Codec(testPython());
  for (const form of ["packed", "tagged"] as const) {
    await t.step(form, async () => {
      // Batches: the shrinking of fast-check wants single values, the pipe wants many in flight.
      let seed = SEED;
      for (let done = 0; done < RUNS / 2; done += BATCH, seed++) {
        const values = fc.sample(anything, { numRuns: BATCH, seed });
        const replies = await Promise.all(values.map(async (value) => {
          const { json, parts } = codec.encode(value);
          return await codec.send(`["describe",${json},"${form}"]`, parts);
        }));
        replies.forEach((reply, index) => {
          const where = `seed ${seed}, value ${index}: ${Deno.inspect(values[index], { depth: 9 })}`;
          const [seen, inner] = reply.value as [string, unknown];
          assertEquals(seen, describe(values[index]), where);
          assertEquals(
            describe(codec.decode({ ...reply, value: inner })),
            describe(values[index], true),
            where,
          );
        });
      }
    });
  }
});

Deno.test("any plain value of Python comes to JavaScript and back unchanged", async (t) => {
  await using codec = new Codec(testPython());
  for (const form of ["packed", "tagged", "inline"] as const) {
    await t.step(form, async () => await roundTrips(codec, form, Math.ceil(RUNS / 3)));
  }
});

async function roundTrips(codec: Codec, form: Form, runs: number): Promise<void> {
  for (let done = 0; done < runs; done += BATCH) {
    const seeds = Array.from({ length: BATCH }, (_, index) => SEED + done + index);
    // Python keeps the value that it made last, so each is compared before the next is made.
    for (const seed of seeds) {
      const value = codec.decode(await codec.send(JSON.stringify(["generate", seed, form])));
      const { json, parts } = codec.encode(value);
      const difference = codec.decode(await codec.send(`["returned",${json}]`, parts));
      assertEquals(difference, null, `seed ${seed}, ${form}`);
    }
  }
}
