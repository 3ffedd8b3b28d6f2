/**
 * Clauses about stopping calls: by a signal, by a deadline, before, during and after.
 *
 * @module
 */

import { assert, assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import type { CallOptions } from "../../core/backend.ts";
import {
  CallNotInterruptedError,
  CallTimeoutError,
  PythonError,
  PythonHostError,
} from "../../core/errors.ts";
import { type Clause, type ClauseContext, QUICK_CODE, SLOW_CODE } from "../clause.ts";

function clause(id: string, sentence: string, body: (context: ClauseContext) => Promise<void>): Clause {
  return { id: `cancel/${id}`, sentence, marks: ["lifecycle"], body };
}

function pythonClause(id: string, sentence: string, body: (context: ClauseContext) => Promise<void>): Clause {
  return { id: `cancel/${id}`, sentence, marks: ["python"], body };
}

/** Starts a call, aborts it after it is on its way, and gives what it rejects with. */
async function abortRunning(
  { backend }: ClauseContext,
  code: string,
  reason: unknown,
  concurrent = false,
): Promise<unknown> {
  await backend.initialize();
  const controller = new AbortController();
  const call = backend.evaluate(code, undefined, { signal: controller.signal, concurrent }).then(
    () => {
      throw new Error("The call ended by itself");
    },
    (error) => error,
  );
  // Time for the call to be running; the clauses hold as well when it is not yet.
  await new Promise((resolve) => setTimeout(resolve, 50));
  controller.abort(reason);
  return await call;
}

/** See the module comment. */
export const CANCELLATION: readonly Clause[] = [
  clause(
    "before",
    "a signal that has aborted rejects with its reason, and nothing is run",
    async ({ backend }) => {
      await backend.initialize();
      const reason = new Error("changed my mind");
      const call = backend.evaluate(SLOW_CODE, undefined, { signal: AbortSignal.abort(reason) });
      assert(await call.catch((error) => error) === reason);
      assertEquals(await backend.evaluate(QUICK_CODE), 2);
    },
  ),
  clause(
    "while-connecting",
    "a call aborted before the backend is connected is never sent",
    async ({ backend }) => {
      const controller = new AbortController();
      const call = backend.evaluate(SLOW_CODE, undefined, { signal: controller.signal }).catch((error) =>
        error
      );
      controller.abort("enough");
      assertEquals(await call, "enough");
      assertEquals(await backend.evaluate(QUICK_CODE), 2);
    },
  ),
  clause("running", "a running call that is aborted rejects with the signal's reason", async (context) => {
    const reason = new Error("enough");
    assert(await abortRunning(context, SLOW_CODE, reason) === reason);
    assertEquals(await context.backend.evaluate(QUICK_CODE), 2);
  }),
  clause("after", "an abort after the reply changes nothing", async ({ backend }) => {
    const controller = new AbortController();
    assertEquals(await backend.evaluate(QUICK_CODE, undefined, { signal: controller.signal }), 2);
    controller.abort();
    assertEquals(await backend.evaluate(QUICK_CODE), 2);
  }),
  clause("timeout", "a deadline rejects with CallTimeoutError that tells it", async ({ backend }) => {
    await backend.initialize();
    const error = await assertRejects(
      () => backend.evaluate(SLOW_CODE, undefined, { timeoutMs: 50 }),
      CallTimeoutError,
    );
    assertEquals([error.timeoutMs, error.code], [50, "timeout"]);
    assertEquals(await backend.evaluate(QUICK_CODE), 2);
  }),
  clause("timeout-unused", "a deadline that is not reached changes nothing", async ({ backend }) => {
    assertEquals(await backend.evaluate(QUICK_CODE, undefined, { timeoutMs: 20_000 }), 2);
  }),
  clause(
    "timeout-argument",
    "a deadline of zero, below zero or NaN, or that is no number, is an argument error; one far away is none",
    async ({ backend }) => {
      for (const timeoutMs of [0, -5, NaN, -Infinity, "5", null] as number[]) {
        const error = await assertRejects(
          () => backend.evaluate(QUICK_CODE, undefined, { timeoutMs }),
          PythonHostError,
        );
        assertEquals(error.code, "argument");
      }
      for (const timeoutMs of [2 ** 31, 1e300, Infinity]) {
        assertEquals(await backend.evaluate(QUICK_CODE, undefined, { timeoutMs }), 2);
      }
    },
  ),
  clause(
    "option-arguments",
    "options that are none are argument errors that name the option",
    async ({ backend }) => {
      const wrong: [name: string, value: unknown][] = [
        ...["onStdout", "onStderr", "onLog", "onProgress", "onDisplay", "onInput"].map((name) =>
          [name, true] as [string, unknown]
        ),
        ["timeoutMs", "5"],
        ["signal", {}],
        ["signal", null],
        ["result", "json"],
        ["session", ""],
        ["session", 5],
        ["session", "\ud800"],
      ];
      for (const [name, value] of wrong) {
        const options = { [name]: value } as CallOptions;
        for (
          const call of [
            () => backend.evaluate(QUICK_CODE, {}, options),
            () => backend.isModuleAvailable("math", options),
          ]
        ) {
          const error = await assertRejects(call, PythonHostError, name);
          assertEquals(error.code, "argument");
        }
      }
      const noOptions = await assertRejects(
        () => backend.evaluate(QUICK_CODE, {}, null as unknown as CallOptions),
        PythonHostError,
        "options",
      );
      assertEquals(noOptions.code, "argument");
      assertEquals(await backend.evaluate(QUICK_CODE), 2);
    },
  ),
  pythonClause("loop", "a loop in Python is stopped", async (context) => {
    assertEquals(await abortRunning(context, "while True:\n  pass", "enough"), "enough");
    assertEquals(await context.backend.evaluate(QUICK_CODE), 2);
  }),
  {
    id: "cancel/wait",
    sentence:
      "a sleep, a lock wait, a queue's, an event's and a wait for a process are stopped in the first session, which has the main thread",
    marks: ["python"],
    isolated: true,
    body: async (context) => {
      for (
        const code of [
          "import time; time.sleep(600)",
          "import threading; lock = threading.Lock(); lock.acquire(); lock.acquire()",
          "import queue; queue.Queue().get()",
          "import threading; threading.Event().wait()",
          "import subprocess, sys; subprocess.run([sys.executable, '-I', '-c', 'import time; time.sleep(600)'])",
        ]
      ) {
        assertEquals(await abortRunning(context, code, "enough"), "enough", code);
        assertEquals(await context.backend.evaluate(QUICK_CODE), 2);
      }
    },
  },
  {
    id: "cancel/signals-blocked",
    sentence: "Python code that has blocked all signals on its thread is stopped",
    marks: ["python"],
    isolated: true,
    body: async (context) => {
      const block =
        "import signal; getattr(signal, 'pthread_sigmask', lambda *_: None)(getattr(signal, 'SIG_BLOCK', 0), range(1, 65))";
      await context.backend.evaluate(block);
      for (let i = 0; i < 3; i++) {
        assertEquals(await abortRunning(context, "while True:\n  pass", "enough"), "enough");
        assertEquals(await context.backend.evaluate(QUICK_CODE), 2);
      }
    },
  },
  ...["", "concurrent", "coroutine"].map((kind) =>
    pythonClause(
      `exception-texts${kind && `-${kind}`}`,
      `an exception whose texts take for ever to make is stopped${kind && ` (${kind})`}`,
      async (context) => {
        for (const [method, args] of [["__str__", ""], ["__repr__", "Endless()"]]) {
          const code = `
import asyncio
class Endless(Exception):
  def ${method}(self):
    while True:
      pass
${kind === "coroutine" ? "await asyncio.sleep(0)" : ""}
raise ${args === "" ? "Endless()" : `ValueError(${args})`}`;
          assertEquals(await abortRunning(context, code, "enough", kind === "concurrent"), "enough");
          assertEquals(await context.backend.evaluate("import asyncio\nawait asyncio.sleep(0, 2)"), 2);
        }
      },
    )
  ),
  pythonClause("coroutine", "a coroutine is stopped at its await", async (context) => {
    assertEquals(await abortRunning(context, "import asyncio\nawait asyncio.sleep(600)", "enough"), "enough");
    assertEquals(await context.backend.evaluate(QUICK_CODE), 2);
  }),
  pythonClause("concurrent", "a concurrent call in Python code is stopped", async (context) => {
    assertEquals(await abortRunning(context, "while True:\n  pass", "enough", true), "enough");
    assertEquals(await context.backend.evaluate(QUICK_CODE), 2);
  }),
  pythonClause(
    "queued",
    "a call behind a slow one is given up at once and never run",
    async ({ backend }) => {
      await backend.evaluate("ran = False");
      const slow = new AbortController();
      const first = backend.evaluate(SLOW_CODE, undefined, { signal: slow.signal }).catch((error) => error);
      await assertRejects(
        () => backend.evaluate("ran = True", undefined, { timeoutMs: 50 }),
        CallTimeoutError,
      );
      slow.abort("done");
      assertEquals(await first, "done");
      assertEquals(await backend.evaluate("ran"), false);
    },
  ),
  pythonClause("finally", "finally and with blocks run when a call is stopped", async ({ backend }) => {
    await backend.evaluate("log = []");
    const code =
      "import time\ntry:\n  print('begun')\n  while True:\n    time.sleep(0.01)\nfinally:\n  log.append('cleaned')";
    const controller = new AbortController();
    const call = backend.evaluate(code, undefined, {
      signal: controller.signal,
      onStdout: () => controller.abort("enough"),
    });
    assertEquals(await call.catch((error) => error), "enough");
    assertEquals(await backend.evaluate("log"), ["cleaned"]);
  }),
  pythonClause("not-next", "a stop never hits the next call", async ({ backend }) => {
    for (let i = 0; i < 20; i++) {
      const controller = new AbortController();
      const call = backend.evaluate("sum(range(2000))", undefined, { signal: controller.signal }).catch((e) =>
        e
      );
      const timer = setTimeout(() => controller.abort("enough"), i % 4);
      const next = backend.evaluate("'next'");
      const settled = await call;
      assert(settled === 1_999_000 || settled === "enough", String(settled));
      assertEquals(await next, "next");
      clearTimeout(timer);
    }
  }),
  pythonClause("own-exception", "except Exception does not catch a stop", async (context) => {
    const code = "import time\ntry:\n  while True:\n    time.sleep(0.01)\nexcept Exception:\n  pass";
    assertEquals(await abortRunning(context, code, "enough"), "enough");
  }),
  pythonClause(
    "unasked-interrupt",
    "a KeyboardInterrupt of the code's own is no stop",
    async ({ backend }) => {
      const controller = new AbortController();
      const error = await backend.evaluate("raise KeyboardInterrupt", undefined, {
        signal: controller.signal,
      })
        .catch((error) => error);
      assertInstanceOf(error, PythonError);
    },
  ),
  pythonClause(
    "many",
    "many calls at once are stopped each, however their stops fall together",
    async ({ backend }) => {
      await backend.initialize();
      await Promise.all(Array.from({ length: 4 }, async (_, n) => {
        for (let i = 0; i < 15; i++) {
          const call = backend.evaluate("while True:\n  pass", undefined, { timeoutMs: 2 + (n + i) % 5 });
          await assertRejects(() => call, CallTimeoutError);
        }
      }));
      assertEquals(await backend.evaluate(QUICK_CODE), 2);
    },
  ),
  pythonClause(
    "bystanders",
    "a stop never reaches a call that runs beside it on another thread",
    async ({ backend }) => {
      const code = "total = 0\nfor number in range(300000):\n  total += number\ntotal";
      const bystanders = [1, 2].map(() =>
        backend.evaluate(code, { total: 0, number: 0 }, { concurrent: true })
      );
      for (const concurrent of [false, true, false, true]) {
        const call = backend.evaluate("while True:\n  pass", undefined, { timeoutMs: 10, concurrent });
        await assertRejects(() => call, CallTimeoutError);
      }
      assertEquals(await Promise.all(bystanders), [44999850000, 44999850000]);
    },
  ),
  {
    id: "cancel/not-interrupted",
    sentence:
      "C code that holds the interpreter is given up after the grace time, and the backend is usable when it returns",
    marks: ["python"],
    isolated: true,
    body: async ({ backend }) => {
      await backend.initialize();
      // C code that keeps the interpreter while it sleeps: six seconds on any machine, however busy. Before it a
      // moment in which what is printed can leave, so that the stop comes when the call runs; that must not end it.
      const code = `
import ctypes, os, time
has_begun = False
while True:
    try:
        if not has_begun:
            has_begun = True
            print('begun', flush=True)
        time.sleep(0.2)
        ctypes.PyDLL('kernel32').Sleep(6000) if os.name == 'nt' else ctypes.PyDLL(None).sleep(6)
        break
    except BaseException:
        pass`;
      const reason = new Error("enough");
      const controller = new AbortController();
      const options = { signal: controller.signal, onStdout: () => controller.abort(reason) };
      const error = await backend.evaluate(code, undefined, options).catch((error) => error);
      assertInstanceOf(error, CallNotInterruptedError);
      assert(error.cause === reason, "the cause is the reason of the stop");
      assertEquals(await backend.evaluate(QUICK_CODE), 2);
    },
  },
  ...["", "s"].map((session) =>
    pythonClause(
      `nested${session && "-session"}`,
      `stopping a call stops what its function has called in turn${session && ", in a further session too"}`,
      async ({ backend }) => {
        if (session !== "") await backend.openSession!(session);
        const options = session === "" ? {} : { session };
        const controller = new AbortController();
        const reason = new Error("enough");
        const nested = Promise.withResolvers<unknown>();
        const f = () => {
          setTimeout(() => controller.abort(reason), 50);
          return backend.evaluate(SLOW_CODE, {}, options).then(nested.reject, nested.resolve);
        };
        const call = backend.evaluate("f()", { f }, { ...options, signal: controller.signal });
        assert(await call.catch((error) => error) === reason);
        assertInstanceOf(await nested.promise, PythonHostError);
        assertEquals(await backend.evaluate("1 + 1", {}, options), 2);
      },
    )
  ),
];
