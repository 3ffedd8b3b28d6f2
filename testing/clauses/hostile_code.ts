/**
 * Clauses about code that breaks what the interpreter shares with the server: tracing, built-in functions. Such code fails
 * itself, most likely; the calls after it do not.
 *
 * @module
 */

import { assertEquals, assertRejects } from "@std/assert";
import { CallTimeoutError, PythonError } from "../../core/errors.ts";
import type { Clause, ClauseContext } from "../clause.ts";

function clause(id: string, sentence: string, body: (context: ClauseContext) => Promise<void>): Clause {
  return { id: `hostile/${id}`, sentence, marks: ["python"], isolated: true, body };
}

/** That calls of all kinds work. */
async function assertAllWorks({ backend }: ClauseContext): Promise<void> {
  let out = "";
  const options = { onStdout: (text: string) => void (out += text) };
  assertEquals(
    await backend.evaluate("import sys\nsys.stdout.write('said\\n')\n1 + n", { n: 1 }, options),
    2,
  );
  assertEquals(out, "said\n");
  assertEquals(await backend.evaluate("f(20) + 1", { f: (n: number) => 2 * n }), 41);
  assertEquals(await backend.evaluate("[1, 'ü', None, 2.5]"), [1, "ü", null, 2.5]);
  const error = await assertRejects(() => backend.evaluate("1 / 0"), PythonError);
  assertEquals(error.pythonType, "ZeroDivisionError");
  assertEquals(await backend.evaluate("1 + 1", undefined, { concurrent: true }), 2);
  const endless = backend.evaluate("while True: pass", undefined, { timeoutMs: 50 });
  await assertRejects(() => endless, CallTimeoutError);
}

// Raises at every event, or at one of the later ones, wherever those fall.
const RAISING = `
import sys, threading
def raising(after):
    left = [after]
    def trace(frame, event, arg):
        left[0] -= 1
        if left[0] < 0:
            raise ValueError('traced')
        return trace
    return trace
`;

/** See the module comment. */
export const HOSTILE_CODE: readonly Clause[] = [
  ...["settrace", "setprofile"].map((set) =>
    clause(
      set,
      `a function given to sys.${set} that raises, whenever it does, fails one call at most`,
      async (context) => {
        const { backend } = context;
        await backend.evaluate(RAISING);
        for (let after = 0; after < 60; after += after < 12 ? 1 : 7) {
          const code = `sys.${set}(raising(${after}))\nprint('a')\nsum([1, 2])`;
          const results = await Promise.allSettled(
            [code, "2 + 2", "len([1])"].map((code) =>
              backend.evaluate(code, undefined, { onStdout: () => {} })
            ),
          );
          const failures = results.flatMap((result) => result.status === "rejected" ? [result.reason] : []);
          assertEquals(failures.length <= 1, true, String(failures));
          for (const failure of failures) assertEquals(failure.pythonType, "ValueError", String(failure));
          assertEquals(await backend.evaluate(`sys.${set}(None)\n3`).catch(() => 3), 3);
        }
        await assertAllWorks(context);
      },
    )
  ),
  clause(
    "settrace-coroutine",
    "a trace function that raises on the event loop ends with the coroutines of that moment",
    async (context) => {
      const { backend } = context;
      await backend.evaluate(`${RAISING}\nimport asyncio`);
      // Wherever it raises, in the coroutine, in asyncio or in what the server does there, the call ends by itself.
      for (let after = 0; after < 70; after += after < 20 ? 1 : 5) {
        const code = `sys.settrace(raising(${after}))\nawait asyncio.sleep(0)\nsys.settrace(None)\n3`;
        await backend.evaluate(code).catch(() => {});
        assertEquals(await backend.evaluate("await asyncio.sleep(0.001, 4)"), 4);
      }
      await assertAllWorks(context);
    },
  ),
  clause("trace-persists", "a trace function stays set for the session's next calls", async ({ backend }) => {
    const set = `
import sys
called = []
def trace(frame, event, arg):
    if frame.f_code.co_name in ('first', 'second'):
        called.append(frame.f_code.co_name)
sys.settrace(trace)`;
    await backend.evaluate(set);
    await backend.evaluate("def first(): pass\nfirst()");
    await backend.evaluate("def second(): pass\nsecond()");
    assertEquals(await backend.evaluate("sys.settrace(None)\ncalled"), ["first", "second"]);
  }),
  clause(
    "threading-settrace",
    "what is given to threading.settrace traces the threads of user code, and none of the server's",
    async (context) => {
      const { backend } = context;
      const code = `${RAISING}
threading.settrace(raising(0))
done = []
threading.excepthook = lambda args: done.append(args.exc_type.__name__)
thread = threading.Thread(target=lambda: None)
thread.start()
thread.join()
threading.setprofile(raising(0))
done`;
      assertEquals(await backend.evaluate(code), ["ValueError"]);
      assertEquals(
        await Promise.all([1, 2, 3].map((n) => backend.evaluate("n", { n }, { concurrent: true }))),
        [1, 2, 3],
      );
      assertEquals(await backend.evaluate("import asyncio\nawait asyncio.sleep(0, 5)"), 5);
      await backend.openSession?.("further");
      if (backend.openSession) assertEquals(await backend.evaluate("6", {}, { session: "further" }), 6);
      await assertAllWorks(context);
    },
  ),
  clause(
    "clock",
    "replaced functions of time and os keep neither the event loop nor callbacks from working",
    async (context) => {
      const { backend } = context;
      await backend.evaluate("import asyncio, os, time\nawait asyncio.sleep(0)");
      await backend.evaluate("time.monotonic = time.sleep = os.read = os.write = os.pipe = None");
      assertEquals(await backend.evaluate("await asyncio.sleep(0.01, 3)"), 3);
      await assertAllWorks(context);
    },
  ),
  clause(
    "event-loop",
    "an event loop that code breaks ends its calls, and one that it closes gives way to another",
    async (context) => {
      const { backend } = context;
      const asleep = backend.evaluate("import asyncio\nawait asyncio.sleep(600)");
      const broken = `
loop = asyncio.get_running_loop()
run_once, loop._run_once = loop._run_once, lambda: 1 / 0
loop.call_later = None
await asyncio.sleep(0)
await asyncio.sleep(0)`;
      const calls = [asleep, backend.evaluate(`import asyncio${broken}`)];
      for (const call of calls) {
        const error = await assertRejects(() => call, PythonError);
        assertEquals(error.message.includes("event loop"), true, error.message);
      }
      await assertRejects(() => backend.evaluate("await asyncio.sleep(0)"), PythonError);
      await backend.evaluate("loop._run_once = run_once; del loop.call_later");
      assertEquals(await backend.evaluate("await asyncio.sleep(0.001, 4)"), 4);
      const close = `
import time
loop.run_forever = loop.close
loop.call_soon_threadsafe(loop.stop)
while not loop.is_closed(): time.sleep(0.001)`;
      await backend.evaluate(close);
      assertEquals(await backend.evaluate("await asyncio.sleep(0.001, 5)"), 5);
      assertEquals(await backend.evaluate("await asyncio.sleep(0.001, 6)"), 6);
    },
  ),
  clause(
    "builtins",
    "built-in functions that code deletes or replaces are those of user code alone",
    (context) => breakBuiltins(context, (name) => !VITAL_BUILTINS.includes(name)),
  ),
  clause(
    "builtins-vital",
    "so are those without which hardly a module of the standard library works",
    (context) => breakBuiltins(context, (name) => VITAL_BUILTINS.includes(name)),
  ),
];

/** Those that a library takes for granted at every step. */
const VITAL_BUILTINS: readonly string[] = [
  "getattr",
  "hasattr",
  "isinstance",
  "len",
  "next",
  "str",
  "super",
  "tuple",
  "type",
  "StopIteration",
];

/** Takes built-in functions away, one after the other, and makes calls without them. */
async function breakBuiltins(context: ClauseContext, isTaken: (name: string) => boolean): Promise<void> {
  const { backend } = context;
  const names = await backend.evaluate<string[]>(
    "import builtins\nkept = dict(vars(builtins))\n[name for name in kept if not name.startswith('__') and name not in ('None', 'True', 'False')]",
  );
  await backend.evaluate("import asyncio, threading\nawait asyncio.sleep(0)"); // what they import lazily
  await assertAllWorks(context);
  // What breaks may hang; that is a failure soon enough.
  const call = { timeoutMs: 20_000 };
  // Reading code that was not seen before takes the standard library's own readers.
  const restore = "vars = kept['vars']\nvars(builtins).update(kept)";
  await backend.evaluate(restore);
  await backend.evaluate("1 + n", { n: 1 });
  for (const change of ["del builtins.NAME", "builtins.NAME = None"]) {
    for (const name of names.filter(isTaken)) {
      assertEquals(await backend.evaluate(change.replace("NAME", name), {}, call), null, name);
      assertEquals(await backend.evaluate("1 + n", { n: 1 }, call), 2, name);
      const error = await assertRejects(() => backend.evaluate("1 / 0", {}, call), PythonError);
      assertEquals(error.pythonType, "ZeroDivisionError", name);
      assertEquals(await backend.evaluate(restore, {}, call), null, name);
    }
  }
  await assertAllWorks(context);
}
