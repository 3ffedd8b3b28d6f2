/** Functions that the host exposes: what Python reaches by them, and what it does not. */

import { assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { PythonError, PythonHostError } from "../../core/errors.ts";
import { PythonHost } from "../../host/mod.ts";
import type { PythonObjectHandle } from "../../core/handles.ts";
import { proxy } from "../../objects/mod.ts";
import { PythonHostHttp, PythonHostPipe, PythonHostRpc } from "../../transports/mod.ts";
import { makeHome } from "./_hosted.ts";

for (const transport of ["pipe", "http"] as const) {
  Deno.test(`Python calls what is exposed over ${transport}`, async () => {
    await using _home = await makeHome();
    await using host = await PythonHost.start({ environment: "bare", transport });
    const calls: unknown[][] = [];
    using _exposed = host.expose("things", {
      echo: (...args: unknown[]) => (calls.push(args), args),
      later: async (value: number) => (await Promise.resolve(), value + 1),
      nothing: () => {},
      fail: () => {
        throw new RangeError("too far");
      },
    });
    await host.evaluate("from beep_host import host\nimport datetime");
    const values = await host.evaluate(
      "host.things.echo(1, 2**70, 'ä', b'\\x00', {1, 2}, datetime.date(2026, 1, 2), key=None)",
    );
    assertEquals(values, [1, 2n ** 70n, "ä", new Uint8Array([0]), new Set([1, 2]), calls[0]![5], {
      key: null,
    }]);
    assertEquals(await host.evaluate("host.things.echo(b'x' * 100_000)[0] == b'x' * 100_000"), true);
    assertEquals(await host.evaluate("host.things.later(1)"), 2);
    assertEquals(await host.evaluate("await host.things.later(2)"), 3);
    assertEquals(
      await host.evaluate("import asyncio\nawait asyncio.gather(*[host.things.later(n) for n in range(5)])"),
      [1, 2, 3, 4, 5],
    );
    assertEquals(await host.evaluate("host.things.nothing()"), null);
    assertEquals(await host.evaluate("[dir(host), dir(host.things)]"), [["things"], [
      "echo",
      "fail",
      "later",
      "nothing",
    ]]);
    const error = await assertRejects(() => host.evaluate("host.things.fail()"), PythonError);
    assertEquals([error.pythonType, error.pythonMessage], ["JavaScriptError", "RangeError: too far"]);
    const handle = await assertRejects(() => host.evaluate("host.things.echo(object())"), PythonHostError);
    assertStringIncludes(handle.message, "object");
  });

  Deno.test(`every client of the host's server reaches what is exposed: ${transport}`, async () => {
    await using _home = await makeHome();
    await using host = await PythonHost.start({ environment: "bare", transport });
    using _exposed = host.expose("numbers", { twice: (n: number) => 2 * n });
    const Backend = transport === "pipe" ? PythonHostPipe : PythonHostHttp;
    await using client = new Backend(host.server.endpoint);
    await client.initialize();
    assertEquals(await client.evaluate("import beep_host\nbeep_host.host.numbers.twice(21)"), 42);
  });

  Deno.test(`a cycle that would never end is refused over ${transport}, and one that can end works`, async () => {
    await using _home = await makeHome();
    await using host = await PythonHost.start({ environment: "bare", transport });
    using _exposed = host.expose("cycle", {
      same: () => host.evaluate("1 + 1"),
      sameAsync: async () => await host.evaluate("1 + 1"),
      coroutine: async () => await host.evaluate("import asyncio\nawait asyncio.sleep(0, 2)"),
      concurrent: () => host.evaluate("1 + 1", {}, { concurrent: true }),
      deeper: () => host.evaluate("host.cycle.concurrent()", {}, { concurrent: true }),
    });
    await host.evaluate("from beep_host import host\nfrom concurrent.futures import ThreadPoolExecutor");
    const error = await assertRejects(() => host.evaluate("host.cycle.same()"), PythonError);
    assertStringIncludes(error.message, "waits");
    assertStringIncludes(error.message, "Cannot call Python");
    // A thread of the call, for which it waits, is no way around it.
    const threaded = await assertRejects(
      () => host.evaluate("with ThreadPoolExecutor() as pool: pool.submit(host.cycle.same).result()"),
      PythonError,
    );
    assertStringIncludes(threaded.message, "Cannot call Python");
    assertEquals(await host.evaluate("host.cycle.concurrent()"), 2);
    assertEquals(await host.evaluate("host.cycle.deeper()"), 2);
    assertEquals(await host.evaluate("host.cycle.same()", {}, { concurrent: true }), 2);
    assertEquals(await host.evaluate("await host.cycle.sameAsync()"), 2);
    assertEquals(await host.evaluate("await host.cycle.coroutine()"), 2);
    // Not awaited, it holds up the loop that the inner call's coroutine would need.
    const held = await assertRejects(
      () => host.evaluate("import asyncio\nawait asyncio.sleep(0)\nhost.cycle.same()"),
      PythonError,
    );
    assertStringIncludes(held.message, "Cannot call Python");
  });
}

for (const transport of ["pipe", "http", "rpc"] as const) {
  Deno.test(`a cycle through other calls, sessions and proxies is refused too over ${transport}`, async () => {
    await using _home = await makeHome();
    await using host = await PythonHost.start({ environment: "bare", transport });
    await host.openSession("other");
    const concurrent = { concurrent: true };
    using _exposed = host.expose("cycle", {
      same: () => host.evaluate("1 + 1"),
      sameAsync: async () => await host.evaluate("1 + 1"),
      byConcurrent: () => host.evaluate("host.cycle.same()", {}, concurrent),
      byCoroutine: () => host.evaluate("await host.cycle.sameAsync()", {}, concurrent),
      byOther: () => host.evaluate("from beep_host import host\nhost.cycle.same()", {}, { session: "other" }),
      async byProxy() {
        const list = await host.evaluate<PythonObjectHandle>("[1]", {}, { ...concurrent, result: "handle" });
        return await proxy(list).__len__();
      },
      async release() {
        const list = await host.evaluate<PythonObjectHandle>("[1]", {}, { ...concurrent, result: "handle" });
        await host.disposeHandle(list);
        return "released";
      },
      async afterwards() {
        await host.evaluate("1", {}, concurrent);
        return "answered";
      },
    });
    await host.evaluate("from beep_host import host");
    for (const name of ["same", "byConcurrent", "byCoroutine", "byOther", "byProxy"]) {
      const error = await assertRejects(() => host.evaluate(`host.cycle.${name}()`), PythonError);
      assertStringIncludes(error.message, "the call would wait for it", name);
    }
    // The session's thread waits for the client's function, which waits for the call that asks.
    const byCallback = await assertRejects(
      () => host.evaluate("fn()", { fn: () => host.evaluate("host.cycle.same()", {}, concurrent) }),
      PythonError,
    );
    assertStringIncludes(byCallback.message, "the call would wait for it");
    assertEquals(await host.evaluate("host.cycle.release()"), "released");
    assertEquals(await host.evaluate("host.cycle.afterwards()"), "answered");
  });

  Deno.test(`calls that wait for functions take no thread from those that the functions make over ${transport}`, async () => {
    await using _home = await makeHome();
    await using host = await PythonHost.start({ environment: "bare", transport, limits: { maxThreads: 2 } });
    const concurrent = { concurrent: true };
    using _exposed = host.expose("nested", {
      inner: () => host.evaluate("1 + 1", {}, concurrent),
      innerAsync: async () => await host.evaluate("1 + 1", {}, concurrent),
      deep: (n: number): unknown =>
        n === 0 ? "end" : host.evaluate("host.nested.deep(n - 1)", { n }, concurrent),
      deepAsync: async (n: number): Promise<unknown> =>
        n === 0 ? "end" : await host.evaluate("await host.nested.deepAsync(n - 1)", { n }, concurrent),
    });
    await host.evaluate("import asyncio\nfrom beep_host import host");
    assertEquals(await host.evaluate("host.nested.deep(20)"), "end");
    assertEquals(await host.evaluate("await host.nested.deepAsync(20)"), "end");
    const many = "sum(await asyncio.gather(*[host.nested.innerAsync() for _ in range(50)]))";
    assertEquals(await host.evaluate(many), 100);
    for (const code of ["host.nested.deep(100)", "await host.nested.deepAsync(100)"]) {
      const error = await assertRejects(() => host.evaluate(code), PythonError);
      assertStringIncludes(error.message, "the two languages call each other 49 deep");
    }
    // Of another client, whose calls are nothing that the host's own could be nested in.
    const Backend = { pipe: PythonHostPipe, http: PythonHostHttp, rpc: PythonHostRpc }[transport];
    await using client = new Backend(host.server.endpoint);
    await client.initialize();
    await client.evaluate("from beep_host import host");
    for (let round = 0; round < 3; round++) {
      const calls = Array.from({ length: 10 }, () => client.evaluate("host.nested.inner()", {}, concurrent));
      assertEquals(await Promise.all(calls), Array(10).fill(2));
    }
    // What was lent is given back: no more than two run at once.
    await client.evaluate(`
      import threading
      running, peak, lock, pair = 0, 0, threading.Lock(), threading.Barrier(2)
      def hold():
          global running, peak
          with lock:
              running += 1
              peak = max(peak, running)
          pair.wait()
          with lock:
              running -= 1
    `);
    await Promise.all(Array.from({ length: 8 }, () => client.evaluate("hold()", {}, concurrent)));
    assertEquals(await client.evaluate("peak"), 2);
  });
}

Deno.test("nothing is reachable but own functions that were given", async () => {
  await using _home = await makeHome();
  await using host = await PythonHost.start({ environment: "bare", infrastructure: { allow: [] } });
  class Service {
    own = (): string => "own";
    inherited(): string {
      return "inherited";
    }
  }
  using _exposed = host.expose("service", new Service() as unknown as { own: () => string });
  await host.evaluate("from beep_host import host");
  assertEquals(await host.evaluate("host.service.own()"), "own");
  for (
    const path of [
      "service.inherited",
      "service.constructor",
      "service.__proto__",
      "service.toString",
      "service.own.constructor",
      "constructor",
      "__proto__",
      "Deno",
    ]
  ) {
    const error = await assertRejects(() => host.evaluate(`host.${path}()`), PythonError);
    assertEquals([path, error.pythonType], [path, "AttributeError"]);
  }
  // Below the classes, too: what a program would send that does not use them.
  const statuses = await host.evaluate(`
    from beep_host.infrastructure.api import exchange, NotFoundError
    def status(path):
        try:
            exchange(path, b"")
        except Exception as error:
            return type(error).__name__
    [status("/functions/service/constructor"), status("/functions/service/__proto__"), status("/functions/../service")]
  `.replace("exchange, NotFoundError", "exchange"));
  assertEquals(statuses, ["NotFoundError", "NotFoundError", "NotFoundError"]);
});

Deno.test("whatever an exposed function throws or gives is told to Python, and the next call is answered", async () => {
  await using _home = await makeHome();
  await using host = await PythonHost.start({ environment: "bare" });
  const unreadable = new Error("x");
  Object.defineProperty(unreadable, "message", {
    get(): never {
      throw new Error("nested");
    },
  });
  const thrown: Record<string, unknown> = {
    nothing: null,
    bare: Object.create(null),
    odd: { toString: (): never => unreadable as never },
    unreadable,
  };
  const given: Record<string, () => unknown> = {
    generator: function* () {
      yield 1;
    },
    fn: () => () => 1,
    symbol: () => Symbol("x"),
    huge: () => new Uint8Array(65 * 1024 * 1024),
    trap: () =>
      new Proxy({}, {
        ownKeys(): never {
          throw new Error("trap");
        },
      }),
  };
  using _exposed = host.expose("odd", {
    fail(which: string): never {
      throw thrown[which];
    },
    give: (which: string) => given[which]!(),
    constructor: () => "its own",
    free: Object.setPrototypeOf(() => "no prototype", null),
  });
  await host.evaluate("from beep_host import host");
  for (const which of Object.keys(thrown)) {
    const error = await assertRejects(() => host.evaluate("host.odd.fail(which)", { which }), PythonError);
    assertEquals([which, error.pythonType], [which, "JavaScriptError"]);
  }
  for (const which of Object.keys(given)) {
    const error = await assertRejects(() => host.evaluate("host.odd.give(which)", { which }), PythonError);
    assertEquals([which, error.pythonType], [which, "JavaScriptError"]);
  }
  assertEquals(await host.evaluate("[host.odd.constructor(), host.odd.free()]"), ["its own", "no prototype"]);
});

Deno.test("what cannot be exposed is refused, and what is no longer exposed is gone", async () => {
  await using _home = await makeHome();
  await using host = await PythonHost.start({ environment: "bare" });
  const refused = (name: string, functions: object, part: string) =>
    assertThrows(() => host.expose(name, functions as Record<string, () => void>), PythonHostError, part);
  refused("not a name", {}, "not a name");
  refused("__class__", {}, "__class__");
  refused("a", { "b-c": () => {} }, "b-c");
  refused("class", {}, "not a name that Python can say");
  refused("a", { lambda: () => {} }, "lambda");
  refused("a", null as unknown as object, "no object");
  refused("a", { value: 1 }, "a.value");
  refused("a", {
    get computed() {
      return () => {};
    },
  }, "a.computed");
  {
    using _exposed = host.expose("a", { fn: () => 1 });
    refused("a", { fn: () => 2 }, "exposed under this name");
    assertEquals(await host.evaluate("from beep_host import host\nhost.a.fn()"), 1);
  }
  const error = await assertRejects(() => host.evaluate("host.a"), PythonError);
  assertEquals(error.pythonType, "AttributeError");
});
