/**
 * Random values of JavaScript, as fast-check makes them.
 *
 * @module
 */

import fc from "npm:fast-check@^4.3.0";
import { pyFloat, PythonTuple } from "../../core/values.ts";

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

const tied = fc.letrec((tie) => ({
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

/** Nested values of every kind that has an image in Python; twin of `random_value` in `random_values.py`. */
export const anyValue: fc.Arbitrary<unknown> = tied.value;
