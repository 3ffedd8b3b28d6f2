/** What JavaScript's values become in Python, and what is refused, against a real Python. */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { runInNewContext } from "node:vm";
import { ValueConversionError } from "../../core/errors.ts";
import { encodeValue, PythonArray, PythonTuple, pythonValue, registerConverter } from "../../core/values.ts";
import { Codec, testPython } from "./codec.ts";
import { describe } from "./describe.ts";

Deno.test("a detached buffer is refused with the path to it", () => {
  const bytes = new Uint8Array(8);
  const floats = new Float64Array(bytes.buffer);
  bytes.buffer.transfer();
  for (const value of [bytes, bytes.buffer, floats]) {
    const encode = () => Codec.prototype.encode.call({ functions: [] } as unknown as Codec, { a: [value] });
    assertEquals(assertThrows(encode, ValueConversionError).path, "$.a[0]");
  }
});

Deno.test("an array that is longer than any message is refused at once, one with many holes is sent", () => {
  const encode = (value: unknown) => encodeValue(value, { handleId: () => 0, functionId: () => 0 });
  for (const last of [2 ** 28, 2 ** 32 - 2]) {
    const byId: unknown[] = [];
    byId[last] = "row";
    for (const [value, path] of [[byId, "$"], [{ rows: [byId, 2n ** 64n] }, "$.rows[0]"]] as const) {
      const error = assertThrows(() => encode(value), ValueConversionError, `array of ${last + 1} items`);
      assertEquals(error.path, path);
    }
  }
  const end = '{"$":["int","10000000000000000"]}]';
  for (const length of [2, 2 ** 20, 2 ** 20 + 1, 2 ** 20 + 4096, 2 ** 20 + 4097]) {
    const sparse: unknown[] = [true];
    sparse[length - 1] = 2n ** 64n;
    assertEquals(
      encode(sparse).json === `[true,${"null,".repeat(length - 2)}${end}`,
      true,
      `${length} items`,
    );
  }
});

Deno.test("shared references and cycles arrive as such, both ways", async () => {
  await using codec = new Codec(testPython());
  const shared = { x: 1 };
  const list: unknown[] = [shared, shared];
  list.push(list);
  const map = new Map<unknown, unknown>([["m", list]]);
  map.set(1, map);
  const same = "value['m'][0] is value['m'][1] and value['m'][2] is value['m'] and value[1] is value";
  assertEquals(await codec.check(map, same), true);
  for (const form of ["packed", "tagged"] as const) {
    const back = await codec.echo(map, form) as Map<unknown, unknown>;
    const items = back.get("m") as unknown[];
    assertStrictEquals(items[0], items[1]);
    assertStrictEquals(items[2], items);
    assertStrictEquals(back.get(1), back);
  }
  const array = new PythonArray(new Float64Array(2));
  assertEquals(await codec.check([array, array], "value[0] is value[1]"), true);
});

Deno.test("what can be changed and is reached twice is one object on the other side, both ways", async () => {
  await using codec = new Codec(testPython());
  await codec.exec(`
import sys
from array import array
from collections import OrderedDict
from dataclasses import dataclass
@dataclass
class Row:
    n: int
class Opaque:
    pass
`);
  const fromPython = [
    "[1]",
    "{'a': 1}",
    "{1: 2}",
    "{1}",
    "(1, [2])",
    "OrderedDict(a=1)",
    "b'ab'",
    "bytes(2000)",
    "bytearray(b'ab')",
    "bytearray(2000)",
    "memoryview(bytearray(b'ab'))",
    "memoryview(bytearray(2000))",
    "array('d', [1.5])",
    "memoryview(array('d', [1.5]))",
    "Row(1)",
    "Opaque()",
    "len",
  ];
  for (const source of fromPython) {
    for (const form of ["packed", "tagged"] as const) {
      const [one, other] = await codec.evaluate(`(lambda x: [x, {'k': [x]}])(${source})`, { form }) as [
        unknown,
        { k: [unknown] },
      ];
      assertStrictEquals(one, other.k[0], `${source}, ${form}`);
    }
  }
  class Money {}
  using _money = registerConverter<Money>("builtins.list", {
    javascriptType: Money,
    toPython: () => ({ args: [] }),
  });
  const sent: Record<string, unknown> = {
    array: [1],
    object: { a: 1 },
    Map: new Map([[1, 2]]),
    Set: new Set([1]),
    PythonTuple: PythonTuple.of([1]),
    Uint8Array: new Uint8Array(3),
    "large Uint8Array": new Uint8Array(3000),
    ArrayBuffer: new ArrayBuffer(3),
    DataView: new DataView(new ArrayBuffer(3)),
    Float64Array: new Float64Array(3),
    PythonArray: new PythonArray(new Float64Array(3)),
    Money: new Money(),
    handle: await codec.evaluate("Opaque()"),
  };
  for (const [name, value] of Object.entries(sent)) {
    assertEquals(await codec.check([value, { k: [value] }], "value[0] is value[1]['k'][0]"), true, name);
  }
});

Deno.test("views of one buffer are objects of their own, each with its items", async () => {
  await using codec = new Codec(testPython());
  const buffer = new Uint8Array([1, 2, 3, 4]).buffer;
  const views = [new Uint8Array(buffer), new Uint8Array(buffer, 2), new Int16Array(buffer)];
  assertEquals(
    await codec.check(
      views,
      "value[0] == b'\\x01\\x02\\x03\\x04' and value[1] == b'\\x03\\x04' and len(value[2]) == 2",
    ),
    true,
  );
});

Deno.test("a key that ends in an escape does not become another that was met before", async () => {
  await using codec = new Codec(testPython());
  // V8 takes a key that ends in an escape for one of that length, known from earlier JSON, that ends in a backslash.
  for (const prefix of ["", "ab"]) {
    JSON.parse(JSON.stringify({ p: 1, [`${prefix}\\`]: 1 }));
    for (const end of ["\n", "\u2028", '"', "\\", "\x7f", "é"]) {
      const value = { p: 1, [prefix + end]: 1 };
      for (const form of ["packed", "tagged", "inline"] as const) {
        assertEquals(await codec.echo(value, form), value);
      }
    }
  }
});

Deno.test("a converter goes before a built-in class that its class extends", async () => {
  await using codec = new Codec(testPython());
  class Cache extends Map<string, number> {}
  class Path extends Array<string> {}
  class Stamp extends Date {}
  using _cache = registerConverter<Cache>("builtins.dict", {
    javascriptType: Cache,
    toPython: (value) => ({ kwargs: Object.fromEntries(value) }),
  });
  using _path = registerConverter<Path>("pathlib.PurePosixPath", {
    javascriptType: Path,
    toPython: (value) => ({ args: [...value] }),
  });
  using _stamp = registerConverter<Stamp>("builtins.float", {
    javascriptType: Stamp,
    toPython: (value) => ({ args: [value.getTime()] }),
  });
  assertEquals(
    await codec.check([new Cache([["a", 1]]), Path.of("a", "b"), new Stamp(5)], "repr(value)"),
    "[{'a': 1}, PurePosixPath('a/b'), 5.0]",
  );
});

Deno.test("objects of another realm are what they would be in this one", async () => {
  await using codec = new Codec(testPython());
  const of = (code: string) => runInNewContext(code) as unknown;
  const values = [
    of("({ a: [1] })"),
    of("new Map([[1, 2]])"),
    of("new Set([1])"),
    of("new Uint8Array([1])"),
    of("new ArrayBuffer(1)"),
    of("new Float64Array([1])"),
    of("new Date(0)"),
  ];
  assertEquals(
    await codec.check(values, "[type(v).__name__ for v in value]"),
    ["dict", "dict", "set", "bytes", "bytes", "array", "datetime"],
  );
  const error = await assertRejects(
    () => codec.check([of("class M extends Map {}; new M()")], "value"),
    ValueConversionError,
  );
  assertEquals(error.path, "$[0]");
});

Deno.test("a view that its resizable buffer no longer holds is refused with the path to it", async () => {
  await using codec = new Codec(testPython());
  const buffer = new ArrayBuffer(16, { maxByteLength: 32 });
  const views = [new Uint8Array(buffer, 8), new Float64Array(buffer, 8, 1), new DataView(buffer, 8, 8)];
  buffer.resize(4);
  for (const view of views) {
    const error = await assertRejects(() => codec.check({ rows: [view] }, "value"), ValueConversionError);
    assertEquals(error.path, "$.rows[0]");
  }
});

Deno.test("each property is read once, and what reading it throws is the cause of the error", async () => {
  await using codec = new Codec(testPython());
  let reads = 0;
  const changing = {
    get value() {
      return reads++ === 0 ? 1 : Symbol("other");
    },
  };
  assertEquals(await codec.check(changing, "value"), { value: 1 });
  const thrown = new Error("no");
  const hostile: readonly [unknown, string][] = [
    [[{
      get when() {
        throw thrown;
      },
    }], "$[0].when"],
    [{
      a: new Proxy({ b: 1 }, {
        get: () => {
          throw thrown;
        },
      }),
    }, "$.a.b"],
    [[
      new Proxy([], {
        getPrototypeOf: () => {
          throw thrown;
        },
      }),
    ], "$[0]"],
  ];
  for (const [value, path] of hostile) {
    const error = await assertRejects(() => codec.check(value, "value"), ValueConversionError);
    assertEquals(error.path, path);
    assertStrictEquals(error.cause, thrown);
  }
});

Deno.test("a cycle through a tuple comes from Python whole, and towards Python is refused", async () => {
  await using codec = new Codec(testPython());
  await codec.exec("t = ([],)\nt[0].append(t)\nlate = {'a': 1}\nlate['self'] = late\nlate[1] = 2");
  for (const form of ["packed", "tagged"] as const) {
    const tuple = await codec.evaluate("t", { form }) as unknown[][];
    assertInstanceOf(tuple, PythonTuple);
    assertStrictEquals(tuple[0]![0], tuple);
    const late = await codec.evaluate("[late, late]", { form }) as Map<unknown, unknown>[];
    assertStrictEquals(late[0]!.get("self"), late[1]);
    assertEquals(late[0]!.get(1), 2);
  }
  const tuple = PythonTuple.of<unknown>([]);
  (tuple[0] as unknown[]).push(tuple);
  assertEquals(
    (await assertRejects(() => codec.check({ tuple }, "value"), ValueConversionError)).path,
    "$.tuple[0][0]",
  );
});

Deno.test("depth has a limit towards Python, and towards JavaScript ends in a handle or a typed error", async () => {
  await using codec = new Codec(testPython());
  const nest = (depth: number) => {
    let value: unknown = [];
    for (let i = 1; i < depth; i++) value = i % 2 ? [value] : new Map([[1, value]]);
    return value;
  };
  assertEquals(await codec.echo(nest(200)), nest(200));
  assertEquals(await codec.echo(nest(190), "tagged"), nest(190));
  assertThrows(() => codec.encode(nest(201)), ValueConversionError, "more than 200 deep");
  await codec.exec("deep = []\nfor i in range(100_000): deep = [deep]");
  for (const form of ["packed", "tagged"] as const) {
    assert(await codec.evaluate("deep", { form }));
    await assertRejects(() => codec.evaluate("deep", { form, mode: "value" }), ValueConversionError);
  }
  assertEquals(await codec.evaluate("1"), 1);
});

Deno.test("a string of two surrogates that JavaScript would join becomes a handle", async () => {
  await using codec = new Codec(testPython());
  await codec.exec("pair = '\\ud83d' + '\\ude00'");
  for (const form of ["packed", "tagged"] as const) {
    const handle = await codec.evaluate("[pair, '\\U0001f600', '\\ude00\\ud83d', pair]", {
      form,
    }) as unknown[];
    assertEquals((handle[0] as { typeName: string }).typeName, "str");
    assertEquals([...handle.slice(1, 3)], ["\u{1f600}", "\ude00\ud83d"]);
    assertEquals(await codec.check(handle[0], "value is __import__('__main__').pair"), true);
    const error = await assertRejects(
      () => codec.evaluate("{'a': [pair]}", { form, mode: "value" }),
      ValueConversionError,
    );
    assertEquals(error.path, "$.a[0]");
  }
  assertEquals(await codec.evaluate("'pair: ' + chr(0xd55c) * 5000"), "pair: " + "\ud55c".repeat(5000));
});

Deno.test("long lists of records arrive as the same list of dicts", async () => {
  await using codec = new Codec(testPython());
  const rows = (make: (i: number) => Record<string, unknown>, count = 60) =>
    Array.from({ length: count }, (_, i) => make(i));
  const shared = { a: 1 };
  const columns: [string, unknown, boolean][] = [
    ["scalars", rows((i) => ({ id: i, half: i / 2, text: `\ud800 ${i}`, flag: i > 5, none: null })), true],
    ["floats that are no integers", rows((i) => ({ x: i + 0.5 })), true],
    [
      "numbers that JSON cannot spell",
      rows((i) => ({ x: [NaN, -0, Infinity, 2 ** 53, 1, 0.5][i % 6] })),
      true,
    ],
    ["long integers", rows((i) => ({ x: i * 2 ** 40 })), true],
    ["long integers among floats", rows((i) => ({ x: i % 2 ? i * 2 ** 40 : 0.5 })), true],
    ["numbers and nothing", rows((i) => ({ x: i % 2 ? i : null, y: i % 3 ? 0.5 : "text" })), true],
    ["the key of tags", rows((i) => ({ $: i })), true],
    ["keys that look like an index", rows((i) => ({ b: i, 1: i })), true],
    ["the key __proto__", rows((i) => JSON.parse(`{ "__proto__": ${i} }`)), false],
    ["keys in another order", [...rows((i) => ({ a: i, b: i })), { b: 1, a: 2 }], false],
    ["a key too many", [...rows((i) => ({ a: i })), { a: 1, b: 2 }], false],
    ["a row that is none", [...rows((i) => ({ a: i })), null], false],
    ["undefined", rows((i) => ({ a: i > 5 ? undefined : i })), false],
    ["containers", rows((i) => ({ a: i > 58 ? [i] : i })), false],
    ["NaN among texts", rows((i) => ({ a: i % 2 ? NaN : "x" })), false],
    ["a row that is shared", [...rows((i) => ({ a: i })), shared, shared], false],
    ["few rows", rows((i) => ({ a: i }), 49), false],
    [
      "many columns",
      rows((i) => Object.fromEntries(Array.from({ length: 65 }, (_, j) => [`c${j}`, i]))),
      false,
    ],
  ];
  for (const [name, value, isRows] of columns) {
    // Alone, and beside what makes the whole value one of tags; both times twice, so that references are
    // counted.
    for (const sent of [value, [value], { value, set: new Set() }, [[], value, value, [shared], shared]]) {
      const { json, parts } = codec.encode(sent);
      assertEquals(json.includes('["rows",'), isRows, name);
      const reply = await codec.send(`["describe",${json},"packed"]`, parts);
      const [seen] = reply.value as [string, unknown];
      assertEquals(seen, describe(sent), name);
    }
  }
  const [one, other, row] = await codec.check(
    [columns[0]![1], columns[0]![1], (columns[0]![1] as unknown[])[7]],
    "[value[0] is value[1], value[2] is value[0][7], value[2]['half']]",
  ) as unknown[];
  assertEquals([one, other, row], [true, true, 3.5]);
});

Deno.test("more parts than a frame holds travel all the same", async () => {
  await using codec = new Codec(testPython());
  const many = Array.from({ length: 70_000 }, (_, i) => new Uint8Array([i, i >> 8]));
  assertEquals(codec.encode(many).parts.length, 60_000);
  for (const form of ["packed", "tagged"] as const) {
    const back = await codec.echo(many, form) as Uint8Array[];
    assertEquals(back.length, many.length);
    assert(back.every((bytes, i) => bytes[0] === (i & 255) && bytes[1] === ((i >> 8) & 255)));
  }
  const lists = Array.from(
    { length: 1_500 },
    () => Array.from({ length: 50 }, (_, i) => ({ a: i, b: i, c: i, d: i, e: 0.5 })),
  );
  assert(codec.encode(lists).parts.length <= 65_536);
});

Deno.test("handles and functions travel inside containers", async () => {
  await using codec = new Codec(testPython());
  const handle = await codec.evaluate("object()", { mode: "handle" });
  assertEquals(await codec.check([{ handle }], "context.objects[1] is value[0]['handle']"), true);
  assertEquals(await codec.check({ f: () => 1, g: async () => {} }, "[value['f'](), value['g']()]"), [
    PythonTuple.of<unknown>(0, false),
    PythonTuple.of<unknown>(1, true),
  ]);
  assertEquals(codec.functions.length, 2);
  // What stands for something else is sent as that: a proxy as its handle.
  const standIn = Object.assign(() => {}, { [pythonValue]: handle });
  assertEquals(await codec.check(standIn, "context.objects[1] is value"), true);
});

Deno.test("a hostile object becomes a handle and never breaks a call", async () => {
  await using codec = new Codec(testPython());
  await codec.exec(`
class Meta(type):
    def __hash__(cls): raise RuntimeError("hash")
    def __eq__(cls, other): raise RuntimeError("eq")
    def __getattr__(cls, name): raise RuntimeError(name)
class Hostile(metaclass=Meta):
    __slots__ = ()
    def __getattribute__(self, name): raise RuntimeError(name)
    def __reduce_ex__(self, protocol): raise RuntimeError("reduce")
    def __eq__(self, other): raise RuntimeError("eq")
    __hash__ = None
class Liar:
    __class__ = int
    def __reduce__(self): return (print, ("executed",))
class Field(int):
    pass
import dataclasses
@dataclasses.dataclass
class Raising:
    a: int
    def __getattribute__(self, name): raise RuntimeError(name)
`);
  const names = ["Hostile()", "Liar()", "Field(3)", "Raising(1)", "Hostile"];
  for (const form of ["packed", "tagged"] as const) {
    for (const name of names) {
      const [one, handle] = await codec.evaluate(`[1, ${name}]`, { form }) as [number, { id: number }];
      assertEquals(one, 1);
      assert(handle.id > 0, name);
      await assertRejects(() => codec.evaluate(`[${name}]`, { form, mode: "value" }), ValueConversionError);
    }
  }
});

Deno.test("a runtime without Temporal still sends dates, and refuses those that come by a typed error", async () => {
  await using codec = new Codec(testPython());
  await codec.exec("import datetime");
  const descriptor = Object.getOwnPropertyDescriptor(globalThis, "Temporal")!;
  Reflect.deleteProperty(globalThis, "Temporal");
  try {
    for (const form of ["packed", "tagged"] as const) {
      const date = codec.evaluate("[datetime.date(2024, 1, 1)]", { form });
      await assertRejects(() => date, ValueConversionError, "no Temporal");
    }
    assertEquals(await codec.check(new Date(0), "value.isoformat()"), "1970-01-01T00:00:00+00:00");
    assertThrows(() => codec.encode(new WeakMap()), ValueConversionError, "WeakMap");
  } finally {
    Object.defineProperty(globalThis, "Temporal", descriptor);
  }
});

Deno.test("a converter carries a user's type both ways", async () => {
  class Fraction {
    constructor(readonly numerator: number, readonly denominator: number) {}
  }
  using _registration = registerConverter("fractions.Fraction", {
    attributes: ["numerator", "denominator"],
    fromPython: ({ numerator, denominator }) => new Fraction(numerator as number, denominator as number),
    javascriptType: Fraction,
    toPython: ({ numerator, denominator }) => ({ args: [numerator], kwargs: { denominator } }),
  });
  await using codec = new Codec(testPython());
  await codec.exec("context.converters['fractions.Fraction'] = ('numerator', 'denominator')");
  assertEquals(await codec.check({ f: new Fraction(2, 4) }, "repr(value['f'])"), "Fraction(1, 2)");
  for (const form of ["packed", "tagged"] as const) {
    assertEquals(await codec.echo([new Fraction(2, 4)], form), [new Fraction(1, 2)]);
  }
  const error = await assertRejects(() => codec.check([new Fraction(1, 0)], "value"), ValueConversionError);
  assertEquals(error.path, "$[0]");
});

Deno.test("a hundred megabytes of text and bytes arrive whole", async () => {
  await using codec = new Codec(testPython());
  const size = 100 * 1024 * 1024;
  const bytes = await codec.evaluate(`bytes(range(256)) * ${size / 256}`) as Uint8Array;
  assertEquals([bytes.length, bytes[255], bytes[size - 1]], [size, 255, 255]);
  assertEquals(await codec.check(bytes, `value == bytes(range(256)) * ${size / 256}`), true);
  const text = await codec.evaluate(`'é' * ${size / 2}`) as string;
  assertEquals([text.length, text[0], text.at(-1)], [size / 2, "é", "é"]);
});
