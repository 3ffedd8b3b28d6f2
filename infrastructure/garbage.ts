/**
 * Removes what nobody needs any more.
 *
 * @module
 */

import type { Context } from "./context.ts";
import type { EnvironmentBuilder } from "./environment_builder.ts";
import { type EnvironmentStore, moveToTrash } from "./environment_store.ts";
import { holdBack, isInUse } from "./environment_use.ts";
import { prepareHome } from "./layout.ts";
import { lock } from "./locking.ts";
import { sweepStaging } from "./staging.ts";

/** Removes superseded environments that are not in use, and what dead processes left. Gives what was removed. */
export async function collectGarbage(
  context: Context,
  store: EnvironmentStore,
  builder: EnvironmentBuilder,
  signal: AbortSignal | undefined,
): Promise<string[]> {
  const layout = await prepareHome(context);
  {
    using held = await lock(context, layout.lock, { signal });
    if (held?.exclusive === true) await sweepStaging(context);
  }
  const removed: string[] = [];
  // Those too of which nothing was ever finished: a killed process may have left a half-made one there.
  for (const name of await store.allNames()) {
    // Without the lock nothing can be known to be left behind, and what somebody works on can wait for the next time.
    await builder.locked(name, { signal, until: () => Promise.resolve(true) }, async (exclusive) => {
      if (exclusive) removed.push(...await collectIn(context, store, name));
    });
  }
  return removed;
}

async function collectIn(context: Context, store: EnvironmentStore, name: string): Promise<string[]> {
  await store.sweep(name);
  const removed: string[] = [];
  for (const directory of await store.directories(name)) {
    await using held = await holdBack(context, directory);
    if (held === undefined) continue;
    // Looked for only now: whoever begins to use it, or makes it the current one, waits for the end of this.
    if (await isInUse(context, directory) || await store.isPublished(directory)) continue;
    await moveToTrash(context, directory);
    removed.push(directory);
  }
  await store.dropStrays(name);
  return removed;
}
