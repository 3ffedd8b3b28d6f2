/**
 * What provisioning starts ends with the process that started it, even when that is killed without a chance to clean up.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { RuntimeManager, VenvManager } from "../../infrastructure/mod.ts";
import { description, writeExecutable } from "./_fake_python.ts";
import { only, quiet, temporary } from "./_support.ts";

const CONFIG = new URL("../../deno.json", import.meta.url).pathname;
const MODULE = new URL("../../infrastructure/mod.ts", import.meta.url).href;

async function isAlive(pid: number): Promise<boolean> {
  const text = await Deno.readTextFile(`/proc/${pid}/stat`).catch(() => "");
  return text !== "" && !/\) Z /.test(text);
}

async function assertEnds(pid: number): Promise<void> {
  // Half of what it would take to end by itself.
  const deadline = performance.now() + 30_000;
  while (await isAlive(pid)) {
    assert(performance.now() < deadline, `process ${pid} outlived what had started it`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Starts a process that ignores what can be ignored, and prints its id. */
const STUBBORN = "import os, signal, subprocess, sys\n" +
  "c = subprocess.Popen([sys.executable, '-c', 'import signal, time\\n" +
  "for n in (1, 2, 15, 29): signal.signal(n, signal.SIG_IGN)\\nprint(1, flush=True)\\ntime.sleep(60)'], " +
  "stdout=subprocess.PIPE)\nc.stdout.readline()\nprint(c.pid, flush=True)\n";

Deno.test({
  name: "what a script leaves running ends with the script, aborted or not, signals ignored or not",
  ignore: Deno.build.os !== "linux",
  async fn() {
    await using scratch = await temporary("strays_");
    const environments = new VenvManager({
      home: join(scratch.path, "home"),
      environment: quiet(),
      installer: "pip",
    });
    await environments.ensure({ name: "runs", packages: [] });
    const script = join(scratch.path, "ends.py");
    await Deno.writeTextFile(script, STUBBORN);
    const ended = await environments.run("runs", { script });
    assertEquals(ended.code, 0, ended.stderr);
    await assertEnds(Number(ended.stdout));

    const waits = join(scratch.path, "waits.py");
    await Deno.writeTextFile(waits, `${STUBBORN}signal.signal(29, signal.SIG_IGN)\nc.wait()\n`);
    const stop = new AbortController();
    let pid = 0;
    const run = environments.run("runs", {
      script: waits,
      signal: stop.signal,
      onLine: (line) => {
        pid = Number(line);
        stop.abort(new Error("enough"));
      },
    });
    await assertRejects(() => run, Error, "enough");
    await assertEnds(pid);
  },
});

Deno.test({
  name: "what a candidate starts while it is asked for its version ends with the question",
  ignore: Deno.build.os !== "linux",
  async fn() {
    await using scratch = await temporary("strays_");
    const bin = join(scratch.path, "bin");
    const ids = join(scratch.path, "ids");
    const stray = `sleep 60 >/dev/null 2>&1 &\necho $! >> "${ids}"\n`;
    await writeExecutable(join(bin, "python3"), `#!/bin/sh\n${stray}echo '${description("3.12.1")}'\n`);
    await writeExecutable(join(bin, "python3.11"), `#!/bin/sh\n${stray}wait\n`);
    // As much time as it takes until both have started what they start.
    for (let probeTimeoutMs = 1_000;; probeTimeoutMs *= 4) {
      await Deno.writeTextFile(ids, "");
      const runtimes = new RuntimeManager({
        home: join(scratch.path, `home ${probeTimeoutMs}`),
        cwd: scratch.path,
        environment: only({ PATH: `${bin}:/usr/bin:/bin` }),
        probeTimeoutMs,
      });
      await runtimes.discover();
      const pids = (await Deno.readTextFile(ids)).trim().split("\n").map(Number);
      for (const pid of pids) await assertEnds(pid);
      if (pids.length === 2) break;
      assert(probeTimeoutMs < 16_000, `in ${probeTimeoutMs} ms only ${pids.length} candidates came to it`);
    }
  },
});

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
    for (const pid of pids) await assertEnds(pid);
  },
});
