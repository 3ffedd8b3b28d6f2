/**
 * Looks at Deno's permissions before anything is begun, so that every missing flag is named at once and no prompt opens.
 *
 * @module
 */

import { PermissionNeededError } from "../core/errors.ts";
import {
  type NeededPermissions,
  requirePermissions as requireAll,
  unnamedPathsError,
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
  try {
    return name();
  } catch (error) {
    if (!(error instanceof PermissionNeededError)) throw error;
    throw unnamedPathsError(
      action,
      needed,
      ["read", "write"],
      error,
      (descriptor) => Deno.permissions.querySync(descriptor),
    );
  }
}
