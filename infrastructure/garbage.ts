/**
 * Removes what nobody needs any more.
 *
 * @module
 */

import type { Context } from "./context.ts";
import type { EnvironmentBuilder } from "./environment_builder.ts";
import type { EnvironmentStore } from "./environment_store.ts";
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
      if (exclusive) removed.push(...await collectIn(store, name));
    });
  }
  return removed;
}

async function collectIn(store: EnvironmentStore, name: string): Promise<string[]> {
  await store.sweep(name);
  const pointer = await store.readPointer(name, "current");
  const current = pointer === undefined ? undefined : store.path(name, pointer);
  const removed: string[] = [];
  for (const directory of await store.directories(name)) {
    if (directory === current || await store.isInUse(directory)) continue;
    await store.discard(directory);
    removed.push(directory);
  }
  await store.dropDeadPointers(name);
  return removed;
}
