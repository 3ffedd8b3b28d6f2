/**
 * Clauses about context managers with a JavaScript body, and about scopes.
 *
 * @module
 */

import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import type { PythonHostBackend } from "../../core/backend.ts";
import { ConnectionClosedError, PythonError, StaleHandleError } from "../../core/errors.ts";
import type { PythonObjectHandle } from "../../core/handles.ts";
import {
  handleOf,
  type LeakReport,
  proxy,
  PythonScope,
  scope,
  type Untyped,
  withContext,
} from "../../objects/mod.ts";
import { type Clause, type ClauseContext, PATIENCE_MS } from "../clause.ts";

function clause(id: string, sentence: string, body: (context: ClauseContext) => Promise<void>): Clause {
  return { id, sentence, marks: ["python"], body };
}

const MANAGERS = `
import contextlib
log = []
@contextlib.contextmanager
def noted(value=None):
  log.append("in")
  try:
    yield value
  except BaseException as e:
    log.append(type(e).__name__)
    raise
  finally:
    log.append("out")
@contextlib.asynccontextmanager
async def noted_later(value=None):
  with noted(value):
    yield value
class Refusing:
  def __enter__(self):
    raise KeyError("refused")
  def __exit__(self, *info):
    log.append("never")
class Replacing:
  def __enter__(self):
    return self
  def __exit__(self, *info):
    raise OSError("replaced")
class Thing:
  pass
`;

async function manager(backend: PythonHostBackend, code: string): Promise<PythonObjectHandle> {
  return await backend.evaluate<PythonObjectHandle>(code, {}, { result: "handle" });
}

function both(
  id: string,
  sentence: string,
  body: (backend: PythonHostBackend, make: string) => Promise<void>,
): Clause[] {
  return [["sync", "noted"], ["async", "noted_later"]].map(([kind, make]) =>
    clause(`contexts/${kind}-${id}`, `${sentence} (${kind})`, async ({ backend }) => {
      await backend.evaluate(MANAGERS);
      await body(backend, make!);
    })
  );
}

/** How many things of the session there are in Python; another session, which is just ending, may have some of its own. */
const THINGS = "import gc; sum(type(o) is Thing for o in gc.get_objects())";

/** See the module comment. */
export const CONTEXTS: readonly Clause[] = [
  ...both(
    "odd-error",
    "what cannot be described reaches __exit__, too, and is thrown on",
    async (backend, make) => {
      const thrown = Object.create(null);
      const leaving = withContext(await manager(backend, `${make}()`), () => Promise.reject(thrown));
      assert(await leaving.then(() => false, (error) => error === thrown));
      assertEquals(await backend.evaluate("log"), ["in", "JavaScriptError", "out"]);
    },
  ),
  ...both(
    "body",
    "the body gets what __enter__ gave, and its result is the result",
    async (backend, make) => {
      const result = await withContext(await manager(backend, `${make}(42)`), async (value) => {
        assertEquals(await backend.evaluate("log"), ["in"]);
        return value + 1;
      });
      assertEquals(result, 43);
      assertEquals(await backend.evaluate("log"), ["in", "out"]);
    },
  ),
  ...both(
    "error",
    "an error of the body reaches __exit__ and is thrown on as it is",
    async (backend, make) => {
      const mine = new RangeError("mine");
      const rejected = await assertRejects(async () =>
        await withContext(await manager(backend, `${make}()`), () => {
          throw mine;
        })
      );
      assertStrictEquals(rejected, mine);
      assertEquals(await backend.evaluate("log"), ["in", "JavaScriptError", "out"]);
    },
  ),
  ...both(
    "exception",
    "an exception of Python in the body reaches __exit__ as itself",
    async (backend, make) => {
      await assertRejects(async () => {
        await withContext(await manager(backend, `${make}()`), async () => {
          await backend.evaluate("1 / 0");
        });
      }, PythonError);
      assertEquals(await backend.evaluate("log"), ["in", "ZeroDivisionError", "out"]);
    },
  ),
  clause("contexts/suppress", "what __exit__ suppresses is not thrown", async ({ backend }) => {
    await backend.evaluate(MANAGERS);
    const suppress = await manager(backend, "contextlib.suppress(KeyError)");
    const result = await withContext(suppress, async () => {
      await backend.evaluate("{}['k']");
      return "not reached";
    });
    assertEquals(result, undefined);
    await assertRejects(() => withContext(suppress, () => backend.evaluate("1 / 0")), PythonError);
  }),
  clause(
    "contexts/enter-fails",
    "when __enter__ raises, neither body nor __exit__ run",
    async ({ backend }) => {
      await backend.evaluate(MANAGERS);
      let ran = false;
      const error = await assertRejects(
        async () => await withContext(await manager(backend, "Refusing()"), () => ran = true),
        PythonError,
      );
      assertEquals([error.pythonType, ran], ["KeyError", false]);
      assertEquals(await backend.evaluate("log"), []);
    },
  ),
  clause(
    "contexts/exit-raises",
    "what __exit__ raises is thrown, with the body's error as its context",
    async ({ backend }) => {
      await backend.evaluate(MANAGERS);
      const error = await assertRejects(
        async () => await withContext(await manager(backend, "Replacing()"), () => backend.evaluate("1 / 0")),
        PythonError,
      );
      assertEquals([error.pythonType, error.exception.context?.type], ["OSError", "ZeroDivisionError"]);
    },
  ),
  clause(
    "contexts/nested",
    "contexts nest, and what is not one is refused by Python",
    async ({ backend }) => {
      await backend.evaluate(MANAGERS);
      const result = await withContext(
        await manager(backend, "noted(1)"),
        async (a) => await withContext(await manager(backend, "noted_later(2)"), (b) => [a, b]),
      );
      assertEquals(result, [1, 2]);
      assertEquals(await backend.evaluate("log"), ["in", "in", "out", "out"]);
      await assertRejects(async () => await withContext(await manager(backend, "7"), () => {}), PythonError);
    },
  ),
  clause(
    "contexts/one-task",
    "an async context manager is entered and left in one task",
    async ({ backend }) => {
      const code =
        "import asyncio\nclass Same:\n  async def __aenter__(self):\n    self.task = asyncio.current_task()\n" +
        "  async def __aexit__(self, *info):\n    global same\n    same = asyncio.current_task() is self.task\nSame()";
      await withContext(await manager(backend, code), () => {});
      assertEquals(await backend.evaluate("same"), true);
    },
  ),
  clause("contexts/proxy", "a proxy gives its value as a proxy", async ({ backend }) => {
    await backend.evaluate(MANAGERS);
    const managers = proxy(await backend.evaluate<PythonObjectHandle>("noted")) as Untyped;
    const thing = proxy(await backend.evaluate<PythonObjectHandle>("Thing()")) as Untyped;
    await withContext(managers(thing), async (value: Untyped) => {
      assertEquals(handleOf(value).typeName, "Thing");
      await value.__class__;
    });
  }),
  clause(
    "scopes/release",
    "what is made in a scope is released at its end, however it ends",
    async ({ backend }) => {
      await backend.evaluate(MANAGERS);
      for (const fails of [false, true]) {
        const ending = scope(backend, async (s) => {
          await s.evaluate("Thing()");
          await s.evaluate("[Thing(), {'a': (Thing(),)}]");
          const make = s.proxy(await s.evaluate<PythonObjectHandle>("Thing")) as Untyped;
          await make();
          assertEquals(await backend.evaluate(THINGS), 4);
          if (fails) throw new Error("mine");
        });
        await (fails ? assertRejects(() => ending, Error, "mine") : ending);
        assertEquals(await backend.evaluate(THINGS), 0);
      }
    },
  ),
  clause("scopes/result", "handles and proxies in what the body gives outlive it", async ({ backend }) => {
    await backend.evaluate(MANAGERS);
    const { handle, proxied } = await scope(backend, async (s) => {
      await s.evaluate("Thing()");
      const make = s.proxy(await s.evaluate<PythonObjectHandle>("Thing")) as Untyped;
      return { handle: await s.evaluate<PythonObjectHandle>("Thing()"), proxied: [await make()] };
    });
    assertEquals(await backend.evaluate(THINGS), 2);
    assert(handle.isValid);
    await Promise.all([handle.dispose(), handleOf(proxied[0]).dispose()]);
    assertEquals(await backend.evaluate(THINGS), 0);
  }),
  clause(
    "scopes/nested",
    "a scope in a scope ends first; what it gives is the outer one's",
    async ({ backend }) => {
      await backend.evaluate(MANAGERS);
      await scope(backend, async (outer) => {
        const kept = await scope(outer, async (inner) => {
          await inner.evaluate("Thing()");
          return await inner.evaluate<PythonObjectHandle>("Thing()");
        });
        assertEquals(await backend.evaluate(THINGS), 1);
        assert(kept.isValid);
      });
      assertEquals(await backend.evaluate(THINGS), 0);
    },
  ),
  clause("scopes/report", "a scope tells what was not disposed inside", async ({ backend }) => {
    await backend.evaluate(MANAGERS);
    let report: LeakReport | undefined;
    await scope(backend, async (s) => {
      const [a] = [await s.evaluate<PythonObjectHandle>("Thing()"), await s.evaluate("Thing()")];
      await s.evaluate("object()");
      await a.dispose();
    }, { onLeak: (told) => report = told, stacks: true });
    assertEquals([report?.made, report?.types], [3, { Thing: 1, object: 1 }]);
    assert(report!.held[0]!.stack!.length > 0);
    await scope(backend, async (s) => {
      await using _ = await s.evaluate<PythonObjectHandle>("Thing()");
    }, { onLeak: () => assert(false, "nothing leaked") });
  }),
  clause("scopes/closed", "a closed scope makes no calls, and its handles are stale", async ({ backend }) => {
    const s = new PythonScope(backend);
    const handle = await s.evaluate<PythonObjectHandle>("object()");
    await s.close();
    await s.close();
    await assertRejects(() => s.evaluate("1"), ConnectionClosedError);
    await assertRejects(() => backend.getAttribute(handle, "__class__"), StaleHandleError);
    assertEquals(await backend.evaluate("1 + 1"), 2);
  }),
  clause("scopes/late", "the result of a call that outlives its scope is released", async ({ backend }) => {
    await backend.evaluate(MANAGERS);
    const s = new PythonScope(backend);
    const late = s.evaluate("import asyncio\nawait asyncio.sleep(0.02)\nThing()");
    await s.close();
    await late;
    // The event loop's thread lets go of the result itself a moment after it has sent it.
    const end = performance.now() + PATIENCE_MS;
    let things = await backend.evaluate(THINGS);
    while (things !== 0 && performance.now() < end) {
      await new Promise((resolve) => setTimeout(resolve, 10));
      things = await backend.evaluate(THINGS);
    }
    assertEquals(things, 0);
  }),
];
