/**
 * Paths, names and variables that cannot be meant: each is a typed error that names it, and nothing is taken in its
 * place.
 *
 * @module
 */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { join } from "@std/path";
import { ConnectError, EnvironmentError, PythonHostError, ServerStartError } from "../../core/errors.ts";
import { checkPipeEndpoint, checkUrlEndpoint } from "../../core/endpoint.ts";
import { childEnvironment } from "../../infrastructure/child.ts";
import { type EnsureOptions, RuntimeManager, VenvManager } from "../../infrastructure/mod.ts";
import { PythonHost, servers } from "../../mod.ts";
import { fakeInstallation, fakePython, writeExecutable } from "./_fake_python.ts";
import { countingIo, only, temporary, tree } from "./_support.ts";

Deno.test("a NUL in a path, a name or an argument is a typed error everywhere", async () => {
  await using scratch = await temporary();
  await fakeInstallation(scratch.path, "3.12.4");
  const environment = only({ PATH: `${join(scratch.path, "bin")}:/usr/bin:/bin` });
  const runtimes = new RuntimeManager({ home: join(scratch.path, "home"), environment, cwd: scratch.path });
  const environments = new VenvManager({ runtimes, installer: "pip" });
  await environments.ensure({ name: "e", packages: [] });
  const bad = "/a\0b";
  const cases: Record<string, () => Promise<unknown>> = {
    find: () => runtimes.find(bad),
    setDefault: () => runtimes.setDefault(bad),
    home: () => new VenvManager({ home: bad, environment }).list(),
    name: () => environments.ensure({ name: "a\0b" }),
    requirementsFiles: () => environments.ensure({ name: "q", requirementsFiles: [bad] }),
    pyproject: () => environments.ensure({ name: "q", pyproject: bad }),
    python: () => environments.ensure({ name: "q", python: bad }),
    script: () => environments.run("e", { script: bad }),
    args: () => environments.run("e", { module: "json", args: ["a\0b"] }),
    env: () => environments.run("e", { module: "json", env: { A: "a\0b" } }),
    cwd: () => environments.run("e", { module: "json", cwd: bad }),
    exportBundle: () => environments.exportBundle(bad, { packages: [] }),
    importBundle: () => environments.importBundle(bad),
    environment: () => PythonHost.start({ environment: { path: bad } }),
    startServer: () => servers.startServer({ python: bad }),
  };
  for (const [name, call] of Object.entries(cases)) {
    const failure = await assertRejects(call, PythonHostError, undefined, name);
    assert(failure.message.startsWith("Cannot "), `${name}: ${failure.message}`);
  }
  await assertRejects(cases.startServer!, ServerStartError, "it is no path");
  assertThrows(() => checkPipeEndpoint(bad), ConnectError, "neither a name");
});

Deno.test("an endpoint without its scheme is refused with the spelling that is right", () => {
  for (const bare of ["localhost:5678", "127.0.0.1:5678", "example.org", "[::1]:5678"]) {
    const failure = assertThrows(() => checkUrlEndpoint(bare), ConnectError);
    assertEquals(failure.hint, `Write it with its scheme: "http://${bare}".`);
  }
  assertEquals(assertThrows(() => checkUrlEndpoint("ftp://x"), ConnectError).hint, undefined);
});

Deno.test("BEEP_PYTHON_PATH that leads to no Python is an error, and no other Python is taken", async () => {
  await using scratch = await temporary();
  await fakeInstallation(scratch.path, "3.12.4");
  const broken = await writeExecutable(join(scratch.path, "broken"), "#!/bin/sh\nexit 3\n");
  for (const path of ["/nonexist", broken]) {
    const environment = only({ PATH: join(scratch.path, "bin"), BEEP_PYTHON_PATH: path });
    const runtimes = new RuntimeManager({ home: join(scratch.path, "home"), environment, cwd: scratch.path });
    for (const call of [() => runtimes.find("3.12"), () => runtimes.ensure("3.12")]) {
      const failure = await assertRejects(call, EnvironmentError, "BEEP_PYTHON_PATH names");
      assert(failure.message.includes(`"${path}"`), failure.message);
    }
    // A list shows what there is, and tells of what is refused.
    const refused: string[] = [];
    const found = await runtimes.discover({ onRefused: (candidate) => refused.push(candidate.path) });
    assertEquals([found.length, refused], [1, [path]]);
  }
});

Deno.test("the copied interpreter of a venv stands for its base, and is no base itself", async () => {
  await using scratch = await temporary();
  const base = join(scratch.path, "base");
  await fakeInstallation(base, "3.13.1");
  // Another version is what the home calls python3.
  await fakeInstallation(join(scratch.path, "other"), "3.11.2");
  const real = await fakeInstallation(join(scratch.path, "two"), "3.12.4");
  await Deno.remove(join(scratch.path, "two", "bin", "python3"));
  await Deno.copyFile(join(scratch.path, "other/bin/python3.11"), join(scratch.path, "two/bin/python3"));
  const venv = join(scratch.path, "venv");
  await writeExecutable(join(venv, "bin", "python3"), fakePython("3.12.4"));
  await Deno.copyFile(join(venv, "bin/python3"), join(venv, "bin/python"));
  for (const line of [`executable = ${real}`, "version = 3.12.4", "version_info = 3.12.4.final.0"]) {
    await Deno.writeTextFile(
      join(venv, "pyvenv.cfg"),
      `home = ${join(scratch.path, "two", "bin")}\n${line}\n`,
    );
    const runtimes = new RuntimeManager({
      home: join(scratch.path, "home"),
      environment: only({ PATH: `${join(venv, "bin")}:${join(base, "bin")}` }),
      cwd: scratch.path,
    });
    const found = (await runtimes.discover()).map((runtime) => runtime.executable);
    assertEquals(found, [real, join(base, "bin/python3.13")]);
    assertEquals((await runtimes.find(venv)).executable, real);
  }
});

Deno.test("an option of another kind is refused by its name, before anything is begun", async () => {
  await using scratch = await temporary();
  const { io, spawned } = countingIo();
  const environments = new VenvManager({ home: join(scratch.path, "home"), environment: only({}), io });
  const wrong: readonly (readonly [Record<string, unknown>, string, string?])[] = [
    [{ python: 3.12 }, 'option "python": it must be a string, not 3.12', 'python: "3.12"'],
    [{ packages: "six" }, 'option "packages": it must be a list of strings', 'packages: ["six"]'],
    [{ packages: [null] }, 'option "packages": it must be a list of strings, not [ null ]'],
    [{ requirementsFiles: "r.txt" }, 'option "requirementsFiles"', 'requirementsFiles: ["r.txt"]'],
    [{ constraints: "six<2" }, 'option "constraints"', 'constraints: ["six<2"]'],
    [{ pyproject: "p.toml", extras: "dev" }, 'option "extras"', 'extras: ["dev"]'],
    [{ packages: [], extras: ["dev"] }, 'there is no option "pyproject"', "name[extra]"],
    [{ lock: ["six"] }, 'option "lock": it must be a string'],
    [{ packages: [], pip: "yes" }, 'option "pip": it must be a boolean'],
    [{ packages: [], index: null }, 'option "index": it must be an object, not null'],
    [{ packages: [], index: "https://x" }, 'option "index"', 'index: { indexUrl: "https://x" }'],
    [{ packages: [], installer: "conda" }, 'option "installer": it must be one of "auto", "uv", "pip"'],
    [{ packages: [], download: "no" }, 'option "download": it must be one of "auto", "never", not "no"'],
    [{ name: 5 }, "environment name 5: it must be a string"],
    [{ name: null }, "environment name null: it must be a string"],
  ];
  for (const [options, says, hint] of wrong) {
    const call = (): Promise<unknown> => environments.ensure(options as EnsureOptions);
    const error = await assertRejects(call, EnvironmentError, says);
    if (hint !== undefined) assert(error.hint?.includes(hint), `${says}: ${error.hint}`);
  }
  await assertRejects(
    () => environments.runtimes.find(3.12 as unknown as string),
    PythonHostError,
    "Python request 3.12: it is no string",
  );
  assertThrows(
    () => childEnvironment(only({}), { PORT: 80 as unknown as string }),
    PythonHostError,
    'environment variable "PORT"',
  );
  assertEquals([spawned, await tree(scratch.path)], [[], []]);
});
