/**
 * What provisioning starts ends with the process that started it, even when that is killed without a chance to clean up.
 *
 * @module
 */

import { assert } from "@std/assert";
import { join } from "@std/path";
import { VenvManager } from "../../infrastructure/mod.ts";
import { quiet, temporary } from "./_support.ts";

const CONFIG = new URL("../../deno.json", import.meta.url).pathname;
const MODULE = new URL("../../infrastructure/mod.ts", import.meta.url).href;

async function isAlive(pid: number): Promise<boolean> {
  const text = await Deno.readTextFile(`/proc/${pid}/stat`).catch(() => "");
  return text !== "" && !/\) Z /.test(text);
}

Deno.test({
  name: "kill -9 of the host ends what run() started, and what that started",
  ignore: Deno.build.os !== "linux",
  async fn() {
    await using scratch = await temporary("lifeline_");
    const home = join(scratch.path, "home");
    const environments = new VenvManager({ home, environment: quiet(), installer: "pip" });
    await environments.ensure({ name: "runs", packages: [] });
    const script = join(scratch.path, "spawner.py");
    // The first holds the interpreter's lock in C code; the second is a process of its own.
    await Deno.writeTextFile(
      script,
      "import os, subprocess, sys\nc = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n" +
        "print(os.getpid(), c.pid, flush=True)\nsum(range(10**12))\n",
    );
    const source = `import { VenvManager } from "${MODULE}";
      await new VenvManager({ home: ${JSON.stringify(home)} }).run("runs", {
        script: ${JSON.stringify(script)}, onLine: (line) => console.log(line) });`;
    const host = new Deno.Command(Deno.execPath(), {
      args: ["eval", "--no-check", "--cached-only", "--config", CONFIG, source],
      stdout: "piped",
      stderr: "null",
    }).spawn();
    const reader = host.stdout.getReader();
    let text = "";
    while (!text.includes("\n")) {
      const { value, done } = await reader.read();
      assert(!done, "the host ended before its child spoke");
      text += new TextDecoder().decode(value);
    }
    const pids = text.trim().split(" ").map(Number);
    host.kill("SIGKILL");
    await host.status;
    await reader.cancel();
    const deadline = performance.now() + 5_000;
    for (const pid of pids) {
      while (await isAlive(pid)) {
        assert(performance.now() < deadline, `process ${pid} outlived its host`);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  },
});
