/** What JavaScript's values become in Python, and what is refused, against a real Python. */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { ValueConversionError } from "../../core/errors.ts";
import { PythonArray, PythonTuple, pythonValue, registerConverter } from "../../core/values.ts";
import { Codec, testPython } from "./codec.ts";

Deno.test("a detached buffer is refused with the path to it", () => {
  const bytes = new Uint8Array(8);
  const floats = new Float64Array(bytes.buffer);
  bytes.buffer.transfer();
  for (const value of [bytes, bytes.buffer, floats]) {
    const encode = () => Codec.prototype.encode.call({ functions: [] } as unknown as Codec, { a: [value] });
    assertEquals(assertThrows(encode, ValueConversionError).path, "$.a[0]");
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
