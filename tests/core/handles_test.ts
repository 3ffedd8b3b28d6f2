import { assert, assertEquals } from "@std/assert";
import { type HandleOwner, PythonModuleHandle, PythonObjectHandle } from "../../core/handles.ts";
import { MemoryBackend } from "../../testing/mod.ts";

/** An owner that notes what is released and how. */
function owner(log: string[], settled: Promise<void> = Promise.resolve()): HandleOwner {
  return {
    backend: new MemoryBackend(),
    releaseHandle: (handle) => {
      log.push(`now ${handle.id}`);
      return settled;
    },
    releaseHandleSoon: (handle) => void log.push(`soon ${handle.id}`),
  };
}

Deno.test("PythonObjectHandle.dispose() releases once, and is valid until then", async () => {
  const log: string[] = [];
  const handle = new PythonObjectHandle(owner(log), 7, "ndarray");
  assertEquals([handle.isValid, `${handle}`], [true, "[PythonObjectHandle 7: ndarray]"]);
  const first = handle.dispose();
  assertEquals([handle.isValid, `${handle}`], [false, "[PythonObjectHandle 7: ndarray, disposed]"]);
  await Promise.all([first, handle.dispose()]);
  handle[Symbol.dispose]();
  await handle[Symbol.asyncDispose]();
  assertEquals(log, ["now 7"]);
});

Deno.test("PythonObjectHandle: a second dispose() waits for the release that the first began", async () => {
  const released = Promise.withResolvers<void>();
  const handle = new PythonObjectHandle(owner([], released.promise), 1, "list");
  let isDone = false;
  const first = handle.dispose();
  const second = handle.dispose().then(() => isDone = true);
  await Promise.resolve().then(() => {}).then(() => {});
  assertEquals(isDone, false);
  released.resolve();
  await Promise.all([first, second]);
});

Deno.test("PythonObjectHandle is released soon by using, and before the block's end is over by await using", async () => {
  const log: string[] = [];
  {
    using _one = new PythonObjectHandle(owner(log), 1, "list");
    await using _two = new PythonObjectHandle(owner(log), 2, "list");
  }
  assertEquals(log, ["now 2", "soon 1"]);
});

Deno.test("PythonModuleHandle has the module's name", () => {
  const module = new PythonModuleHandle(owner([]), 3, "xml.dom");
  assertEquals([module.moduleName, module.typeName, `${module}`], [
    "xml.dom",
    "module",
    "[PythonModuleHandle 3: module]",
  ]);
  assert(module instanceof PythonObjectHandle);
});
