import { assert, assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import { PythonError, PythonHostError, StaleHandleError, ValueConversionError } from "../../core/errors.ts";
import { PythonObjectHandle } from "../../core/handles.ts";
import { MemoryBackend } from "../../testing/mod.ts";

class Counter {
  count = 0;
  readonly step: number;

  constructor(options: { step: number } = { step: 1 }) {
    this.step = options.step;
  }

  next(): number {
    return this.count += this.step;
  }
}

Deno.test("MemoryBackend answers evaluate by exact code, by pattern, and by the last that was registered", async () => {
  await using python = new MemoryBackend();
  python.onEvaluate("a", 1).onEvaluate(/^a/, "pattern").onEvaluate("b", null);
  assertEquals(await python.evaluate("a + 1"), "pattern");
  assertEquals(await python.evaluate("a"), "pattern");
  python.onEvaluate("a", ({ code, locals }) => [code, locals]);
  assertEquals(await python.evaluate("a", { x: 1 }), ["a", { x: 1 }]);
  assertEquals(await python.evaluate("b"), null);
  assertEquals(python.evaluated, ["a + 1", "a", "a", "b"]);
});

Deno.test("MemoryBackend says which answer is missing, and throws what an answer throws", async () => {
  await using python = new MemoryBackend();
  const error = await assertRejects(() => python.evaluate("unknown()"), PythonHostError, '"unknown()"');
  assertEquals(error.code, "argument");
  const reason = new Error("mine");
  python.onEvaluate("x", () => Promise.reject(reason));
  assert(await python.evaluate("x").catch((e) => e) === reason);
});

Deno.test("MemoryBackend makes objects of classes, calls them, and gets and sets attributes", async () => {
  await using python = new MemoryBackend();
  python.addModule("counting", { Counter, version: 3, add: (a: number, b: number) => a + b });
  const module = await python.importModule("counting");
  assertEquals([await python.isModuleAvailable("counting"), await python.isModuleAvailable("other")], [
    true,
    false,
  ]);
  assertEquals(await python.getAttribute(module, "version"), 3);
  assertEquals(await python.callMethod(module, "add", [1, 2]), 3);
  const counter = await python.createObject("counting", "Counter", [], { step: 5 });
  assertEquals(counter.typeName, "Counter");
  assertEquals(await python.callMethod(counter, "next"), 5);
  await python.setAttribute(counter, "count", 100);
  assertEquals(await python.callMethod(counter, "next"), 105);
  for (
    const [call, type] of [
      [() => python.importModule("none"), "ModuleNotFoundError"],
      [() => python.getAttribute(counter, "none"), "AttributeError"],
      [() => python.callMethod(counter, "count"), "TypeError"],
      [() => python.createObject(module, "None"), "AttributeError"],
    ] as const
  ) {
    const error = await assertRejects(call as () => Promise<unknown>, PythonError);
    assertEquals(error.pythonType, type);
    assert(error.isInstance(type) && error.isInstance("Exception"));
  }
});

Deno.test("MemoryBackend gives handles for what is no data, takes them as arguments, and lets go of them", async () => {
  await using python = new MemoryBackend();
  const original = new Counter();
  python.onEvaluate("make()", () => original).onEvaluate(
    "same",
    ({ locals }) => (locals.deep as unknown[])[0] === original,
  );
  const handle = await python.evaluate<PythonObjectHandle>("make()");
  assertInstanceOf(handle, PythonObjectHandle);
  assertEquals(await python.evaluate("same", { deep: [handle] }), true);
  await assertRejects(() => python.evaluate("make()", {}, { result: "value" }), ValueConversionError);
  assertInstanceOf(await python.evaluate("same", { deep: [1] }, { result: "handle" }), PythonObjectHandle);
  assert(await python.createObjectHandleFromResult(handle) === handle);
  await python.disposeHandle(handle);
  await python.disposeHandle(handle);
  await assertRejects(() => python.callMethod(handle, "next"), StaleHandleError);
  await using other = new MemoryBackend();
  const foreign = await other.createObjectHandleFromResult(1);
  await assertRejects(() => python.getAttribute(foreign, "x"), StaleHandleError);
});

Deno.test("MemoryBackend gives floats", async () => {
  await using python = new MemoryBackend();
  const row = await python.createObjectHandleFromResult([1, 2.5]);
  assertEquals(await python.toFloatArray(row), new Float32Array([1, 2.5]));
  const rows = await python.createObjectHandleFromResult([[1], [2]]);
  assertEquals(await python.toFloatArray2D(rows), [new Float32Array([1]), new Float32Array([2])]);
});

Deno.test("MemoryBackend tells a running answer that its call was stopped", async () => {
  await using python = new MemoryBackend();
  const stopped = Promise.withResolvers<unknown>();
  python.onEvaluate("wait", ({ signal }) => {
    signal.addEventListener("abort", () => stopped.resolve(signal.reason));
    return new Promise(() => {});
  });
  const controller = new AbortController();
  const call = python.evaluate("wait", {}, { signal: controller.signal }).catch((error) => error);
  await Promise.resolve().then(() => {});
  await new Promise((resolve) => setTimeout(resolve, 0));
  controller.abort("enough");
  assertEquals(await call, "enough");
  assertEquals(await stopped.promise, "enough");
});
