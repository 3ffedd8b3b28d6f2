/**
 * Disks that are full or may not be written, for real: in a mount of its own.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { join } from "@std/path";
import { fakeArchive, fakeInstallation } from "./_fake_python.ts";
import { temporary, tree } from "./_support.ts";

const CONFIG = new URL("../../deno.json", import.meta.url).pathname;
const MODULE = new URL("../../infrastructure/mod.ts", import.meta.url).href;

/** Whether this system lets anybody mount in a namespace of their own. */
function mayMount(): boolean {
  if (Deno.build.os !== "linux") return false;
  try {
    return new Deno.Command("unshare", { args: ["-rm", "true"], stderr: "null" }).outputSync().success;
  } catch {
    return false;
  }
}

async function installOn(mount: string, files: number): Promise<{ text: string; left: string[] }> {
  await using scratch = await temporary("disk_");
  const archive = fakeArchive("3.12.1", files);
  const path = join(scratch.path, "archive.tar.gz");
  await Deno.writeFile(path, archive.bytes);
  const disk = join(scratch.path, "disk");
  await Deno.mkdir(disk);
  const distribution = JSON.stringify({
    version: archive.version,
    sha256: archive.sha256,
    url: `file://${path}`,
  });
  const source = `import { RuntimeManager } from "${MODULE}";
    const manager = new RuntimeManager({ home: "${disk}/home", environment: () => undefined });
    try {
      console.log((await manager.install("${archive.version}", { distribution: ${distribution} })).version);
    } catch (error) {
      console.log(error.name, error.code, error.hint);
    }`;
  const script = join(scratch.path, "install.ts");
  await Deno.writeTextFile(script, source);
  const listing = join(scratch.path, "left");
  const output = await new Deno.Command("unshare", {
    args: [
      "-rm",
      "sh",
      "-c",
      `${mount} && "$2" run -A --no-check --cached-only --config "$3" "$4"; cp -r "$1/." "$5"`,
      "sh",
      disk,
      Deno.execPath(),
      CONFIG,
      script,
      listing,
    ],
  }).output();
  const decoder = new TextDecoder();
  return {
    text: decoder.decode(output.stdout) + decoder.decode(output.stderr),
    left: await tree(listing).catch(() => []),
  };
}

Deno.test({
  name: "case 14: a full disk is a typed error, and leaves nothing half-made",
  ignore: !mayMount(),
  async fn() {
    const { text, left } = await installOn('mount -t tmpfs -o size=96k none "$1"', 60);
    assert(/PythonHostError disk-full Free some space/.test(text), text);
    assertEquals(left.filter((path) => /pythons\/.|\.staging\/./.test(path)), []);
    const enough = await installOn('mount -t tmpfs -o size=8m none "$1"', 60);
    assertEquals(enough.text, "3.12.1\n");
  },
});

Deno.test({
  name: "case 15: a disk that may not be written is a typed error",
  ignore: !mayMount(),
  async fn() {
    const { text } = await installOn('mount -t tmpfs -o ro none "$1"', 2);
    assert(/EnvironmentError environment/.test(text), text);
  },
});

Deno.test({
  name: "an environment on a disk that may not be written can be used; what would change it is a typed error",
  ignore: !mayMount(),
  async fn() {
    await using scratch = await temporary("disk_");
    await fakeInstallation(join(scratch.path, "base"), "3.12.0");
    const home = join(scratch.path, "home");
    const prelude = `import { RuntimeManager, VenvManager } from "${MODULE}";
      const runtimes = new RuntimeManager({
        home: "${home}",
        environment: (name) => name === "PATH" ? "${scratch.path}/base/bin:/usr/bin:/bin" : undefined,
      });
      const environments = new VenvManager({ runtimes, installer: "pip" });`;
    const make = join(scratch.path, "make.ts");
    await Deno.writeTextFile(make, `${prelude} await environments.create("work");`);
    const use = join(scratch.path, "use.ts");
    await Deno.writeTextFile(
      use,
      `${prelude}
      console.log((await environments.run("work", { module: "any" })).code);
      const change = { constraints: ["six<2"] };
      for (const action of [
        () => environments.sync("work", change),
        () => environments.install("work", ["six"]),
        () => environments.delete("work"),
        () => environments.gc(),
      ]) await action().catch((error) => console.log(error.name, error.hint.slice(0, 9)));`,
    );
    const output = await new Deno.Command("unshare", {
      args: [
        "-rm",
        "sh",
        "-c",
        'run() { "$2" run -A --no-check --cached-only --config "$3" "$1"; }; run "$4" "$2" "$3" && ' +
        'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && run "$5" "$2" "$3"',
        "sh",
        home,
        Deno.execPath(),
        CONFIG,
        make,
        use,
      ],
    }).output();
    const text = new TextDecoder().decode(output.stdout) + new TextDecoder().decode(output.stderr);
    assertEquals(text, `0\n${"EnvironmentError Check who\n".repeat(4)}`);
  },
});

/** Writes a wheel of 24 MB that no compression makes smaller. */
const WHEEL_SOURCE = `
import os, sys, zipfile
info = "large-1.0.dist-info"
with zipfile.ZipFile(os.path.join(sys.argv[1], "large-1.0-py3-none-any.whl"), "w") as wheel:
    wheel.writestr("large.bin", bytes(24 << 20))
    wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\\nName: large\\nVersion: 1.0\\n")
    wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
    wheel.writestr(f"{info}/RECORD", "".join(f"{name},,\\n" for name in [*wheel.namelist(), f"{info}/RECORD"]))
`;

Deno.test({
  name: "a disk that fills up under an installer is the same typed error, and nothing is published",
  ignore: !mayMount(),
  async fn() {
    await using scratch = await temporary("disk_");
    const made = await new Deno.Command("python3", { args: ["-c", WHEEL_SOURCE, scratch.path] }).output();
    assertEquals(made.code, 0, new TextDecoder().decode(made.stderr));
    const script = join(scratch.path, "install.ts");
    await Deno.writeTextFile(
      script,
      `import { VenvManager } from "${MODULE}";
      const environments = new VenvManager({ home: Deno.args[0] + "/home", installer: "pip" });
      try {
        const index = { noIndex: true, findLinks: [${JSON.stringify(scratch.path)}] };
        await environments.ensure({ name: "full", packages: ["large"], index });
        console.log("made");
      } catch (error) {
        console.log(error.name, error.code, error.hint, error.cause?.name, (await environments.list()).length);
      }`,
    );
    const disk = join(scratch.path, "disk");
    await Deno.mkdir(disk);
    const mount =
      'mount -t tmpfs -o size=16m none "$1" && "$2" run -A --no-check --cached-only --config "$3" "$4" "$1"';
    const output = await new Deno.Command("unshare", {
      args: ["-rm", "sh", "-c", mount, "sh", disk, Deno.execPath(), CONFIG, script],
    }).output();
    const text = new TextDecoder().decode(output.stdout) + new TextDecoder().decode(output.stderr);
    assert(/^PythonHostError disk-full Free some space.* CommandError 0$/m.test(text), text);
  },
});
