/**
 * How pip is come by for a Python that has none of its own, as on a Debian without its venv package.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { EnvironmentError } from "../../core/errors.ts";
import { type PythonRuntime, RuntimeManager } from "../../infrastructure/mod.ts";
import { venvInterpreter } from "../../infrastructure/discovery.ts";
import { listPackages, sitePackages } from "../../infrastructure/installed_packages.ts";
import { PipInstaller } from "../../infrastructure/pip.ts";
import { quiet, temporary } from "./_support.ts";

async function* none(): AsyncGenerator<PythonRuntime> {}

Deno.test("case 36: pip is its own, its base's, the bundled one, another Python's, or a clear error", async () => {
  await using home = await temporary("pip_");
  const manager = new RuntimeManager({ home: home.path, environment: quiet() });
  const real = await manager.find();
  assert(real.ensurepip && real.pip !== "", "this test needs a Python with pip and ensurepip");
  const others = async function* (): AsyncGenerator<PythonRuntime> {
    yield await Promise.resolve(real);
  };
  const cases: [string, PythonRuntime, typeof none][] = [
    ["its own", real, none],
    ["the bundled one", { ...real, pip: "" }, none],
    ["another Python's", { ...real, pip: "", ensurepip: false }, others],
  ];
  for (const [index, [name, runtime, otherRuntimes]] of cases.entries()) {
    const installer = new PipInstaller(manager.context, otherRuntimes);
    const path = join(home.path, `venv ${index}`);
    const index_ = { findLinks: [], noIndex: false };
    await installer.createVenv(runtime, path, { pip: name === "its own", index: index_ });
    const python = venvInterpreter("linux", path);
    await installer.install({ runtime, environment: path, python, requirements: ["six"], index: index_ });
    const packages = await listPackages(manager.context, sitePackages("linux", path, real.version));
    const names = packages.map((item) => item.name).sort();
    assertEquals(names, name === "its own" ? ["pip", "six"] : ["six"], name);
    assertEquals(await installer.check(python, runtime), [], name);
  }
  const bare = { ...real, pip: "", ensurepip: false };
  const path = join(home.path, "bare");
  const installer = new PipInstaller(manager.context, none);
  await installer.createVenv(bare, path, { pip: false, index: {} });
  const failure = await assertRejects(
    () =>
      installer.install({
        runtime: bare,
        environment: path,
        python: venvInterpreter("linux", path),
        requirements: ["six"],
        index: {},
      }),
    EnvironmentError,
    "has no pip",
  );
  assert(failure.hint!.includes("python3-venv"));
});
