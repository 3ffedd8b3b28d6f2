/**
 * The stand-ins in `links/` have the documented types, and behave.
 *
 * Their code comes from an npm package without types, so a forgotten annotation would make everything `any` without a
 * word. Each `@ts-expect-error` here turns red when that happens.
 *
 * @module
 */

import {
  assert,
  assertAlmostEquals,
  assertArrayIncludes,
  assertEquals,
  assertExists,
  assertFalse,
  assertGreater,
  assertInstanceOf,
  AssertionError,
  assertMatch,
  assertNotEquals,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
  fail,
} from "@std/assert";
import { emptyDir, ensureDir, exists, walk } from "@std/fs";
import * as path from "@std/path";
import { TextLineStream, toText } from "@std/streams";
import { assertSpyCalls, spy, stub } from "@std/testing/mock";
import { FakeTime } from "@std/testing/time";
import { assertType, type IsAny, type IsExact } from "@std/testing/types";

Deno.test("std_path - gives typed results", () => {
  // @ts-expect-error: a path is not a number
  const wrong: number = path.join("a", "b");
  assertEquals(wrong as unknown, `a${path.SEPARATOR}b`);
  assertType<IsExact<ReturnType<typeof path.join>, string>>(true);
  assertType<IsExact<ReturnType<typeof path.isAbsolute>, boolean>>(true);
  assertType<IsExact<ReturnType<typeof path.toFileUrl>, URL>>(true);
  assertType<IsAny<Parameters<typeof path.join>[0]>>(false);
});

Deno.test("std_path - does what it says", () => {
  const absolute = path.resolve("some", "..", "file.txt");
  assert(path.isAbsolute(absolute));
  assertEquals(path.basename(absolute, path.extname(absolute)), "file");
  assertEquals(path.fromFileUrl(path.toFileUrl(absolute)), absolute);
  assertEquals(path.relative(path.dirname(absolute), absolute), "file.txt");
});

Deno.test("std_fs - makes, finds, walks and empties", async () => {
  const root = await Deno.makeTempDir();
  try {
    const deep = path.join(root, "one", "two");
    await ensureDir(deep);
    await Deno.writeTextFile(path.join(deep, "a.py"), "");
    await Deno.writeTextFile(path.join(root, "b.txt"), "");
    assert(await exists(deep, { isDirectory: true }));
    assertFalse(await exists(deep, { isFile: true }));
    const found = await Array.fromAsync(walk(root, { includeDirs: false, exts: [".py"] }));
    assertEquals(found.map((entry) => entry.path), [path.join(deep, "a.py")]);
    const kept = await Array.fromAsync(walk(root, { skip: [/one$/] }));
    assertEquals(kept.map((entry) => entry.name).sort(), ["b.txt", path.basename(root)].sort());
    // @ts-expect-error: an entry is not a string
    const wrong: string | undefined = found[0];
    assertEquals(typeof wrong, "object");
    await emptyDir(root);
    assertFalse(await exists(deep));
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});

Deno.test("std_streams - reads text and lines", async () => {
  assertEquals(await toText(new Blob(["grüß"]).stream()), "grüß");
  const lines = ReadableStream.from(["a\r\nb", "c\n"]).pipeThrough(new TextLineStream());
  assertType<IsExact<typeof lines, ReadableStream<string>>>(true);
  assertEquals(await Array.fromAsync(lines), ["a", "bc"]);
});

Deno.test("std_assert - narrows types", () => {
  const value = "x" as string | undefined;
  assertExists(value);
  assertType<IsExact<typeof value, string>>(true);
  const thing: unknown = new TypeError("no");
  assertInstanceOf(thing, TypeError);
  assertType<IsExact<typeof thing, TypeError>>(true);
  const thrown = assertThrows(
    () => {
      throw new RangeError("too far");
    },
    RangeError,
    "far",
  );
  assertType<IsExact<typeof thrown, RangeError>>(true);
});

Deno.test("std_assert - every assertion can fail", async () => {
  const failing: (() => unknown)[] = [
    () => assert(0),
    () => assertFalse(1),
    () => assertEquals<unknown>({ a: [1] }, { a: [2] }),
    () => assertNotEquals([1], [1]),
    () => assertStrictEquals({}, {}),
    () => assertAlmostEquals(1, 1.1),
    () => assertExists(null),
    () => assertGreater(1, 1),
    () => assertInstanceOf(new Error(), TypeError),
    () => assertMatch("a", /b/),
    () => assertStringIncludes("a", "b"),
    () => assertArrayIncludes([1], [2]),
    () => assertThrows(() => {}),
    () => fail("wanted"),
  ];
  for (const run of failing) assertInstanceOf(assertThrows(run), AssertionError);
  const late = await assertRejects(() => assertRejects(() => Promise.resolve()));
  assertInstanceOf(late, AssertionError);
});

Deno.test("std_testing - FakeTime moves timers and Date together", async () => {
  const before = globalThis.setTimeout;
  {
    using time = new FakeTime("2020-02-02T00:00:00Z");
    const fired: number[] = [];
    setTimeout(() => fired.push(Date.now()), 1000);
    time.tick(999);
    assertEquals(fired, []);
    await time.tickAsync(1);
    assertEquals(fired, [Date.UTC(2020, 1, 2, 0, 0, 1)]);
    assertFalse(time.next());
  }
  assertStrictEquals(globalThis.setTimeout, before);
});

Deno.test("std_testing - spies remember, stubs replace and give back", () => {
  const target = { double: (n: number) => n * 2 };
  const original = target.double;
  {
    using replaced = stub(target, "double", (n) => n * 3);
    assertEquals(target.double(2), 6);
    assertEquals(replaced.calls.map((call) => [call.args, call.returned]), [[[2], 6]]);
    assertType<IsExact<typeof replaced.calls[number]["args"], [n: number]>>(true);
  }
  assertStrictEquals(target.double, original);
  const watcher = spy((text: string) => text.length);
  assertEquals(watcher("abc"), 3);
  assertSpyCalls(watcher, 1);
  assertThrows(() => assertSpyCalls(watcher, 2), AssertionError);
});
