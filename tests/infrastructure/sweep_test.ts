/**
 * A sweep by a process whose locks work, while one whose locks do not is about to publish: the step of the sweep that
 * a test names waits until the maker has finished, as if the maker were killed before it could look again.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { join } from "@std/path";
import { type Io, RuntimeManager, VenvManager } from "../../infrastructure/mod.ts";
import { denoIo } from "../../infrastructure/io.ts";
import { MARKER_NAME } from "../../infrastructure/marker.ts";
import { fakeInstallation } from "./_fake_python.ts";
import { withoutLocks } from "./_no_locks.ts";
import { only, temporary } from "./_support.ts";

const OWN = /\/[0-9a-f]{16}-[0-9a-f]{8}\.own$/;

/** The world of a sweep; `before` is awaited ahead of its step at a mark of ownership. */
function sweeping(before: (step: "ask" | "claim" | "discard") => Promise<void>): Io {
  return {
    ...denoIo,
    async open(path, options) {
      if (OWN.test(path)) await before("ask");
      return await denoIo.open(path, options);
    },
    async remove(path, options) {
      if (OWN.test(path)) await before("claim");
      return await denoIo.remove(path, options);
    },
    async rename(from, to) {
      if (to.includes(".trash") && !from.endsWith(".verified")) await before("discard");
      return await denoIo.rename(from, to);
    },
  };
}

for (const [step, attempts] of [["ask", 1], ["claim", 1], ["discard", 2]] as const) {
  Deno.test(`case 17: a sweep that is slow to ${step} breaks nothing that a maker without locks publishes`, async () => {
    await using scratch = await temporary();
    const root = await Deno.realPath(scratch.path);
    await fakeInstallation(join(root, "base"), "3.11.0");
    const home = join(root, "home");
    const environment = only({ PATH: `${join(root, "base", "bin")}:/usr/bin:/bin` });
    const manager = (io: Io): VenvManager =>
      new VenvManager({
        runtimes: new RuntimeManager({ home, environment, cwd: root, io }),
        installer: "pip",
      });

    // The maker is about to mark its work when the sweep begins, and goes on when the sweep has come to its step.
    const begun = Promise.withResolvers<void>();
    const reached = Promise.withResolvers<void>();
    const made = Promise.withResolvers<void>();
    let marked = 0;
    const slow = withoutLocks(denoIo);
    const maker = manager({
      ...slow,
      async rename(from, to) {
        if (to.endsWith(MARKER_NAME) && to.startsWith(join(home, "envs"))) {
          marked++;
          begun.resolve();
          await reached.promise;
        }
        return await slow.rename(from, to);
      },
    });
    const sweeper = manager(sweeping(async (at) => {
      if (at !== step) return;
      reached.resolve();
      await made.promise;
    }));

    const making = maker.ensure({ name: "raced", packages: [] });
    await begun.promise;
    const sweep = sweeper.gc();
    const { path } = await making;
    assertEquals(await maker.status("raced").then(({ state }) => state), "ready");
    made.resolve();
    await sweep;

    const status = await manager(denoIo).status("raced");
    assertEquals([status.state, status.environment?.path], ["ready", path]);
    const directories = (await Array.fromAsync(Deno.readDir(join(home, "envs/raced"))))
      .filter(({ name }) => /^[0-9a-f]{16}-[0-9a-f]{8}$/.test(name));
    assertEquals(directories.length, 1);
    assertEquals(marked, attempts);
  });
}
