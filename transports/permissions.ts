/**
 * What connecting needs of Deno's permissions, looked at before anything is begun.
 *
 * @module
 */

import { type NeededPermissions, requirePermissions as requireAll } from "../core/permissions.ts";

/** Throws one `PermissionNeededError` that lists all flags that are missing for `action`. */
export function requirePermissions(action: string, needed: NeededPermissions): void {
  requireAll(action, needed, (descriptor) => Deno.permissions.querySync(descriptor));
}
