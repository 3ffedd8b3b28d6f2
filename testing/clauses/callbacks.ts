/**
 * Clauses about functions of the client that Python calls: from wherever it likes, as deep as is allowed, with errors both
 * ways.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertRejects, assertStrictEquals } from "@std/assert";
import type { PythonHostBackend } from "../../core/backend.ts";
import { PythonError, PythonHostError, StaleHandleError } from "../../core/errors.ts";
import type { PythonObjectHandle } from "../../core/handles.ts";
import { scope } from "../../objects/mod.ts";
import { type Clause, type ClauseContext, PATIENCE_MS } from "../clause.ts";

function clause(id: string, sentence: string, body: (context: ClauseContext) => Promise<void>): Clause {
  return { id: `callbacks/${id}`, sentence, marks: ["python"], body };
}

async function rejection(promise: Promise<unknown>): Promise<unknown> {
  return await promise.then(
    (value) => {
      throw new Error(`Expected a rejection, got ${String(value)}`);
    },
    (error) => error,
  );
}

/** A function that calls itself through Python, so deep. */
function pingPong(backend: PythonHostBackend): (depth: number) => Promise<number> {
  return async function ping(depth: number): Promise<number> {
    if (depth === 0) return 0;
    return await backend.evaluate<number>("ping(depth - 1) + 1", { ping, depth });
  };
}

/** See the module comment. */
export const CALLBACKS: readonly Clause[] = [
  clause(
    "arguments",
    "arguments arrive in order, keyword arguments as a last object",
    async ({ backend }) => {
      const take = (...args: unknown[]) => args;
      assertEquals(await backend.evaluate("f(1, 'ü', None, k=[2])", { f: take }), [1, "ü", null, { k: [2] }]);
    },
  ),
  clause("key", "a function serves as key= of sorted and inside of map and filter", async ({ backend }) => {
    const negate = (x: number) => -x;
    assertEquals(await backend.evaluate("sorted([3, 1, 2], key=f)", { f: negate }), [3, 2, 1]);
    assertEquals(await backend.evaluate("list(map(f, filter(f, [0, 1, 2])))", { f: negate }), [-1, -2]);
  }),
  clause(
    "decorator",
    "a function serves as a decorator and as a decorator's argument",
    async ({ backend }) => {
      const code =
        "def on(handler):\n  return lambda g: lambda *a: handler(g(*a))\n@on(f)\ndef g(x):\n  return x + 1\ng(4)";
      assertEquals(await backend.evaluate(code, { f: (x: number) => x * 10 }), 50);
      assertEquals(await backend.evaluate("@f\ndef h():\n  return 7\nh()", { f: (g: unknown) => g }), 7);
    },
  ),
  clause(
    "hostile-errors",
    "whatever a function throws reaches Python and comes back, also what cannot be described or is very long",
    async ({ backend }) => {
      const { proxy: revoked, revoke } = Proxy.revocable({}, {});
      revoke();
      const unreadable = Object.defineProperty(new Error(), "message", {
        get() {
          throw new Error("unreadable");
        },
      });
      const odd = Object.assign(new Error(), { message: Symbol("odd"), name: {}, stack: 7 });
      const long = new Error("x".repeat(300 * 1024));
      for (const thrown of [Object.create(null), revoked, unreadable, odd, long, Symbol("s"), undefined]) {
        const sync = () => {
          throw thrown;
        };
        // Nothing is asked of it, not even whether it is thenable.
        const comesBack = (call: Promise<unknown>) => call.then(() => false, (error) => error === thrown);
        assert(await comesBack(backend.evaluate("f()", { f: sync })));
        // deno-lint-ignore require-await -- that it is asynchronous is what is tested.
        const async = async () => sync();
        assert(await comesBack(backend.evaluate("await f()", { f: async })));
        const caught = "try:\n  f()\nexcept Exception as error:\n  text = str(error)\nlen(text) < 20_000";
        assertEquals(await backend.evaluate(caught, { f: sync }), true);
      }
    },
  ),
  clause("kept", "Python keeps a function and calls it in a later call", async ({ backend }) => {
    let calls = 0;
    await backend.evaluate("kept = f", { f: () => ++calls });
    await backend.evaluate("1");
    assertEquals(await backend.evaluate("kept() + kept()"), 3);
  }),
  clause("identity", "a function is sent again and again under load without harm", async ({ backend }) => {
    const f = (x: number) => x + 1;
    for (let i = 0; i < 50; i++) assertEquals(await backend.evaluate("f(x)", { f, x: i }), i + 1);
    assertEquals(
      await Promise.all(Array.from({ length: 20 }, (_, x) => backend.evaluate("f(x)", { f, x }))),
      [
        ...Array(20).keys(),
      ].map((x) => x + 1),
    );
  }),
  clause("thread", "a function can be called from another thread of a running call", async ({ backend }) => {
    const code =
      "import threading\nr = []\nt = threading.Thread(target=lambda: r.append(f(20)))\nt.start()\nt.join()\nr";
    assertEquals(await backend.evaluate(code, { f: (x: number) => x + 1 }), [21]);
  }),
  clause("threads", "many threads call at once, and each gets its own answer", async ({ backend }) => {
    const code = "from concurrent.futures import ThreadPoolExecutor\nimport contextvars\n" +
      "def run(x):\n  return c.run(f, x)\n" +
      "with ThreadPoolExecutor(8) as pool:\n  c = None\n" +
      "  futures = [pool.submit(contextvars.copy_context().run, f, x) for x in range(100)]\n" +
      "  r = [future.result() for future in futures]\nr";
    const double = async (x: number) => await Promise.resolve(x * 2);
    assertEquals(await backend.evaluate(code, { f: double }), [...Array(100).keys()].map((x) => x * 2));
  }),
  clause(
    "async",
    "an async function is awaitable from async def, and many run at once",
    async ({ backend }) => {
      let running = 0;
      let most = 0;
      const all = Promise.withResolvers<void>();
      async function f(x: number): Promise<number> {
        most = Math.max(most, ++running);
        if (running === 10) all.resolve();
        await all.promise;
        running--;
        return x;
      }
      const code =
        "import asyncio\nasync def main():\n  return await asyncio.gather(*(f(x) for x in range(10)))\nawait main()";
      assertEquals(await backend.evaluate(code, { f }), [...Array(10).keys()]);
      assertEquals(most, 10);
    },
  ),
  clause("async-from-sync", "synchronous code waits for an async function", async ({ backend }) => {
    assertEquals(
      await backend.evaluate("f(2) + f(3)", { f: async (x: number) => await Promise.resolve(x) }),
      5,
    );
  }),
  clause("sync-from-coroutine", "a coroutine calls a synchronous function", async ({ backend }) => {
    assertEquals(
      await backend.evaluate("async def main():\n  return f(2)\nawait main()", { f: (x: number) => x }),
      2,
    );
  }),
  clause("concurrent", "a call beside the session's thread calls functions too", async ({ backend }) => {
    const f = (x: number) => x + 1;
    const calls = Array.from(
      { length: 5 },
      (_, x) => backend.evaluate("f(x)", { f, x }, { concurrent: true }),
    );
    assertEquals(await Promise.all(calls), [1, 2, 3, 4, 5]);
  }),
  clause("reentrant", "a function makes calls of its own, nested and in any number", async ({ backend }) => {
    await backend.evaluate("base = 100");
    async function f(x: number): Promise<number> {
      const [a, b] = await Promise.all([
        backend.evaluate<number>("base + x", { x }),
        backend.evaluate<number>("x * 2", { x }),
      ]);
      return a + b;
    }
    assertEquals(await backend.evaluate("[f(1), f(2)]", { f }), [103, 106]);
  }),
  clause(
    "reentrant-through-another",
    "a function that another backend calls knows the call that waits for its caller",
    async (context) => {
      const other = await context.connect();
      await other.evaluate("0"); // what listens to it began outside of all functions
      await context.backend.evaluate("base = 100");
      const inner = () => context.backend.evaluate<number>("base + 1");
      const outer = () => other.evaluate<number>("inner()", { inner });
      assertEquals(await context.backend.evaluate("outer() + 1", { outer }), 102);
    },
  ),
  clause("depth", "the two languages call each other forty deep", async ({ backend }) => {
    assertEquals(await pingPong(backend)(40), 40);
  }),
  clause(
    "too-deep",
    "case 93: a thousand deep ends in an error of code limit, and the next call works",
    async ({ backend }) => {
      const error = await assertRejects(() => pingPong(backend)(1000), PythonHostError);
      assertEquals(error.code, "limit");
      assertEquals(await backend.evaluate("1 + 1"), 2);
      assertEquals(await pingPong(backend)(10), 10);
    },
  ),
  clause(
    "too-deep-concurrent",
    "concurrent calls that call each other without end, end in an error of code limit, too",
    async ({ backend }) => {
      const ping = (depth: number): Promise<number> =>
        backend.evaluate<number>("ping(depth + 1)", { ping, depth }, { concurrent: true });
      const error = await assertRejects(() => ping(0), PythonHostError);
      assertEquals(error.code, "limit");
    },
  ),
  clause(
    "more-than-threads",
    "functions that make concurrent calls do so, however many concurrent calls wait for them",
    async ({ backend }) => {
      const double = (n: number) => backend.evaluate("2 * n", { n }, { concurrent: true });
      const calls = Array.from(
        { length: 50 },
        (_, n) => backend.evaluate("double(n)", { n, double }, { concurrent: true }),
      );
      assertEquals(await Promise.all(calls), Array.from({ length: 50 }, (_, n) => 2 * n));
    },
  ),
  clause(
    "blocked-loop",
    "a coroutine that waits without awaiting for a function that wants a coroutine is told so, and does not hang",
    async ({ backend }) => {
      await backend.evaluate("import asyncio");
      const answers: unknown[] = [];
      const f = async () => {
        answers.push(await backend.evaluate("6 * 7"));
        answers.push(await rejection(backend.evaluate("await asyncio.sleep(0)")));
        const g = async () => {
          answers.push(await rejection(backend.evaluate("await asyncio.sleep(0)")));
        };
        await backend.evaluate("g()", { g });
      };
      await backend.evaluate("async def main():\n  f()\nawait main()", { f: () => f() });
      const [plain, ...refused] = answers;
      assertEquals(plain, 42);
      assertEquals(refused.length, 2);
      for (const error of refused) {
        assertMatch(String(error), /RuntimeError: Cannot await.* blocks the event loop/);
      }
      assertEquals(await backend.evaluate("await asyncio.sleep(0, 'goes on')"), "goes on");
    },
  ),
  clause(
    "same-error",
    "an error of a function that nobody catches arrives as the same object",
    async ({ backend }) => {
      const error = new RangeError("too far");
      const thrown = () => {
        throw error;
      };
      assertStrictEquals(await rejection(backend.evaluate("f()", { f: thrown })), error);
      const reject = () => Promise.reject(error);
      assertStrictEquals(await rejection(backend.evaluate("f()", { f: reject })), error);
      assertStrictEquals(
        await rejection(backend.evaluate("await f()", { f: async () => await reject() })),
        error,
      );
      // deno-lint-ignore no-throw-literal -- whatever is thrown comes back
      const string = () => {
        throw "a string";
      };
      assertStrictEquals(await rejection(backend.evaluate("f()", { f: string })), "a string");
    },
  ),
  clause(
    "error-cause",
    "an error of a function is the cause of what Python raises from it",
    async ({ backend }) => {
      const error = new TypeError("not so");
      const f = () => {
        throw error;
      };
      const code = "try:\n  f()\nexcept Exception as e:\n  raise KeyError('k') from e";
      const rejected = await rejection(backend.evaluate(code, { f }));
      assert(rejected instanceof PythonError);
      assertEquals(rejected.pythonType, "KeyError");
      assertStrictEquals(rejected.cause, error);
    },
  ),
  clause(
    "error-in-python",
    "Python catches an error of a function with name, message and stack",
    async ({ backend }) => {
      function thrower(): never {
        throw new RangeError("too far");
      }
      const code =
        "from beep_host import JavaScriptError\ntry:\n  f()\nexcept JavaScriptError as e:\n  r = [e.name, e.message, e.stack]\nr";
      const [name, message, stack] = await backend.evaluate<string[]>(code, { f: thrower });
      assertEquals([name, message], ["RangeError", "too far"]);
      assertMatch(stack!, /thrower/);
    },
  ),
  clause(
    "exception-through",
    "an exception of a nested call passes through a function as the same exception",
    async ({ backend }) => {
      await backend.evaluate("class Mine(Exception):\n  pass\nmine = Mine(7)\ndef fail():\n  raise mine");
      const code = "try:\n  f()\nexcept Mine as e:\n  r = e is mine\nr";
      assertEquals(await backend.evaluate(code, { f: async () => await backend.evaluate("fail()") }), true);
    },
  ),
  clause(
    "result-without-image",
    "a result that has no image in Python is an error there",
    async ({ backend }) => {
      const code = "try:\n  r = f()\nexcept Exception as e:\n  r = str(e)\nr";
      assertMatch(await backend.evaluate<string>(code, { f: () => new WeakMap() }), /WeakMap/);
      assertEquals(await backend.evaluate("1 + 1"), 2);
    },
  ),
  clause("handles", "handles travel through functions both ways", async ({ backend }) => {
    const code = "class Thing:\n  pass\nthing = Thing()\nf(thing) is thing and f([thing])[0] is thing";
    assertEquals(await backend.evaluate(code, { f: (thing: unknown) => thing }), true);
  }),
  clause(
    "abort",
    "a call that waits for a function can be aborted, and the next call works",
    async ({ backend }) => {
      const controller = new AbortController();
      const reason = new Error("enough");
      const never = Promise.withResolvers<void>();
      const f = async () => {
        controller.abort(reason);
        await never.promise;
      };
      try {
        assertStrictEquals(
          await rejection(backend.evaluate("f()", { f }, { signal: controller.signal })),
          reason,
        );
        assertEquals(await backend.evaluate("1 + 1"), 2);
      } finally {
        never.resolve();
      }
    },
  ),
  clause("order", "calls from outside wait while a function runs, and none is lost", async ({ backend }) => {
    const inside = Promise.withResolvers<void>();
    const go = Promise.withResolvers<void>();
    await backend.evaluate("log = []");
    const first = backend.evaluate("log.append('a'); f(); log.append('c')", {
      f: async () => {
        inside.resolve();
        await go.promise;
        await backend.evaluate("log.append('b')");
      },
    });
    await inside.promise;
    const second = backend.evaluate("log.append('d')");
    go.resolve();
    await Promise.all([first, second]);
    assertEquals(await backend.evaluate("log"), ["a", "b", "c", "d"]);
  }),
  clause(
    "dispose-inside",
    "a callback that waits for handles to be released does not wait for ever, and they are released while its call runs",
    async ({ backend }) => {
      await backend.evaluate("import weakref\nclass Thing: pass\nalive = weakref.WeakSet()");
      const release = async (handle: PythonObjectHandle) => {
        const { typeName } = handle;
        await handle.dispose();
        return typeName;
      };
      const made = "def made():\n  thing = Thing()\n  alive.add(thing)\n  return thing\n";
      assertEquals(
        await backend.evaluate(`${made}seen = [[f(made()), len(alive)] for _ in range(20)][-1]\nseen`, {
          f: release,
        }),
        ["Thing", 0],
      );
      // One that its own call uses is released when that has ended.
      const used = await backend.evaluate<PythonObjectHandle>("made()");
      assertEquals(await backend.evaluate("f()", { f: () => release(used), used }), "Thing");
      await assertRejects(() => backend.evaluate("used", { used }), StaleHandleError);
      const end = performance.now() + PATIENCE_MS;
      while (await backend.evaluate("len(alive)") !== 0 && performance.now() < end);
      assertEquals(await backend.evaluate("len(alive)"), 0);
      // Also when what releases is a scope.
      const inScope = () => scope(backend, async (s) => await s.evaluate("str(made())[:5]; made() and 7"));
      assertEquals(await backend.evaluate("f()", { f: inScope }), 7);
    },
  ),
];
