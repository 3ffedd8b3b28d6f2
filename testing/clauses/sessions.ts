/**
 * Clauses about further sessions: namespaces, handles and threads of their own.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import type { PythonHostBackend } from "../../core/backend.ts";
import { PythonError, PythonHostError, StaleHandleError } from "../../core/errors.ts";
import { PythonObjectHandle } from "../../core/handles.ts";
import type { Clause, ClauseContext } from "../clause.ts";

function clause(id: string, sentence: string, body: (context: ClauseContext) => Promise<void>): Clause {
  return { id: `sessions/${id}`, sentence, marks: ["python"], body };
}

async function open(backend: PythonHostBackend, label: string): Promise<void> {
  assert(backend.openSession !== undefined, "the backend has no openSession()");
  await backend.openSession(label);
}

async function close(backend: PythonHostBackend, label: string): Promise<void> {
  assert(backend.closeSession !== undefined, "the backend has no closeSession()");
  await backend.closeSession(label);
}

/** See the module comment. */
export const SESSIONS: readonly Clause[] = [
  clause(
    "close-hanging",
    "the end of a session ends the waiting for its calls, also for one that cannot be stopped",
    async ({ backend }) => {
      await backend.evaluate("1"); // has the main thread from now on, where a lock wait could be stopped
      await open(backend, "hanging");
      const code = `
import builtins, threading
builtins.hanging = lock = threading.Lock()
lock.acquire()
print('begun', flush=True)
lock.acquire()`;
      const begun = Promise.withResolvers<void>();
      const options = { session: "hanging", onStdout: () => begun.resolve() };
      const ended = assertRejects(() => backend.evaluate(code, undefined, options), PythonHostError);
      await begun.promise;
      const queued = backend.evaluate("1", undefined, { session: "hanging" });
      const dropped = assertRejects(() => queued, PythonHostError);
      await close(backend, "hanging");
      await Promise.all([ended, dropped]);
      // The thread lives on; when it comes to its end, nobody is told a second time.
      await backend.evaluate("import builtins, time\nbuiltins.hanging.release()\ntime.sleep(0.05)");
      assertEquals(await backend.evaluate("1 + 1"), 2);
    },
  ),
  clause("many", "hundreds of sessions are opened and closed at once", async ({ backend }) => {
    const labels = Array.from({ length: 300 }, (_, i) => `many ${i}`);
    await Promise.all(labels.map((label) => open(backend, label)));
    const results = await Promise.all(
      labels.map((label, n) => backend.evaluate<number>("n + 1", { n }, { session: label })),
    );
    assertEquals(results, labels.map((_, n) => n + 1));
    await Promise.all(labels.map((label) => close(backend, label)));
    assertEquals(await backend.evaluate("1 + 1"), 2);
  }),
  clause(
    "odd-labels",
    "a label is a string of 1 to 256 characters, any of them; no other ends the backend's own session",
    async ({ backend }) => {
      assert(backend.openSession !== undefined && backend.closeSession !== undefined);
      await backend.evaluate("x = 1");
      for (const label of ["", undefined, null, 5] as string[]) {
        for (const call of [backend.openSession, backend.closeSession]) {
          const error = await assertRejects(() => call.call(backend, label), PythonHostError);
          assertEquals(error.code, "argument");
        }
      }
      for (const label of ["é 🐍", "a\nb", "x".repeat(256)]) {
        await open(backend, label);
        const again = await assertRejects(() => open(backend, label), PythonHostError);
        assertEquals(again.code, "argument");
        assertEquals(await backend.evaluate("1 + 1", undefined, { session: label }), 2);
        await Promise.all([close(backend, label), close(backend, label)]);
        await assertRejects(() => backend.evaluate("1", undefined, { session: label }), StaleHandleError);
      }
      assertEquals(await backend.evaluate("x"), 1);
    },
  ),
  clause("names", "each session has names of its own, and keeps them between calls", async ({ backend }) => {
    await open(backend, "a");
    await open(backend, "b");
    await backend.evaluate("x = 'own'");
    await backend.evaluate("x = 'a'", undefined, { session: "a" });
    assertEquals(await backend.evaluate("x", undefined, { session: "a" }), "a");
    assertEquals(await backend.evaluate("x"), "own");
    const error = await assertRejects(() => backend.evaluate("x", undefined, { session: "b" }), PythonError);
    assertEquals(error.pythonType, "NameError");
  }),
  clause(
    "threads",
    "a session's calls run on one thread, in order, beside those of others",
    async ({ backend }) => {
      await open(backend, "a");
      await backend.evaluate("import builtins, threading\nbuiltins.gate = threading.Event()");
      const slow = backend.evaluate(
        "import threading; gate.wait(); t = threading.get_ident()",
        undefined,
        { session: "a" },
      );
      const next = backend.evaluate<boolean>("t == threading.get_ident()", undefined, { session: "a" });
      let isSlowDone = false;
      slow.then(() => isSlowDone = true);
      assertEquals(await backend.evaluate("1 + 1"), 2);
      assertEquals(isSlowDone, false, "another session's call does not wait");
      await backend.evaluate("gate.set()");
      await slow;
      assertEquals(await next, true);
      await backend.evaluate("del builtins.gate");
    },
  ),
  clause("handles", "a handle belongs to its session, and ends with it", async ({ backend }) => {
    await open(backend, "a");
    const handle = await backend.evaluate("object()", undefined, { session: "a" });
    assert(handle instanceof PythonObjectHandle);
    await assertRejects(() => backend.getAttribute(handle, "__doc__"), StaleHandleError);
    await close(backend, "a");
    await open(backend, "a");
    await assertRejects(() => backend.getAttribute(handle, "__doc__", { session: "a" }), StaleHandleError);
  }),
  clause(
    "unknown",
    "a session that is unknown or closed is a typed error that names it",
    async ({ backend }) => {
      for (const label of ["nowhere", "closed"]) {
        if (label === "closed") {
          await open(backend, label);
          await close(backend, label);
        }
        const error = await assertRejects(
          () => backend.evaluate("1", undefined, { session: label }),
          StaleHandleError,
        );
        assert(error.message.includes(`"${label}"`), error.message);
      }
      await close(backend, "nowhere");
      assertEquals(await backend.evaluate("1 + 1"), 2);
    },
  ),
  clause("twice", "a label that is open, or is none, is an argument error", async ({ backend }) => {
    await open(backend, "a");
    for (const label of ["a", "", "x".repeat(300)]) {
      const error = await assertRejects(() => open(backend, label), PythonHostError);
      assertEquals(error.code, "argument");
    }
  }),
  clause("own", "a label is no way into another backend's session", async ({ backend, connect }) => {
    await open(backend, "shared");
    await backend.evaluate("secret = 1", undefined, { session: "shared" });
    const other = await connect();
    await assertRejects(() => other.evaluate("secret", undefined, { session: "shared" }), StaleHandleError);
    await open(other, "shared");
    await assertRejects(() => other.evaluate("secret", undefined, { session: "shared" }), PythonError);
  }),
  clause("close-running", "closing a session ends the calls that run in it", async ({ backend }) => {
    await open(backend, "a");
    const call = backend.evaluate("while True: pass", undefined, { session: "a" }).catch((error) => error);
    await backend.evaluate("import time; time.sleep(0.05)");
    await close(backend, "a");
    assert(await call instanceof PythonHostError);
    assertEquals(await backend.evaluate("1 + 1"), 2);
  }),
  clause("events", "what a session's call prints and asks reaches its own callbacks", async ({ backend }) => {
    await open(backend, "a");
    let out = "";
    await backend.evaluate("print(input('? '))", undefined, {
      session: "a",
      onStdout: (text) => void (out += text),
      onInput: async (prompt) => prompt + await backend.evaluate("1 + 1", undefined, { session: "a" }),
    });
    assertEquals(out, "? 2\n");
  }),
];
