/** A server needs no more permissions than the documentation says, and names all that are missing at once. */

import { assertEquals } from "@std/assert";
import { PYTHON, waitUntilGone } from "./_launch.ts";

/** A home with an interpreter as environments have it: a link to one that may not be read. */
async function makeScopedHome(): Promise<{ path: string; python: string } & AsyncDisposable> {
  const path = await Deno.makeTempDir({ prefix: "beep-" });
  await Deno.mkdir(`${path}/env/bin`, { recursive: true });
  await Deno.symlink(PYTHON, `${path}/env/bin/python`);
  return {
    path,
    python: `${path}/env/bin/python`,
    [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }),
  };
}

async function runScoped(home: { path: string; python: string }, flags: readonly string[]): Promise<unknown> {
  const main = await Deno.readTextFile(new URL("./testdata/server/__main__.py", import.meta.url));
  const script = new URL("./testdata/scoped.ts", import.meta.url).href;
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-check", "--no-lock", "--no-prompt", ...flags, script, home.python, home.path, main],
    env: { NO_COLOR: "1" },
  }).output();
  const text = new TextDecoder().decode(stdout);
  if (text === "") throw new Error(new TextDecoder().decode(stderr));
  return JSON.parse(text);
}

Deno.test("a server runs under scoped permissions, and takes its children with it", async () => {
  await using home = await makeScopedHome();
  const flags = [`--allow-run=${home.python}`, `--allow-read=${home.path}`, `--allow-write=${home.path}`];
  await waitUntilGone(...await runScoped(home, [...flags, "--allow-env"]) as number[]);
});

Deno.test("a server whose host may read no environment variables runs too", async () => {
  await using home = await makeScopedHome();
  const flags = [`--allow-run=${home.python}`, `--allow-read=${home.path}`, `--allow-write=${home.path}`];
  await waitUntilGone(...await runScoped(home, flags) as number[]);
});

Deno.test("all missing permissions are named at once, before anything is begun", async () => {
  await using home = await makeScopedHome();
  const { path, python } = home;
  assertEquals(await runScoped(home, []), [
    `--allow-run=${python}`,
    `--allow-read=${path}/servers,${path}/run,${path}/env`,
    `--allow-write=${path}/servers,${path}/run`,
  ]);
  assertEquals(await Array.fromAsync(Deno.readDir(path), (entry) => entry.name), ["env"]);
});
