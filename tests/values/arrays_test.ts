/**
 * Arrays and tables, with numpy, pandas, polars and pyarrow where they can be installed, and without them.
 */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { ValueConversionError } from "../../core/errors.ts";
import { PythonArray, PythonTuple } from "../../core/values.ts";
import { Codec, testPython } from "./codec.ts";
import { environmentWith } from "./environment.ts";

const TABLES = ["numpy", "pandas", "polars", "pyarrow"];

/** A test that needs packages: skipped, with the reason, where they cannot be had. */
function testWith(packages: readonly string[], name: string, fn: (codec: Codec) => Promise<void>): void {
  Deno.test(name, async (t) => {
    const environment = await environmentWith(packages);
    if ("reason" in environment) {
      await t.step({ name: `skipped: ${environment.reason}`, ignore: true, fn: () => {} });
      return;
    }
    await using codec = new Codec(environment.python);
    await fn(codec);
  });
}

testWith(
  ["numpy"],
  "arrays of every dtype, shape and layout come to JavaScript and go back",
  async (codec) => {
    await codec.exec(`
import numpy as np
rng = np.random.default_rng(1)
arrays = []
for dtype in ["?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8", "c8", "c16", "M8[ns]", "M8[D]", "m8[us]"]:
    for order in "<>":
        for shape in [(), (0,), (1,), (7,), (3, 4), (2, 0, 3), (2, 3, 4), (1, 1, 1, 5), (400, 3)]:
            bits = rng.integers(0, 100, size=shape)
            array = np.asarray(bits).astype(np.dtype(dtype).newbyteorder(order))
            arrays += [array, array.T, np.asfortranarray(array)]
            if array.ndim:
                arrays += [array[::-1], array[::2], np.broadcast_to(array, (2, *array.shape))]
            if array.ndim > 1:
                arrays += [array[:, ::2], array[..., 0], np.moveaxis(array, 0, -1)]
            arrays[-1].flags.writeable = False
def same(one, other):
    return (type(other) is np.ndarray and one.shape == other.shape and one.dtype.newbyteorder("<") == other.dtype
            and other.flags.writeable and one.tobytes() == other.astype(one.dtype).tobytes())
`);
    const count = await codec.evaluate("len(arrays)") as number;
    assert(count > 1000);
    for (let index = 0; index < count; index++) {
      for (const form of ["packed", "tagged"] as const) {
        const array = await codec.evaluate(`arrays[${index}]`, { form }) as PythonArray;
        const isSame = await codec.check(array, `same(__import__('__main__').arrays[${index}], value)`);
        assertEquals(
          isSame,
          true,
          `${await codec.evaluate(`repr(arrays[${index}])`)}, ${form}: ${Deno.inspect(array)}`,
        );
      }
    }
    // What is shared or not writable in numpy is neither copied needlessly nor written to.
    const [one, other] = await codec.evaluate("(lambda a: [a, a])(np.zeros(1000))") as PythonArray[];
    assertEquals(one === other, true);
  },
);

testWith(["numpy"], "items are where shape and strides say", async (codec) => {
  await codec.exec("import numpy as np\nbase = np.arange(24).reshape(2, 3, 4)");
  for (
    const code of ["base", "base.T", "base[:, ::-1]", "np.asfortranarray(base)", "base[1]", "base[..., 2]"]
  ) {
    const array = await codec.evaluate(code) as PythonArray<BigInt64Array<ArrayBuffer>>;
    const items: bigint[] = [];
    const walk = (dimension: number, offset: number): void => {
      if (dimension === array.shape.length) items.push(array.data[offset]!);
      else {for (let i = 0; i < array.shape[dimension]!; i++) {
          walk(dimension + 1, offset + i * array.strides[dimension]!);
        }}
    };
    walk(0, 0);
    assertEquals(items.map(Number), await codec.evaluate(`(${code}).ravel().tolist()`), code);
    assertEquals([...array.toContiguous().data].map(Number), items.map(Number));
  }
});

Deno.test("a PythonArray with strides of its own arrives in C order", async () => {
  await using codec = new Codec(testPython());
  const data = new Float64Array([1, 2, 3, 4, 5, 6]);
  const columns = new PythonArray(data, { shape: [3, 2], strides: [1, 3] });
  assertEquals(columns.isContiguous, false);
  assertEquals(columns.toContiguous().data, new Float64Array([1, 4, 2, 5, 3, 6]));
  assertEquals(await codec.check(columns, "value.tolist()"), [[1, 4], [2, 5], [3, 6]]);
  // Two arrays on the same data, of which one is sent in another order.
  const rows = new PythonArray(data, { shape: [3, 2] });
  assertEquals(await codec.check([rows, columns, rows], "[item.tolist() for item in value]"), [
    [[1, 2], [3, 4], [5, 6]],
    [[1, 4], [2, 5], [3, 6]],
    [[1, 2], [3, 4], [5, 6]],
  ]);
  const everySecond = new PythonArray(data, { shape: [3], strides: [2] });
  assertEquals(await codec.check(everySecond, "[type(value).__name__, value.tolist()]"), ["array", [
    1,
    3,
    5,
  ]]);
  const complex = new PythonArray(new Float32Array([1, 2, 3, 4]), { dtype: "<c8", shape: [2], strides: [1] });
  assertEquals(complex.size, 2);
  await assertRejects(() => codec.check(complex, "value"), ValueConversionError, "numpy is not installed");
});

Deno.test("what does not fit together is no PythonArray", () => {
  const data = new Float64Array(6);
  for (
    const options of [
      { shape: [7] },
      { shape: [2, 3], strides: [3, 2] },
      { shape: [2], strides: [-1] },
      { shape: [1.5] },
      { shape: [-1] },
      { shape: [6], strides: [1, 1] },
      { dtype: "<f4" },
      { dtype: ">f8" },
      { dtype: "|O" },
      { dtype: "" },
    ]
  ) {
    assertThrows(() => new PythonArray(data, options), RangeError, undefined, JSON.stringify(options));
  }
  assertEquals(new PythonArray(data, { shape: [0, 100] }).size, 0);
});

testWith(["numpy"], "floats come from anything array-like", async (codec) => {
  await codec.exec(`
import numpy as np, array
from beep_host.values import floats, floats2d
def look(shape_and_data):
    shape, data = shape_and_data
    assert memoryview(data).nbytes == 4 * int(np.prod(shape))
    return shape, np.frombuffer(data, "<f4").tolist()
class Like:
    def __array__(self, dtype=None, copy=None):
        return np.array([[1, 2], [3, 4]], dtype)
`);
  const cases: [string, unknown, unknown][] = [
    ["np.arange(4).reshape(2, 2)", [[4], [0, 1, 2, 3]], [[2, 2], [0, 1, 2, 3]]],
    ["np.arange(4).reshape(2, 2).T", [[4], [0, 2, 1, 3]], [[2, 2], [0, 2, 1, 3]]],
    ["np.array([1.5], '>f8')", [[1], [1.5]], [[1, 1], [1.5]]],
    ["np.array([True])", [[1], [1]], [[1, 1], [1]]],
    ["np.zeros((0, 3))", [[0], []], [[0, 3], []]],
    ["np.float32(2)", [[1], [2]], null],
    ["Like()", [[4], [1, 2, 3, 4]], [[2, 2], [1, 2, 3, 4]]],
    ["[[1, 2], (3, 4)]", [[4], [1, 2, 3, 4]], [[2, 2], [1, 2, 3, 4]]],
    ["[np.array([1, 2]), [3, 4]]", [[4], [1, 2, 3, 4]], [[2, 2], [1, 2, 3, 4]]],
    ["range(2)", [[2], [0, 1]], [[1, 2], [0, 1]]],
    ["array.array('i', [5])", [[1], [5]], [[1, 1], [5]]],
    ["np.full(2, 1e300)", [[2], [Infinity, Infinity]], [[1, 2], [Infinity, Infinity]]],
    ["'text'", null, null],
    ["[[1], [2, 3]]", null, null],
    ["np.array(['a'])", null, null],
    ["np.zeros((2, 2, 2))", [[8], Array(8).fill(0)], null],
  ];
  for (const [code, flat, rows] of cases) {
    for (const [name, expected] of [["floats", flat], ["floats2d", rows]] as const) {
      const result = codec.evaluate(`look(${name}(${code}))`);
      if (expected === null) {
        await assertRejects(() => result, ValueConversionError, "Cannot give", `${name}(${code})`);
      } else assertEquals(await result, PythonTuple.from(expected as unknown[]), `${name}(${code})`);
    }
  }
});

testWith(TABLES, "tables travel as an Arrow IPC stream on request", async (codec) => {
  await codec.exec(`
import pandas as pd, polars as pl, pyarrow as pa, io
columns = {"id": [1, 2, 3], "name": ["a", None, "c"], "value": [0.5, 1.5, float("nan")]}
`);
  const tables = [
    "pa.table(columns)",
    "pa.RecordBatch.from_pydict(columns)",
    "pd.DataFrame(columns)",
    "pl.DataFrame(columns)",
    "pl.DataFrame(columns).lazy()",
  ];
  for (const table of tables) {
    for (const form of ["packed", "tagged", "inline"] as const) {
      const bytes = await codec.evaluate(table, { mode: "arrow", form }) as Uint8Array;
      assert(bytes instanceof Uint8Array, table);
      const read = await codec.check(
        bytes,
        "__import__('pyarrow').ipc.open_stream(value).read_all().to_pydict()",
      ) as {
        id: unknown;
        name: unknown;
      };
      assertEquals([read.id, read.name], [[1, 2, 3], ["a", null, "c"]], table);
    }
  }
  assert(await codec.evaluate("pd.Series([1, 2])", { mode: "arrow" }) instanceof Uint8Array);
  assert(await codec.evaluate("pl.Series('x', [1, 2])", { mode: "arrow" }) instanceof Uint8Array);
  await assertRejects(() => codec.evaluate("[1]", { mode: "arrow" }), ValueConversionError, "it is no table");
  await assertRejects(
    () => codec.evaluate("pd.DataFrame({'a': [1, 'x']})", { mode: "arrow" }),
    ValueConversionError,
  );
});

Deno.test("without pyarrow a table as Arrow is a typed error that says so", async () => {
  await using codec = new Codec(testPython());
  await codec.exec("import sys\nsys.modules['pyarrow'] = None");
  await assertRejects(
    () => codec.evaluate("[1]", { mode: "arrow" }),
    ValueConversionError,
    "pyarrow is not installed",
  );
});
