/**
 * Clauses about what code says while it runs: it reaches the callbacks and never breaks a call.
 *
 * @module
 */

import { assertEquals, assertRejects } from "@std/assert";
import type { CallOptions } from "../../core/backend.ts";
import type { MimeBundle, PythonLogRecord } from "../../core/call_events.ts";
import { CallTimeoutError, PythonError } from "../../core/errors.ts";
import type { Clause, ClauseContext } from "../clause.ts";

function clause(id: string, sentence: string, body: (context: ClauseContext) => Promise<void>): Clause {
  return { id: `output/${id}`, sentence, marks: ["python"], body };
}

/** See the module comment. */
export const OUTPUT: readonly Clause[] = [
  clause("print", "print reaches onStdout, sys.stderr reaches onStderr, in order", async ({ backend }) => {
    let out = "";
    let err = "";
    const code = "import sys\nprint('a')\nprint('ü', end='')\nprint('oh', file=sys.stderr)\n7";
    const value = await backend.evaluate(code, undefined, {
      onStdout: (text) => void (out += text),
      onStderr: (text) => void (err += text),
    });
    assertEquals([value, out, err], [7, "a\nü", "oh\n"]);
  }),
  clause("callback-throws", "a callback that throws harms nothing", async ({ backend }) => {
    const onStdout = () => {
      throw new Error("broken callback");
    };
    assertEquals(await backend.evaluate("print('a'); 7", undefined, { onStdout }), 7);
    assertEquals(await backend.evaluate("1 + 1"), 2);
  }),
  clause("unasked", "output that nobody asked for breaks nothing", async ({ backend }) => {
    assertEquals(await backend.evaluate("print('x' * 100_000); 7"), 7);
  }),
  clause(
    "foreign-writers",
    "the descriptor 1 of C code and of a subprocess is not the wire",
    async ({ backend }) => {
      assertEquals(await backend.evaluate("import os\nos.write(1, b'[1,\"ok\",0]\\n')\n7"), 7);
      const code =
        "import subprocess, sys\nsubprocess.run([sys.executable, '-I', '-c', 'print(1)']).returncode";
      assertEquals(await backend.evaluate(code), 0);
    },
  ),
  clause(
    "tasks-and-threads",
    "what threads and tasks of a call print reaches that call's callbacks, also when many run at once",
    async ({ backend }) => {
      const code = `
import asyncio, threading
async def say(n):
    await asyncio.sleep(0.001)
    print(mark, 'task', n)
thread = threading.Thread(target=lambda: print(mark, 'thread'))
thread.start()
await asyncio.gather(say(1), say(2))
await asyncio.to_thread(thread.join)
await asyncio.to_thread(print, mark, 'pool')`;
      const outputs = await Promise.all(["a", "b", "c"].map(async (mark) => {
        let out = "";
        await backend.evaluate(code, { mark }, { onStdout: (text) => void (out += text) });
        return out.trim().split("\n").sort().join();
      }));
      const expected = (mark: string) => `${mark} pool,${mark} task 1,${mark} task 2,${mark} thread`;
      assertEquals(outputs, ["a", "b", "c"].map(expected));
    },
  ),
  clause(
    "executors",
    "what the work of an executor prints reaches the call that has submitted it; after that call's end, the server",
    async ({ backend }) => {
      const printed: string[] = [];
      const run = (code: string) => {
        const at = printed.push("") - 1;
        return backend.evaluate(code, undefined, { onStdout: (text) => void (printed[at] += text) });
      };
      await run("from concurrent.futures import ThreadPoolExecutor\npool = ThreadPoolExecutor(1)");
      await run("pool.submit(print, 'first').result()");
      await run("pool.submit(print, 'second').result()");
      const inLoop = "import asyncio\nawait asyncio.get_running_loop().run_in_executor(pool, print, 'third')";
      await run(inLoop);
      await run(`
import threading
begins = threading.Event()
late = pool.submit(lambda: (begins.wait(10), print('late'), 5)[2])
None`);
      await run("begins.set()\nassert late.result() == 5\npool.shutdown()");
      assertEquals(printed, ["", "first\n", "second\n", "third\n", "", ""]);
    },
  ),
  clause("bytes", "bytes written to sys.stdout.buffer arrive as text, cut anywhere", async ({ backend }) => {
    let out = "";
    const code = "import sys\nfor b in 'aü🐍\\n'.encode(): sys.stdout.buffer.write(bytes([b]))";
    await backend.evaluate(code, undefined, { onStdout: (text) => void (out += text) });
    assertEquals(out, "aü🐍\n");
  }),
  clause(
    "log",
    "records of logging reach onLog as data, with the traceback of an exception",
    async ({ backend }) => {
      const records: PythonLogRecord[] = [];
      const code = `
import logging
log = logging.getLogger('app.db')
log.warning('lost %d rows', 3)
log.debug('not let through')
try:
    1 / 0
except ZeroDivisionError:
    log.exception('oh')`;
      await backend.evaluate(code, undefined, { onLog: (record) => void records.push(record) });
      assertEquals(records.map(({ level, levelName, name, message }) => [level, levelName, name, message]), [
        [30, "WARNING", "app.db", "lost 3 rows"],
        [40, "ERROR", "app.db", "oh"],
      ]);
      assertEquals([records[0]!.line, records[0]!.traceback], [4, null]);
      assertEquals(Math.abs(records[0]!.time - Date.now()) < 60_000, true, "the time is that of now");
      assertEquals(records[1]!.traceback?.endsWith("ZeroDivisionError: division by zero"), true);
    },
  ),
  clause("progress", "reports of progress reach onProgress in order", async ({ backend }) => {
    const reports: unknown[] = [];
    const code = "from beep_host import progress\nprogress(0)\nprogress(1, 4, 'ü')\nprogress(2.5, 4)";
    await backend.evaluate(code, undefined, { onProgress: (report) => void reports.push(report) });
    assertEquals(reports, [
      { done: 0, total: null, message: null },
      { done: 1, total: 4, message: "ü" },
      { done: 2.5, total: 4, message: null },
    ]);
    assertEquals(await backend.evaluate("progress(1)"), null, "without a listener it does nothing");
  }),
  clause("progress-nonsense", "a report with nonsense is a typed error in Python", async ({ backend }) => {
    for (
      const [report, type] of [
        ["float('nan')", "ValueError"],
        ["-1", "ValueError"],
        ["3, 2", "ValueError"],
        ["float('inf')", "ValueError"],
        ["'1'", "TypeError"],
        ["True", "TypeError"],
        ["1, None, 5", "TypeError"],
      ] as const
    ) {
      const error = await assertRejects(
        () => backend.evaluate(`from beep_host import progress\nprogress(${report})`),
        PythonError,
      );
      assertEquals(
        [error.pythonType, error.message.includes("Cannot report progress")],
        [type, true],
        report,
      );
    }
    assertEquals(await backend.evaluate("1 + 1"), 2);
  }),
  clause(
    "display",
    "what is displayed reaches onDisplay by MIME type, bytes as bytes",
    async ({ backend }) => {
      const bundles: MimeBundle[] = [];
      const code = `
import beep_host
class Shape:
    def _repr_html_(self): return '<b>ü</b>'
    def _repr_png_(self): return b'\\x89PNG'
    def _repr_svg_(self): raise RuntimeError('no svg')
    def __repr__(self): return 'Shape()'
beep_host.display(Shape())
beep_host.display({'application/json': {'a': [1]}, 'text/plain': 'data'})
beep_host.display(Shape(), include=['text/html'])`;
      await backend.evaluate(code, undefined, { onDisplay: (bundle) => void bundles.push(bundle) });
      const html = "<b>ü</b>";
      assertEquals(bundles, [
        { "text/html": html, "text/plain": "Shape()", "image/png": new Uint8Array([0x89, 80, 78, 71]) },
        { "application/json": { a: [1] }, "text/plain": "data" },
        { "text/html": html, "text/plain": "Shape()" },
      ]);
    },
  ),
  clause(
    "input",
    "input() asks onInput, also from threads and tasks, and the answer may call Python",
    async ({ backend }) => {
      let out = "";
      const code = `
import asyncio, threading
print(input('who? '))
threads = [threading.Thread(target=lambda: print(input('thread? ')))]
for thread in threads: thread.start()
for thread in threads: thread.join()
import sys
print(sys.stdin.readline() == 'You 2\\n')`;
      const options: CallOptions = {
        onStdout: (text) => void (out += text),
        onInput: async (prompt) => `${prompt}You ${await backend.evaluate("1 + 1")}`,
      };
      await backend.evaluate(code, undefined, options);
      assertEquals(out, "who? You 2\nthread? You 2\nTrue\n");
      out = "";
      await backend.evaluate(
        "import asyncio\nawait asyncio.sleep(0)\nprint(input('task? '))",
        undefined,
        options,
      );
      assertEquals(out, "task? You 2\n");
    },
  ),
  clause(
    "input-end",
    "input() finds the end of the input when nobody answers, or the answer is null",
    async ({ backend }) => {
      for (const options of [{}, { onInput: () => null }]) {
        const error = await assertRejects(
          () => backend.evaluate("input('who? ')", undefined, options),
          PythonError,
        );
        assertEquals(error.pythonType, "EOFError");
        assertEquals(await backend.evaluate("import sys; sys.stdin.read()", undefined, options), "");
      }
    },
  ),
  clause("input-throws", "what onInput throws is raised by input()", async ({ backend }) => {
    const onInput = () => {
      throw new RangeError("not now");
    };
    const code = "try:\n  input()\nexcept Exception as error:\n  text = str(error)\ntext";
    const text = await backend.evaluate<string>(code, undefined, { onInput });
    assertEquals(text.includes("not now"), true, text);
  }),
  clause(
    "flood",
    "a call that prints without end can be stopped, as can a coroutine that does",
    async ({ backend }) => {
      await backend.initialize();
      for (
        const code of [
          "while True: print('x' * 80)",
          "async def f():\n  while True: print('x' * 80)\nawait f()",
        ]
      ) {
        for (const onStdout of [undefined, () => {}]) {
          await assertRejects(
            () => backend.evaluate(code, undefined, { timeoutMs: 100, onStdout }),
            CallTimeoutError,
          );
        }
      }
      assertEquals(await backend.evaluate("1 + 1"), 2);
    },
  ),
];
