/**
 * Clauses about the life of a backend: connecting, closing, and what becomes of calls.
 *
 * @module
 */

import { assert, assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import { ConnectionClosedError, PythonHostError, ServerExitedError } from "../../core/errors.ts";
import { type Clause, QUICK_CODE, SLOW_CODE } from "../clause.ts";

/** See the module comment. */
export const LIFECYCLE: readonly Clause[] = [
  {
    id: "lifecycle/lazy",
    sentence: "a backend is not initialized before its first call, which initializes it",
    marks: ["lifecycle"],
    body: async ({ backend }) => {
      assertEquals(backend.isInitialized, false);
      assertEquals(await backend.evaluate(QUICK_CODE), 2);
      assertEquals(backend.isInitialized, true);
    },
  },
  {
    id: "lifecycle/initialize-twice",
    sentence: "initialize() twice, at once or later, gives the same facts",
    marks: ["lifecycle"],
    body: async ({ backend }) => {
      const [first, second] = await Promise.all([backend.initialize(), backend.initialize()]);
      assertEquals(second, first);
      assertEquals(await backend.initialize(), first);
      assert(typeof first.pythonVersion === "string" && Array.isArray(first.features));
      assertEquals(backend.isInitialized, true);
    },
  },
  {
    id: "lifecycle/close-twice",
    sentence: "close() twice, at once and later, is one close",
    marks: ["lifecycle"],
    body: async ({ backend }) => {
      await backend.initialize();
      await Promise.all([backend.close(), backend.close()]);
      await backend.close();
      assertEquals(backend.isInitialized, false);
    },
  },
  {
    id: "lifecycle/close-unused",
    sentence: "a backend that was never used can be closed, and stays closed",
    marks: ["lifecycle"],
    body: async ({ backend }) => {
      await backend.close();
      await assertRejects(() => backend.initialize(), ConnectionClosedError);
    },
  },
  {
    id: "lifecycle/closed-reason",
    sentence: "after close every call fails at once and for the same reason",
    marks: ["lifecycle"],
    body: async ({ backend }) => {
      await backend.initialize();
      await backend.close();
      const [first, ...others] = await Promise.all(
        [
          () => backend.evaluate(QUICK_CODE),
          () => backend.importModule("math"),
          () => backend.isModuleAvailable("math"),
          () => backend.createObjectHandleFromResult(1),
          () => backend.initialize(),
        ].map((call) => assertRejects(call, ConnectionClosedError)),
      );
      for (const other of others) assertEquals(other.message, first!.message);
    },
  },
  {
    id: "lifecycle/close-pending",
    sentence: "close rejects calls that are pending, and does not wait for them",
    marks: ["lifecycle"],
    body: async ({ backend }) => {
      await backend.initialize();
      const pending = [1, 2, 3].map(() => backend.evaluate(SLOW_CODE).catch((error) => error));
      await backend.close();
      for (const error of await Promise.all(pending)) assertInstanceOf(error, ConnectionClosedError);
    },
  },
  {
    id: "lifecycle/await-using",
    sentence: "await using closes the backend",
    marks: ["lifecycle"],
    body: async ({ connect }) => {
      const backend = await connect();
      {
        await using scoped = backend;
        assertEquals(await scoped.evaluate(QUICK_CODE), 2);
      }
      await assertRejects(() => backend.evaluate(QUICK_CODE), ConnectionClosedError);
    },
  },
  {
    id: "lifecycle/independent",
    sentence: "closing one backend leaves another on the same server alone",
    marks: ["lifecycle"],
    body: async ({ backend, connect }) => {
      const other = await connect();
      await Promise.all([backend.initialize(), other.initialize()]);
      await backend.close();
      assertEquals(await other.evaluate(QUICK_CODE), 2);
    },
  },
  {
    id: "lifecycle/own-names",
    sentence: "names of one backend's session are not seen by another's",
    marks: ["python"],
    body: async ({ backend, connect }) => {
      const other = await connect();
      await backend.evaluate("mine = 1");
      assertEquals(await other.evaluate("'mine' in globals()"), false);
    },
  },
  {
    id: "lifecycle/crash",
    sentence: "a server that dies rejects every pending call within 2 s, and later calls at once",
    marks: ["python"],
    isolated: true,
    body: async ({ backend }) => {
      await backend.initialize();
      const pending = [1, 2, 3].map(() => backend.evaluate(SLOW_CODE, undefined, { concurrent: true }));
      const settled = Promise.allSettled(pending);
      const begun = performance.now();
      const fatal = await backend.evaluate("import os; os._exit(7)").catch((error) => error);
      const results = await settled;
      assert(performance.now() - begun < 2_000, "within 2 s");
      for (
        const error of [
          fatal,
          ...results.map((result) => result.status === "rejected" && result.reason),
        ]
      ) {
        assertIsEnd(error);
      }
      assertIsEnd(await backend.evaluate("1").catch((error) => error));
    },
  },
];

/** A client by endpoint cannot know how the server ended; an owner can, and then says it. */
function assertIsEnd(error: unknown): void {
  assertInstanceOf(error, PythonHostError);
  assert(["closed", "server-exited", "connect"].includes(error.code), `${error}`);
  if (error instanceof ServerExitedError) assertEquals(error.exitCode, 7);
}
