/** A host holds the environment that it runs in, and finds a venv wherever its server starts. */

import { assertEquals, assertRejects } from "@std/assert";
import { join, relative } from "@std/path";
import { EnvironmentError } from "../../core/errors.ts";
import { PythonHost, PythonHostPool } from "../../host/mod.ts";
import { VenvManager } from "../../infrastructure/mod.ts";
import { makeHome, makeVenv } from "./_home.ts";

const STARTS = {
  "a host": () => PythonHost.start({ environment: "work" }),
  "a pool": () => PythonHostPool.start({ environment: "work", size: 1 }),
} as const;

for (const [who, start] of Object.entries(STARTS)) {
  Deno.test(`the environment of ${who} cannot be removed before it is closed`, async () => {
    await using _home = await makeHome();
    const environments = new VenvManager({ installer: "pip" });
    const { path } = await environments.create("work");
    {
      await using running = await start();
      assertEquals(running.environment.path, path);
      await environments.sync("work", { constraints: ["six<2"] });
      assertEquals((await environments.gc()).removed, []);
      await assertRejects(() => environments.delete("work"), EnvironmentError, "in use");
    }
    assertEquals((await environments.gc()).removed, [path]);
    assertEquals(await environments.delete("work"), true);
  });
}

Deno.test("a host that does not start lets go of its environment", async () => {
  await using home = await makeHome();
  const environments = new VenvManager({ installer: "pip" });
  await environments.create("work");
  for (const Host of [PythonHost, PythonHostPool]) {
    await assertRejects(() => Host.start({ environment: "work", cwd: join(home.path, "absent") }));
  }
  assertEquals(await environments.delete("work"), true);
});

Deno.test("the path of a venv means this program's directory, not that of the server", async () => {
  await using home = await makeHome();
  const venv = await makeVenv(home.path);
  const given = { environment: { path: relative(Deno.cwd(), venv) }, cwd: home.path };
  await using host = await PythonHost.start(given);
  assertEquals(host.environment.path, venv);
  assertEquals(await host.evaluate("import os; os.getcwd()"), await Deno.realPath(home.path));
  const file = { environment: { path: join(venv, "pyvenv.cfg") } };
  await assertRejects(() => PythonHost.start(file), EnvironmentError, "no pyvenv.cfg");
});
