/**
 * Looks at Deno's permissions before anything is begun, so that every missing flag is named at once and no prompt opens.
 *
 * @module
 */

import {
  type NeededPermissions,
  requireNamed as nameOrTell,
  requirePermissions as requireAll,
} from "../core/permissions.ts";

/** Throws one `PermissionNeededError` that lists all flags that are missing for `action`. */
export function requirePermissions(action: string, needed: NeededPermissions): void {
  requireAll(action, needed, (descriptor) => Deno.permissions.querySync(descriptor));
}

/**
 * Names the directories that a step reads and writes. They follow from variables: where those may not be read, the error
 * names them, and beside them all else that is missing.
 */
export function requireNamed<T>(action: string, needed: NeededPermissions, name: () => T): T {
  const query = (descriptor: Deno.PermissionDescriptor) => Deno.permissions.querySync(descriptor);
  return nameOrTell(action, needed, ["read", "write"], query, name);
}
