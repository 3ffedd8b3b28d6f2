/**
 * Locks: exclusive, abortable, bounded, and done without where there are none.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { EnvironmentError } from "../../core/errors.ts";
import type { Io } from "../../infrastructure/mod.ts";
import { denoIo } from "../../infrastructure/io.ts";
import { renamePatiently, writeAtomically } from "../../infrastructure/files.ts";
import { isAbandoned, lock, own, pause } from "../../infrastructure/locking.ts";
import { parseRetryAfter } from "../../infrastructure/transfer.ts";
import { withoutLocks } from "./_no_locks.ts";
import { context, temporary, tree } from "./_support.ts";

Deno.test("lock() is exclusive, and free again when it is disposed of", async () => {
  await using home = await temporary();
  const path = join(home.path, ".lock");
  const first = (await lock(context(home.path), path))!;
  assertEquals(first.exclusive, true);
  await assertRejects(
    () => lock(context(home.path), path, { deadlineMs: 100 }),
    EnvironmentError,
    "has held it for 100 ms",
  );
  const second = lock(context(home.path), path);
  first[Symbol.dispose]();
  (await second)![Symbol.dispose]();
});

Deno.test("waiting for a lock ends with the signal's reason, or when what was waited for is there", async () => {
  await using home = await temporary();
  const path = join(home.path, ".lock");
  using _held = (await lock(context(home.path), path))!;
  const controller = new AbortController();
  const waiting = lock(context(home.path), path, { signal: controller.signal });
  controller.abort(new Error("enough"));
  await assertRejects(() => waiting, Error, "enough");
  let turns = 0;
  assertEquals(
    await lock(context(home.path), path, { until: () => Promise.resolve(++turns === 3) }),
    undefined,
  );
});

Deno.test("case 17: where the file system has no locks, work goes on without", async () => {
  await using home = await temporary();
  const bare = context(home.path, { io: withoutLocks(denoIo) });
  const path = join(home.path, ".lock");
  using first = (await lock(bare, path))!;
  using second = (await lock(bare, path))!;
  assertEquals([first.exclusive, second.exclusive], [false, false]);
  using _own = await own(bare, `${path}.own`);
  // What cannot be known to be left behind is not.
  assertEquals(await isAbandoned(bare, `${path}.own`), false);
});

Deno.test("case 18: a lock file that may not be opened is an error, not a reason to go on without", async () => {
  await using home = await temporary();
  const io: Io = {
    ...denoIo,
    open: () =>
      Promise.reject(
        Object.assign(new Deno.errors.PermissionDenied("Permission denied"), { code: "EACCES" }),
      ),
  };
  await assertRejects(
    () => lock(context(home.path, { io }), join(home.path, ".lock")),
    EnvironmentError,
    "open lock file",
  );
});

Deno.test("case 19: isAbandoned() tells a living owner from a dead one", async () => {
  await using home = await temporary();
  const path = join(home.path, "x.own");
  assertEquals(await isAbandoned(context(home.path), path), true);
  const owned = await own(context(home.path), path);
  assertEquals(await isAbandoned(context(home.path), path), false);
  owned[Symbol.dispose]();
  assertEquals(await isAbandoned(context(home.path), path), true);
});

Deno.test("case 23: renamePatiently() tries again on Windows only, while a scanner holds the file", async () => {
  for (const [os, refusals, calls] of [["windows", 3, 4], ["linux", 3, 1]] as const) {
    let count = 0;
    const io: Io = {
      ...denoIo,
      rename: () =>
        ++count <= refusals
          ? Promise.reject(new Deno.errors.PermissionDenied("os error 5"))
          : Promise.resolve(),
    };
    await renamePatiently(io, "a", "b", os).catch((error) => assert(os === "linux", String(error)));
    assertEquals(count, calls);
  }
});

Deno.test("writeAtomically() leaves the old content and nothing else when it fails", async () => {
  await using home = await temporary();
  const path = join(home.path, "pointer.json");
  await writeAtomically(denoIo, path, "old");
  const io: Io = { ...denoIo, rename: () => Promise.reject(new Error("no")) };
  await assertRejects(() => writeAtomically(io, path, "new"), Error, "no");
  assertEquals([await Deno.readTextFile(path), await tree(home.path)], ["old", ["pointer.json"]]);
});

Deno.test("pause() ends at once when it is aborted", async () => {
  await assertRejects(() => pause(60_000, AbortSignal.abort(new Error("before"))), Error, "before");
  const controller = new AbortController();
  const waiting = pause(60_000, controller.signal);
  controller.abort(new Error("during"));
  await assertRejects(() => waiting, Error, "during");
});

Deno.test("parseRetryAfter() reads seconds and dates, and has a limit", () => {
  const now = Date.parse("2026-01-01T00:00:00Z");
  assertEquals(parseRetryAfter("7", 60_000, now), 7_000);
  assertEquals(parseRetryAfter("7200", 60_000, now), 60_000);
  assertEquals(parseRetryAfter("Thu, 01 Jan 2026 00:00:30 GMT", 60_000, now), 30_000);
  assertEquals(parseRetryAfter("Thu, 01 Jan 2025 00:00:30 GMT", 60_000, now), 0);
  assertEquals([parseRetryAfter(null, 1), parseRetryAfter("soon", 1)], [undefined, undefined]);
});

Deno.test("writeAtomically() writes again when a sweep took its scratch file", async () => {
  await using home = await temporary();
  const path = join(home.path, "pointer.json");
  let swept = 0;
  const io: Io = {
    ...denoIo,
    rename: async (from, to) => {
      if (++swept === 1) await Deno.remove(from);
      await denoIo.rename(from, to);
    },
  };
  await writeAtomically(io, path, "new");
  assertEquals([await Deno.readTextFile(path), swept], ["new", 2]);
});

Deno.test("who waited for a lock that was removed with its directory holds the one in its place", async () => {
  await using home = await temporary();
  const made = context(home.path);
  const directory = join(home.path, "name");
  const path = join(directory, ".lock");
  const prepare = (): Promise<void> => Deno.mkdir(directory, { recursive: true });
  const removed = async (): Promise<void> => {
    await Deno.remove(path);
    // Whoever waits may have made the next one already, and then the directory stays.
    await Deno.remove(directory).catch((error) => assertEquals(error.code, "ENOTEMPTY"));
  };
  const first = (await lock(made, path, { prepare }))!;
  const waiting = Array.from({ length: 5 }, async () => {
    const held = (await lock(made, path, { prepare }))!;
    // Nobody else holds it, and it is the one that is there.
    await assertRejects(() => lock(made, path, { prepare, deadlineMs: 1 }), EnvironmentError, "has held it");
    await removed();
    held[Symbol.dispose]();
  });
  await removed();
  first[Symbol.dispose]();
  await Promise.all(waiting);
});
