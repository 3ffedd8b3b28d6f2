/**
 * Clauses about iteration, both ways: what ends, what fails in the middle, and what is left early.
 *
 * @module
 */

import { assert, assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import type { PythonHostBackend } from "../../core/backend.ts";
import { PythonError, PythonHostError } from "../../core/errors.ts";
import { PythonObjectHandle } from "../../core/handles.ts";
import { pythonIterator } from "../../core/values.ts";
import { isProxy, iterate, type IterateOptions, proxy, type Untyped } from "../../objects/mod.ts";
import { type Clause, type ClauseContext, PATIENCE_MS } from "../clause.ts";

function clause(id: string, sentence: string, body: (context: ClauseContext) => Promise<void>): Clause {
  return { id: `iteration/${id}`, sentence, marks: ["python"], body };
}

async function held(backend: PythonHostBackend, code: string): Promise<PythonObjectHandle> {
  return await backend.evaluate<PythonObjectHandle>(code, {}, { result: "handle" });
}

async function collect(items: AsyncIterable<unknown>, most = Infinity): Promise<unknown[]> {
  const all: unknown[] = [];
  for await (const item of items) {
    all.push(item);
    if (all.length >= most) break;
  }
  return all;
}

const GENERATORS = `
import asyncio
log = []
def numbers(n, fail_at=None):
  try:
    for i in range(n):
      log.append(i)
      if i == fail_at:
        raise ValueError(i)
      yield i
  finally:
    log.append("closed")
async def later(n, fail_at=None):
  try:
    for i in range(n):
      await asyncio.sleep(0)
      log.append(i)
      if i == fail_at:
        raise ValueError(i)
      yield i
  finally:
    await asyncio.sleep(0)
    log.append("closed")
`;

/** The same clause for a generator and for an asynchronous one. */
function both(
  id: string,
  sentence: string,
  body: (backend: PythonHostBackend, make: string) => Promise<void>,
): Clause[] {
  return [["generator", "numbers"], ["async-generator", "later"]].map(([kind, make]) =>
    clause(`${kind}-${id}`, `${sentence} (${kind})`, async ({ backend }) => {
      await backend.evaluate(GENERATORS);
      await body(backend, make!);
    })
  );
}

async function logged(backend: PythonHostBackend): Promise<unknown[]> {
  return await backend.evaluate<unknown[]>("log");
}

/** See the module comment. */
export const ITERATION: readonly Clause[] = [
  clause("literal", "an iterable that is written as a literal is a Python iterator", async ({ backend }) => {
    const numbers = {
      *[Symbol.iterator]() {
        yield* [1, 2, 3];
      },
    };
    assertEquals(await backend.evaluate("sum(numbers)", { numbers }), 6);
    const later = {
      async *[Symbol.asyncIterator]() {
        yield* numbers;
      },
    };
    assertEquals(await backend.evaluate("[x async for x in xs[0]]", { xs: [later] }), [1, 2, 3]);
  }),
  ...both("all", "all items arrive, in order", async (backend, make) => {
    const items = await collect(iterate(await held(backend, `${make}(2000)`)));
    assertEquals(items, [...Array(2000).keys()]);
    assertEquals((await logged(backend)).at(-1), "closed");
  }),
  ...both("early", "leaving the loop closes it, and its finally runs", async (backend, make) => {
    assertEquals(await collect(iterate(await held(backend, `${make}(10**9)`)), 3), [0, 1, 2]);
    const log = await logged(backend);
    assertEquals(log.at(-1), "closed");
    assert(log.length < 1000, `It ran ${log.length} steps ahead`);
  }),
  ...both("failure", "an exception in the middle comes after the items before it", async (backend, make) => {
    const all: unknown[] = [];
    const error = await assertRejects(async () => {
      for await (const item of iterate(await held(backend, `${make}(100, fail_at=70)`))) all.push(item);
    }, PythonError);
    assertEquals([error.pythonType, error.pythonMessage], ["ValueError", "70"]);
    assertEquals(all, [...Array(70).keys()]);
    assertEquals((await logged(backend)).at(-1), "closed");
  }),
  ...both(
    "lockstep",
    "with batchSize 1 nothing is taken before the loop asks for it",
    async (backend, make) => {
      const options: IterateOptions = { batchSize: 1 };
      let expected = 0;
      for await (const item of iterate(await held(backend, `${make}(10)`), options)) {
        assertEquals(item, expected++);
        assertEquals((await logged(backend)).length, expected);
      }
    },
  ),
  ...both("back-pressure", "no more than one batch is taken ahead of the loop", async (backend, make) => {
    let seen = 0;
    for await (const _ of iterate(await held(backend, `${make}(10**9)`), { batchSize: 10 })) {
      seen++;
      assert((await logged(backend)).length <= seen + 2 * 10);
      if (seen === 60) break;
    }
  }),
  ...both(
    "throw",
    "an error thrown in the loop closes it and is the one that is thrown",
    async (backend, make) => {
      const mine = new Error("mine");
      const rejected = await assertRejects(async () => {
        for await (const _ of iterate(await held(backend, `${make}(10)`))) throw mine;
      });
      assertStrictEquals(rejected, mine);
      assertEquals((await logged(backend)).at(-1), "closed");
    },
  ),
  ...both("concurrent", "several loops over iterators run beside each other", async (backend, make) => {
    const loops = [30, 40, 50].map(async (n) => await collect(iterate(await held(backend, `${make}(${n})`))));
    assertEquals((await Promise.all(loops)).map((items) => items.length), [30, 40, 50]);
  }),
  clause("slow", "a slow iterator gives its items one by one", async ({ backend }) => {
    const code =
      "import time\ndef slow():\n  yield 0\n  time.sleep(0.02)\n  yield 1\n  time.sleep(0.02)\n  yield 2\nslow()";
    assertEquals(await collect(iterate(await held(backend, code))), [0, 1, 2]);
  }),
  clause(
    "early-while-waiting",
    "leaving the loop stops an async generator that waits",
    async ({ backend }) => {
      await backend.evaluate(GENERATORS);
      await backend.evaluate(
        "async def stuck():\n  try:\n    yield 1\n    await asyncio.sleep(1000)\n  finally:\n    log.append('closed')",
      );
      assertEquals(await collect(iterate(await held(backend, "stuck()")), 1), [1]);
      assertEquals(await logged(backend), ["closed"]);
    },
  ),
  {
    id: "iteration/early-while-blocked",
    sentence:
      "leaving the loop stops a generator that blocks the thread of the first session, the main thread",
    marks: ["python"],
    // On a server that is not new, a session that is just ending may still have the main thread.
    isolated: true,
    body: async ({ backend }) => {
      await backend.evaluate(GENERATORS);
      const code = "import threading\ndef stuck():\n  try:\n    yield 1\n    threading.Event().wait(1000)\n" +
        "  finally:\n    log.append('closed')\nstuck()";
      assertEquals(await collect(iterate(await held(backend, code)), 1), [1]);
      assertEquals(await logged(backend), ["closed"]);
    },
  },
  clause(
    "one-task",
    "an async generator lives in one task, as its timeouts and context variables need",
    async ({ backend }) => {
      const code = "import asyncio, contextvars\nv = contextvars.ContextVar('v')\nasync def gen():\n" +
        "  task = asyncio.current_task()\n  v.set('kept')\n  for _ in range(5):\n    yield asyncio.current_task() is task and v.get()\ngen()";
      assertEquals(
        await collect(iterate(await held(backend, code), { batchSize: 1 })),
        Array(5).fill("kept"),
      );
    },
  ),
  clause(
    "iterables",
    "lists, dicts, strings, files and objects with __aiter__ are iterated too",
    async ({ backend }) => {
      assertEquals(await collect(iterate(await held(backend, "[1, [2]]"))), [1, [2]]);
      assertEquals(await collect(iterate(await held(backend, "{'a': 1, 'b': 2}"))), ["a", "b"]);
      assertEquals(await collect(iterate(await held(backend, "import io; io.StringIO('x\\ny\\n')"))), [
        "x\n",
        "y\n",
      ]);
      assertEquals(await collect(iterate(await held(backend, "[]"))), []);
      const code =
        "class A:\n  def __aiter__(self):\n    self.n = 0\n    return self\n  async def __anext__(self):\n" +
        "    self.n += 1\n    if self.n > 3:\n      raise StopAsyncIteration\n    return self.n\nA()";
      assertEquals(await collect(iterate(await held(backend, code))), [1, 2, 3]);
    },
  ),
  clause("file-stays-open", "leaving a loop over a file does not close the file", async ({ backend }) => {
    await backend.evaluate("import io\nf = io.StringIO('x\\ny\\n')");
    assertEquals(await collect(iterate(await held(backend, "f")), 1), ["x\n"]);
    assertEquals(await backend.evaluate("f.closed"), false);
  }),
  clause("not-iterable", "what is not iterable is a TypeError of Python", async ({ backend }) => {
    const error = await assertRejects(
      async () => await collect(iterate(await held(backend, "7"))),
      PythonError,
    );
    assertEquals(error.pythonType, "TypeError");
    const handle = await held(backend, "[]");
    assertThrows(() => iterate(handle, { batchSize: 0 }), PythonHostError, "batchSize");
  }),
  clause(
    "proxies",
    "a proxy and a path are iterated as they are; items without image are proxies",
    async ({ backend }) => {
      const builtins = proxy(await backend.importModule("builtins")) as Untyped;
      const all: unknown[] = [];
      for await (const item of builtins.range(3)) all.push(item);
      assertEquals(all, [0, 1, 2]);
      for await (const item of builtins.iter([1]) as AsyncIterable<unknown>) assertEquals(item, 1);
      for await (const item of proxy(await held(backend, "[object()]")) as Untyped) assert(isProxy(item));
      for await (const item of iterate(await held(backend, "[object()]"))) {
        assert(
          item instanceof PythonObjectHandle,
        );
      }
    },
  ),
  clause(
    "abort",
    "an aborted signal ends the loop with its reason, and closes the iterator",
    async ({ backend }) => {
      await backend.evaluate(GENERATORS);
      const controller = new AbortController();
      const reason = new Error("enough");
      const rejected = await assertRejects(async () => {
        for await (
          const item of iterate(await held(backend, "later(10**9)"), { signal: controller.signal })
        ) {
          if (item === 5) controller.abort(reason);
        }
      });
      assertStrictEquals(rejected, reason);
      assertEquals((await logged(backend)).at(-1), "closed");
    },
  ),
  clause("js-iterator", "a JavaScript generator is a Python iterator", async ({ backend }) => {
    function* numbers(n: number): Generator<number> {
      for (let i = 0; i < n; i++) yield i;
    }
    assertEquals(await backend.evaluate("sum(xs)", { xs: numbers(1000) }), 499500);
    assertEquals(await backend.evaluate("[x async for x in xs]", { xs: numbers(3) }), [0, 1, 2]);
    const pairs = "iter(xs) is xs and list(zip(xs, xs)) == [(0, 1)]";
    assertEquals(await backend.evaluate(pairs, { xs: numbers(2) }), true);
    assertEquals(await backend.evaluate("list(xs)", { xs: numbers(0) }), []);
  }),
  clause(
    "js-async-iterator",
    "an async generator is an async iterator, and an iterator that is waited for",
    async ({ backend }) => {
      async function* numbers(n: number): AsyncGenerator<number> {
        for (let i = 0; i < n; i++) yield await Promise.resolve(i);
      }
      assertEquals(await backend.evaluate("[x async for x in xs]", { xs: numbers(100) }), [
        ...Array(100).keys(),
      ]);
      assertEquals(await backend.evaluate("list(xs)", { xs: numbers(3) }), [0, 1, 2]);
    },
  ),
  clause("js-lazy", "pythonIterator() sends an array item by item", async ({ backend }) => {
    let taken = 0;
    const source = {
      *[Symbol.iterator]() {
        for (;;) yield taken++;
      },
    };
    const xs = pythonIterator(source, { batchSize: 1 });
    assertEquals(await backend.evaluate("[next(xs), next(xs)]", { xs }), [0, 1]);
    assertEquals(taken, 2);
    assertEquals(await backend.evaluate("next(xs)", { xs: pythonIterator([7, 8]) }), 7);
    assertThrows(() => pythonIterator([], { batchSize: 0 }), RangeError);
  }),
  clause(
    "js-failure",
    "an error in the middle comes after the items before it, and back as the same object",
    async ({ backend }) => {
      const mine = new RangeError("mine");
      function* failing(): Generator<number> {
        yield 1;
        yield 2;
        throw mine;
      }
      await backend.evaluate("seen = []");
      const rejected = await assertRejects(() =>
        backend.evaluate("for x in xs:\n  seen.append(x)", { xs: failing() })
      );
      assertStrictEquals(rejected, mine);
      assertEquals(await backend.evaluate("seen"), [1, 2]);
    },
  ),
  clause(
    "js-early",
    "when Python lets go of an iterator, or closes it, JavaScript's is returned",
    async ({ backend }) => {
      const closed: string[] = [];
      function* endless(name: string): Generator<number> {
        try {
          for (let i = 0;; i++) yield i;
        } finally {
          closed.push(name);
        }
      }
      assertEquals(await backend.evaluate("next(xs)", { xs: endless("dropped") }), 0);
      assertEquals(
        await backend.evaluate("r = next(xs)\nxs.close()\n[r, next(xs, None)]", { xs: endless("closed") }),
        [0, null],
      );
      // What was dropped is told with the next reply.
      const end = performance.now() + PATIENCE_MS;
      while (closed.length < 2 && performance.now() < end) await backend.evaluate("1");
      assertEquals(closed.toSorted(), ["closed", "dropped"]);
    },
  ),
  clause(
    "js-odd-results",
    "an iterator that gives what is no result ends in its error, never in an endless row of nothing",
    async ({ backend }) => {
      const sync = (next: unknown) => ({ [Symbol.iterator]: () => ({ next }) });
      const odd: unknown[] = [
        sync(() => 5),
        sync(() => undefined),
        sync(undefined),
        { [Symbol.iterator]: () => null },
        { [Symbol.asyncIterator]: () => ({ next: () => Promise.resolve(5) }) },
        { [Symbol.asyncIterator]: () => ({ next: () => 5 }) },
      ];
      for (const xs of odd) {
        await assertRejects(() => backend.evaluate("list(xs)", { xs }), TypeError);
      }
      await assertRejects(() => backend.evaluate("[x async for x in xs]", { xs: odd[4] }), TypeError);
      assertEquals(await backend.evaluate("1 + 1"), 2);
    },
  ),
];
