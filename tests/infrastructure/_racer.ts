/**
 * One racing process of `races_test.ts`: installs a runtime and makes an environment from it, then says so. With `switch`
 * it switches the environment from one specification to the other, uses each, and removes what nobody uses.
 *
 * Arguments: home, archive, hash, version, `lock` or `no-lock`, and `make` or `switch`.
 *
 * @module
 */

import { assert } from "@std/assert";
import { EnvironmentError } from "../../core/errors.ts";
import { type PythonEnvironment, RuntimeManager, VenvManager } from "../../infrastructure/mod.ts";
import { denoIo } from "../../infrastructure/io.ts";
import { withoutLocks } from "./_no_locks.ts";

type Arguments = [string, string, string, string, string, string];
const [home, archive, sha256, version, locking, work] = Deno.args as Arguments;
const io = locking === "lock" ? denoIo : withoutLocks(denoIo);
const runtimes = new RuntimeManager({ home, environment: () => undefined, io });
const url = new URL(`file://${archive}`).href;
const runtime = await runtimes.install(version, { distribution: { version, url, sha256 } });
const environments = new VenvManager({ runtimes, installer: "pip" });

async function ensure(sourceBuilds: boolean): Promise<PythonEnvironment> {
  return await environments.ensure({ name: "raced", python: runtime.executable, packages: [], sourceBuilds });
}

/** Uses an environment as a server does: what is leased must stay. */
async function use(environment: PythonEnvironment): Promise<void> {
  await using _lease = await environments.lease(environment);
  for (let turn = 0; turn < 20; turn++) {
    assert((await Deno.stat(environment.python)).isFile);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

for (let round = 0; work === "switch" && round < 6; round++) {
  try {
    await use(await ensure((Deno.pid + round) % 2 === 0));
  } catch (error) {
    // Another one switched and collected first, and says so; nothing else may happen.
    if (!(error instanceof EnvironmentError && error.message.includes("in the meantime"))) throw error;
  }
  await environments.gc();
}
console.log((await ensure(false)).python);
