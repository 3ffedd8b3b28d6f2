/**
 * An environment that somebody begins to use, or to switch back to, at the very moment at which it is removed: either it
 * stays, or who wanted it is told and gets another. And what killed processes left beside environments goes.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { basename, join } from "@std/path";
import { EnvironmentError } from "../../core/errors.ts";
import { type Io, RuntimeManager, VenvManager } from "../../infrastructure/mod.ts";
import { denoIo } from "../../infrastructure/io.ts";
import { prepareHome } from "../../infrastructure/layout.ts";
import { forgetVerified } from "../../infrastructure/marker.ts";
import { fakeInstallation } from "./_fake_python.ts";
import { context, only, temporary, tree } from "./_support.ts";

interface Shop extends AsyncDisposable {
  readonly directory: string;
  readonly manager: (io?: Io) => VenvManager;
}

async function shop(): Promise<Shop> {
  const scratch = await temporary("use_");
  const root = await Deno.realPath(scratch.path);
  await fakeInstallation(join(root, "base"), "3.12.0");
  const home = join(root, "home");
  const environment = only({ PATH: `${join(root, "base/bin")}:/usr/bin:/bin` });
  return {
    directory: join(home, "envs/mine"),
    manager: (io = denoIo) =>
      new VenvManager({
        runtimes: new RuntimeManager({ home, environment, io, cwd: root }),
        installer: "pip",
      }),
    [Symbol.asyncDispose]: () => scratch[Symbol.asyncDispose](),
  };
}

/** The world of one who removes; `begun` is resolved, and `go` awaited, ahead of the move of an environment to the trash. */
function slowRemover(begun: () => void, go: Promise<void>): Io {
  return {
    ...denoIo,
    async rename(from, to) {
      if (to.includes("/.trash/") && /\/[0-9a-f]{16}-[0-9a-f]{8}$/.test(from)) {
        begun();
        await go;
      }
      return await denoIo.rename(from, to);
    },
  };
}

for (const way of ["gc", "delete"] as const) {
  Deno.test(`a lease that is taken while ${way}() removes the environment is refused, not worthless`, async () => {
    await using made = await shop();
    const old = await made.manager().ensure({ name: "mine", python: "3.12" });
    if (way === "gc") await made.manager().ensure({ name: "mine", python: ">=3.12" });
    const begun = Promise.withResolvers<void>();
    const go = Promise.withResolvers<void>();
    const remover = made.manager(slowRemover(begun.resolve, go.promise));
    const removal = way === "gc" ? remover.gc() : remover.delete("mine");
    await begun.promise;
    let told = false;
    const refused = assertRejects(() => made.manager().lease(old), EnvironmentError, "in the meantime")
      .then(() => told = true);
    // Ten turns of whoever waits, in which nothing may be promised.
    for (let turn = 0; turn < 10; turn++) await Deno.stat(old.path);
    assertEquals(told, false);
    go.resolve();
    await refused;
    await removal;
    const left = await tree(made.directory).catch(() => []);
    assertEquals(left.filter((path) => /\.(own|use-.*)$/.test(path)), []);
  });
}

Deno.test("a specification that gc() is about to remove is made again, not switched to", async () => {
  await using made = await shop();
  const old = await made.manager().ensure({ name: "mine", python: "3.12" });
  await made.manager().ensure({ name: "mine", python: ">=3.12" });
  const begun = Promise.withResolvers<void>();
  const go = Promise.withResolvers<void>();
  const removal = made.manager(slowRemover(begun.resolve, go.promise)).gc();
  await begun.promise;
  const switched = Promise.withResolvers<void>();
  const again = made.manager({
    ...denoIo,
    async rename(from, to) {
      await denoIo.rename(from, to);
      if (to.endsWith("current.json")) switched.resolve();
    },
  }).ensure({ name: "mine", python: "3.12" });
  await switched.promise;
  go.resolve();
  const { path, python } = await again;
  // The other one too, when it was looked at only after the switch.
  assert((await removal).removed.includes(old.path));
  assert(path !== old.path);
  assert((await Deno.stat(python)).isFile);
  assertEquals((await made.manager().status("mine")).environment?.path, path);
});

Deno.test("case 20: gc() removes what killed processes left beside environments", async () => {
  await using made = await shop();
  const { path } = await made.manager().ensure({ name: "mine", python: "3.12" });
  const gone = join(made.directory, "0123456789abcdef-01234567");
  const left = [`${path}.use-dead`, `${gone}.own`, `${gone}.verified`, `${gone}.use-dead`, `${gone}.own.tmp`];
  for (const file of left) await Deno.writeTextFile(file, "");
  const home = join(made.directory, "../..");
  const uuid = crypto.randomUUID();
  const scratch = [
    join(home, `.owner-${uuid}`),
    join(home, `default.json.${uuid}.tmp`),
    join(home, "cache", `interpreters.json.${uuid}.tmp`),
    join(home, "archives", `${"0".repeat(64)}.part.json.${uuid}.tmp`),
    join(home, "pythons", `cpython.verified.${uuid}.tmp`),
  ];
  for (const directory of ["cache", "archives", "pythons"]) {
    await Deno.mkdir(join(home, directory), { recursive: true });
  }
  for (const file of scratch) await Deno.writeTextFile(file, "");
  await using _lease = await made.manager().lease({ path });
  await made.manager().gc();
  for (const file of scratch) await assertRejects(() => Deno.stat(file), Deno.errors.NotFound);
  const names = (await Array.fromAsync(Deno.readDir(made.directory))).map(({ name }) => name);
  assertEquals(names.filter((name) => left.includes(join(made.directory, name))), []);
  assertEquals(names.filter((name) => name.startsWith(`${basename(path)}.use-`)).length, 1);
});

Deno.test("case 21: gc() of a broken environment does not forget what it was made from, nor takes it from who uses it", async () => {
  await using made = await shop();
  const { path } = await made.manager().ensure({ name: "mine", python: ">=3.9,<3.13" });
  await Deno.remove(join(path, ".beep-complete.json"));
  {
    await using _lease = await made.manager().lease({ path });
    assertEquals((await made.manager().gc()).removed, []);
    assert((await Deno.stat(path)).isDirectory);
  }
  await made.manager().gc();
  await assertRejects(() => Deno.stat(path), Deno.errors.NotFound);
  forgetVerified();
  const again = await made.manager().ensure({ name: "mine" });
  const pointer = JSON.parse(await Deno.readTextFile(join(made.directory, "current.json")));
  assertEquals([pointer.directory, pointer.specification.python], [basename(again.path), ">=3.9,<3.13"]);
});

Deno.test("a home is checked though a sweep takes the file by which its user is known", async () => {
  await using home = await temporary();
  let swept = 0;
  const io: Io = {
    ...denoIo,
    lstat: async (path) => {
      if (path.includes("/.owner-") && ++swept === 1) await Deno.remove(path);
      return await denoIo.lstat(path);
    },
  };
  await prepareHome(context(home.path, { io }));
  assertEquals([swept, await tree(home.path)], [2, []]);
});
