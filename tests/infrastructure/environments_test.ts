/**
 * Environments over a fake interpreter: what a specification means, hits, switches, healing, names and paths.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { EnvironmentError, PythonHostError, PythonNotFoundError } from "../../core/errors.ts";
import { type Io, RuntimeManager, VenvManager } from "../../infrastructure/mod.ts";
import { denoIo } from "../../infrastructure/io.ts";
import { forgetVerified } from "../../infrastructure/marker.ts";
import { checkName, refuseName } from "../../infrastructure/names.ts";
import {
  appendBackendSuffix,
  backendOfProvider,
  providerEnvironmentName,
  slugifyModelId,
} from "../../infrastructure/providers.ts";
import { readPyproject, readRequirementsFile, splitRequirements } from "../../infrastructure/requirements.ts";
import { canonicalRequirements, packageOf } from "../../infrastructure/specification.ts";
import { fakeArchive, fakeInstallation, fakePython } from "./_fake_python.ts";
import { context, countingIo, only, randomNumbers, temporary, tree } from "./_support.ts";

interface Workshop extends AsyncDisposable {
  readonly root: string;
  readonly home: string;
  readonly python: string;
  readonly manager: (io?: Io, home?: string) => VenvManager;
}

async function workshop(homeName = "home"): Promise<Workshop> {
  const scratch = await temporary("venv_");
  const root = await Deno.realPath(scratch.path);
  const python = await fakeInstallation(join(root, "base"), "3.12.0");
  const home = join(root, homeName);
  const environment = only({ PATH: `${join(root, "base/bin")}:/usr/bin:/bin` });
  return {
    root,
    home,
    python,
    manager: (io = denoIo, other = home) =>
      new VenvManager({
        runtimes: new RuntimeManager({ home: other, environment, io, cwd: root }),
        installer: "pip",
      }),
    [Symbol.asyncDispose]: () => scratch[Symbol.asyncDispose](),
  };
}

Deno.test("the second ensure() of a specification is a hit that starts no process", async () => {
  await using shop = await workshop();
  const first = await shop.manager().ensure({ name: "one", python: "3.12" });
  for (let round = 0; round < 2; round++) {
    forgetVerified();
    const { io, spawned } = countingIo();
    const again = await shop.manager(io).ensure({ name: "one", python: "3.12" });
    assertEquals(again, first);
    assertEquals(spawned, []);
  }
  assertEquals(first.runtime.executable, shop.python);
  assert(first.python.startsWith(join(shop.home, "envs", "one")));
});

Deno.test("ensure() names an environment by its content, and admin when nothing is said", async () => {
  await using shop = await workshop();
  const manager = shop.manager();
  const unnamed = await manager.ensure({ python: "3.12" });
  assert(/^auto-[0-9a-f]{12}$/.test(unnamed.name));
  assertEquals((await manager.ensure({ python: "3.12" })).path, unnamed.path);
  assert((await manager.ensure({ python: ">=3.12" })).path !== unnamed.path);
  const all = await Promise.all(
    Array.from({ length: 5 }, () => manager.ensure({ name: "same", python: "3.12" })),
  );
  assertEquals(new Set(all.map((environment) => environment.path)).size, 1);
  assertEquals((await manager.list()).map((status) => status.name).includes("same"), true);
});

Deno.test("a name alone takes the environment as it is", async () => {
  await using shop = await workshop();
  const manager = shop.manager();
  const made = await manager.ensure({ name: "mine", python: ">=3.9,<3.13" });
  assertEquals((await manager.ensure({ name: "mine" })).path, made.path);
  const other = await manager.ensure({ name: "mine", python: ">=3.9" });
  assert(other.path !== made.path);
  assertEquals((await manager.ensure({ name: "mine" })).path, other.path);
  // Going back is a switch, not a new environment.
  assertEquals((await manager.ensure({ name: "mine", python: ">=3.9,<3.13" })).path, made.path);
  assertEquals((await manager.ensure({ name: "mine" })).path, made.path);
  await assertRejects(() => manager.create("mine"), EnvironmentError, "exists");
});

Deno.test("case 21, 22: a broken environment is made again from what it was made from", async () => {
  await using shop = await workshop();
  const made = await shop.manager().ensure({ name: "mine", python: "3.12" });
  const breakers: readonly (() => Promise<void>)[] = [
    () => Deno.remove(join(made.path, "bin/python")),
    () => Deno.remove(join(made.path, ".beep-complete.json")),
    () => Deno.writeTextFile(join(made.path, ".beep-complete.json"), "{"),
    () => Deno.writeTextFile(join(made.path, ".beep-manifest.json"), "[]"),
    () => Deno.remove(join(made.path, "pyvenv.cfg")),
    () => Deno.writeTextFile(join(made.path, "pyvenv.cfg"), "home = /somewhere/else\n"),
    () => Deno.truncate(join(made.path, "bin/python"), 3),
    () => Deno.remove(made.path, { recursive: true }),
  ];
  let current = made;
  for (const [index, damage] of breakers.entries()) {
    // Each breaker works on the first path, so it is put back there.
    await Deno.remove(shop.home, { recursive: true });
    forgetVerified();
    current = await shop.manager().ensure({ name: "mine", python: "3.12" });
    await Deno.rename(current.path, made.path).catch(() => {});
    const pointers = (await tree(join(shop.home, "envs/mine"))).filter((path) =>
      path.endsWith(".json") && !path.includes("/")
    );
    for (const pointer of pointers) {
      const path = join(shop.home, "envs/mine", pointer);
      const text = await Deno.readTextFile(path);
      await Deno.writeTextFile(
        path,
        text.replace(current.path.split("/").at(-1)!, made.path.split("/").at(-1)!),
      );
    }
    for (const path of await tree(join(shop.home, "envs/mine"))) {
      if (path.endsWith(".verified")) await Deno.remove(join(shop.home, "envs/mine", path));
    }
    forgetVerified();
    assertEquals(
      (await shop.manager().ensure({ name: "mine" })).path,
      made.path,
      `breaker ${index} starts from a whole one`,
    );
    await damage();
    for (const path of await tree(join(shop.home, "envs/mine"))) {
      if (path.endsWith(".verified")) await Deno.remove(join(shop.home, "envs/mine", path));
    }
    forgetVerified();
    assertEquals((await shop.manager().status("mine")).state, "broken", `breaker ${index}`);
    forgetVerified();
    const healed = await shop.manager().ensure({ name: "mine" });
    assert(healed.path !== made.path, `breaker ${index}`);
    assertEquals((await shop.manager().status("mine")).state, "ready");
  }
});

Deno.test("case 34: a base that was replaced or removed takes its environments along", async () => {
  await using shop = await workshop();
  const made = await shop.manager().ensure({ name: "mine", python: "3.12" });
  await Deno.writeTextFile(shop.python, fakePython("3.12.9"));
  const again = await shop.manager().ensure({ name: "mine", python: "3.12" });
  assertEquals([made.version, again.version], ["3.12.0", "3.12.9"]);
  assert(again.path !== made.path);
  await Deno.remove(join(shop.root, "base"), { recursive: true });
  await assertRejects(
    () => shop.manager().ensure({ name: "mine", python: "3.12", download: "never" }),
    PythonNotFoundError,
  );
});

Deno.test("case 22, 35: repair() of a runtime puts back what is missing", async () => {
  await using shop = await workshop();
  const archive = fakeArchive();
  await Deno.writeFile(join(shop.root, "archive.tar.gz"), archive.bytes);
  const runtimes = shop.manager().runtimes;
  const distribution = {
    version: archive.version,
    sha256: archive.sha256,
    url: `file://${shop.root}/archive.tar.gz`,
  };
  const runtime = await runtimes.install(archive.version, { distribution });
  const sysconfig = join(runtime.executable, "../../lib/python3.12/_sysconfigdata__linux_.py");
  const text = await Deno.readTextFile(sysconfig);
  assert(text.includes(join(shop.home, "pythons")) && text.includes("'cc -pthread'"), text);
  assert(
    (await Deno.readTextFile(join(sysconfig, "../EXTERNALLY-MANAGED"))).includes("[externally-managed]"),
  );
  await Deno.remove(sysconfig);
  assertEquals(await runtimes.verify(runtime.id), ['"lib/python3.12/_sysconfigdata__linux_.py" is missing']);
  assertEquals((await runtimes.repair(runtime.id)).length, 1);
  assertEquals(await runtimes.verify(runtime.id), []);
  assertEquals((await runtimes.find("3.12.1")).id, runtime.id);
  await runtimes.setDefault(runtime);
  assertEquals(await runtimes.uninstall(runtime.id), true);
  assertEquals(await runtimes.uninstall(runtime.id), false);
  assertEquals(await runtimes.list(), []);
  assertEquals(await runtimes.defaultRequest(), ">=3.9");
  await assertRejects(() => runtimes.uninstall("../../etc"), EnvironmentError, "runtime id");
});

Deno.test("case 8: a corrupt archive in the cache is thrown out and fetched again", async () => {
  await using shop = await workshop();
  const archive = fakeArchive();
  await Deno.writeFile(join(shop.root, "archive.tar.gz"), archive.bytes);
  const runtimes = shop.manager().runtimes;
  const distribution = {
    version: archive.version,
    sha256: archive.sha256,
    url: `file://${shop.root}/archive.tar.gz`,
  };
  const runtime = await runtimes.install(archive.version, { distribution });
  const cached = join(shop.home, "archives", `${archive.sha256}.tar.gz`);
  for (
    const damage of [
      archive.bytes.map((byte, index) => index === 700 ? byte ^ 1 : byte),
      archive.bytes.subarray(0, 900),
      new Uint8Array(),
    ]
  ) {
    await runtimes.uninstall(runtime.id);
    await Deno.writeFile(cached, damage);
    assertEquals(await runtimes.verify((await runtimes.install(archive.version, { distribution })).id), []);
    assertEquals(await Deno.readFile(cached), archive.bytes);
  }
});

Deno.test("case 38: offline, no socket is opened and the missing file is named", async () => {
  await using shop = await workshop();
  const archive = fakeArchive();
  const io: Io = { ...denoIo, fetch: () => Promise.reject(new Error("a socket was opened")) };
  const runtimes = new RuntimeManager({ home: shop.home, environment: only({}), io, offline: true });
  const distribution = {
    version: archive.version,
    sha256: archive.sha256,
    url: "https://mirror.example/a.tar.gz",
  };
  const failure = await assertRejects(
    () => runtimes.install(archive.version, { distribution }),
    PythonHostError,
  );
  assert(failure.message.includes(join(shop.home, "archives", `${archive.sha256}.tar.gz`)), failure.message);
  assert(failure.hint!.includes(archive.sha256));
  await Deno.mkdir(join(shop.home, "archives"), { recursive: true });
  await Deno.writeFile(join(shop.home, "archives", `${archive.sha256}.tar.gz`), archive.bytes);
  assertEquals((await runtimes.install(archive.version, { distribution })).version, archive.version);
});

Deno.test("gc() removes what is superseded and not in use; delete() refuses what is in use", async () => {
  await using shop = await workshop();
  const manager = shop.manager();
  const old = await manager.ensure({ name: "mine", python: "3.12" });
  const leased = await manager.ensure({ name: "mine", python: ">=3.12" });
  const current = await manager.ensure({ name: "mine", python: "3" });
  {
    await using _lease = await manager.lease(leased);
    assertEquals((await manager.gc()).removed, [old.path]);
    await assertRejects(() => manager.delete("mine"), EnvironmentError, "in use");
  }
  assertEquals((await manager.gc()).removed, [leased.path]);
  assertEquals((await manager.ensure({ name: "mine" })).path, current.path);
  assertEquals(await manager.delete("mine"), true);
  assertEquals(await manager.delete("mine"), false);
  assertEquals((await manager.status("mine")).state, "missing");
  assertEquals(await tree(join(shop.home, "envs")), []);
});

const ODD_NAMES: readonly string[] = [
  "with space",
  "ünïcödé é",
  "日本語",
  "emoji 🐍",
  "percent %20 %s",
  "-leading-dash",
  'quote\'s "and" more',
  "$HOME `id` ;&|",
  "x".repeat(200),
];

for (const name of ODD_NAMES) {
  Deno.test(`case 32, 33: a data directory named "${name.slice(0, 40)}" works`, async () => {
    await using shop = await workshop(name);
    const archive = fakeArchive();
    const path = join(shop.root, `archive ${name.slice(0, 20).replaceAll("/", "")}.tar.gz`);
    await Deno.writeFile(path, archive.bytes);
    const manager = shop.manager();
    const url = new URL(`file://${path.split("/").map(encodeURIComponent).join("/")}`).href;
    const distribution = { version: archive.version, sha256: archive.sha256, url };
    const runtime = await manager.runtimes.install(archive.version, { distribution });
    const environment = await manager.ensure({ name: "mine", python: runtime.executable });
    assertEquals((await manager.run(environment, { script: "-x.py" })).code, 0);
    assertEquals((await manager.ensure({ name: "mine" })).path, environment.path);
  });
}

Deno.test("case 41: no name leads out of the root", () => {
  const seed = 3;
  const random = randomNumbers(seed);
  const alphabet = [
    "a",
    "Z",
    "0",
    ".",
    "..",
    "/",
    "\\",
    "-",
    "_",
    " ",
    "\0",
    "\n",
    "~",
    ":",
    "é",
    "CON",
    "nul",
    "%2e",
    "🐍",
    "*",
  ];
  let taken = 0;
  for (let round = 0; round < 20_000; round++) {
    const name = Array.from(
      { length: Math.floor(random() * 8) },
      () => alphabet[Math.floor(random() * alphabet.length)],
    ).join("");
    if (refuseName(name) !== undefined) continue;
    taken++;
    assert(/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(name) && !name.endsWith("."), name);
    assertEquals(join("/data/envs", name), `/data/envs/${name}`);
  }
  assert(taken > 100);
  for (
    const bad of [
      "",
      ".",
      "..",
      "../x",
      "a/b",
      "a\\b",
      "CON",
      "con.txt",
      "NUL",
      "lpt1",
      "a.",
      " a",
      "-a",
      "a\0",
      "x".repeat(65),
    ]
  ) {
    assert(refuseName(bad) !== undefined, bad);
  }
  assertEquals(checkName("llama-cuda_3.1"), "llama-cuda_3.1");
});

Deno.test("methods that take a name refuse one that leads out", async () => {
  await using shop = await workshop();
  const manager = shop.manager();
  for (const name of ["../x", "/etc", "a/../../b", "", "."]) {
    for (
      const call of [
        () => manager.ensure({ name }),
        () => manager.create(name),
        () => manager.status(name),
        () => manager.delete(name),
        () => manager.install(name, []),
        () => manager.uninstall(name, []),
        () => manager.freeze(name),
        () => manager.verify(name),
      ]
    ) await assertRejects(call as () => Promise<unknown>, EnvironmentError, "Cannot use environment name");
  }
});

Deno.test("case 42: a data directory that everybody may write to is refused", async () => {
  await using shop = await workshop();
  await Deno.mkdir(shop.home);
  await Deno.chmod(shop.home, 0o777);
  await assertRejects(
    () => shop.manager().ensure({ python: "3.12" }),
    EnvironmentError,
    "everybody may write",
  );
  await Deno.chmod(shop.home, 0o700);
  await shop.manager().ensure({ python: "3.12" });
});

Deno.test("requirements are read from files, with what they include", async () => {
  await using directory = await temporary();
  const put = (name: string, text: string): Promise<void> =>
    Deno.writeTextFile(join(directory.path, name), text);
  await put(
    "base.txt",
    "numpy >= 2  # a comment\n\n-r more/extra.txt\n-c limits.txt\n./local/pkg.whl\n--index-url https://x/${TOKEN}/\n",
  );
  await Deno.mkdir(join(directory.path, "more"));
  await put("more/extra.txt", "six==1.0 \\\n    --hash=sha256:aa\n");
  await put("limits.txt", "idna<3\n");
  const read = await readRequirementsFile(
    context("/h", { environment: only({ TOKEN: "t" }) }),
    join(directory.path, "base.txt"),
  );
  assertEquals(read.lines, [
    "numpy >= 2",
    "six==1.0 --hash=sha256:aa",
    join(directory.path, "local/pkg.whl"),
    "--index-url https://x/t/",
  ]);
  assertEquals(read.constraints, ["idna<3"]);
  assertEquals(read.hashed, true);
  // As PowerShell writes what `pip freeze` prints, and others with a mark, too.
  const wide = Uint8Array.from("\ufeffsix==1.0\r\nidna\r\n", (letter) => letter.charCodeAt(0) & 0xff);
  const encodings: Record<string, Uint8Array> = {
    "utf-8": new TextEncoder().encode("\ufeffsix==1.0\r\nidna\r\n"),
    "utf-16le": Uint8Array.from([...wide].flatMap((byte, at) => at === 0 ? [0xff, 0xfe] : [byte, 0])),
    "utf-16be": Uint8Array.from([...wide].flatMap((byte, at) => at === 0 ? [0xfe, 0xff] : [0, byte])),
  };
  for (const [encoding, bytes] of Object.entries(encodings)) {
    const path = join(directory.path, "encoded.txt");
    await Deno.writeFile(path, bytes);
    assertEquals((await readRequirementsFile(context("/h"), path)).lines, ["six==1.0", "idna"], encoding);
  }
  await put("binary.txt", "PK\0\0");
  await assertRejects(
    () => readRequirementsFile(context("/h"), join(directory.path, "binary.txt")),
    EnvironmentError,
    "it is no text",
  );
  await put("loop.txt", "-r loop.txt\n");
  await assertRejects(
    () => readRequirementsFile(context("/h"), join(directory.path, "loop.txt")),
    EnvironmentError,
    "include each other",
  );
  await put("editable.txt", "-e .\n");
  await assertRejects(
    () => readRequirementsFile(context("/h"), join(directory.path, "editable.txt")),
    EnvironmentError,
    "never change",
  );
  await assertRejects(
    () => readRequirementsFile(context("/h"), join(directory.path, "absent.txt")),
    EnvironmentError,
  );
});

Deno.test("dependencies are read from pyproject.toml", async () => {
  await using directory = await temporary();
  const path = join(directory.path, "pyproject.toml");
  await Deno.writeTextFile(
    path,
    `[project]\nname = "x"\nrequires-python = ">=3.10"\ndependencies = [\n  "numpy>=2", # why\n  "six",\n]\n[project.optional-dependencies]\ntest = ["pytest"]\n`,
  );
  const read = await readPyproject(context("/h"), path, ["test"]);
  assertEquals([read.lines, read.python], [["numpy>=2", "six", "pytest"], ">=3.10"]);
  await assertRejects(() => readPyproject(context("/h"), path, ["docs"]), EnvironmentError, "docs");
  await Deno.writeTextFile(path, "[project\n");
  await assertRejects(() => readPyproject(context("/h"), path), EnvironmentError, "no TOML");
  await Deno.writeTextFile(path, "[project]\ndependencies = 3\n");
  await assertRejects(() => readPyproject(context("/h"), path), EnvironmentError, "list of texts");
  // Empty is what a project may be, not what is taken for what cannot be read.
  await Deno.writeTextFile(path, "[project]\nname = 'x'\n");
  assertEquals((await readPyproject(context("/h"), path)).lines, []);
  for (
    const [text, says] of [
      ["[tool.poetry.dependencies]\nnumpy = '*'\n", 'no table "project"'],
      ["project = 3\n", 'no table "project"'],
      ["[project]\nname = 'x'\ndynamic = ['version', 'dependencies']\n", 'leaves "dependencies"'],
    ] as const
  ) {
    await Deno.writeTextFile(path, text);
    const refused = await assertRejects(() => readPyproject(context("/h"), path), EnvironmentError, says);
    assert(refused.hint?.includes("requirementsFiles"));
  }
});

Deno.test("requirements that mean the same are the same", () => {
  assertEquals(canonicalRequirements(["six ", "numpy >= 2", "numpy>=2", " six"]), ["numpy>=2", "six"]);
  assertEquals(canonicalRequirements(["a>1 ; python_version < '3.12'"]), ["a>1; python_version < '3.12'"]);
  assertEquals(packageOf("Foo.Bar_baz[x]>=1"), "foo-bar-baz");
  assertEquals(packageOf("a @ https://x/a.whl"), "a");
  assertEquals(packageOf("-f /somewhere"), undefined);
  assertEquals(splitRequirements("a \\\n  b\n# c\n\nd # e\nf#egg"), ["a b", "d", "f#egg"]);
});

Deno.test("environments of providers are named as the original names them", () => {
  assertEquals(slugifyModelId("org/Model 7B.v2"), "org-Model-7B-v2");
  assertEquals(appendBackendSuffix("llama", "cuda"), "llama-cuda");
  assertEquals(appendBackendSuffix("llama-rocm", "cpu"), "llama-rocm");
  assertEquals(appendBackendSuffix("embeddings", "cuda"), "embeddings");
  assertEquals(backendOfProvider("x-vulkan"), "vulkan");
  assertEquals(backendOfProvider("x"), undefined);
  assertEquals(providerEnvironmentName("llama-cuda", "org/m"), "llama-cuda");
  assertEquals(providerEnvironmentName("llama-rocm", "org/m"), "llama-rocm-org-m");
  assertEquals(providerEnvironmentName("llama-cpp-rocm", "org/m", "family"), "llama-rocm");
  assertEquals(providerEnvironmentName("llama-rocm", "org/m", "single"), "rocm");
  for (const odd of ["../../etc", "x".repeat(100), "é", "con", "a/b"]) {
    const name = providerEnvironmentName(odd);
    assert(refuseName(name) === undefined || name === "con", `${odd} became ${name}`);
  }
});

Deno.test("a provider's environment is found again under its name", async () => {
  await using shop = await workshop();
  const manager = shop.manager();
  const first = await manager.ensureProviderEnvironment("my-provider", undefined, {
    computeBackend: "cpu",
    python: "3.12",
  });
  assertEquals(first.name, "my-provider-cpu");
  assertEquals(
    (await manager.ensureProviderEnvironment("my-provider", undefined, { computeBackend: "cpu" })).path,
    first.path,
  );
});
