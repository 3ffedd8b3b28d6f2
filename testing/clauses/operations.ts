/**
 * Clauses about the operations on modules, objects and handles.
 *
 * @module
 */

import { assert, assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import { PythonError, PythonHostError, StaleHandleError, ValueConversionError } from "../../core/errors.ts";
import { PythonModuleHandle, PythonObjectHandle } from "../../core/handles.ts";
import type { Clause, ClauseContext } from "../clause.ts";

function clause(id: string, sentence: string, body: (context: ClauseContext) => Promise<void>): Clause {
  return { id: `operations/${id}`, sentence, marks: ["python"], body };
}

/** See the module comment. */
export const OPERATIONS: readonly Clause[] = [
  clause("import", "importModule gives a handle with the module's name", async ({ backend }) => {
    const module = await backend.importModule("math");
    assertInstanceOf(module, PythonModuleHandle);
    assertEquals([module.moduleName, module.typeName, module.isValid], ["math", "module", true]);
    assert(module.backend === backend);
  }),
  clause("import-dotted", "a dotted name gives the leaf", async ({ backend }) => {
    const module = await backend.importModule("xml.dom.minidom");
    assertEquals(module.moduleName, "xml.dom.minidom");
    assertEquals(await backend.getAttribute(module, "__name__"), "xml.dom.minidom");
  }),
  clause("import-unknown", "an unknown module is a ModuleNotFoundError", async ({ backend }) => {
    const error = await assertRejects(() => backend.importModule("no_such_module_here"), PythonError);
    assertEquals(error.pythonType, "ModuleNotFoundError");
    assert(error.isInstance("ImportError"));
  }),
  clause(
    "create",
    "createObject takes the module by handle or by name, args and kwargs",
    async ({ backend }) => {
      const module = await backend.importModule("fractions");
      const third = await backend.createObject(module, "Fraction", [1, 3]);
      assertEquals(third.typeName, "Fraction");
      const half = await backend.createObject("fractions", "Fraction", [], { numerator: 2, denominator: 4 });
      assertEquals(await backend.getAttribute(half, "denominator"), 2);
    },
  ),
  clause("create-unknown", "an unknown class is an AttributeError", async ({ backend }) => {
    const error = await assertRejects(() => backend.createObject("math", "NoSuchClass"), PythonError);
    assertEquals(error.pythonType, "AttributeError");
  }),
  clause("call", "callMethod passes args and kwargs and gives the value", async ({ backend }) => {
    const builtins = await backend.importModule("builtins");
    assertEquals(await backend.callMethod(builtins, "sorted", [[3, 1, 2]], { reverse: true }), [3, 2, 1]);
    assertEquals(await backend.callMethod(builtins, "len", ["four"]), 4);
    assertEquals(await backend.callMethod(builtins, "dict", [], { a: 1 }), { a: 1 });
  }),
  clause(
    "call-arguments",
    "arguments of another shape than an array and an object of keywords are refused, never taken apart",
    async ({ backend }) => {
      const builtins = await backend.importModule("builtins");
      for (const wrong of [{ sep: "-" }, "abc", 5, new Map([["a", 1]]), new Set([1]), new Uint8Array(2)]) {
        const args = wrong as unknown as unknown[];
        for (
          const call of [
            () => backend.callMethod(builtins, "print", args),
            () => backend.createObject("builtins", "list", args),
          ]
        ) {
          const error = await assertRejects(call, PythonHostError, "by position");
          assertEquals(error.code, "argument");
        }
      }
      for (const wrong of [["a"], "abc", 5, new Set(["a"]), new Uint8Array(2)]) {
        const error = await assertRejects(
          () => backend.callMethod(builtins, "dict", [], wrong as unknown as Record<string, unknown>),
          PythonHostError,
          "by keyword",
        );
        assertEquals(error.code, "argument");
      }
      assertEquals(await backend.callMethod(builtins, "dict", undefined, undefined), {});
    },
  ),
  clause(
    "names",
    "a name that is no string is refused by every operation that takes one",
    async ({ backend }) => {
      const builtins = await backend.importModule("builtins");
      for (const wrong of [5, null, {}, [], new Uint8Array(1)] as unknown as string[]) {
        for (
          const call of [
            () => backend.importModule(wrong),
            () => backend.isModuleAvailable(wrong),
            () => backend.createObject("builtins", wrong),
            () => backend.getAttribute(builtins, wrong),
            () => backend.setAttribute(builtins, wrong, 1),
          ]
        ) {
          assertEquals((await assertRejects(call, PythonHostError)).code, "argument");
        }
      }
    },
  ),
  clause("call-unknown", "an unknown method is an AttributeError", async ({ backend }) => {
    const module = await backend.importModule("math");
    const error = await assertRejects(() => backend.callMethod(module, "no_such_function"), PythonError);
    assertEquals(error.pythonType, "AttributeError");
  }),
  clause("call-async", "a method that is a coroutine function is awaited", async ({ backend }) => {
    const asyncio = await backend.importModule("asyncio");
    assertEquals(await backend.callMethod(asyncio, "sleep", [0, "slept"]), "slept");
  }),
  clause("get-set", "setAttribute sets what getAttribute gives", async ({ backend }) => {
    const object = await backend.createObject("types", "SimpleNamespace", [], { a: 1 });
    assertEquals(await backend.getAttribute(object, "a"), 1);
    await backend.setAttribute(object, "a", [1, { b: "ü" }]);
    assertEquals(await backend.getAttribute(object, "a"), [1, { b: "ü" }]);
    const error = await assertRejects(() => backend.getAttribute(object, "missing"), PythonError);
    assertEquals(error.pythonType, "AttributeError");
  }),
  clause(
    "set-refused",
    "an attribute that cannot be set is the error that Python gives",
    async ({ backend }) => {
      const object = await backend.createObject("builtins", "object");
      const error = await assertRejects(() => backend.setAttribute(object, "a", 1), PythonError);
      assertEquals(error.pythonType, "AttributeError");
    },
  ),
  clause("handle-result", "a result without an image comes as a handle", async ({ backend }) => {
    const handle = await backend.evaluate<PythonObjectHandle>("object()");
    assertInstanceOf(handle, PythonObjectHandle);
    assertEquals([handle.typeName, handle.isValid], ["object", true]);
  }),
  clause("result-handle", "result: handle gives a handle of any value", async ({ backend }) => {
    const handle = await backend.evaluate<PythonObjectHandle>("[1, 2]", undefined, { result: "handle" });
    assertInstanceOf(handle, PythonObjectHandle);
    assertEquals(handle.typeName, "list");
    assertEquals(await backend.callMethod(handle, "__len__"), 2);
  }),
  clause("result-value", "result: value refuses what has no image", async ({ backend }) => {
    await assertRejects(
      () => backend.evaluate("object()", undefined, { result: "value" }),
      ValueConversionError,
    );
    assertEquals(await backend.evaluate("[1]", undefined, { result: "value" }), [1]);
  }),
  clause(
    "handle-argument",
    "handles are arguments, also deep inside values, and keep identity",
    async ({ backend }) => {
      const object = await backend.evaluate<PythonObjectHandle>("marker = object()\nmarker");
      assertEquals(await backend.evaluate("a is marker", { a: object }), true);
      assertEquals(await backend.evaluate("a['x'][0] is marker", { a: { x: [object] } }), true);
      const list = await backend.createObject("builtins", "list");
      await backend.callMethod(list, "append", [object]);
      assertEquals(await backend.evaluate("a[0] is marker", { a: list }), true);
    },
  ),
  clause("wrap", "createObjectHandleFromResult gives a handle to a value's image", async ({ backend }) => {
    const handle = await backend.createObjectHandleFromResult({ a: [1, 2] });
    assertEquals(handle.typeName, "dict");
    assertEquals(await backend.callMethod(handle, "get", ["a"]), [1, 2]);
    assert(await backend.createObjectHandleFromResult(handle) === handle, "a handle is given back as it is");
  }),
  clause("dispose", "a disposed handle is stale, without harm to the others", async ({ backend }) => {
    const [one, other] = await Promise.all([1, 2].map(() => backend.createObject("builtins", "list")));
    await backend.disposeHandle(one!);
    await backend.disposeHandle(one!);
    assertEquals([one!.isValid, other!.isValid], [false, true]);
    await assertRejects(() => backend.callMethod(one!, "clear"), StaleHandleError);
    await assertRejects(() => backend.evaluate("a", { a: one }), StaleHandleError);
    assertEquals(await backend.callMethod(other!, "__len__"), 0);
  }),
  clause("dispose-frees", "a disposed handle's object is let go", async ({ backend }) => {
    await backend.evaluate("import weakref\nclass Thing: pass");
    const handle = await backend.evaluate<PythonObjectHandle>("Thing()");
    await backend.evaluate("ref = weakref.ref(a)\nNone", { a: handle });
    await handle.dispose();
    assertEquals(await backend.evaluate("import gc; gc.collect(); ref() is None"), true);
  }),
  clause("using", "using releases at the end of the block", async ({ backend }) => {
    let kept: PythonObjectHandle;
    {
      using handle = await backend.createObject("builtins", "list");
      kept = handle;
      assertEquals(handle.isValid, true);
    }
    assertEquals(kept.isValid, false);
  }),
  clause("foreign-handle", "a handle of another backend is stale", async ({ backend, connect }) => {
    const other = await connect();
    const handle = await other.createObject("builtins", "list");
    await assertRejects(() => backend.callMethod(handle, "clear"), StaleHandleError);
    await assertRejects(() => backend.evaluate("a", { a: handle }), StaleHandleError);
  }),
  clause("floats", "toFloatArray gives anything array-like as 32-bit floats", async ({ backend }) => {
    const list = await backend.createObjectHandleFromResult([1, 2.5, -3]);
    assertEquals(await backend.toFloatArray(list), new Float32Array([1, 2.5, -3]));
    const array = await backend.evaluate<PythonObjectHandle>(
      "import array\narray.array('d', [0.5, 1.5])",
      undefined,
      {
        result: "handle",
      },
    );
    assertEquals(await backend.toFloatArray(array), new Float32Array([0.5, 1.5]));
  }),
  clause("floats2d", "toFloatArray2D gives rows of 32-bit floats", async ({ backend }) => {
    const rows = await backend.createObjectHandleFromResult([[1, 2, 3], [4, 5, 6]]);
    assertEquals(await backend.toFloatArray2D(rows), [
      new Float32Array([1, 2, 3]),
      new Float32Array([4, 5, 6]),
    ]);
  }),
  clause("floats-refused", "what is not array-like is a typed error", async ({ backend }) => {
    const handle = await backend.createObject("builtins", "object");
    await assertRejects(() => backend.toFloatArray(handle), PythonHostError);
  }),
  clause(
    "available",
    "isModuleAvailable tells whether a module is there, and does not import it",
    async ({ backend }) => {
      assertEquals(await backend.isModuleAvailable("this"), true);
      assertEquals(await backend.evaluate("import sys; 'this' in sys.modules"), false);
      assertEquals(await backend.isModuleAvailable("xml.dom"), true);
      assertEquals(await backend.isModuleAvailable("no_such_module_here"), false);
      assertEquals(await backend.isModuleAvailable("no_such_module_here.deeper"), false);
    },
  ),
  clause(
    "no-image",
    "an argument without an image is a typed error that tells where, and nothing is sent",
    async ({ backend }) => {
      const error = await assertRejects(
        () => backend.evaluate("a", { a: { deep: [new WeakMap()] } }),
        ValueConversionError,
      );
      assert(error.path.includes("deep"), error.path);
      assertEquals(await backend.evaluate("1 + 1"), 2);
    },
  ),
];
