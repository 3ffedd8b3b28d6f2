/**
 * Clauses about exceptions that are unusual, and about hostile ones: described within bounds, never a dead connection.
 *
 * @module
 */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { PythonError } from "../../core/errors.ts";
import { PythonObjectHandle } from "../../core/handles.ts";
import type { Clause, ClauseContext } from "../clause.ts";

function clause(id: string, sentence: string, body: (context: ClauseContext) => Promise<void>): Clause {
  return { id: `exceptions/${id}`, sentence, marks: ["python"], body };
}

async function failure({ backend }: ClauseContext, code: string): Promise<PythonError> {
  const error = await assertRejects(() => backend.evaluate(code), PythonError);
  assertEquals(await backend.evaluate("1 + 1"), 2);
  return error;
}

/** Far more than any description needs. */
const MOST_CHARACTERS = 1_000_000;

async function boundedFailure(context: ClauseContext, code: string): Promise<PythonError> {
  const error = await failure(context, code);
  const { length } = JSON.stringify(error.exception);
  assert(length < MOST_CHARACTERS, `The description has ${length} characters`);
  return error;
}

/** See the module comment. */
export const EXCEPTIONS: readonly Clause[] = [
  clause("context", "__context__ is told, and `from None` suppresses it", async (context) => {
    const handling = "try:\n  1 / 0\nexcept ZeroDivisionError:\n  raise KeyError('k')";
    const error = await failure(context, handling);
    assertEquals(error.exception.context?.type, "ZeroDivisionError");
    assertInstanceOf(error.cause, PythonError);
    assertStringIncludes(error.traceback, "During handling of the above exception");
    const alone = await failure(context, `${handling} from None`);
    assertEquals([alone.exception.context, alone.cause], [undefined, undefined]);
  }),
  clause("notes", "notes are told, and stand in the traceback", async (context) => {
    const error = await failure(context, "e = ValueError('x')\ne.__notes__ = ['one', 'two']\nraise e");
    assertEquals(error.notes, ["one", "two"]);
    assertMatch(error.traceback, /ValueError: x\none\ntwo/);
  }),
  clause("group", "an exception group is told with its members, where Python has them", async (context) => {
    if (!await context.backend.evaluate("import sys; sys.version_info >= (3, 11)")) return;
    const code = "raise ExceptionGroup('several', [ValueError('a'), ExceptionGroup('in', [KeyError('b')])])";
    const error = await failure(context, code);
    assertEquals(error.exceptions.map(({ pythonType }) => pythonType), ["ValueError", "ExceptionGroup"]);
    assertEquals(error.exceptions[1]!.exceptions[0]!.pythonMessage, "'b'");
  }),
  clause("javascript-stack", "the stack of the call is joined to the error", async (context) => {
    async function theCaller(): Promise<void> {
      await context.backend.evaluate("1 / 0");
    }
    const error = await assertRejects(theCaller, PythonError);
    assertStringIncludes(error.stack!, "theCaller");
  }),
  clause("arguments", "arguments are told by value where they are plain, else by repr", async (context) => {
    const error = await failure(context, "raise ValueError(1, 'a', None, 2.5, object, [1])");
    assertEquals(error.exception.arguments, [1, "a", null, 2.5, "<class 'object'>", "[1]"]);
  }),
  clause(
    "recursion",
    "endless recursion is an error like others, with both ends of its frames",
    async (context) => {
      const error = await boundedFailure(context, "def f():\n  return f()\nf()");
      assertEquals(error.pythonType, "RecursionError");
      assert(error.frames.length >= 2 && error.frames.length <= 200);
    },
  ),
  clause("large", "a message, arguments and notes of megabytes are bounded", async (context) => {
    const code =
      "e = ValueError('x' * 10_000_000, list(range(1_000_000)))\ne.__notes__ = ['n' * 10_000_000] * 1000\nraise e";
    assertEquals((await boundedFailure(context, code)).pythonType, "ValueError");
  }),
  ...[
    ["causes", "n = ValueError(i)\n  n.__cause__ = e\n  e = n"],
    ["contexts", "n = ValueError(i)\n  n.__context__ = e\n  e = n"],
  ].map(([id, step]) =>
    clause(`chain-of-${id}`, `a chain of a thousand ${id} is bounded`, async (context) => {
      await boundedFailure(context, `e = None\nfor i in range(1000):\n  ${step}\nraise e`);
    })
  ),
  clause("wide-and-deep", "a tree of groups with causes is bounded", async (context) => {
    if (!await context.backend.evaluate("import sys; sys.version_info >= (3, 11)")) return;
    const code = "def tree(depth):\n  if depth == 0:\n    return ValueError('leaf')\n" +
      "  group = ExceptionGroup('g', [tree(depth - 1) for _ in range(4)])\n  group.__cause__ = KeyError('c')\n  return group\n" +
      "raise tree(8)";
    await boundedFailure(context, code);
  }),
  clause("cycle", "a cycle of causes ends", async (context) => {
    await boundedFailure(
      context,
      "a, b = ValueError('a'), KeyError('b')\na.__cause__ = b\nb.__cause__ = a\nraise a",
    );
  }),
  ...([
    ["repr", "class Bad:\n  def __repr__(self):\n    raise RuntimeError\nraise ValueError(Bad())"],
    ["exit-in-repr", "class Bad:\n  def __repr__(self):\n    raise SystemExit\nraise ValueError(Bad())"],
    ["str-is-no-str", "class Bad(Exception):\n  def __str__(self):\n    return 3\nraise Bad"],
    ["lying-class", "class Bad(Exception):\n  __class__ = property(lambda self: int)\nraise Bad('x')"],
    [
      "getattribute",
      "class Bad(Exception):\n  def __getattribute__(self, name):\n    raise RuntimeError(name)\nraise Bad('x')",
    ],
    [
      "metaclass",
      "class Meta(type):\n  def __getattribute__(cls, name):\n    raise RuntimeError(name)\n" +
      "  def __instancecheck__(cls, other):\n    raise RuntimeError\nclass Bad(Exception, metaclass=Meta):\n  pass\nraise Bad('x')",
    ],
    ["notes", "e = ValueError('x')\ne.__notes__ = 7\nraise e"],
    [
      "names",
      "raise type('Bad\\ud800', (Exception,), {'__module__': 3, '__qualname__': 'Q\\udfff'})('m\\ud800')",
    ],
    ["syntax", "e = SyntaxError('x')\ne.lineno = 'a'\ne.text = 3\ne.offset = object()\nraise e"],
    ["syntax-far", "raise SyntaxError('x', ('f', 1, 10**9, 'text'))"],
  ] as const).map(([id, code]) =>
    clause(`hostile-${id}`, `a hostile exception (${id}) is described all the same`, async (context) => {
      await boundedFailure(context, code);
    })
  ),
  clause(
    "hostile-result",
    "a hostile object as a result is a handle, and harms nothing",
    async ({ backend }) => {
      const code =
        "class Bad:\n  __class__ = property(lambda self: 1 / 0)\n  def __getattr__(self, name):\n    raise RuntimeError\n" +
        "  def __repr__(self):\n    raise RuntimeError\n  def __del__(self):\n    raise RuntimeError\nBad()";
      const handle = await backend.evaluate(code, {}, { result: "handle" });
      await backend.evaluate("bad", { bad: handle });
      assertEquals(await backend.evaluate("1 + 1"), 2);
    },
  ),
  clause(
    "hostile-type-name",
    "an object whose type lies about its name, or has one without end, is a handle, alone and in a list",
    async ({ backend }) => {
      const types: [code: string, name: string][] = [
        [
          "class Meta(type):\n  __name__ = property(lambda cls: 1 / 0)\nclass Bad(metaclass=Meta): pass",
          "Bad",
        ],
        ["class Meta(type):\n  __name__ = 5\nclass Bad(metaclass=Meta): pass", "Bad"],
        ["Bad = type('x' * 100_000, (), {})", "x".repeat(200)],
      ];
      for (const [code, name] of types) {
        const [inList] = await backend.evaluate<PythonObjectHandle[]>(`${code}\n[Bad()]`);
        const alone = await backend.evaluate<PythonObjectHandle>("Bad()");
        const made = await backend.createObjectHandleFromResult(alone);
        for (const handle of [inList, alone, made, await backend.createObject("copy", "copy", [alone])]) {
          assertInstanceOf(handle, PythonObjectHandle);
          assert(handle.typeName.startsWith(name) && handle.typeName.length < 2_000, handle.typeName);
        }
      }
      await backend.evaluate(
        "import sys, types\nsys.modules['named_by_a_number'] = types.SimpleNamespace(__name__=5)",
      );
      try {
        assertEquals((await backend.importModule("named_by_a_number")).moduleName, "named_by_a_number");
      } finally {
        await backend.evaluate("del sys.modules['named_by_a_number']");
      }
    },
  ),
];
