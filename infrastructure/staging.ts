/**
 * Where directories are made before anybody may see them, and how they are put into place: whole, or not at all.
 *
 * ```text
 * .staging/<uuid>  ──rename──►  pythons/<key>                       published
 *                      │ there is one already
 *                      ├─ it is whole: mine is discarded            lost the race
 *                      └─ it is not:  theirs ──rename──► .trash     and once more
 * ```
 *
 * @module
 */

import { dirname, join } from "@std/path";
import { EnvironmentError } from "../core/errors.ts";
import type { Context } from "./context.ts";
import { moveToTrash } from "./environment_store.ts";
import { listIfThere, removeIfThere, renamePatiently, statIfThere } from "./files.ts";
import { isAlreadyThere, isNotFound, isRefused } from "./io_errors.ts";
import { Layout } from "./layout.ts";
import { type HeldLock, own, removeIfAbandoned } from "./locking.ts";

/** A directory that is being made. */
export interface Staged extends AsyncDisposable {
  /** Its path; it is not made yet. */
  readonly path: string;
  /** Whether somebody took it for left behind and removed it. */
  isSwept(): Promise<boolean>;
}

/** Opens a place to make a directory in; what is still there at the end is removed. */
export async function stage(context: Context): Promise<Staged> {
  const { staging } = new Layout(context.home);
  await context.io.mkdir(staging, { recursive: true, mode: 0o700 });
  const path = join(staging, crypto.randomUUID());
  const owned: HeldLock = await own(context, `${path}.own`);
  return {
    path,
    isSwept: async (): Promise<boolean> => await statIfThere(context.io, `${path}.own`) === undefined,
    async [Symbol.asyncDispose](): Promise<void> {
      try {
        await removeIfThere(context.io, path);
        await removeIfThere(context.io, `${path}.own`);
      } finally {
        owned[Symbol.dispose]();
      }
    },
  };
}

const PUBLISH_ATTEMPTS = 5;

/**
 * Puts a finished directory into place. `isWhole` tells whether what is there already will do. Gives false when
 * somebody else was first.
 */
export async function publish(
  context: Context,
  staged: string,
  final: string,
  isWhole: (directory: string) => Promise<boolean>,
): Promise<boolean> {
  const { io } = context;
  await io.mkdir(dirname(final), { recursive: true, mode: 0o700 });
  for (let attempt = 1;; attempt++) {
    try {
      await renamePatiently(io, staged, final);
      await io.syncDirectory(dirname(final));
      return true;
    } catch (error) {
      // Windows refuses to replace a directory by the same error as for a missing right.
      if (!isAlreadyThere(error) && !(context.os === "windows" && isRefused(error))) throw error;
      if (await isWhole(final)) return false;
      if (attempt === PUBLISH_ATTEMPTS) {
        throw new EnvironmentError(`Cannot put "${final}" into place: others keep replacing it`, {
          cause: error,
        });
      }
      await setAside(context, final, isWhole);
    }
  }
}

/** Moves a broken directory away; one that has become whole in the meantime is put back. */
async function setAside(
  context: Context,
  final: string,
  isWhole: (directory: string) => Promise<boolean>,
): Promise<void> {
  const { io } = context;
  const { trash } = new Layout(context.home);
  await io.mkdir(trash, { recursive: true, mode: 0o700 });
  const aside = join(trash, crypto.randomUUID());
  try {
    await io.rename(final, aside);
  } catch (error) {
    if (isNotFound(error)) return;
    throw error;
  }
  if (await isWhole(aside)) {
    try {
      return await io.rename(aside, final);
    } catch (error) {
      // A third one was published in between: theirs is as good.
      if (!isAlreadyThere(error)) throw error;
    }
  }
  await removeIfThere(io, aside);
}

/** Removes what dead processes left in staging, trash and beside what they wrote. Only for the holder of the lock. */
export async function sweepStaging(context: Context): Promise<void> {
  const layout = new Layout(context.home);
  for (const entry of await listIfThere(context.io, layout.staging)) {
    const path = join(layout.staging, entry.replace(/\.own$/, ""));
    // The mark of ownership goes first, so that an owner who finds the rest gone finds this gone too.
    if (!await removeIfAbandoned(context, `${path}.own`)) continue;
    await moveToTrash(context, path);
  }
  for (const entry of await listIfThere(context.io, layout.trash)) {
    await emptyTrash(context, join(layout.trash, entry));
  }
  // Who still needs such a file finds it gone and writes it again.
  for (const directory of [layout.home, layout.archives, layout.cache, layout.pythons]) {
    for (const entry of await listIfThere(context.io, directory)) {
      if (SCRATCH.test(entry)) await removeIfThere(context.io, join(directory, entry));
    }
  }
}

/** Files that are there for a moment only, unless their process was killed in it. */
const SCRATCH = /^\.owner-[0-9a-f-]{36}$|\.[0-9a-f-]{36}\.tmp$/;

async function emptyTrash(context: Context, path: string): Promise<void> {
  try {
    await removeIfThere(context.io, path);
  } catch (error) {
    // Its owner deletes it at this very moment, or will be swept the next time.
    context.logger.debug("Cannot empty the trash", path, error);
  }
}
