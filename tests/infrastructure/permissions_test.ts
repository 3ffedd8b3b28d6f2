/**
 * Provisioning under scoped permissions: what is enough works, and what is missing is named, all of it at once.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { join } from "@std/path";
import { fakeArchive, fakeInstallation } from "./_fake_python.ts";
import { temporary } from "./_support.ts";

const CONFIG = new URL("../../deno.json", import.meta.url).pathname;
const MODULE = new URL("../../infrastructure/mod.ts", import.meta.url).href;

async function run(flags: readonly string[], source: string): Promise<{ code: number; text: string }> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "--no-check", "--cached-only", "--config", CONFIG, ...flags, "-"],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(source));
  await writer.close();
  const { code, stdout, stderr } = await child.output();
  const decoder = new TextDecoder();
  return { code, text: decoder.decode(stdout) + decoder.decode(stderr) };
}

Deno.test("a runtime is installed with nothing but scoped permissions", async () => {
  await using scratch = await temporary("flags_");
  const home = join(await Deno.realPath(scratch.path), "home");
  const archive = fakeArchive();
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    () => new Response(archive.bytes as Uint8Array<ArrayBuffer>),
  );
  const host = `127.0.0.1:${server.addr.port}`;
  const distribution = JSON.stringify({
    version: archive.version,
    sha256: archive.sha256,
    url: `http://${host}/a.tar.gz`,
  });
  const source = `
    import { RuntimeManager } from "${MODULE}";
    try {
      const manager = new RuntimeManager({ home: ${JSON.stringify(home)}, environment: () => undefined });
      const runtime = await manager.install("${archive.version}", { distribution: ${distribution} });
      console.log("installed", runtime.version);
    } catch (error) {
      console.log(error.name, JSON.stringify(error.flags));
    }`;
  const none = await run([], source);
  assert(none.text.includes("PermissionNeededError"), none.text);
  for (const flag of [`--allow-read=${home}`, `--allow-write=${home}`, `--allow-net=${host}`]) {
    assert(none.text.includes(flag), `${flag} is not named in ${none.text}`);
  }
  const enough = [
    `--allow-read=${home}`,
    `--allow-write=${home}`,
    `--allow-net=${host}`,
    "--allow-run",
  ];
  assertEquals(await run(enough, source), { code: 0, text: `installed ${archive.version}\n` });
});

Deno.test("an environment that is there is taken with read permission for it alone", async () => {
  await using scratch = await temporary("flags_");
  const root = await Deno.realPath(scratch.path);
  const home = join(root, "home");
  const python = await fakeInstallation(join(root, "base"), "3.12.0");
  const source = `
    import { RuntimeManager, VenvManager } from "${MODULE}";
    const runtimes = new RuntimeManager({ home: ${JSON.stringify(home)}, environment: () => undefined });
    try {
      const options = { name: "mine", python: ${JSON.stringify(python)} };
      console.log((await new VenvManager({ runtimes, installer: "pip" }).ensure(options)).version);
    } catch (error) {
      console.log(error.name, error.message);
    }`;
  const missing = await run([`--allow-read=${root}`], source);
  assert(
    missing.text.includes("PermissionNeededError") && missing.text.includes(`--allow-write=${home}`),
    missing.text,
  );
  const made = await run([`--allow-read=${root}`, `--allow-write=${home}`, "--allow-run"], source);
  assertEquals(made.text, "3.12.0\n");
  const taken = await run([`--allow-read=${root}`], source);
  assertEquals(taken.text, "3.12.0\n");
});
