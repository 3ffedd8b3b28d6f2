/** Where functions run that Python calls: in the context of the call, from the first one on. */

import { assertEquals } from "@std/assert";
import { AsyncLocalStorage } from "node:async_hooks";
import { PythonHost } from "../../mod.ts";

for (const transport of ["pipe", "http", "rpc"] as const) {
  Deno.test(`a function runs in the context of the call during which it is called: ${transport}`, async () => {
    const storage = new AsyncLocalStorage<string>();
    await using host = await PythonHost.start({ transport });
    await host.evaluate("0");
    const seen = () => storage.getStore() ?? null;
    assertEquals(await storage.run("first", () => host.evaluate("kept = seen\nseen()", { seen })), "first");
    assertEquals(await storage.run("second", () => host.evaluate("kept()")), "second");
    assertEquals(await host.evaluate("kept()"), null);
    const both = ["a", "b"].map((name) =>
      storage.run(name, () => host.evaluate("kept()", {}, { concurrent: true }))
    );
    assertEquals(await Promise.all(both), ["a", "b"]);
    const onInput = () => storage.getStore() ?? "";
    assertEquals(await storage.run("asked", () => host.evaluate("input()", {}, { onInput })), "asked");
  });
}
