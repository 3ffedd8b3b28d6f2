/**
 * One racing process of `races_test.ts`: installs a runtime and makes an environment from it, then says so.
 *
 * Arguments: home, archive, hash, version, and `lock` or `no-lock`.
 *
 * @module
 */

import { RuntimeManager, VenvManager } from "../../infrastructure/mod.ts";
import { denoIo } from "../../infrastructure/io.ts";
import { withoutLocks } from "./_no_locks.ts";

const [home, archive, sha256, version, locking] = Deno.args as [string, string, string, string, string];
const io = locking === "lock" ? denoIo : withoutLocks(denoIo);
const runtimes = new RuntimeManager({ home, environment: () => undefined, io });
const url = new URL(`file://${archive}`).href;
const runtime = await runtimes.install(version, { distribution: { version, url, sha256 } });
const environment = await new VenvManager({ runtimes, installer: "pip" })
  .ensure({ name: "raced", python: runtime.executable, packages: [] });
console.log(environment.python);
