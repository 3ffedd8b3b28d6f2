/**
 * Clauses about proxies: paths that run in one call, everything that Python's syntax does, and values and errors kept.
 *
 * @module
 */

import { assert, assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import type { CallOptions, KeywordArguments, PythonHostBackend } from "../../core/backend.ts";
import { PythonError, PythonHostError } from "../../core/errors.ts";
import type { PythonObjectHandle } from "../../core/handles.ts";
import { PythonTuple } from "../../core/values.ts";
import * as py from "../../objects/mod.ts";
import type { Clause, ClauseContext } from "../clause.ts";

function clause(id: string, sentence: string, body: (context: ClauseContext) => Promise<void>): Clause {
  return { id: `proxies/${id}`, sentence, marks: ["python"], body };
}

/** The builtins of Python, seen from here. */
async function builtins(backend: PythonHostBackend): Promise<py.Untyped> {
  return py.proxy(await backend.importModule("builtins"));
}

/** An object with most of what objects can have. */
const BOX = `
class Box:
  kind = "box"
  def __init__(self, *items, **named):
    self.items = list(items)
    self.named = named
  def add(self, *items, **named):
    return Box(*self.items, *items, **{**self.named, **named})
  def total(self):
    return sum(self.items)
  def __getitem__(self, key):
    return repr(key) if isinstance(key, tuple) else self.items[key]
  def __setitem__(self, key, value):
    self.items[key] = value
  def __delitem__(self, key):
    del self.items[key]
  def __len__(self):
    return len(self.items)
  def __add__(self, other):
    return Box(*self.items, *other.items)
  def __repr__(self):
    return f"Box({self.items})"
  def __str__(self):
    return "a box"
  async def later(self):
    return self
  then = "after"
`;

async function box(backend: PythonHostBackend, ...items: number[]): Promise<py.Untyped> {
  const handle = await backend.evaluate<PythonObjectHandle>(`${BOX}\nBox(*items)`, { items });
  return py.proxy(handle);
}

/** A backend that counts its calls. */
class Counting extends py.BackendFacade {
  calls = 0;
  protected override options(options: CallOptions | undefined): CallOptions | undefined {
    this.calls++;
    return options;
  }
  override evaluate<T = unknown>(code: string, locals?: KeywordArguments, options?: CallOptions): Promise<T> {
    return super.evaluate<T>(code, locals, options);
  }
  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** See the module comment. */
export const PROXIES: readonly Clause[] = [
  clause("one-call", "a chain of any kind of step is one call", async ({ backend }) => {
    const counting = new Counting(backend);
    const b = py.proxy((await box(backend, 1, 2)) as py.Untyped, { backend: counting }) as py.Untyped;
    assertEquals(await b.add(3).add(4, py.kw({ k: 1 })).total(), 10);
    assertEquals(await py.item(b.add(9).items, py.slice(1)), [2, 9]);
    assertEquals(await py.op.add(b, b.add(5)).total(), 11);
    assertEquals(counting.calls, 3);
  }),
  clause("lazy", "a path does nothing until it is awaited, and each time anew", async ({ backend }) => {
    const list = py.proxy<unknown>(
      await backend.evaluate<PythonObjectHandle>("[]", {}, { result: "handle" }),
    );
    const path = list.append(1);
    assertEquals(await py.len(list), 0);
    await path;
    await path;
    assertEquals(await py.len(list), 2);
  }),
  clause(
    "thenable",
    "a root can be returned from an async function; a path is awaited by it",
    async ({ backend }) => {
      async function root(): Promise<py.Untyped> {
        return await box(backend, 1);
      }
      const b = await root();
      assertEquals(b.then, undefined);
      assertEquals(await b.kind, "box");
      assertEquals(await Promise.all([b.kind, b.total()]), ["box", 1]);
      assertEquals(await py.attribute(b, "then"), "after");
    },
  ),
  clause(
    "results",
    "a result without image is a proxy, and hold() keeps any result in Python",
    async ({ backend }) => {
      const b = await box(backend, 1);
      using bigger = await b.add(2);
      assert(py.isProxy(bigger));
      assertEquals(await bigger.total(), 3);
      using items = await py.hold(b.items) as py.Untyped;
      await items.append(41);
      assertEquals(await b.total(), 42);
      assertEquals(py.handleOf(items).typeName, "list");
    },
  ),
  clause("keywords", "kw() gives keyword arguments, whatever their names and values", async ({ backend }) => {
    const dict = (await builtins(backend)).dict;
    const b = await box(backend, 1, 2);
    assertEquals(await dict(py.kw({ a: 1, "not a name": 2, lambda: 3 })), {
      a: 1,
      "not a name": 2,
      lambda: 3,
    });
    assertEquals(await dict(py.kw({ a: b.total(), "x y": b.total(), class: b.total() })), {
      a: 3,
      "x y": 3,
      class: 3,
    });
    assertEquals(await dict({ z: 0 }, py.kw({ a: b.total(), c: [1] })), { z: 0, a: 3, c: [1] });
    const error = await assertRejects(async () => await dict(py.kw({ a: 1 }), 2), PythonHostError);
    assertStringIncludes(error.message, "it must be the last");
  }),
  clause(
    "arguments",
    "arguments are values, proxies, paths, slices, functions, in any number",
    async ({ backend }) => {
      const bi = await builtins(backend);
      const b = await box(backend, 1, 2);
      assertEquals(await bi.list([b, 1]).__len__(), 2);
      assertEquals(await bi.isinstance(b, bi.type(b)), true);
      assertEquals(await bi.repr(py.slice(1, null, -1)), "slice(1, None, -1)");
      assertEquals(await bi.repr(py.ellipsis), "Ellipsis");
      assertEquals(await bi.sorted([3, 1, 2], py.kw({ key: (x: number) => -x })), [3, 2, 1]);
      const many = Array.from({ length: 40 }, (_, i) => i);
      assertEquals(await b.add(...many).total(), 3 + 780);
      assertEquals(await b.add(...many, b.total()).total(), 3 + 780 + 3);
      assertEquals(await bi.max([1, 5]), 5);
    },
  ),
  clause("items", "items, tuples of keys and slices are read, set and deleted", async ({ backend }) => {
    const b = await box(backend, 0, 1, 2, 3, 4);
    assertEquals(await py.item(b, -1), 4);
    assertEquals(await py.item(b, py.slice(1, 3)), [1, 2]);
    assertEquals(await py.item(b, py.slice(null, null, 2)), [0, 2, 4]);
    assertEquals(await py.item(b, py.slice(0, 1), 2, py.ellipsis), "(slice(0, 1, None), 2, Ellipsis)");
    assertEquals(await py.item(b, PythonTuple.of(7)), "(7,)");
    assertEquals(await py.item(b), "()");
    await py.setItem(b, 0, 100);
    await py.setItem(b, py.slice(1, 3), [7, 8, 9]);
    await py.deleteItem(b, -1);
    assertEquals(await b.items, [100, 7, 8, 9, 3]);
    const d = py.proxy(await backend.evaluate<PythonObjectHandle>("{}", {}, { result: "handle" }));
    await py.setItem(d, PythonTuple.of(1, 2), "pair");
    assertEquals(await py.item(d, 1, 2), "pair");
  }),
  clause("attributes", "attributes are set and deleted; those that are no names too", async ({ backend }) => {
    const b = await box(backend, 1);
    await py.setAttribute(b, "kind", "crate");
    await py.setAttribute(b, "not a name", 5);
    await py.setAttribute(b, "class", b.total());
    assertEquals([await b.kind, await b["not a name"], await b.class], ["crate", 5, 1]);
    await py.deleteAttribute(b, "kind");
    await py.deleteAttribute(b, "class");
    assertEquals(await b.kind, "box");
    await assertRejects(async () => await b.class, PythonError);
    await py.setAttribute(b, "ﬁ", 1);
    assertEquals([await py.attribute(b, "ﬁ"), await py.truth(b)], [1, true]);
  }),
  clause(
    "assignment",
    "an assignment in JavaScript is refused with what to do instead",
    async ({ backend }) => {
      const b = await box(backend, 1);
      assertStringIncludes(assertThrows(() => b.kind = 1, PythonHostError).hint!, "setAttribute");
      assertStringIncludes(assertThrows(() => delete b.kind, PythonHostError).hint!, "deleteAttribute");
      assertThrows(() => b.total() + 1, TypeError, "op.add()");
    },
  ),
  clause("operators", "all operators of Python", async ({ backend }) => {
    const seven = await py.hold((await builtins(backend)).int(7));
    const { op } = py;
    const got = await Promise.all([
      op.add(seven, 2),
      op.sub(seven, 2),
      op.mul(seven, 2),
      op.truediv(seven, 2),
      op.floordiv(seven, 2),
      op.mod(seven, 2),
      op.pow(seven, 2),
      op.and(seven, 2),
      op.or(seven, 8),
      op.xor(seven, 2),
      op.lshift(seven, 2),
      op.rshift(seven, 2),
      op.eq(seven, 7),
      op.ne(seven, 7),
      op.lt(seven, 7),
      op.le(seven, 7),
      op.gt(seven, 7),
      op.ge(seven, 7),
      op.is(seven, seven),
      op.not(seven),
      op.neg(seven),
      op.pos(seven),
      op.invert(seven),
      op.add(op.mul(seven, op.neg(seven)), 50),
    ]);
    assertEquals(got, [
      9,
      5,
      14,
      3.5,
      3,
      1,
      49,
      2,
      15,
      5,
      28,
      1,
      true,
      false,
      false,
      true,
      false,
      true,
      true,
      false,
      -7,
      7,
      -8,
      1,
    ]);
    await backend.evaluate("class M:\n  def __matmul__(self, other):\n    return 'matmul'");
    assertEquals(await op.matmul(py.proxy(await backend.evaluate<PythonObjectHandle>("M()")), 1), "matmul");
  }),
  clause("functions", "len, in, bool, repr, str, dir", async ({ backend }) => {
    const b = await box(backend, 1, 2);
    assertEquals(await py.len(b.add(3)), 3);
    assertEquals([await py.contains(b.items, 2), await py.contains(b.items, 3)], [true, false]);
    assertEquals([await py.truth(b), await py.truth(await box(backend))], [true, false]);
    assertEquals([await py.repr(b), await py.str(b)], ["Box([1, 2])", "a box"]);
    assert((await py.dir(b)).includes("total"));
  }),
  clause("shadowed", "names of the session get in no one's way", async ({ backend }) => {
    const b = await box(backend, 1, 2);
    const list = await py.hold(b.items) as py.Untyped;
    await backend.evaluate("len = repr = getattr = setattr = dir = slice = type = _0 = _1 = None");
    assertEquals([await py.len(list), await py.repr(list), (await py.dir(list)).length > 0], [
      2,
      "[1, 2]",
      true,
    ]);
    await list.append(py.slice(1));
    assertEquals(await list.__len__(), 3);
    await py.setAttribute(b, "a b", 1);
    assertEquals(await b["a b"], 1);
  }),
  clause("injection", "no attribute, keyword or key can become code", async ({ backend }) => {
    const b = await box(backend, 1);
    const evil = "kind; broken = True #";
    await assertRejects(async () => await b[evil], PythonError);
    await assertRejects(
      async () => await b.add(b.total(), py.kw({ [evil]: b.total() }))[evil].x,
      PythonError,
    );
    await py.setAttribute(b, "x=1);broken=(1", 1);
    await assertRejects(() => backend.evaluate("broken"), PythonError);
  }),
  clause(
    "awaited",
    "a coroutine is awaited at the end of a path, and by awaited() in the middle",
    async ({ backend }) => {
      const b = await box(backend, 1, 2);
      using same = await b.later();
      assertEquals(await same.total(), 3);
      assertEquals(await py.awaited(b.later()).total(), 3);
      await assertRejects(async () => await b.later().total(), PythonError);
    },
  ),
  clause("options", "options are those of the proxy, and of run()", async ({ backend }) => {
    let out = "";
    const bi = py.proxy(await backend.importModule("builtins"), {
      onStdout: (text) => out += text,
    }) as py.Untyped;
    await bi.print("one");
    await py.run(bi.print("two"), { onStdout: (text) => out += text.toUpperCase() });
    assertEquals(out, "one\nTWO\n");
    assert(py.isProxy(await py.run(bi.list(), { result: "handle" })));
    const signal = AbortSignal.abort(new Error("enough"));
    await assertRejects(() => py.run(bi.list(), { signal }), Error, "enough");
  }),
  clause(
    "errors",
    "an exception in a path arrives as from any call, with the caller's stack",
    async ({ backend }) => {
      const b = await box(backend, 1);
      async function theCaller(): Promise<unknown> {
        return await b.add("x").total();
      }
      const error = await assertRejects(theCaller, PythonError);
      assertEquals(error.pythonType, "TypeError");
      assertEquals(error.frames.at(-1)!.name.split(".").at(-1), "total");
      assertStringIncludes(error.stack!, "theCaller");
    },
  ),
  clause("misuse", "what is no object, or not yet one, is refused with what to do", async ({ backend }) => {
    const b = await box(backend, 1);
    assertStringIncludes(assertThrows(() => py.handleOf(b.kind), PythonHostError).hint!, "hold()");
    assertThrows(() => py.proxy(7 as py.Untyped), PythonHostError, "not a handle");
    const error = await assertRejects(() => backend.evaluate("x", { x: [b.kind] }), PythonHostError);
    assertEquals(error.code, "conversion");
    assertThrows(
      () => {
        let long = b;
        for (let i = 0; i < 150; i++) long = long.add(1);
      },
      PythonHostError,
      "200 steps",
    );
    assertEquals(await backend.evaluate("1 + 1"), 2);
  }),
  clause("console", "a proxy shows itself as text", async ({ backend }) => {
    const b = await box(backend, 1);
    assertEquals(`${b}`, `[PythonProxy ${py.handleOf(b).id}: Box]`);
    assertEquals(`${b.add(1).total}`, "[PythonPath Box.add(…).total]");
  }),
  clause(
    "frozen",
    "what is done to one path is not done to others: none can be frozen or defined on",
    async ({ backend }) => {
      const b = await box(backend, 1, 2);
      for (const each of [b, b.items, b.total] as unknown as object[]) {
        assertThrows(() => Object.freeze(each), TypeError);
        assertThrows(() => Object.preventExtensions(each), TypeError);
        assertThrows(() => Object.setPrototypeOf(each, {}), TypeError);
        assertThrows(
          () => Object.defineProperty(each, "name", { value: 1, configurable: false }),
          PythonHostError,
          "Cannot assign",
        );
      }
      assert(py.isProxy(b.other.name));
      assert(py.isProxy(b.other.length));
      assertEquals(await b.total(), 3);
    },
  ),
];
