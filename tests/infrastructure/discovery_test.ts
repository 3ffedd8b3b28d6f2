/**
 * Discovery over made-up machines: interpreters are shell scripts that print canned answers.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { PythonNotFoundError, type RefusedCandidate } from "../../core/errors.ts";
import { type Io, type PythonRuntime, RuntimeManager } from "../../infrastructure/mod.ts";
import {
  newestFirst,
  parsePyvenv,
  parseRegistry,
  searchNames,
  untouchable,
} from "../../infrastructure/discovery.ts";
import { denoIo } from "../../infrastructure/io.ts";
import { parseProbe } from "../../infrastructure/probe.ts";
import { description, fakeInstallation, fakePython, writeExecutable } from "./_fake_python.ts";
import { context, countingIo, only, temporary } from "./_support.ts";

interface Machine {
  readonly root: string;
  readonly manager: (
    values?: Record<string, string>,
    io?: Io,
    cwd?: string,
    probeTimeoutMs?: number,
  ) => RuntimeManager;
}

async function machine(use: (machine: Machine) => Promise<void>): Promise<void> {
  await using scratch = await temporary("find_");
  const root = await Deno.realPath(scratch.path);
  await Deno.mkdir(join(root, "bin"));
  await use({
    root,
    manager: (values = {}, io = denoIo, cwd = root, probeTimeoutMs = 30_000) =>
      new RuntimeManager({
        home: join(root, "home"),
        environment: only({ PATH: "", HOME: join(root, "user"), ...values }),
        io,
        cwd,
        probeTimeoutMs,
      }),
  });
}

const versions = (runtimes: readonly PythonRuntime[]): string[] =>
  runtimes.map((runtime) => `${runtime.version} ${runtime.source}`);

Deno.test("discover() looks in every place, in the stated order", async () => {
  await machine(async ({ root, manager }) => {
    const at = (path: string, version: string): Promise<string> =>
      fakeInstallation(join(root, path), version);
    const override = await at("override", "3.9.1");
    await at("venv-base", "3.9.2");
    await Deno.mkdir(join(root, "venv/bin"), { recursive: true });
    await Deno.writeTextFile(join(root, "venv/pyvenv.cfg"), `home = ${join(root, "venv-base/bin")}\n`);
    await Deno.symlink(join(root, "venv-base/bin/python3"), join(root, "venv/bin/python"));
    await at("conda", "3.9.3");
    await at("project-base", "3.9.4");
    await Deno.mkdir(join(root, "work/deep/er"), { recursive: true });
    await Deno.mkdir(join(root, "work/.venv/bin"), { recursive: true });
    await Deno.writeTextFile(
      join(root, "work/.venv/pyvenv.cfg"),
      `home = ${join(root, "project-base/bin")}\n`,
    );
    await Deno.symlink(join(root, "project-base/bin/python3"), join(root, "work/.venv/bin/python"));
    await at("user/.local/share/uv/python/cpython-3.9.5-linux", "3.9.5");
    await at("path", "3.9.6");
    await at("user/.pyenv/versions/3.9.7", "3.9.7");
    await at("user/.pyenv/versions/3.9.10", "3.9.10");
    const found = await manager(
      {
        BEEP_PYTHON_PATH: override,
        VIRTUAL_ENV: join(root, "venv"),
        CONDA_PREFIX: join(root, "conda"),
        PATH: join(root, "path/bin"),
      },
      denoIo,
      join(root, "work/deep/er"),
    ).discover();
    assertEquals(versions(found), [
      "3.9.1 BEEP_PYTHON_PATH",
      "3.9.2 VIRTUAL_ENV",
      "3.9.3 CONDA_PREFIX",
      "3.9.4 project",
      "3.9.5 uv",
      "3.9.6 PATH",
      "3.9.10 pyenv",
      "3.9.7 pyenv",
    ]);
    for (const runtime of found) assertEquals(await Deno.realPath(runtime.executable), runtime.executable);
  });
});

Deno.test("find() takes the first that fits, not the newest", async () => {
  await machine(async ({ root, manager }) => {
    await fakeInstallation(join(root, "a"), "3.10.2");
    await fakeInstallation(join(root, "b"), "3.13.0");
    const PATH = `${join(root, "a/bin")}:${join(root, "b/bin")}:${join(root, "missing")}::relative`;
    assertEquals((await manager({ PATH }).find(">=3.9")).version, "3.10.2");
    assertEquals((await manager({ PATH }).find("3.13")).version, "3.13.0");
    assertEquals((await manager({ PATH }).find(">=3.11,<3.14")).version, "3.13.0");
  });
});

const BROKEN: readonly { name: string; text: string; reason: RegExp; probeTimeoutMs?: number }[] = [
  {
    name: "Python 2",
    text: "#!/bin/sh\necho 'Unknown option: -I' >&2; exit 2\n",
    reason: /older than Python 3\.4/,
  },
  { name: "an old Python 3", text: fakePython("3.8.18"), reason: /3\.8\.18, older than 3\.9/ },
  {
    name: "case 30: a missing loader",
    text: "#!/bin/sh\necho 'error while loading shared libraries: libx.so' >&2; exit 127\n",
    reason: /exited with code 127: .*libx/,
  },
  { name: "case 29: an illegal instruction", text: "#!/bin/sh\nkill -ILL $$\n", reason: /SIGILL/ },
  { name: "silence", text: "#!/bin/sh\nexit 0\n", reason: /no description/ },
  { name: "nonsense", text: "#!/bin/sh\necho '{not json'\n", reason: /no JSON/ },
  { name: "another shape", text: "#!/bin/sh\necho '{\"hello\": 1}'\n", reason: /no version/ },
  { name: "an interpreter that is none", text: "#!/nonexistent/interpreter\n", reason: /Cannot run/ },
  {
    name: "one that hangs",
    text: "#!/bin/sh\nexec /bin/sleep 60\n",
    reason: /did not answer within 2000 ms/,
    probeTimeoutMs: 2_000,
  },
];

for (const { name, text, reason, probeTimeoutMs } of BROKEN) {
  Deno.test(`find() passes over ${name}, and says why; as an explicit path it is an error`, async () => {
    await machine(async ({ root, manager }) => {
      const broken = await writeExecutable(join(root, "bin/python3"), text);
      await fakeInstallation(join(root, "good"), "3.12.0");
      const PATH = `${join(root, "bin")}:${join(root, "good/bin")}`;
      const refused: RefusedCandidate[] = [];
      const runtimes = manager({ PATH }, denoIo, root, probeTimeoutMs);
      const found = await runtimes.discover({ onRefused: (candidate) => refused.push(candidate) });
      assertEquals(versions(found), ["3.12.0 PATH"], Deno.inspect(refused));
      assertEquals(refused.length, 1);
      assertEquals(refused[0]!.path, broken);
      assert(reason.test(refused[0]!.reason), refused[0]!.reason);
      const failure = await assertRejects(() => runtimes.find(broken), PythonNotFoundError);
      assert(reason.test(failure.message), failure.message);
      assert(failure.hint!.includes("Name the interpreter"), failure.hint);
    });
  });
}

Deno.test("find() lists every candidate when none fits", async () => {
  await machine(async ({ root, manager }) => {
    await fakeInstallation(join(root, "a"), "3.10.2");
    await fakeInstallation(join(root, "b"), "3.11.5");
    const failure = await assertRejects(
      () => manager({ PATH: `${join(root, "a/bin")}:${join(root, "b/bin")}` }).find("3.14t"),
      PythonNotFoundError,
    );
    assertEquals(failure.candidates.length, 2);
    assert(failure.message.includes("3.10.2") && failure.message.includes("3.11.5"));
    assert(failure.hint!.includes("install"));
  });
});

Deno.test("a free-threaded Python is taken only when it is asked for", async () => {
  await machine(async ({ root, manager }) => {
    const text = fakePython("3.14.1", { freeThreaded: true });
    await fakeInstallation(join(root, "free"), "3.14.1", text);
    await fakeInstallation(join(root, "plain"), "3.14.2");
    const PATH = `${join(root, "free/bin")}:${join(root, "plain/bin")}`;
    assertEquals((await manager({ PATH }).find("3.14")).version, "3.14.2");
    const free = await manager({ PATH }).find("3.14t");
    assertEquals([free.version, free.freeThreaded], ["3.14.1", true]);
  });
});

Deno.test("no shim is ever executed; what it stands for is taken from where it is installed", async () => {
  await machine(async ({ root, manager }) => {
    const tattle = `#!/bin/sh\ntouch "${root}/executed"\n`;
    await writeExecutable(join(root, "user/.pyenv/shims/python3"), tattle);
    await writeExecutable(join(root, "user/.asdf/shims/python3"), tattle);
    // A shim that somebody copied to a harmless place is known by its text.
    const copied = await writeExecutable(
      join(root, "bin/python3"),
      `${tattle}exec "/x/pyenv" exec "$program" "$@"\n`,
    );
    await fakeInstallation(join(root, "user/.pyenv/versions/3.11.7"), "3.11.7");
    await fakeInstallation(join(root, "user/.pyenv/versions/3.12.1"), "3.12.1");
    await Deno.writeTextFile(join(root, "user/.pyenv/version"), "3.11.7\n");
    const PATH = [join(root, "user/.asdf/shims"), join(root, "user/.pyenv/shims/"), join(root, "bin")].join(
      ":",
    );
    const found = await manager({ PATH }).discover();
    assertEquals(versions(found), ["3.11.7 PATH", "3.12.1 pyenv"]);
    const named = await manager({ PATH, PYENV_VERSION: "3.12.1:3.11.7" }).discover();
    assertEquals(versions(named), ["3.12.1 PATH", "3.11.7 PATH"]);
    for (const path of [copied, join(root, "user/.pyenv/shims/python3")]) {
      const failure = await assertRejects(() => manager({ PATH }).find(path), PythonNotFoundError);
      assert(failure.message.includes("shim"));
    }
    await assertRejects(() => Deno.stat(join(root, "executed")), Deno.errors.NotFound);
  });
});

Deno.test("what is known of an interpreter is not asked again until its file changes", async () => {
  await machine(async ({ root, manager }) => {
    await fakeInstallation(join(root, "a"), "3.10.2");
    await writeExecutable(join(root, "bin/python3"), "#!/bin/sh\nexit 3\n");
    const PATH = `${join(root, "bin")}:${join(root, "a/bin")}`;
    const first = countingIo();
    await manager({ PATH }, first.io).discover();
    assertEquals(first.spawned.length, 2);
    const second = countingIo();
    assertEquals(versions(await manager({ PATH }, second.io).discover()), ["3.10.2 PATH"]);
    assertEquals(second.spawned, []);
    await Deno.writeTextFile(join(root, "a/bin/python3.10"), fakePython("3.10.44"));
    const third = countingIo();
    assertEquals(versions(await manager({ PATH }, third.io).discover()), ["3.10.44 PATH"]);
    assertEquals(third.spawned.length, 1);
    // A cache that somebody broke costs a question, never an answer.
    await Deno.writeTextFile(join(root, "home/cache/interpreters.json"), "{");
    assertEquals(versions(await manager({ PATH }).discover()), ["3.10.44 PATH"]);
  });
});

Deno.test("find() takes a path to an interpreter, a venv or an installation, and gives the base", async () => {
  await machine(async ({ root, manager }) => {
    const real = await fakeInstallation(join(root, "user/base with space"), "3.12.4");
    const venv = join(root, "user/venv");
    await Deno.mkdir(join(venv, "bin"), { recursive: true });
    await Deno.writeTextFile(join(venv, "pyvenv.cfg"), `home = ${join(root, "user/base with space/bin")}\n`);
    // Copied, as on systems without links.
    await Deno.copyFile(real, join(venv, "bin/python"));
    for (
      const request of [real, join(root, "user/base with space"), venv, join(venv, "bin/python"), "~/venv"]
    ) {
      const runtime = await manager().find(request);
      assertEquals([runtime.executable, runtime.source], [real, "explicit"], request);
    }
    await assertRejects(() => manager().find(join(root, "nothing")), PythonNotFoundError);
  });
});

Deno.test("case 43: variables of the user do not leak into a probe", async () => {
  await machine(async ({ root, manager }) => {
    const text = `#!/bin/sh\nenv > "${root}/seen"\n${fakePython("3.12.0").slice("#!/bin/sh\n".length)}`;
    await fakeInstallation(join(root, "a"), "3.12.0", text);
    await manager({
      PATH: `${join(root, "a/bin")}:/usr/bin:/bin`,
      PYTHONPATH: "/evil",
      PYTHONHOME: "/evil",
      LD_PRELOAD: "/evil.so",
    }).find("3.12");
    const seen = await Deno.readTextFile(join(root, "seen"));
    assert(!seen.includes("evil"), seen);
  });
});

Deno.test("the small parsers read what the systems write", () => {
  assertEquals(searchNames("windows"), ["python.exe", "python3.exe"]);
  assertEquals(newestFirst(["cpython-3.9.18", "cpython-3.13.1", "cpython-3.13.0rc2", "x"]), [
    "cpython-3.13.1",
    "cpython-3.13.0rc2",
    "cpython-3.9.18",
    "x",
  ]);
  assertEquals(parsePyvenv("Home = C:\\Python\r\nversion_info=3.9\nbroken\n").get("home"), "C:\\Python");
  const registry = [
    "",
    "HKEY_CURRENT_USER\\Software\\Python\\PythonCore\\3.12\\InstallPath",
    "    ExecutablePath    REG_SZ    C:\\Users\\A B\\Python312\\python.exe",
    "    WindowedExecutablePath    REG_SZ    C:\\Users\\A B\\Python312\\pythonw.exe",
    "",
    "End of search: 2 match(es) found.",
  ].join("\r\n");
  assertEquals(parseRegistry(registry), ["C:\\Users\\A B\\Python312\\python.exe"]);
  const noisy = parseProbe(`hello from sitecustomize\n${description("3.12.1")}\n`);
  assert("facts" in noisy && noisy.facts.version === "3.12.1");
});

Deno.test("stubs of other systems are not touched", async () => {
  const info = {
    isFile: true,
    isDirectory: false,
    isSymlink: false,
    size: 99_999,
    mtimeMs: 0,
    mode: null,
    uid: null,
  };
  const there = new Set(["/usr/bin/python3"]);
  const io: Io = {
    ...denoIo,
    stat: (path) =>
      there.has(path) || path.includes("\\")
        ? Promise.resolve(info)
        : Promise.reject(new Deno.errors.NotFound(path)),
  };
  const mac = context("/h", { io, os: "darwin" });
  assert((await untouchable(mac, "/usr/bin/python3", "/usr/bin/python3"))!.includes("developer tools"));
  there.add("/Library/Developer/CommandLineTools");
  assertEquals(await untouchable(mac, "/usr/bin/python3", "/usr/bin/python3"), undefined);
  const windows = context("C:\\h", { io, os: "windows" });
  const stub = "C:\\Users\\a\\AppData\\Local\\Microsoft\\WindowsApps\\python.exe";
  assert((await untouchable(windows, stub, stub))!.includes("Store"));
  assertEquals(await untouchable(windows, "C:\\Python\\python.exe", "C:\\Python\\python.exe"), undefined);
});

Deno.test("the default Python can be set, and is checked", async () => {
  await machine(async ({ root, manager }) => {
    await fakeInstallation(join(root, "a"), "3.10.2");
    const other = await fakeInstallation(join(root, "b"), "3.11.5");
    const runtimes = manager({ PATH: `${join(root, "a/bin")}:${join(root, "b/bin")}` });
    assertEquals((await runtimes.getDefault()).version, "3.10.2");
    await runtimes.setDefault("3.11");
    assertEquals((await runtimes.getDefault()).executable, other);
    await runtimes.setDefault(await runtimes.find("3.11"));
    assertEquals(await runtimes.defaultRequest(), other);
    await assertRejects(() => runtimes.setDefault("3.13"), PythonNotFoundError);
    await runtimes.setDefault(undefined);
    assertEquals(await runtimes.defaultRequest(), ">=3.9");
  });
});
