/**
 * Random nested values, each way and back, through a real Python. The seed of a failure is printed; run again
 * with BEEP_TEST_SEED.
 */

import { assertEquals } from "@std/assert";
import fc from "npm:fast-check@^4.3.0";
import { Codec, type Form, testPython } from "./codec.ts";
import { describe } from "./describe.ts";
import { anyValue } from "./random_values.ts";

// 20,000 each way; fewer by BEEP_TEST_RUNS while working on the codecs.
const RUNS = Number(Deno.env.get("BEEP_TEST_RUNS") ?? 20_000);
const SEED = Number(Deno.env.get("BEEP_TEST_SEED") ?? Date.now() % 2 ** 31);
const BATCH = 500;

Deno.test("any value arrives in Python as the table says, and comes back", async (t) => {
  await using codec = new Codec(testPython());
  for (const form of ["packed", "tagged"] as const) {
    await t.step(form, async () => {
      // Batches: the shrinking of fast-check wants single values, the pipe wants many in flight.
      let seed = SEED;
      for (let done = 0; done < RUNS / 2; done += BATCH, seed++) {
        const values = fc.sample(anyValue, { numRuns: BATCH, seed });
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
