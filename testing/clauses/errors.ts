/**
 * Clauses about failures: exceptions with all that is known of them, and a server that lives on.
 *
 * @module
 */

import { assert, assertEquals, assertInstanceOf, assertRejects, assertStringIncludes } from "@std/assert";
import { PythonError } from "../../core/errors.ts";
import type { Clause, ClauseContext } from "../clause.ts";

function clause(id: string, sentence: string, body: (context: ClauseContext) => Promise<void>): Clause {
  return { id: `errors/${id}`, sentence, marks: ["python"], body };
}

async function failure({ backend }: ClauseContext, code: string): Promise<PythonError> {
  return await assertRejects(() => backend.evaluate(code), PythonError);
}

/** See the module comment. */
export const ERRORS: readonly Clause[] = [
  clause("exception", "an exception arrives with type, module, message and frames", async (context) => {
    const error = await failure(context, "def inner():\n  raise ValueError('no luck', 7)\ninner()");
    assertEquals([error.pythonType, error.pythonModule], ["ValueError", "builtins"]);
    assertStringIncludes(error.message, "ValueError");
    assertStringIncludes(error.pythonMessage, "no luck");
    assertEquals(error.exception.arguments, ["no luck", 7]);
    assertEquals(error.frames.map(({ line, name }) => [line, name.split(".").at(-1)]), [[3, "<module>"], [
      2,
      "inner",
    ]]);
    assertEquals(error.frames.at(-1)!.source, "raise ValueError('no luck', 7)");
    assertStringIncludes(error.traceback, "Traceback (most recent call last)");
    assert(
      error.isInstance("Exception") && error.isInstance("builtins.ValueError") &&
        !error.isInstance("KeyError"),
    );
  }),
  clause("class", "an exception of a user's class arrives with its own name", async (context) => {
    const error = await failure(
      context,
      "class Outer:\n  class Mine(KeyError):\n    pass\nraise Outer.Mine('k')",
    );
    assertEquals(error.pythonType, "Outer.Mine");
    assert(error.isInstance("KeyError"));
  }),
  clause("cause", "__cause__ becomes the cause of the error", async (context) => {
    const error = await failure(
      context,
      "try:\n  1 / 0\nexcept ZeroDivisionError as e:\n  raise KeyError('k') from e",
    );
    assertInstanceOf(error.cause, PythonError);
    assertEquals(error.cause.pythonType, "ZeroDivisionError");
  }),
  clause("syntax", "a syntax error tells line, column and text", async (context) => {
    const error = await failure(context, "x = 1\ny = )");
    assertEquals(error.pythonType, "SyntaxError");
    assertEquals([error.exception.syntax?.line, error.exception.syntax?.column], [2, 5]);
    assertStringIncludes(error.exception.syntax!.text, "y = )");
  }),
  clause(
    "syntax-dedented",
    "a syntax error in indented code tells the column in the code as given",
    async (context) => {
      const error = await failure(context, "\n    x = 1\n    y = )\n");
      assertEquals(error.exception.syntax?.line, 3);
    },
  ),
  ...["SystemExit(3)", "KeyboardInterrupt()", "GeneratorExit()"].map((exception) =>
    clause(
      `survives-${exception.split("(")[0]}`,
      `${exception.split("(")[0]} is an error like others, and the server lives on`,
      async (context) => {
        const error = await failure(context, `raise ${exception}`);
        assertEquals(error.pythonType, exception.split("(")[0]);
        assertEquals(await context.backend.evaluate("1 + 1"), 2);
      },
    )
  ),
  clause("sys-exit", "sys.exit() does not end the server", async (context) => {
    await failure(context, "import sys; sys.exit(1)");
    assertEquals(await context.backend.evaluate("1 + 1"), 2);
  }),
  clause(
    "hostile-str",
    "case 90: an exception whose __str__ and __repr__ raise still arrives",
    async (context) => {
      const code =
        "class Bad(Exception):\n  def __str__(self):\n    raise RuntimeError\n  __repr__ = __str__\nraise Bad(1)";
      assertEquals((await failure(context, code)).pythonType, "Bad");
    },
  ),
  clause("long-chain", "case 90: a chain of a thousand causes arrives, bounded", async (context) => {
    const code = "e = None\nfor i in range(1000):\n  n = ValueError(i)\n  n.__cause__ = e\n  e = n\nraise e";
    assertEquals((await failure(context, code)).pythonType, "ValueError");
  }),
  clause("recursion", "unbounded recursion is an error, and the server lives on", async (context) => {
    assertEquals((await failure(context, "def f():\n  return f()\nf()")).pythonType, "RecursionError");
    assertEquals(await context.backend.evaluate("1 + 1"), 2);
  }),
  clause("stack", "the error's JavaScript stack leads to the code that awaits it", async ({ backend }) => {
    async function theCallerOfPython(): Promise<void> {
      await backend.evaluate("1 / 0");
    }
    const error = await assertRejects(theCallerOfPython, PythonError);
    assertStringIncludes(error.stack!, "theCallerOfPython");
  }),
];
