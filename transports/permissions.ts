/**
 * What connecting needs of Deno's permissions, looked at before anything is begun.
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
 * Names the run directory for a step about what is in it. It follows from variables: where those may not be read, the
 * error names them, and beside them all else that is missing; `unnamed` says what is done with paths in the directory.
 */
export function requireNamed(
  action: string,
  needed: NeededPermissions,
  unnamed: readonly ("read" | "write" | "net")[],
  name: () => string,
): string {
  return nameOrTell(action, needed, unnamed, (descriptor) => Deno.permissions.querySync(descriptor), name);
}
