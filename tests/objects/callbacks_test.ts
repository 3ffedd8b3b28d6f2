// Functions that were sent to Python are held exactly as long as Python holds them.

import { assertEquals, assertRejects } from "@std/assert";
import { ValueConversionError } from "../../core/errors.ts";
import { pythonDropped } from "../../core/values.ts";
import { startBackend } from "./started_server.ts";

/** A function that counts how often Python let go of it. */
function countedFunction(): { f: (x: number) => number; dropped: () => number } {
  let count = 0;
  const f = Object.assign((x: number) => x + 1, { [pythonDropped]: () => count++ });
  return { f, dropped: () => count };
}

Deno.test("a function is let go of when no object in Python stands for it", async () => {
  await using started = await startBackend();
  const { backend } = started;
  const { f, dropped } = countedFunction();
  await backend.evaluate("kept = f", { f });
  assertEquals(await backend.evaluate("f(1)", { f }), 2);
  await backend.evaluate("1");
  assertEquals(dropped(), 0);
  assertEquals(await backend.evaluate("kept(2)"), 3);
  await backend.evaluate("kept = None");
  await backend.evaluate("1");
  assertEquals(dropped(), 1);
  // Sent again, it is a new one.
  assertEquals(await backend.evaluate("f(3)", { f }), 4);
  await backend.evaluate("1");
  assertEquals(dropped(), 2);
});

Deno.test("a function in arguments that cannot be sent is not held", async () => {
  await using started = await startBackend();
  const { backend } = started;
  const { f, dropped } = countedFunction();
  await assertRejects(() => backend.evaluate("f", { f, bad: Symbol("bad") }), ValueConversionError);
  await backend.evaluate("kept = f", { f });
  await backend.evaluate("kept = None");
  await backend.evaluate("1");
  assertEquals(dropped(), 1);
});

Deno.test("the end of the backend lets go of all functions", async () => {
  const { f, dropped } = countedFunction();
  {
    await using started = await startBackend();
    await started.backend.evaluate("kept = f", { f });
    assertEquals(dropped(), 0);
  }
  assertEquals(dropped(), 1);
});

Deno.test("a first call may be called back by another thread before the second lane is open", async () => {
  const code =
    "import threading\nr = []\nt = threading.Thread(target=lambda: r.append(f(1)))\nt.start()\nt.join()\nr";
  for (let i = 0; i < 3; i++) {
    await using started = await startBackend();
    assertEquals(await started.backend.evaluate(code, { f: (x: number) => x + 1 }), [2]);
  }
});
