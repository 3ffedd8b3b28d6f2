/**
 * Clauses about calls at once: what waits for what, and what must not.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import type { PythonHostError } from "../../core/errors.ts";
import { type Clause, type ClauseContext, SLOW_CODE } from "../clause.ts";

function clause(id: string, sentence: string, body: (context: ClauseContext) => Promise<void>): Clause {
  return { id: `concurrency/${id}`, sentence, marks: ["python"], body };
}

/** Runs `body` while a slow call runs on the backend's session, which is stopped afterwards. */
async function besideSlowCall({ backend }: ClauseContext, body: () => Promise<void>): Promise<void> {
  await backend.initialize();
  const controller = new AbortController();
  const slow = backend.evaluate(SLOW_CODE, undefined, { signal: controller.signal }).catch((error) => error);
  try {
    await body();
  } finally {
    controller.abort();
    await slow;
  }
}

/** See the module comment. */
export const CONCURRENCY: readonly Clause[] = [
  clause("many", "many calls at once each get their own answer", async ({ backend }) => {
    const numbers = Array.from({ length: 200 }, (_, n) => n);
    assertEquals(
      await Promise.all(numbers.map((n) => backend.evaluate(`${n} * 2`))),
      numbers.map((n) => n * 2),
    );
  }),
  clause("mixed", "failures among many calls reach their own callers", async ({ backend }) => {
    const results = await Promise.allSettled(
      Array.from({ length: 50 }, (_, n) => backend.evaluate(n % 2 === 0 ? `${n}` : `raise ValueError(${n})`)),
    );
    for (const [n, result] of results.entries()) {
      if (result.status === "fulfilled") assertEquals(result.value, n);
      else assertEquals([n % 2, (result.reason as PythonHostError).message], [1, `ValueError: ${n}`]);
    }
    assertEquals(results.filter(({ status }) => status === "rejected").length, 25);
  }),
  clause("concurrent", "a slow call does not delay a concurrent one", async (context) => {
    await besideSlowCall(context, async () => {
      assertEquals(await context.backend.evaluate("1 + 1", undefined, { concurrent: true }), 2);
    });
  }),
  clause("other-backend", "a slow call does not delay another backend's session", async (context) => {
    const other = await context.connect();
    await besideSlowCall(context, async () => {
      assertEquals(await other.evaluate("1 + 1"), 2);
    });
  }),
  clause("coroutines", "coroutines of one session run beside each other", async ({ backend }) => {
    await backend.evaluate("import asyncio\ngate = None");
    const waiting = backend.evaluate("gate = asyncio.Event()\nawait gate.wait()\n'through'");
    // The loop must see the first coroutine's event before the second sets it.
    const opening = backend.evaluate(
      "while gate is None:\n  await asyncio.sleep(0.001)\ngate.set()\n'opened'",
    );
    assertEquals(await Promise.all([waiting, opening]), ["through", "opened"]);
  }),
  clause(
    "dispose-while-used",
    "a handle that is disposed while a call uses it serves that call",
    async ({ backend }) => {
      await backend.evaluate("import time");
      const handle = await backend.createObject("builtins", "list", [[1, 2, 3]]);
      const call = backend.evaluate("time.sleep(0.05)\nlen(a)", { a: handle }, { concurrent: true });
      await handle.dispose();
      assertEquals(await call, 3);
      assert(!handle.isValid);
    },
  ),
];
