/**
 * A bundle that holds the runtime too: a machine with neither a Python nor a network reaches the same environment.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { join, toFileUrl } from "@std/path";
import { EnvironmentError, HashMismatchError } from "../../core/errors.ts";
import { RuntimeManager, VenvManager } from "../../infrastructure/mod.ts";
import { denoIo } from "../../infrastructure/io.ts";
import { fakeArchive } from "./_fake_python.ts";
import { only, temporary } from "./_support.ts";

Deno.test("a bundle carries the runtime that this library has installed", async () => {
  await using scratch = await temporary("bundle_");
  const archive = fakeArchive();
  const path = join(scratch.path, "archive.tar.gz");
  await Deno.writeFile(path, archive.bytes);
  // No Python is on this path, but what the interpreter, which is a script, calls.
  const tools = join(scratch.path, "tools");
  await Deno.mkdir(tools);
  for (const tool of ["mkdir", "cp", "dirname"]) await Deno.symlink(`/usr/bin/${tool}`, join(tools, tool));
  const environment = only({ PATH: tools });
  const here = new RuntimeManager({ home: join(scratch.path, "here"), environment, cwd: scratch.path });
  const { version, sha256 } = archive;
  await here.install(version, { distribution: { version, sha256, url: toFileUrl(path).href } });
  const bundle = join(scratch.path, "bundle");
  await new VenvManager({ runtimes: here, installer: "pip" }).exportBundle(bundle, { packages: [] });
  assertEquals(await Deno.readFile(join(bundle, "runtime.tar.gz")), archive.bytes);
  await Deno.remove(path);

  const io = { ...denoIo, fetch: () => Promise.reject(new Error("a socket was opened")) };
  const there = (name: string): VenvManager =>
    new VenvManager({ home: join(scratch.path, name), environment, io, offline: true, installer: "pip" });
  const made = await there("there").importBundle(bundle, { name: "carried" });
  assertEquals([made.name, made.version], ["carried", version]);
  assert(made.runtime.executable.startsWith(join(scratch.path, "there", "pythons")));
  // The second time everything is there.
  assertEquals((await there("there").importBundle(bundle, { name: "carried" })).path, made.path);
  // Carried on from there: the runtime is ours, though it is named by its path.
  const onward = join(scratch.path, "onward");
  await there("there").exportBundle(onward, { python: made.runtime.executable, packages: [] });
  assertEquals(await Deno.readFile(join(onward, "runtime.tar.gz")), archive.bytes);

  // What goes bad in a home is put right from the bundle, and never goes into one.
  const cached = (home: string): string => join(scratch.path, home, "archives", `${sha256}.tar.gz`);
  await there("there").runtimes.uninstall(made.runtime.id!);
  await Deno.writeFile(cached("there"), archive.bytes.subarray(0, 900));
  const repaired = await there("there").importBundle(bundle, { name: "carried" });
  assertEquals(await Deno.readFile(cached("there")), archive.bytes);
  const again = (): Promise<string> =>
    there("there").exportBundle(join(scratch.path, "again"), { packages: [] });
  await Deno.remove(cached("there"));
  const missing = await assertRejects(again, EnvironmentError, "is missing");
  assert(missing.hint?.includes("install it again"));
  await Deno.remove(join(scratch.path, "again"), { recursive: true });
  await Deno.writeFile(cached("there"), archive.bytes.subarray(0, 900));
  await assertRejects(again, HashMismatchError, cached("there"));
  assertEquals(repaired.version, version);

  const description = await Deno.readTextFile(join(bundle, "bundle.json"));
  for (
    const [from, to, says] of [
      [`"sha256": "${sha256}"`, '"sha256": "../../../outside"', "the hash of its runtime"],
      [`"sha256": "${sha256}"`, `"sha256": "${"0".repeat(64)}"`, "is not the archive"],
      ['"runtime.tar.gz":', '"lock.txt":', "is not the archive"],
      ["runtime.tar.gz", "../runtime.tar.gz", "is not the archive"],
      ['"lock.txt":', '"../lock.txt":', "it names the file"],
      ['"schema": 1', '"schema": 2', "another version"],
      ["{", "", "no bundle.json that can be read"],
      ['"platform": "', '"platform": "other-', "it is for other-"],
    ] as const
  ) {
    await Deno.writeTextFile(join(bundle, "bundle.json"), description.replace(from, to));
    await assertRejects(() => there("refused").importBundle(bundle), EnvironmentError, says);
  }
  await Deno.writeTextFile(join(bundle, "bundle.json"), description);

  const whole = await Deno.readFile(join(bundle, "runtime.tar.gz"));
  await Deno.writeFile(join(bundle, "runtime.tar.gz"), whole.with(100, whole[100]! ^ 1));
  await assertRejects(() => there("damaged").importBundle(bundle), HashMismatchError);
  assertEquals(await new RuntimeManager({ home: join(scratch.path, "damaged"), environment }).list(), []);
});

Deno.test("a bundle is written into a new or an empty directory only", async () => {
  await using scratch = await temporary("bundle_");
  const archive = fakeArchive();
  const path = join(scratch.path, "archive.tar.gz");
  await Deno.writeFile(path, archive.bytes);
  const runtimes = new RuntimeManager({
    home: join(scratch.path, "home"),
    environment: only({}),
    cwd: scratch.path,
  });
  const { version, sha256 } = archive;
  await runtimes.install(version, { distribution: { version, sha256, url: toFileUrl(path).href } });
  const bundle = join(scratch.path, "bundle");
  await Deno.mkdir(join(bundle, "wheels"), { recursive: true });
  const environments = new VenvManager({ runtimes, installer: "pip" });
  await assertRejects(() => environments.exportBundle(bundle, { packages: [] }), EnvironmentError, "wheels");
});
