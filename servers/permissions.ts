/**
 * Looks at Deno's permissions before anything is begun, so that every missing flag is named at once and no prompt opens.
 *
 * @module
 */

import { PermissionNeededError } from "../core/errors.ts";
import {
  missingFlags,
  type NeededPermissions,
  requirePermissions as requireAll,
} from "../core/permissions.ts";

/** Throws one `PermissionNeededError` that lists all flags that are missing for `action`. */
export function requirePermissions(action: string, needed: NeededPermissions): void {
  requireAll(action, needed, (descriptor) => Deno.permissions.querySync(descriptor));
}

/**
 * Names the directories that a step is about. They follow from variables: where those may not be read, the error names
 * them, and beside them what else of `needed` is missing.
 */
export function requireNamed<T>(action: string, needed: NeededPermissions, name: () => T): T {
  try {
    return name();
  } catch (error) {
    if (!(error instanceof PermissionNeededError)) throw error;
    const others = missingFlags(needed, (descriptor) => Deno.permissions.querySync(descriptor));
    throw new PermissionNeededError(action, [...others, ...error.flags], { cause: error });
  }
}
