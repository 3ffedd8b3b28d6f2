/**
 * Looks at Deno's permissions before anything is begun, so that every missing flag is named at once and no prompt opens.
 *
 * @module
 */

import { type NeededPermissions, requirePermissions as requireAll } from "../core/permissions.ts";

/** Throws one `PermissionNeededError` that lists all flags that are missing for `action`. */
export function requirePermissions(action: string, needed: NeededPermissions): void {
  requireAll(action, needed, (descriptor) => Deno.permissions.querySync(descriptor));
}
