/**
 * Clauses about `evaluate`: which code it takes, what it gives, and what stays.
 *
 * @module
 */

import { assertEquals, assertRejects } from "@std/assert";
import { PythonError, PythonHostError, ValueConversionError } from "../../core/errors.ts";
import type { PythonObjectHandle } from "../../core/handles.ts";
import type { Clause, ClauseContext } from "../clause.ts";

/** A clause that evaluates one piece of code. */
function gives(
  id: string,
  sentence: string,
  code: string,
  expected: unknown,
  locals?: Record<string, unknown>,
): Clause {
  return {
    id: `evaluate/${id}`,
    sentence,
    marks: ["python"],
    body: async ({ backend }) => assertEquals(await backend.evaluate(code, locals), expected),
  };
}

function clause(id: string, sentence: string, body: (context: ClauseContext) => Promise<void>): Clause {
  return { id: `evaluate/${id}`, sentence, marks: ["python"], body };
}

/** See the module comment. */
export const EVALUATION: readonly Clause[] = [
  gives("expression", "the value of an expression is given", "6 * 7", 42),
  gives("last", "the value is that of the last statement when it is an expression", "a = 2\nb = 3\na * b", 6),
  gives("statement", "code that ends in a statement gives null", "x = 1", null),
  gives("nothing", "code of comments and blank lines gives null", "\n# nothing\n", null),
  gives("semicolon", "a trailing semicolon changes nothing", "x = 5; x;", 5),
  gives("dedent", "indented code is dedented", "\n    x = 1\n    if x:\n        x += 1\n    x\n  ", 2),
  gives("multiline", "a last expression may span lines", "sum([\n  1,\n  2,\n])", 3),
  gives("locals", "locals are visible", "a + b", 3, { a: 1, b: 2 }),
  gives("locals-comprehension", "locals are visible in comprehensions", "[a for _ in range(2)]", [7, 7], {
    a: 7,
  }),
  gives("locals-function", "locals are visible in inner functions", "def f():\n  return a\nf()", 7, { a: 7 }),
  gives("locals-class", "locals are visible in class bodies", "class C:\n  x = a\nC.x", 7, { a: 7 }),
  gives("locals-lambda", "locals are visible in lambdas", "(lambda: a)()", 7, { a: 7 }),
  gives("locals-assign", "a local can be assigned", "a += 1\na", 8, { a: 7 }),
  gives("await", "top-level await works", "import asyncio\nawait asyncio.sleep(0, 'slept')", "slept"),
  gives("await-locals", "top-level await sees locals", "import asyncio\nawait asyncio.sleep(0, a)", 7, {
    a: 7,
  }),
  gives("coroutine", "a coroutine that is the value is awaited", "async def f():\n  return 4\nf()", 4),
  gives("annotated", "an annotated assignment works beside locals", "x: int = a\nx", 7, { a: 7 }),
  gives("star", "import * works beside locals", "from math import *\nfloor(a)", 7, { a: 7.5 }),
  gives("unicode", "names and strings beyond ASCII work", "größe = '世界🐍'\ngröße", "世界🐍"),
  gives("empty-locals", "empty locals are like none", "1 + 1", 2, {}),
  clause(
    "no-text",
    "what is no text, or none of Unicode, is never run as another text",
    async ({ backend }) => {
      const untyped = backend as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>;
      for (const code of [5, null, ["1"], {}]) {
        const refused = await assertRejects(() => untyped.evaluate!(code), PythonHostError);
        assertEquals(refused.code, "argument");
      }
      await assertRejects(() => backend.evaluate("'\ud800'"), PythonError, "surrogates not allowed");
      const refused = await assertRejects(() => untyped.importModule!(5), PythonHostError);
      assertEquals(refused.code, "argument");
      await backend.evaluate("class Loud:\n  def __getattr__(self, name): return ascii(name)");
      const loud = await backend.evaluate<PythonObjectHandle>("Loud()");
      assertEquals(await backend.getAttribute(loud, "a\ud800"), "'a\\ud800'");
      await loud.dispose();
    },
  ),
  clause("persist", "assigned names persist in the session", async ({ backend }) => {
    await backend.evaluate("import math\ndef twice(x):\n  return 2 * x\ny = 4");
    assertEquals(await backend.evaluate("twice(y) + math.floor(1.5)"), 9);
  }),
  clause(
    "persist-beside-locals",
    "names assigned beside locals persist, locals do not",
    async ({ backend }) => {
      await backend.evaluate("kept = a + 1", { a: 1 });
      assertEquals(await backend.evaluate("kept"), 2);
      await assertRejects(() => backend.evaluate("a"), PythonError, "NameError");
    },
  ),
  clause("locals-shadow", "locals shadow names of the session for one call", async ({ backend }) => {
    await backend.evaluate("n = 'session'");
    assertEquals(await backend.evaluate("n", { n: "local" }), "local");
    assertEquals(await backend.evaluate("n"), "session");
  }),
  clause("locals-kept", "functions defined beside locals keep them", async ({ backend }) => {
    await backend.evaluate("def f():\n  return a", { a: 1 });
    await backend.evaluate("def g():\n  return a", { a: 2 });
    assertEquals(await backend.evaluate("(f(), g())[0] * 10 + g()"), 12);
  }),
  clause("locals-apart", "calls that run at once do not see each other's locals", async ({ backend }) => {
    const code = "import asyncio\nawait asyncio.sleep(0.01)\nn";
    const values = Array.from({ length: 10 }, (_, n) => n);
    assertEquals(await Promise.all(values.map((n) => backend.evaluate(code, { n }))), values);
  }),
  clause("order", "calls of one session run in the order in which they were made", async ({ backend }) => {
    await backend.evaluate("seen = []");
    await Promise.all(Array.from({ length: 20 }, (_, n) => backend.evaluate(`seen.append(${n})`)));
    assertEquals(await backend.evaluate("seen"), Array.from({ length: 20 }, (_, n) => n));
  }),
  clause("module", "the session's namespace is a real module, with source", async ({ backend }) => {
    await backend.evaluate("class Point:\n  def __init__(self, x):\n    self.x = x");
    assertEquals(await backend.evaluate("import pickle\npickle.loads(pickle.dumps(Point(3))).x"), 3);
    await backend.evaluate("def describe():\n  return 'here'");
    assertEquals(
      await backend.evaluate("import inspect\ninspect.getsource(describe)"),
      "def describe():\n  return 'here'\n",
    );
  }),
  clause(
    "class-source",
    "inspect finds the source of a class, and pickle a class and a function",
    async ({ backend }) => {
      await backend.evaluate("class Row:\n  kind = n\n\ndef twice(x):\n  return 2 * x", { n: 1 });
      assertEquals(
        await backend.evaluate("import inspect\ninspect.getsource(Row)"),
        "class Row:\n  kind = n\n",
      );
      await backend.evaluate("class Row:\n  kind = 2");
      assertEquals(await backend.evaluate("inspect.getsource(Row)"), "class Row:\n  kind = 2\n");
      assertEquals(
        await backend.evaluate("import pickle\n[pickle.loads(pickle.dumps(o)) is o for o in (Row, twice)]"),
        [true, true],
      );
    },
  ),
  clause(
    "exec-names",
    "exec and eval beside locals have the names that a module would have",
    async ({ backend }) => {
      assertEquals(await backend.evaluate("exec('y = n + 1'); y", { n: 1 }), 2);
      assertEquals(await backend.evaluate("exec('n = 5'); n", { n: 1 }), 5);
      assertEquals(await backend.evaluate("eval('(z := n * 2)') + z + y", { n: 3 }), 14);
      assertEquals(await backend.evaluate("y"), 2);
      assertEquals(await backend.evaluate("'n' in globals()"), false);
      assertEquals(await backend.evaluate("exec('n = 1', {}); n", { n: 7 }), 7);
    },
  ),
  clause(
    "locals-kind",
    "locals that are no names with values are refused, and one is named as it is",
    async ({ backend }) => {
      const wrong: unknown[] = [[1], new Set([1]), "text", 5, new Map([[1, 2]])];
      for (const locals of wrong) {
        const error = await assertRejects(
          () => backend.evaluate("1", locals as Record<string, unknown>),
          PythonHostError,
        );
        assertEquals(error.code, "argument");
      }
      const handle = await backend.evaluate<PythonObjectHandle>("object()");
      for (const locals of [{}, { handle }]) {
        const named = Object.assign(JSON.parse('{ "__proto__": 4 }'), locals);
        assertEquals(await backend.evaluate("__proto__ + 1", named), 5);
      }
      const failing = {
        handle,
        get a() {
          throw new TypeError("no");
        },
      };
      const error = await assertRejects(() => backend.evaluate("a", failing), ValueConversionError);
      assertEquals(error.path, "$.a");
      const fake = Object.create(Object.getPrototypeOf(handle));
      assertEquals(
        (await assertRejects(() => backend.evaluate("a", { a: fake }), ValueConversionError)).path,
        "$.a",
      );
      await handle.dispose();
    },
  ),
];
