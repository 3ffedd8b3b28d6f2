/**
 * Clauses about what is awaited: coroutines resolve as promises, run together, and stop when their call is stopped.
 *
 * @module
 */

import { assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { PythonError } from "../../core/errors.ts";
import type { PythonObjectHandle } from "../../core/handles.ts";
import type { Clause, ClauseContext } from "../clause.ts";

function clause(id: string, sentence: string, body: (context: ClauseContext) => Promise<void>): Clause {
  return { id: `coroutines/${id}`, sentence, marks: ["python"], body };
}

/** See the module comment. */
export const COROUTINES: readonly Clause[] = [
  clause(
    "result",
    "a result that is awaitable is awaited, from code, methods and attributes",
    async ({ backend }) => {
      await backend.evaluate(
        "import asyncio\nclass Client:\n  async def get(self, x):\n    await asyncio.sleep(0)\n    return x + 1\n" +
          "  @property\n  async def size(self):\n    return 3\nclient = Client()",
      );
      assertEquals(await backend.evaluate("client.get(1)"), 2);
      const client = await backend.evaluate<PythonObjectHandle>("client");
      assertEquals(await backend.callMethod(client, "get", [2]), 3);
      assertEquals(await backend.getAttribute(client, "size"), 3);
      await client.dispose();
    },
  ),
  clause("stopped-loop", "code that stops the loop stops no coroutine", async ({ backend }) => {
    const code = "import asyncio\nasyncio.get_running_loop().stop()\nawait asyncio.sleep(0.01)\n'on'";
    assertEquals(await backend.evaluate(code), "on");
    assertEquals(await backend.evaluate("await asyncio.sleep(0, 'on')"), "on");
  }),
  clause("any-awaitable", "whatever has __await__ is awaitable", async ({ backend }) => {
    const code =
      "class Later:\n  def __await__(self):\n    return (yield from asyncio.sleep(0, 'now').__await__())\nLater()";
    assertEquals(await backend.evaluate(`import asyncio\n${code}`), "now");
  }),
  clause("together", "coroutines of several calls run together on one loop", async ({ backend }) => {
    await backend.evaluate(
      "import asyncio\nevent = None\nasync def wait():\n  global event\n  event = event or asyncio.Event()\n  await event.wait()\n  return 'set'",
    );
    const waiting = [backend.evaluate("await wait()"), backend.evaluate("wait()")];
    await backend.evaluate(
      "global event\nevent = event or asyncio.Event()\nevent.set()\nawait asyncio.sleep(0)",
    );
    assertEquals(await Promise.all(waiting), ["set", "set"]);
  }),
  clause("beside", "a coroutine that waits does not keep the session's thread", async ({ backend }) => {
    await backend.evaluate("import asyncio\nasync def wait():\n  await asyncio.sleep(30)");
    const controller = new AbortController();
    const waiting = backend.evaluate("wait()", {}, { signal: controller.signal });
    const settled = assertRejects(() => waiting);
    assertEquals(await backend.evaluate("6 * 7"), 42);
    controller.abort();
    await settled;
  }),
  clause("cancel", "aborting a call cancels its coroutine, whose finally runs", async ({ backend }) => {
    await backend.evaluate(
      "import asyncio\nlog = []\nasync def wait():\n  try:\n    log.append('begun')\n    await asyncio.sleep(30)\n" +
        "  except asyncio.CancelledError:\n    log.append('cancelled')\n    raise\n  finally:\n    log.append('finally')",
    );
    const controller = new AbortController();
    const reason = new Error("enough");
    const waiting = backend.evaluate("wait()", {}, { signal: controller.signal });
    waiting.catch(() => {});
    while ((await backend.evaluate<string[]>("log")).length === 0);
    controller.abort(reason);
    const rejected = await assertRejects(() => waiting);
    assertStrictEquals(rejected, reason);
    assertEquals(await backend.evaluate("log"), ["begun", "cancelled", "finally"]);
  }),
  clause("exception", "an exception of a coroutine arrives with its frames", async ({ backend }) => {
    const code =
      "async def inner():\n  raise ValueError('late')\nasync def outer():\n  await inner()\nouter()";
    const error = await assertRejects(() => backend.evaluate(code), PythonError);
    assertEquals(error.pythonMessage, "late");
    assertEquals(error.frames.map(({ name }) => name.split(".").at(-1)), ["outer", "inner"]);
  }),
  clause("context", "context variables are kept per call", async ({ backend }) => {
    await backend.evaluate(
      "import asyncio, contextvars\nv = contextvars.ContextVar('v', default='none')\n" +
        "async def use(x):\n  before = v.get()\n  v.set(x)\n  await asyncio.sleep(0.01)\n  return before, v.get()",
    );
    const results = await Promise.all([1, 2, 3].map((x) => backend.evaluate("use(x)", { x })));
    assertEquals(results.map((pair) => [...pair as unknown[]]), [["none", 1], ["none", 2], ["none", 3]]);
    assertEquals(await backend.evaluate("v.get()"), "none");
  }),
];
