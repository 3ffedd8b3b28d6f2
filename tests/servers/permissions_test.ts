/** A server needs no more permissions than the documentation says, and names all that are missing at once. */

import { assertEquals } from "@std/assert";
import { PYTHON, waitUntilGone } from "./_launch.ts";

const PREFIX = PYTHON.slice(0, PYTHON.lastIndexOf("/bin/"));

async function runScoped(home: string, flags: readonly string[]): Promise<unknown> {
  const main = await Deno.readTextFile(new URL("./testdata/server/__main__.py", import.meta.url));
  const script = new URL("./testdata/scoped.ts", import.meta.url).href;
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-check", "--no-lock", "--no-prompt", ...flags, script, PYTHON, home, main],
    env: { NO_COLOR: "1" },
  }).output();
  const text = new TextDecoder().decode(stdout);
  if (text === "") throw new Error(new TextDecoder().decode(stderr));
  return JSON.parse(text);
}

Deno.test("a server runs under scoped permissions, and takes its children with it", async () => {
  const home = await Deno.makeTempDir({ prefix: "beep-" });
  const pids = await runScoped(home, [
    `--allow-run=${PYTHON}`,
    `--allow-read=${home},${PREFIX}`,
    `--allow-write=${home}`,
    "--allow-env",
  ]) as number[];
  await waitUntilGone(...pids);
  await Deno.remove(home, { recursive: true });
});

Deno.test("a server whose host may read no environment variables runs too", async () => {
  const home = await Deno.makeTempDir({ prefix: "beep-" });
  const flags = [`--allow-run=${PYTHON}`, `--allow-read=${home},${PREFIX}`, `--allow-write=${home}`];
  await waitUntilGone(...await runScoped(home, flags) as number[]);
  await Deno.remove(home, { recursive: true });
});

Deno.test("all missing permissions are named at once, before anything is begun", async () => {
  const home = await Deno.makeTempDir({ prefix: "beep-" });
  assertEquals(await runScoped(home, []), [
    `--allow-run=${PYTHON}`,
    `--allow-read=${home}/servers,${home}/run,${PREFIX}`,
    `--allow-write=${home}/servers,${home}/run`,
  ]);
  assertEquals(await Array.fromAsync(Deno.readDir(home)), []);
  await Deno.remove(home, { recursive: true });
});
