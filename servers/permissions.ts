/**
 * Looks at Deno's permissions before anything is begun, so that every missing flag is named at once and no prompt opens.
 *
 * @module
 */

import { PermissionNeededError } from "../core/errors.ts";

/** What a step needs. */
export interface NeededPermissions {
  /** Programs to run. */
  readonly run: readonly string[];
  /** Paths to read. */
  readonly read: readonly string[];
  /** Paths to write. */
  readonly write: readonly string[];
}

/** Throws one `PermissionNeededError` that lists all flags that are missing for `action`. */
export function requirePermissions(action: string, needed: NeededPermissions): void {
  const flags: string[] = [];
  const run = needed.run.filter((command) => !isGranted({ name: "run", command }));
  const read = needed.read.filter((path) => !isGranted({ name: "read", path }));
  const write = needed.write.filter((path) => !isGranted({ name: "write", path }));
  if (run.length > 0) flags.push(`--allow-run=${run.join(",")}`);
  if (read.length > 0) flags.push(`--allow-read=${read.join(",")}`);
  if (write.length > 0) flags.push(`--allow-write=${write.join(",")}`);
  if (flags.length > 0) throw new PermissionNeededError(action, flags);
}

function isGranted(descriptor: Deno.PermissionDescriptor): boolean {
  return Deno.permissions.querySync(descriptor).state === "granted";
}
