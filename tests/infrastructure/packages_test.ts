/**
 * Real packages, by both installers, from the index that this machine's pip is set to use: one suite over both.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { CommandError, EnvironmentError, HashMismatchError, PythonHostError } from "../../core/errors.ts";
import { type InstallerChoice, RuntimeManager, VenvManager } from "../../infrastructure/mod.ts";
import {
  parsePipConfig,
  pipVariables,
  readIndexSettings,
  uvVariables,
} from "../../infrastructure/index_settings.ts";
import { decisivePipLines, formatReport } from "../../infrastructure/pip.ts";
import { decisiveUvLines } from "../../infrastructure/uv.ts";
import { parseUvVersion } from "../../infrastructure/uv_tool.ts";
import { context, countingIo, only, quiet, temporary } from "./_support.ts";

/** uv is installed once for all tests, from its wheel, as a user's first request would. */
const shared = await temporary("packages_");
globalThis.addEventListener("unload", () => Deno.removeSync(shared.path, { recursive: true }));

function manager(installer: InstallerChoice, home: string, options: { offline?: boolean } = {}): VenvManager {
  const environment = quiet(installer === "uv" ? { BEEP_UV: join(shared.path, "uv") } : {});
  return new VenvManager({ runtimes: new RuntimeManager({ home, environment, ...options }), installer });
}

Deno.test("uv is installed from its wheel, by its pinned hashes, when it is asked for and not there", async () => {
  const home = join(shared.path, "tools");
  const environment = (name: string): string | undefined =>
    name === "PATH" || name === "HOME" ? "" : quiet()(name);
  const python = (await new RuntimeManager({ home, environment: quiet() }).find()).executable;
  const runtimes = new RuntimeManager({
    home,
    environment: (name) => name === "BEEP_PYTHON_PATH" ? python : environment(name),
  });
  const made = await new VenvManager({ runtimes }).ensure({
    name: "first",
    python,
    packages: ["six"],
    installer: "uv",
  });
  assertEquals(await new VenvManager({ runtimes }).freeze("first").then((lines) => lines.length), 1);
  assert(made.python.startsWith(home));
  const [tool] = (await Array.fromAsync(Deno.readDir(join(home, "tools")))).map((entry) => entry.name);
  await Deno.copyFile(join(home, "tools", tool!, "bin/uv"), join(shared.path, "uv"));
});

for (const installer of ["pip", "uv"] as const) {
  Deno.test(`${installer}: numpy and a package with dependencies are installed, changed, checked and run`, async () => {
    await using home = await temporary();
    const environments = manager(installer, home.path);
    const lines: string[] = [];
    const made = await environments.ensure({
      name: "real",
      packages: ["numpy", "requests"],
      onProgress: (event) => lines.push(event.stage),
    });
    for (const stage of ["discover", "create", "install", "verify", "publish", "done"]) {
      assert(lines.includes(stage));
    }
    const frozen = await environments.freeze("real");
    const names = frozen.map((line) => line.split("==")[0]!.toLowerCase());
    for (const name of ["numpy", "requests", "idna", "urllib3"]) {
      assert(names.includes(name), frozen.join(" "));
    }

    const { io, spawned } = countingIo();
    const counted = new VenvManager({
      runtimes: new RuntimeManager({ home: home.path, environment: quiet(), io }),
    });
    assertEquals((await counted.ensure({ name: "real", packages: ["requests", "numpy"] })).path, made.path);
    assertEquals(spawned, []);

    const script = join(home.path, "-script ü.py");
    await Deno.writeTextFile(
      script,
      "import numpy, sys\nprint(int(numpy.arange(4).sum()), sys.argv[1])\nprint('e', file=sys.stderr)\n",
    );
    const told: string[] = [];
    const run = await environments.run("real", {
      script,
      args: ["a b"],
      onLine: (line, stream) => told.push(`${stream} ${line}`),
    });
    assertEquals([run.code, run.stdout.trim(), told.sort()], [0, "6 a b", ["stderr e", "stdout 6 a b"]]);

    const more = await environments.install("real", ["six"]);
    assert(more.path !== made.path && (await Deno.stat(made.python)).isFile, "the old one was touched");
    assertEquals((await environments.freeze("real")).filter((line) => !line.startsWith("six")), frozen);
    assertEquals(await environments.verify("real", { packages: ["six", "numpy"] }), []);
    await environments.uninstall("real", ["idna"]);
    const problems = await environments.verify("real");
    assert(problems.length === 1 && problems[0]!.includes("idna"), problems.join("\n"));
    await environments.sync("real", { packages: ["six"] });
    assertEquals((await environments.freeze("real")).length, 1);
    await assertRejects(() => environments.uninstall("real", ["numpy"]), EnvironmentError, "no numpy");
  });

  Deno.test(`case 40: ${installer}: a lock has hashes, and is installed exactly`, async () => {
    await using home = await temporary();
    const environments = manager(installer, home.path);
    const lock = await environments.lock({ packages: ["requests"] });
    assert(/^requests==\S+ \\\n\s+--hash=sha256:[0-9a-f]{64}/m.test(lock), lock);
    await environments.ensure({ name: "locked", lock });
    const pins = lock.split("\n").map((line) => /^(\S+==\S+)/.exec(line)?.[1]).filter((pin) =>
      pin !== undefined
    );
    assertEquals((await environments.freeze("locked")).map((line) => line.toLowerCase()), pins.sort());
    const wrong = lock.replace(/sha256:[0-9a-f]{64}/g, `sha256:${"0".repeat(64)}`);
    await assertRejects(() => environments.ensure({ name: "wrong", lock: wrong }), CommandError);
    const withoutDependency = lock.replace(/^idna==[^]*?(?=^\w)/m, "");
    await assertRejects(
      () => environments.ensure({ name: "missing", lock: withoutDependency }),
      CommandError,
    );
    assertEquals((await environments.status("wrong")).state, "missing");
    assertEquals((await environments.list()).map((status) => status.name), ["locked"]);
  });

  Deno.test(`${installer}: an error shows the installer's own decisive lines, and nothing is published`, async () => {
    await using home = await temporary();
    const environments = manager(installer, home.path);
    const failure = await assertRejects(
      () => environments.ensure({ name: "bad", packages: ["requests<2", "requests>2.5"] }),
      CommandError,
    );
    assert(/requests/.test(failure.output), failure.output);
    assert(failure.output.split("\n").length < 25);
    assertEquals((await environments.status("bad")).state, "missing");
  });

  Deno.test(`${installer}: an abort ends the installation with its reason`, async () => {
    await using home = await temporary();
    const controller = new AbortController();
    const reason = new Error("enough");
    const failure = await manager(installer, home.path).ensure({
      name: "aborted",
      packages: ["numpy"],
      signal: controller.signal,
      onProgress: (event) => event.stage === "install" && controller.abort(reason),
    }).catch((error) => error);
    assertEquals(failure, reason);
    assertEquals((await manager(installer, home.path).status("aborted")).state, "missing");
  });

  Deno.test(`${installer}: a bundle makes the same environment without a network`, async () => {
    await using home = await temporary();
    const bundle = join(home.path, "bundle");
    await manager(installer, join(home.path, "here")).exportBundle(bundle, { packages: ["requests"] });
    const there = manager(installer, join(home.path, "there"), { offline: true });
    const made = await there.importBundle(bundle, { name: "carried" });
    assert((await there.freeze(made.name)).some((line) => line.startsWith("requests==")));
    const wheel = (await Array.fromAsync(Deno.readDir(join(bundle, "wheels"))))[0]!.name;
    await Deno.writeTextFile(join(bundle, "wheels", wheel), "no wheel");
    const elsewhere = manager(installer, join(home.path, "elsewhere"), { offline: true });
    await assertRejects(() => elsewhere.importBundle(bundle), HashMismatchError);
    await Deno.remove(join(bundle, "wheels", wheel));
    await assertRejects(() => elsewhere.importBundle(bundle), EnvironmentError, "missing");
    await assertRejects(() => there.exportBundle(bundle, { packages: [] }), EnvironmentError, "has");
  });
}

Deno.test("the admin environment has pip", async () => {
  await using home = await temporary();
  const environments = manager("pip", home.path);
  const admin = await environments.ensureAdmin();
  assertEquals(admin.name, "admin");
  assertEquals((await environments.run(admin, { module: "pip", args: ["--version"] })).code, 0);
  assertEquals((await environments.ensure()).path, admin.path);
});

Deno.test("run() ends what it started when it is aborted, grandchildren included", async () => {
  await using home = await temporary();
  const environments = manager("pip", home.path);
  const environment = await environments.ensure({ name: "runs", packages: [] });
  const script = join(home.path, "spawner.py");
  await Deno.writeTextFile(
    script,
    "import subprocess, sys, time\nc = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\nprint(c.pid, flush=True)\ntime.sleep(60)\n",
  );
  const controller = new AbortController();
  let pid = 0;
  const running = environments.run(environment, {
    script,
    signal: controller.signal,
    onLine: (line) => {
      pid = Number(line);
      controller.abort(new Error("enough"));
    },
  });
  await assertRejects(() => running, Error, "enough");
  // Half of what it would take to end by itself.
  const deadline = performance.now() + 30_000;
  while (await isAlive(pid)) {
    assert(performance.now() < deadline, `grandchild ${pid} is still there`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const late = await environments.run(environment, { script, timeoutMs: 300 });
  assertEquals(late.timedOut, true);
  await assertRejects(() => environments.run(environment, {}), PythonHostError, "either");
});

async function isAlive(pid: number): Promise<boolean> {
  const text = await Deno.readTextFile(`/proc/${pid}/stat`).catch(() => "");
  return text !== "" && !/\) Z /.test(text);
}

Deno.test("pip's settings are read from its files and variables, and carried over to uv", async () => {
  await using directory = await temporary();
  const home = directory.path;
  await Deno.mkdir(join(home, ".config/pip"), { recursive: true });
  await Deno.writeTextFile(
    join(home, ".config/pip/pip.conf"),
    "[global]\nindex-url = https://user:secret@mirror.example/simple\ntimeout=7\n# no\n[install]\nextra-index-url =\n    https://a.example/simple\n    https://b.example/simple\ntrusted-host = a.example\n",
  );
  const variables = {
    HOME: home,
    XDG_CONFIG_DIRS: join(home, "none"),
    PIP_FIND_LINKS: "/wheels /more",
    PIP_TIMEOUT: "9",
  };
  const settings = await readIndexSettings(context(home, { environment: only(variables) }));
  assertEquals(settings.indexUrl, "https://user:secret@mirror.example/simple");
  assertEquals(settings.extraIndexUrls, ["https://a.example/simple", "https://b.example/simple"]);
  assertEquals([settings.findLinks, settings.trustedHosts, settings.timeoutSeconds], [["/wheels", "/more"], [
    "a.example",
  ], 9]);
  const uv = uvVariables(settings, context(home, { environment: only({ UV_INDEX: "https://own.example" }) }));
  assertEquals(uv.UV_DEFAULT_INDEX, "https://user:secret@mirror.example/simple");
  assertEquals([uv.UV_FIND_LINKS, uv.UV_INDEX, uv.UV_HTTP_TIMEOUT], [
    "/wheels,/more",
    "https://own.example",
    "9",
  ]);
  const pip = pipVariables(settings, "linux");
  assertEquals([pip.PIP_CONFIG_FILE, pip.PIP_INDEX_URL], [
    "/dev/null",
    "https://user:secret@mirror.example/simple",
  ]);
  assertEquals(
    await readIndexSettings(
      context(home, {
        environment: only({ ...variables, PIP_CONFIG_FILE: "/dev/null", PIP_FIND_LINKS: "" }),
      }),
    ),
    { timeoutSeconds: 9 },
  );
  assertEquals(parsePipConfig("[global]\nno_index: true\n").get("no-index"), "true");
});

Deno.test("case 39: only the first index that knows a package is asked, so that nobody can slip in another", async () => {
  await using home = await temporary();
  const pages: string[] = [];
  await using outside = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    pages.push(new URL(request.url).pathname);
    return new Response("", { status: 404 });
  });
  const environments = manager("pip", home.path);
  const index = { indexUrl: `http://127.0.0.1:${outside.addr.port}/simple` };
  await assertRejects(
    () => environments.ensure({ name: "x", packages: ["beep-private-name"], index }),
    CommandError,
  );
  assertEquals([...new Set(pages)], ["/simple/beep-private-name/"]);
});

Deno.test("the decisive lines of installers are found", () => {
  const pip = decisivePipLines({
    stdout: "Collecting x\n",
    stderr: "  noise\nERROR: No matching distribution found for x\n[notice] update\n",
  });
  assertEquals(pip, "ERROR: No matching distribution found for x");
  const retry = (left: number) =>
    `WARNING: Retrying (Retry(total=${left}, connect=None)) after connection broken by ` +
    `'NewConnectionError('<pip.HTTPConnection object at 0x7fe${left}>: [Errno 111] Connection refused')': /simple/x\n`;
  const refused = decisivePipLines({
    stdout: "",
    stderr: `${retry(1)}${retry(0)}ERROR: No matching distribution found for x\n`,
  });
  assertEquals(
    refused,
    "WARNING: connection broken by 'NewConnectionError('[Errno 111] Connection refused')': /simple/x\n" +
      "ERROR: No matching distribution found for x",
  );
  const uv = decisiveUvLines({
    stdout: "",
    stderr: "Resolved in 3ms\n  × No solution found\n  ╰─▶ Because x\n",
  });
  assertEquals(uv, "  × No solution found\n  ╰─▶ Because x");
  assertEquals(parseUvVersion("uv 0.6.2 (x)"), undefined);
  assertEquals(parseUvVersion("uv 0.10.0"), "0.10.0");
  const report = {
    install: [{
      metadata: { name: "x", version: "1" },
      is_direct: false,
      download_info: { url: "u", archive_info: { hash: "sha256=aa" } },
    }],
  };
  assertEquals(formatReport(JSON.stringify(report)), "x==1 \\\n    --hash=sha256:aa\n");
});
