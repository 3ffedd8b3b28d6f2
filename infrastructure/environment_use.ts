/**
 * Who uses an environment, so that none is removed from under a server.
 *
 * Who begins to use a directory says so first, and then looks whether somebody is about to remove it. Who removes one
 * says that first, and then looks who uses it. So one of the two always sees the other.
 *
 * ```text
 * <directory>.use-<uuid>   held locked by one who uses it
 * <directory>.own          held locked by its maker until it is published, and by one who is about to remove it
 * ```
 *
 * @module
 */

import { basename, dirname, join } from "@std/path";
import { EnvironmentError } from "../core/errors.ts";
import type { Context } from "./context.ts";
import { listIfThere, removeIfThere, statIfThere } from "./files.ts";
import { isUnwritable } from "./io_errors.ts";
import { type HeldLock, own, removeIfAbandoned, untilFree } from "./locking.ts";

/**
 * Says that a directory is in use, so that `gc` and `delete` leave it alone, for as long as it is held. Whoever may not
 * write there goes on without. Throws when the directory is gone.
 */
export async function lease(context: Context, directory: string): Promise<AsyncDisposable> {
  const { io, logger } = context;
  const path = `${directory}.use-${crypto.randomUUID()}`;
  let held: HeldLock;
  try {
    held = await own(context, path);
  } catch (error) {
    if (!isUnwritable(error)) throw error;
    logger.warn("An environment is used without a lease", directory, error);
    return new AsyncDisposableStack();
  }
  await using undo = new AsyncDisposableStack();
  undo.defer(async () => {
    held[Symbol.dispose]();
    await removeIfThere(io, path);
  });
  await untilSettled(context, directory);
  if (await statIfThere(io, directory) === undefined) {
    throw new EnvironmentError(`Cannot use environment "${directory}": it was removed in the meantime`, {
      reason: "missing",
      hint: "Ask for it again, by ensure().",
    });
  }
  return undo.move();
}

/** Waits while somebody is about to remove a directory, or finds that it is used. */
export async function untilSettled(context: Context, directory: string): Promise<void> {
  await untilFree(context, `${directory}.own`);
}

/**
 * Says that a directory is about to be removed: whoever begins to use it from now on waits, and then looks again. Gives
 * undefined when another process makes or removes it.
 */
export async function holdBack(context: Context, directory: string): Promise<AsyncDisposable | undefined> {
  const path = `${directory}.own`;
  if (!await removeIfAbandoned(context, path)) return undefined;
  const held = await own(context, path);
  return {
    async [Symbol.asyncDispose](): Promise<void> {
      try {
        await removeIfThere(context.io, path);
      } finally {
        held[Symbol.dispose]();
      }
    },
  };
}

/** The same for all directories of a name; throws when one of them is in use, unless that is to be no reason. */
export async function holdBackAll(
  context: Context,
  name: string,
  directories: readonly string[],
  force: boolean,
): Promise<AsyncDisposable> {
  await using held = new AsyncDisposableStack();
  for (const directory of directories) {
    // One that is being made is not used yet, and its maker begins again.
    held.use(await holdBack(context, directory));
    if (!force && await isInUse(context, directory)) {
      throw new EnvironmentError(`Cannot delete environment "${name}": it is in use`, {
        reason: "in-use",
        hint: "Close the servers that run in it, or pass `force`.",
      });
    }
  }
  return held.move();
}

/** Whether somebody uses a directory; leases of dead processes are removed. */
export async function isInUse(context: Context, directory: string): Promise<boolean> {
  const prefix = `${basename(directory)}.use-`;
  let used = false;
  for (const entry of await listIfThere(context.io, dirname(directory))) {
    if (!entry.startsWith(prefix)) continue;
    if (!await removeIfAbandoned(context, join(dirname(directory), entry))) used = true;
  }
  return used;
}
