// Sessions over the seam: names, completion, inspection, history, and values to look at.

import { assert, assertEquals, assertRejects } from "@std/assert";
import { ConnectionClosedError, PythonError, PythonHostError } from "../../core/errors.ts";
import { openSession, PythonScope, type PythonSession } from "../../objects/mod.ts";
import { MemoryBackend } from "../../testing/mod.ts";
import { startBench, TRANSPORTS } from "../output/_server.ts";

const DEFINITIONS = `
import math
from dataclasses import dataclass

ran = []

class Sensor:
    """Measures."""
    unit = 'K'
    __slots__ = ('value', '__dict__')
    def __init__(self):
        self.value = 3
        self.label = 'a'
    @property
    def costly(self):
        ran.append('costly')
        return self
    def read(self, scale: float = 1.0) -> float:
        """Gives the value.

        Scaled."""
        return self.value * scale
    def __getattr__(self, name):
        ran.append(name)
        raise AttributeError(name)
    def __dir__(self):
        ran.append('dir')
        return []

sensor = Sensor()
`;

async function texts(session: PythonSession, code: string, cursor?: number): Promise<string[]> {
  return (await session.complete(code, cursor)).matches.map(({ text }) => text);
}

for (const transport of TRANSPORTS) {
  Deno.test(`a session has its own names, handles and thread (${transport})`, async () => {
    await using bench = await startBench(transport);
    await using session = await openSession(bench.backend);
    await session.evaluate("x = 1");
    await assertRejects(() => bench.backend.evaluate("x"), PythonError, "NameError");
    const handle = await session.importModule("math");
    assertEquals(await session.callMethod(handle, "floor", [2.5]), 2);
    const gate = Promise.withResolvers<void>();
    const running = session.evaluate("wait(); x = 2", { wait: () => gate.promise });
    assertEquals(await bench.backend.evaluate("1 + 1"), 2);
    assertEquals((await session.variables()).map(({ name }) => name).includes("x"), true, "while it is busy");
    gate.resolve();
    await running;
    assertEquals(await session.evaluate("x"), 2);
  });

  Deno.test(`complete() and inspect() know names and run no code of the user's (${transport})`, async () => {
    await using bench = await startBench(transport);
    await using session = await openSession(bench.backend, "work");
    await session.evaluate(DEFINITIONS);

    assertEquals(await session.complete("print(sens"), {
      start: 6,
      end: 10,
      matches: [{ text: "sensor", kind: "variable" }],
    });
    assertEquals(await texts(session, "sensor."), ["costly", "label", "read", "unit", "value"]);
    assertEquals(await texts(session, "sensor.costly."), [], "a property is not run");
    assertEquals(await texts(session, "sensor.unknown.x"), []);
    assertEquals(await texts(session, "math.fact"), ["factorial"]);
    assertEquals(await texts(session, "Sensor.re"), ["read"]);
    assertEquals(await texts(session, "'üü🐍'; x = sens + 1", 15), ["sensor"]);
    assertEquals((await session.complete("'🐍'; sens")).start, 6);
    assertEquals(await texts(session, "whil"), ["while"]);
    assertEquals(await texts(session, "f(x).re"), [], "the value of a call is not known");
    assertEquals(await texts(session, "12"), []);

    const read = await session.inspect("sensor.read");
    assertEquals(read?.signature, "(self, scale: float = 1.0) -> float");
    assertEquals(read?.doc, "Gives the value.\n\nScaled.");
    assert(read?.source?.startsWith("    def read("), read?.source ?? "no source");
    assertEquals([read?.kind, read?.line], ["function", 18]);
    assertEquals((await session.inspect("Sensor"))?.doc, "Measures.");
    assertEquals((await session.inspect("sensor.value"))?.summary, "3");
    assertEquals((await session.inspect("len"))?.kind, "function");
    for (const unknown of ["nowhere", "sensor.costly", "1 + 1", "", "sensor..x", "ran.append('x')"]) {
      assertEquals(await session.inspect(unknown), null, unknown);
    }
    assertEquals(await session.evaluate("ran"), []);
    const error = await assertRejects(() => session.complete("x", 2), PythonHostError);
    assertEquals([error.code, error.message.includes("from 0 to 1, not 2")], ["argument", true]);
  });
}

Deno.test("variables() tells the names and what they hold, and reset() forgets them", async () => {
  await using bench = await startBench();
  await using session = await openSession(bench.backend);
  await session.evaluate(
    "import math\nclass Bad:\n  def __repr__(self): raise ValueError\nbad = Bad()\nxs = list(range(100_000))",
  );
  const variables = new Map((await session.variables()).map((variable) => [variable.name, variable]));
  assertEquals([...variables.keys()].sort(), ["Bad", "bad", "math", "xs"]);
  assertEquals(variables.get("math")?.kind, "module");
  assertEquals(variables.get("xs")?.typeName, "list");
  assert(variables.get("xs")!.summary.startsWith("[0, 1, 2"), variables.get("xs")!.summary);
  assert(variables.get("xs")!.summary.length < 300);
  assert(variables.get("bad")!.summary.length > 0);

  const handle = await session.evaluate("bad");
  await session.reset();
  assertEquals(await session.variables(), []);
  assertEquals(await session.evaluate("1 + 1"), 2);
  assertEquals(await session.callMethod(handle as never, "__sizeof__", []) !== null, true, "handles stay");
});

Deno.test("history tells what was run and how it ended, and is bounded", async () => {
  await using bench = await startBench();
  await using session = await openSession(bench.backend, "h", { historyLimit: 2 });
  await session.evaluate("1");
  await session.evaluate("1 / 0").catch(() => {});
  const running = session.evaluate("import time; time.sleep(0.05)");
  assertEquals(session.history.map(({ code, outcome }) => [code, outcome]), [
    ["1 / 0", "error"],
    ["import time; time.sleep(0.05)", "running"],
  ]);
  await running;
  assertEquals(session.history[1]?.outcome, "ok");
});

Deno.test("interrupt() stops what runs and waits in the session, and nothing else", async () => {
  await using bench = await startBench();
  await using session = await openSession(bench.backend);
  const own = bench.backend.evaluate("import time; time.sleep(0.4); 'own'");
  const running = session.evaluate("while True: pass").catch((error) => error);
  const waiting = session.evaluate("1").catch((error) => error);
  await session.complete("x");
  session.interrupt();
  for (const call of [running, waiting]) {
    const error = await call;
    assert(error instanceof DOMException && error.name === "AbortError", String(error));
  }
  assertEquals(await session.evaluate("1 + 1"), 2);
  assertEquals(await own, "own");
});

Deno.test("show() gives a value in the forms that its class has", async () => {
  await using bench = await startBench();
  await using session = await openSession(bench.backend);
  await session.evaluate(
    "class Table:\n  def _repr_html_(self): return '<table>'\n  def __repr__(self): return 'T'",
  );
  assertEquals(await session.show("Table()"), { "text/html": "<table>", "text/plain": "T" });
  assertEquals(await session.show("x", { x: 3 }), { "text/plain": "3" });
  assertEquals(await session.show("import asyncio\nawait asyncio.sleep(0, 'later')"), {
    "text/plain": "'later'",
  });
  assertEquals(await session.show("x = 1"), null);
  assertEquals(await session.show("Table()", {}, { include: ["text/plain"] }), { "text/plain": "T" });
  await assertRejects(() => session.show("1 / 0"), PythonError, "ZeroDivisionError");
});

Deno.test("a closed session says so, the backend stays usable, and its id is free again", async () => {
  await using bench = await startBench();
  const session = await openSession(bench.backend, "once");
  await assertRejects(
    () => openSession(bench.backend, "once"),
    PythonHostError,
    'session "once": it is open',
  );
  const running = session.evaluate("while True: pass").catch((error) => error);
  await session.complete("x");
  await session.close();
  assert(await running instanceof DOMException);
  await session.close();
  await assertRejects(() => session.evaluate("1"), ConnectionClosedError, 'session "once": it was closed');
  assertEquals(await bench.backend.evaluate("1 + 1"), 2);
  await using again = await openSession(bench.backend, "once");
  assertEquals(await again.variables(), []);
});

Deno.test("a session is a backend: a scope on it releases its handles", async () => {
  await using bench = await startBench();
  await using session = await openSession(bench.backend);
  let handle;
  {
    await using scope = new PythonScope(session);
    handle = await scope.importModule("math");
    assertEquals(await scope.callMethod(handle, "sqrt", [9]), 3);
  }
  assertEquals(handle.isValid, false);
  await bench.backend.close();
  await session.close();
});

Deno.test("a backend without sessions is a typed error that says so", async () => {
  await using backend = new MemoryBackend();
  const error = await assertRejects(() => openSession(backend, "x"), PythonHostError);
  assertEquals(error.code, "argument");
  assert(error.message.includes('"memory"'), error.message);
});
