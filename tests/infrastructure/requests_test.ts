/**
 * What users write, taken at its word: requests, requirements, locks and settings that were once understood as something
 * else.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { join, toFileUrl } from "@std/path";
import { EnvironmentError, PythonNotFoundError } from "../../core/errors.ts";
import { RuntimeManager, VenvManager } from "../../infrastructure/mod.ts";
import { withPackages } from "../../infrastructure/environment_changes.ts";
import { pipVariables, readIndexSettings, uvVariables } from "../../infrastructure/index_settings.ts";
import { decisivePipLines } from "../../infrastructure/pip.ts";
import { withRequirementFiles } from "../../infrastructure/requirement_files.ts";
import { readPyproject, readRequirementsFile } from "../../infrastructure/requirements.ts";
import { canonicalRequirements, indexKey, type Specification } from "../../infrastructure/specification.ts";
import { specify } from "../../infrastructure/specify.ts";
import { isPathRequest } from "../../infrastructure/versions.ts";
import { fakeInstallation, fakePython, writeExecutable } from "./_fake_python.ts";
import { context, only, temporary, tree } from "./_support.ts";

const NOTHING = { python: () => Promise.resolve("3"), pip: false, index: {} };

Deno.test("a compatible release is a version, not a path below the user's home", async () => {
  assertEquals(["~=3.10", "~/x", "~", "./x", "3.10"].map(isPathRequest), [false, true, true, true, false]);
  await using scratch = await temporary();
  await fakeInstallation(scratch.path, "3.12.4");
  const environment = only({ PATH: join(scratch.path, "bin"), HOME: "/nowhere" });
  const runtimes = new RuntimeManager({ home: join(scratch.path, "home"), environment, cwd: scratch.path });
  assertEquals((await runtimes.find("~=3.10")).version, "3.12.4");
  await assertRejects(() => runtimes.find("~=3.10.0"), PythonNotFoundError, "it is 3.12.4");
});

Deno.test("two packages in one text are never run together into a third", () => {
  assertEquals(canonicalRequirements(["numpy pandas", "numpy\npandas"]), ["numpy pandas"]);
  assertEquals(canonicalRequirements([" a [x, y] >= 1 , < 2 ; extra == 'b c'"]), [
    "a[x,y]>=1,<2; extra == 'b c'",
  ]);
});

Deno.test("requirements files are found by an absolute path and by one in quotes; a URL is refused", async () => {
  await using scratch = await temporary("sp ace_");
  const put = (name: string, text: string): Promise<void> =>
    Deno.writeTextFile(join(scratch.path, name), text);
  await put("a b.txt", "six\n./local.whl\n-f ./wheels\n");
  await put("absolute.txt", `-r ${join(scratch.path, "a b.txt")}\n`);
  await put("quoted.txt", '-r "a b.txt"\n');
  await put("url.txt", "-r https://example.org/a.txt\n");
  const read = (name: string) => readRequirementsFile(context("/h"), join(scratch.path, name));
  for (const name of ["absolute.txt", "quoted.txt"]) {
    assertEquals((await read(name)).lines, [
      "six",
      toFileUrl(join(scratch.path, "local.whl")).href,
      `--find-links ${toFileUrl(join(scratch.path, "wheels")).href}`,
    ]);
  }
  await assertRejects(() => read("url.txt"), EnvironmentError, "it is a URL");
});

Deno.test("an extra that names others of its own project does not ask an index for the project", async () => {
  await using scratch = await temporary();
  const path = join(scratch.path, "pyproject.toml");
  await Deno.writeTextFile(
    path,
    '[project]\nname = "My.App"\n[project.optional-dependencies]\na = ["six"]\nb = ["idna"]\nall = ["my-app[a,b]", "my-app [all]"]\n',
  );
  assertEquals((await readPyproject(context("/h"), path, ["all"])).lines, ["six", "idna"]);
  await assertRejects(
    () => readPyproject(context("/h"), path, ["constructor"]),
    EnvironmentError,
    "Cannot find",
  );
});

Deno.test("a specification with paths means the same in every directory, and another in another", async () => {
  const spec = { python: "./py", packages: ["./a.whl", "six"] };
  const made = await specify(context("/h"), spec, NOTHING);
  assertEquals(made.python, join(Deno.cwd(), "py"));
  assertEquals(made.requirements, [join(Deno.cwd(), "a.whl"), "six"]);
  assertEquals((await specify(context("/h"), { python: "~/py" }, NOTHING)).python, "~/py");
});

Deno.test("packages can be added to what was made from a lock", async () => {
  const locked: Specification = {
    ...await specify(context("/h"), { lock: "six==1.0 \\\n  --hash=sha256:aa --hash=sha256:bb\n" }, NOTHING),
  };
  const installed = [{ name: "six", version: "1.0" }];
  const next = withPackages(locked, ["idna"], installed);
  assertEquals([next.requirements, next.constraints], [["idna", "six==1.0"], ["six==1.0"]]);
  const hashed = withPackages(locked, ["idna==1 --hash=sha256:cc"], installed);
  assert(hashed.requirements.every((line) => line.includes("--hash=")), hashed.requirements.join());
});

Deno.test("the decisive lines of pip name who depends on what, and what has which hash", () => {
  const hash = "9816f661feeb176f5ffda2c1909578e48fb71c2ef8aaff44e5da2a947af8608e";
  const conflict = decisivePipLines({
    stdout:
      "Looking in links: /w\n\nThe conflict is caused by:\n    The user requested a>=2\n    c 1.0 depends on a<2\n\nTo fix this\n",
    stderr: "ERROR: Cannot install c and a>=2\n",
  });
  assertEquals(conflict.split("\n").map((line) => line.trim()), [
    "The conflict is caused by:",
    "The user requested a>=2",
    "c 1.0 depends on a<2",
    "ERROR: Cannot install c and a>=2",
  ]);
  const mismatch = decisivePipLines({
    stdout: "Processing ./a.whl\n",
    stderr:
      `ERROR: DO NOT MATCH\n    a==1 from file:///a.whl:\n        Expected sha256 00\n             Got        ${hash}\n`,
  });
  assertEquals(mismatch.split("\n").length, 4);
});

Deno.test("settings that a caller gives are stronger than uv's variables; a directory is one word", async () => {
  const world = context("/h", {
    environment: only({ UV_INDEX: "https://own.example", UV_LINK_MODE: "copy" }),
  });
  const given = uvVariables({ noIndex: true, findLinks: ["/a b, c", "/d"] }, world);
  assertEquals([given.UV_INDEX, given.UV_LINK_MODE], [undefined, "copy"]);
  assertEquals(given.UV_FIND_LINKS, "file:///a%20b%2C%20c,/d");
  assertEquals(uvVariables(await readIndexSettings(world), world).UV_INDEX, "https://own.example");
  assertEquals(pipVariables({ findLinks: ["/a b", "/d"] }, "linux").PIP_FIND_LINKS, "file:///a%20b /d");
});

Deno.test("the proxy and the client's certificate of pip's settings are given to both installers", async () => {
  const environment = only({ PIP_PROXY: "proxy.example:8080", PIP_CLIENT_CERT: "/c.pem" });
  const world = context("/h", { environment });
  const settings = await readIndexSettings(world);
  const pip = pipVariables(settings, "linux");
  assertEquals([pip.PIP_PROXY, pip.PIP_CLIENT_CERT], ["proxy.example:8080", "/c.pem"]);
  const uv = uvVariables(settings, world);
  assertEquals([uv.HTTPS_PROXY, uv.SSL_CLIENT_CERT], ["http://proxy.example:8080", "/c.pem"]);
  assertEquals(indexKey(settings), indexKey({}));
});

Deno.test("a named Python that failed once is asked again; the files of requirements are swept", async () => {
  await using scratch = await temporary();
  const home = join(scratch.path, "home");
  const good = await writeExecutable(join(scratch.path, "good"), fakePython("3.12.0"));
  const path = await writeExecutable(
    join(scratch.path, "python3"),
    `#!/bin/sh\n[ -e "${scratch.path}/library" ] && exec "${good}" "$@"\nexit 127\n`,
  );
  const runtimes = (): RuntimeManager =>
    new RuntimeManager({ home, environment: only({}), cwd: scratch.path });
  await assertRejects(() => runtimes().find(path), PythonNotFoundError, "exited with code 127");
  await Deno.writeTextFile(join(scratch.path, "library"), "");
  assertEquals((await runtimes().find(path)).version, "3.12.0");

  await withRequirementFiles(context(home), { requirements: ["a"], constraints: ["b"] }, async (files) => {
    assert(files.requirements.startsWith(join(home, ".staging")));
    assertEquals(await Deno.readTextFile(files.constraints!), "b\n");
  });
  assertEquals(await tree(join(home, ".staging")), []);
});

Deno.test("gc() sweeps a name of which nothing was ever finished, and passes over one that is worked on", async () => {
  await using scratch = await temporary();
  const environment = only({ PATH: "/usr/bin:/bin" });
  const environments = new VenvManager({
    runtimes: new RuntimeManager({ home: scratch.path, environment, cwd: scratch.path }),
    installer: "pip",
  });
  const left = join(scratch.path, "envs/never/0123456789abcdef-01234567");
  await Deno.mkdir(left, { recursive: true });
  await Deno.writeTextFile(`${left}.own`, "");
  await Deno.writeTextFile(join(scratch.path, "envs/a file"), "");
  {
    using lock = await Deno.open(join(scratch.path, "envs/never/.lock"), { write: true, create: true });
    await lock.lock(true);
    await environments.gc();
    assert((await Deno.stat(left)).isDirectory);
  }
  await environments.gc();
  assertEquals(await tree(join(scratch.path, "envs")), ["a file"]);
});

Deno.test("a change of packages keeps the Python, though another one comes first by now", async () => {
  await using scratch = await temporary();
  const root = await Deno.realPath(scratch.path);
  await fakeInstallation(join(root, "a"), "3.11.0");
  await fakeInstallation(join(root, "b"), "3.12.0");
  const manager = (first: string): VenvManager =>
    new VenvManager({
      runtimes: new RuntimeManager({
        home: join(root, "home"),
        environment: only({ PATH: `${join(root, first, "bin")}:/usr/bin:/bin` }),
        cwd: root,
      }),
      installer: "pip",
    });
  assertEquals((await manager("a").create("work")).version, "3.11.0");
  assertEquals((await manager("b").sync("work", { pip: false, constraints: ["six<2"] })).version, "3.11.0");
});

Deno.test("a listener that throws ends the script, and its error is what the caller gets", async () => {
  await using scratch = await temporary();
  const environments = new VenvManager({
    runtimes: new RuntimeManager({ home: join(scratch.path, "home"), cwd: scratch.path }),
    installer: "pip",
  });
  const made = await environments.create("work");
  const script = join(scratch.path, "endless.py");
  await Deno.writeTextFile(script, "while True: print('line')\n");
  const onLine = (): void => {
    throw new RangeError("mine");
  };
  await assertRejects(() => environments.run(made, { script, onLine }), RangeError, "mine");

  await Deno.writeTextFile(script, "import sys\nfor _ in range(12): sys.stdout.write('x' * 1_000_000)\n");
  let length = 0;
  const result = await environments.run(made, { script, onLine: (line) => length += line.length });
  assertEquals([length, result.stdout.length], [12_000_000, 4_194_304]);
});
