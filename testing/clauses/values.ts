/**
 * Clauses about values: nothing is altered silently, in either direction.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { ValueConversionError } from "../../core/errors.ts";
import { PythonArray } from "../../core/values.ts";
import type { Clause, ClauseContext } from "../clause.ts";

function clause(id: string, sentence: string, body: (context: ClauseContext) => Promise<void>): Clause {
  return { id: `values/${id}`, sentence, marks: ["python"], body };
}

/** A clause that sends a value, checks what Python sees, and gets it back. */
function roundTrip(
  id: string,
  sentence: string,
  cases: readonly (readonly [value: unknown, repr: string])[],
): Clause {
  return clause(id, sentence, async ({ backend }) => {
    for (const [value, repr] of cases) {
      assertEquals(
        await backend.evaluate("repr(a)", { a: value }),
        repr,
        `Python's view of ${String(value)}`,
      );
      const back = await backend.evaluate("a", { a: value });
      assert(Object.is(back, value) || typeof value === "object", `${String(back)} is ${String(value)}`);
      assertEquals(back, value);
    }
  });
}

/** See the module comment. */
export const VALUES: readonly Clause[] = [
  roundTrip("scalars", "null, booleans and strings keep their kind", [
    [null, "None"],
    [true, "True"],
    [false, "False"],
    ["", "''"],
    ["plain", "'plain'"],
  ]),
  roundTrip("integers", "safe integers are ints", [
    [0, "0"],
    [-1, "-1"],
    [Number.MAX_SAFE_INTEGER, "9007199254740991"],
    [Number.MIN_SAFE_INTEGER, "-9007199254740991"],
  ]),
  roundTrip("floats", "case 85: floats are exact, NaN, infinities and -0 included", [
    [0.1, "0.1"],
    [-2.5e-300, "-2.5e-300"],
    [Number.MIN_VALUE, "5e-324"],
    [NaN, "nan"],
    [Infinity, "inf"],
    [-Infinity, "-inf"],
    [-0, "-0.0"],
  ]),
  clause(
    "large-number",
    "case 86: a number beyond the safe integers is a float in Python",
    async ({ backend }) => {
      assertEquals(
        await backend.evaluate<unknown[]>("(type(a).__name__, a == 2.0 ** 53)", { a: 2 ** 53 }).then((row) =>
          Array.from(row)
        ),
        ["float", true],
      );
      assertEquals(await backend.evaluate("repr(a)", { a: 1e300 }), "1e+300");
    },
  ),
  clause(
    "number-scalars-by-call",
    "numbers survive as plain arguments of a method too",
    async ({ backend }) => {
      const builtins = await backend.importModule("builtins");
      for (
        const [value, repr] of [[-0, "-0.0"], [NaN, "nan"], [2 ** 53, "9007199254740992.0"], [
          5,
          "5",
        ]] as const
      ) {
        assertEquals(await backend.callMethod(builtins, "repr", [value]), repr);
      }
    },
  ),
  roundTrip("bigints", "integers beyond the safe ones are bigints, of any size", [
    [2n ** 53n, "9007199254740992"],
    [-(2n ** 64n), "-18446744073709551616"],
    [10n ** 100n, "1" + "0".repeat(100)],
  ]),
  roundTrip("strings", "strings beyond ASCII are exact", [
    ["Grüße, 世界 🐍", "'Grüße, 世界 🐍'"],
    ["\0\n\t\"'", `'\\x00\\n\\t"\\''`],
    ["\ufeffbom", "'\\ufeffbom'"],
    ["\u2028\u2029", "'\\u2028\\u2029'"],
  ]),
  clause("lone-surrogate", "case 87: a lone surrogate survives both ways", async ({ backend }) => {
    for (const text of ["\ud800", "a\udfffb", "\udc00\ud800"]) {
      assertEquals(
        await backend.evaluate("[ord(c) for c in a]", { a: text }),
        Array.from(text, (c) => c.codePointAt(0)),
      );
      assert(await backend.evaluate("a", { a: text }) === text);
      assert(await backend.evaluate("[a, {'k': a}][1]['k']", { a: text }) === text);
    }
  }),
  clause("bytes", "bytes are Uint8Array, empty ones too", async ({ backend }) => {
    for (const bytes of [new Uint8Array(0), new Uint8Array([0, 255, 128]), new Uint8Array(100_000).fill(7)]) {
      assertEquals(
        await backend.evaluate<unknown[]>("(type(a).__name__, len(a))", { a: bytes }).then((row) =>
          Array.from(row)
        ),
        [
          "bytes",
          bytes.length,
        ],
      );
      assertEquals(await backend.evaluate("a", { a: bytes }), bytes);
    }
  }),
  clause("nested", "lists and dicts nest", async ({ backend }) => {
    const value = { list: [1, [2, [3, { deep: "x" }]]], empty: {}, none: [], "": null, é: true };
    assertEquals(await backend.evaluate("a", { a: value }), value);
    assertEquals(await backend.evaluate("{'a': [1, {'b': None}], 'c': []}"), { a: [1, { b: null }], c: [] });
  }),
  clause("proto", "case 89: a key __proto__ is a key like any other", async ({ backend }) => {
    const value = await backend.evaluate<Record<string, unknown>>("{'__proto__': 1, 'x': 2}");
    assertEquals(Object.keys(value).sort(), ["__proto__", "x"]);
    assertEquals(({} as Record<string, unknown>).x, undefined);
  }),
  clause("tuple", "a tuple comes as an array and goes back as a tuple", async ({ backend }) => {
    const tuple = await backend.evaluate<unknown[]>("(1, 'a')");
    assertEquals(Array.from(tuple), [1, "a"]);
    assertEquals(await backend.evaluate("a == (1, 'a')", { a: tuple }), true);
  }),
  clause("set", "a set is a Set", async ({ backend }) => {
    assertEquals(await backend.evaluate("{1, 2}"), new Set([1, 2]));
    assertEquals(await backend.evaluate("a == {1, 'x'}", { a: new Set([1, "x"]) }), true);
  }),
  clause("map", "case 89: a dict with keys that are not all strings is a Map", async ({ backend }) => {
    assertEquals(await backend.evaluate("{1: 'a', 'b': 2}"), new Map<unknown, unknown>([[1, "a"], ["b", 2]]));
    assertEquals(await backend.evaluate("a == {1: 'a'}", { a: new Map([[1, "a"]]) }), true);
  }),
  clause("shared", "case 88: what is shared stays shared, both ways", async ({ backend }) => {
    const shared = [1];
    assertEquals(await backend.evaluate("a[0] is a[1]", { a: [shared, shared] }), true);
    const back = await backend.evaluate<unknown[]>("x = [1]\n[x, x]");
    assert(back[0] === back[1]);
  }),
  clause(
    "shared-bytes",
    "bytes and arrays that are reached twice are one object, both ways",
    async ({ backend }) => {
      for (const value of [new Uint8Array(3), new Uint8Array(5_000), new Float64Array(2)]) {
        assertEquals(await backend.evaluate("a[0] is a[1]['k']", { a: [value, { k: value }] }), true);
      }
      for (const source of ["bytes(3)", "bytearray(5000)", "memoryview(bytearray(3))", "array('d', [1])"]) {
        const [one, other] = await backend.evaluate<unknown[]>(
          `from array import array\nx = ${source}\n[x, x]`,
        );
        assert(one === other, source);
      }
    },
  ),
  clause(
    "subclasses",
    "an instance of a class that extends a built-in is refused with the path to it, never sent as the built-in",
    async ({ backend }) => {
      class Cache extends Map<number, number> {}
      class Tags extends Set {}
      class Day extends Date {}
      class Bytes extends Uint8Array {}
      const refused = [new Cache([[1, 2]]), new Tags(), new Day(0), new Bytes(1), Object("a"), Object(1)];
      for (const value of refused) {
        const error = await assertRejects(
          () => backend.evaluate("a", { a: { rows: [0, value] } }),
          ValueConversionError,
        );
        assertEquals(error.path, "$.a.rows[1]");
      }
      assertEquals(await backend.evaluate("1 + 1"), 2);
    },
  ),
  clause(
    "read-once",
    "what a value gives when it is read is what arrives, whatever it says the next time",
    async ({ backend }) => {
      let reads = 0;
      const changing = {
        get value() {
          return reads++ === 0 ? 1 : Symbol("other");
        },
      };
      assertEquals(await backend.evaluate("a", { a: changing }), { value: 1 });
      const row = Object.defineProperty({ b: 2 }, "toJSON", { value: () => "changed" });
      assertEquals(await backend.evaluate("a", { a: row }), { b: 2 });
      assertEquals(await backend.evaluate("a", { a: [[row]] }), [[{ b: 2 }]]);
      const failing = {
        get when() {
          throw new TypeError("no");
        },
      };
      for (const [value, path] of [[failing, "$.a.when"], [[{ x: failing }], "$.a[0].x.when"]] as const) {
        const error = await assertRejects(() => backend.evaluate("a", { a: value }), ValueConversionError);
        assertEquals(error.path, path);
        assert(error.cause instanceof TypeError);
      }
    },
  ),
  clause(
    "large-arrays",
    "large arrays cross unaltered, also when one is reached twice",
    async ({ backend }) => {
      const size = 200_000;
      const arrays = [
        Float64Array.from({ length: size }, (_, i) => i / 3),
        Float32Array.from({ length: size }, (_, i) => i / 4),
        Int16Array.from({ length: size }, (_, i) => i),
        BigUint64Array.from({ length: size }, (_, i) => 2n ** 64n - BigInt(i + 1)),
        Uint8ClampedArray.from({ length: 2 * size }, (_, i) => i % 256),
      ];
      for (const data of arrays) {
        const other = data.slice();
        const [length, same, apart, back] = await backend.evaluate<unknown[]>(
          "[len(a), a is c, a is not b and a.tolist() == b.tolist(), a]",
          { a: data, b: other, c: data },
        );
        assertEquals([length, same, apart], [data.length, true, true]);
        assertEquals((back as PythonArray).data.length, data.length);
        assert((back as PythonArray).data.every((item, i) => item === data[i]));
      }
      // Two arrays on the same items are two in Python: what is done to one is not done to the other.
      const [items] = arrays;
      const pair = [new PythonArray(items!), new PythonArray(items!)];
      assertEquals(await backend.evaluate("a[0][0] = 9.0\na[1][0]", { a: pair }), 0);
    },
  ),
  clause("large", "large plain data crosses unaltered", async ({ backend }) => {
    const rows = Array.from(
      { length: 2_000 },
      (_, id) => ({ id, name: `row ${id}`, value: id / 3, ok: id % 2 === 0 }),
    );
    assertEquals(await backend.evaluate("a", { a: rows }), rows);
    const text = "ü".repeat(500_000);
    assert(await backend.evaluate("a", { a: text }) === text);
  }),
];
