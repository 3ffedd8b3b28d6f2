// Many handles, and the bound on them. BEEP_TEST_HANDLES sets how many are made and released; a soak uses 1000000.

import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { PythonHostError, StaleHandleError } from "../../core/errors.ts";
import type { PythonObjectHandle } from "../../core/handles.ts";
import { startBackend } from "./started_server.ts";

const LIVE_HANDLES = 10_000;
const RELEASED_HANDLES = Number(Deno.env.get("BEEP_TEST_HANDLES") ?? 60_000);
const AT_ONCE = 500;
const MAX_DRIFT = 0.05;

Deno.test("case 91: ten thousand handles live at once, each its own object, and all are released", async () => {
  await using started = await startBackend();
  const { backend } = started;
  await backend.evaluate("class Thing:\n  def __init__(self, n):\n    self.n = n\n  live = 0");
  const handles = await backend.evaluate<PythonObjectHandle[]>("[Thing(i) for i in range(n)]", {
    n: LIVE_HANDLES,
  });
  assertEquals(new Set(handles.map(({ id }) => id)).size, LIVE_HANDLES);
  for (const i of [0, 1, 4_321, LIVE_HANDLES - 1]) {
    assertEquals(await backend.getAttribute(handles[i]!, "n"), i);
  }
  assertEquals(
    await backend.evaluate("[t.n for t in things] == list(range(n))", { things: handles, n: LIVE_HANDLES }),
    true,
  );
  const alive = "import gc; sum(type(o) is Thing for o in gc.get_objects())";
  assertEquals(await backend.evaluate(alive), LIVE_HANDLES);
  await Promise.all(handles.map((handle) => handle.dispose()));
  assertEquals(await backend.evaluate(alive), 0);
  await assertRejects(() => backend.getAttribute(handles[0]!, "n"), StaleHandleError);
});

Deno.test(`making and releasing ${RELEASED_HANDLES} handles costs no memory`, async () => {
  await using started = await startBackend();
  const { backend } = started;
  const seen = { last: 0 };
  async function churn(count: number): Promise<void> {
    for (let done = 0; done < count; done += AT_ONCE) {
      const made = await Promise.all(
        Array.from({ length: AT_ONCE }, () => backend.evaluate<PythonObjectHandle>("object()")),
      );
      for (const handle of made) {
        assert(handle.id > seen.last, "An id was used twice");
        seen.last = handle.id;
        handle[Symbol.dispose]();
      }
    }
  }
  // Blocks are what Python's allocator counts: exact where the resident size is not.
  const blocks = async () =>
    await backend.evaluate<number>("import sys, gc; gc.collect(); sys.getallocatedblocks()");
  await churn(RELEASED_HANDLES / 10);
  const before = await blocks();
  await churn(RELEASED_HANDLES);
  const after = await blocks();
  assert(after < before * (1 + MAX_DRIFT), `Python held ${before} blocks before and ${after} after`);
});

Deno.test("a handle beyond maxHandles is an error of code limit, and releasing one makes room", async () => {
  await using started = await startBackend({ maxHandles: 3 });
  const { backend } = started;
  const make = () => backend.evaluate<PythonObjectHandle>("object()");
  const first = await make();
  await make();
  await make();
  const error = await assertRejects(make, PythonHostError);
  assertEquals(error.code, "limit");
  assertStringIncludes(error.message, "maxHandles is 3");
  // Those of a result that cannot be sent as a whole are given back.
  await first.dispose();
  await assertRejects(() => backend.evaluate("[object(), object()]"), PythonHostError);
  await make();
});
