/**
 * All benches, pinned to one processor where that can be had: unpinned, the scheduler's placement makes the same code several
 * times faster or slower.
 *
 * `deno task bench [python]`.
 *
 * @module
 */

import { benchCalls } from "./calls.ts";
import { benchLarge } from "./large.ts";
import { benchObjects } from "./objects.ts";
import { chosenPython } from "./python.ts";
import { benchStart } from "./start.ts";

const PINNED = "BEEP_BENCH_PINNED";

if (Deno.build.os === "linux" && Deno.env.get(PINNED) === undefined) {
  const args = ["-c", "0", Deno.execPath(), "run", "-A", new URL(import.meta.url).pathname, ...Deno.args];
  const command = new Deno.Command("taskset", { args, env: { [PINNED]: "1" } });
  const { code } = await command.spawn().status;
  Deno.exit(code);
}

const python = await chosenPython();
console.log(`${python}, Deno ${Deno.version.deno}, ${Deno.build.target}`);
await benchCalls(python);
await benchLarge(python);
await benchObjects(python);
await benchStart(python);
