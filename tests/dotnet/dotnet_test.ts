/**
 * Python.NET for real: an assembly that is compiled here, loaded by Mono into a server's Python.
 *
 * Needs Mono's compiler and runtime (`tools/ci_packages.txt`); without them the tests that load something are skipped.
 */

import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { ServerStartError } from "../../core/errors.ts";
import { PythonHost } from "../../host/mod.ts";
import { refuseAssembly } from "../../host/dotnet_assembly.ts";
import { makeHome } from "../host_api/_hosted.ts";

const SNIPPET = `
  import clr
  clr.AddReference('Beep.Python.Runtime')
  from Beep.Python.RuntimeEngine.Infrastructure import VenvManager
  venvs = VenvManager()
`;

async function hasMono(): Promise<boolean> {
  try {
    return (await new Deno.Command("mcs", { args: ["--version"], stdout: "null", stderr: "null" }).output())
      .success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

const mono = await hasMono();
const name = (text: string): string =>
  mono ? text : `${text} [skipped: Mono's compiler mcs is not installed]`;

/** Compiles the assembly into a directory and gives its path. */
async function compile(directory: string, ...args: string[]): Promise<string> {
  const path = `${directory}/Beep.Python.Runtime.dll`;
  const source = new URL("./VenvManager.cs", import.meta.url).pathname;
  const { success, stderr } = await new Deno.Command("mcs", {
    args: ["-target:library", `-out:${path}`, ...args, source],
  }).output();
  assert(success, new TextDecoder().decode(stderr));
  return path;
}

Deno.test({
  name: name("the original's own words use a real assembly through Python.NET"),
  ignore: !mono,
  fn: async (t) => {
    await using home = await makeHome();
    const assembly = await compile(home.path);
    for (const transport of ["pipe", "http", "rpc"] as const) {
      await t.step(transport, async () => {
        await using host = await PythonHost.start({
          environment: "dotnet",
          transport,
          dotnet: { assemblies: [assembly], runtime: "mono" },
          // However busy the machine is: the test is about whether Python stops, not how soon.
          limits: { interruptGraceMs: 30_000 },
        });
        await host.evaluate(SNIPPET);
        assertEquals(await host.evaluate("venvs.Origin"), "compiled");
        assertEquals(await host.evaluate("list(venvs.ListEnvironments())"), ["one", "two"]);
        assertEquals(await host.evaluate("venvs.Add(40, 2)"), 42);
        assertEquals(await host.evaluate("getattr(clr, '__beep_stand_in__', False)"), false);
        // Calls are still stopped, and the host is still reached, with a .NET runtime in the process.
        const late = await host.evaluate("while True: pass", {}, { timeoutMs: 100 }).catch((error) =>
          error.code
        );
        assertEquals(late, "timeout");
        assertEquals(
          await host.evaluate("from beep_host.infrastructure import VenvManager as V\nV().exists('dotnet')"),
          true,
        );
      });
    }
    const packages = (await home.environments.status("dotnet")).packages ?? [];
    assert(packages.some((one) => one.name === "pythonnet"));
  },
});

Deno.test({
  name: name("a server that Python starts in an environment can have .NET"),
  ignore: !mono,
  fn: async () => {
    await using home = await makeHome();
    const assembly = await compile(home.path);
    await home.environments.ensure({ name: "dotnet", packages: ["pythonnet"] });
    const { id } = await home.servers.start({
      environment: "dotnet",
      dotnet: { assemblies: [assembly], runtime: "mono" },
    });
    const { PythonHostPipe } = await import("../../transports/mod.ts");
    const { address, token } = home.servers.server(id);
    await using client = new PythonHostPipe(address, { token });
    await client.initialize();
    assertEquals(await client.evaluate(`${SNIPPET}\n  venvs.Origin`), "compiled");
  },
});

Deno.test({
  name: name("an assembly of another processor is refused before anything is started"),
  ignore: !mono,
  fn: async () => {
    await using home = await makeHome();
    const any = await Deno.readFile(await compile(home.path));
    assertEquals(refuseAssembly(any, "x86_64"), undefined);
    assertEquals(refuseAssembly(any, "aarch64"), undefined);
    const x86 = await Deno.readFile(await compile(home.path, "-platform:x86"));
    assertEquals(refuseAssembly(x86, "x86_64"), "it is for 32-bit x86, and this is x86_64");
    const x64 = await Deno.readFile(await compile(home.path, "-platform:x64"));
    assertEquals(refuseAssembly(x64, "x86_64"), undefined);
    assertEquals(refuseAssembly(x64, "aarch64"), "it is for x86_64, and this is aarch64");
    for (let length = 0; length < 512; length += 7) {
      assert(refuseAssembly(any.subarray(0, length), "x86_64") !== undefined);
    }
  },
});

Deno.test("an assembly that is not there, or is none, is refused", async () => {
  await using home = await makeHome();
  const path = `${home.path}/not.dll`;
  const start = () => PythonHost.start({ environment: "admin", dotnet: { assemblies: [path] } });
  await home.environments.ensure({ name: "admin", packages: ["pythonnet"] });
  assertStringIncludes((await assertRejects(start, ServerStartError)).message, "there is no such file");
  await Deno.writeTextFile(path, "x".repeat(1000));
  assertStringIncludes((await assertRejects(start, ServerStartError)).message, "it is no .NET assembly");
});

Deno.test("a runtime that is not there is named", async () => {
  await using home = await makeHome();
  await home.environments.ensure({ name: "dotnet", packages: ["pythonnet"] });
  const error = await assertRejects(
    () =>
      PythonHost.start({
        environment: "dotnet",
        dotnet: { assemblies: [], runtime: "coreclr" },
        env: { DOTNET_ROOT: `${home.path}/nothing`, PATH: "/nothing" },
      }),
    ServerStartError,
  );
  assertStringIncludes(error.message, 'no .NET runtime of kind "coreclr" was found');
  assert(error.hint !== undefined);
});

Deno.test("an environment that was given by its path is not changed, and its missing package is named", async () => {
  await using home = await makeHome();
  const { path } = await home.environments.ensure({ name: "bare", packages: [] });
  const error = await assertRejects(
    () => PythonHost.start({ environment: { path }, dotnet: { assemblies: [] } }),
    ServerStartError,
  );
  assertStringIncludes(error.message, "Python.NET is not installed");
  assertEquals((await home.environments.status("bare")).packages, []);
});
