/**
 * Asks Deno beforehand what a piece of work needs, so that everything that is missing is said at once.
 *
 * @module
 */

import { PermissionNeededError } from "../core/errors.ts";

/** What a piece of work needs. */
export interface Needs {
  /** Directories that are read. */
  readonly read?: readonly string[];
  /** Directories that are written. */
  readonly write?: readonly string[];
  /** Programs that are started. */
  readonly run?: readonly string[];
  /** Hosts of which one is enough, as `host` or `host:port`. */
  readonly netAny?: readonly string[];
}

async function isGranted(descriptor: Deno.PermissionDescriptor): Promise<boolean> {
  return (await Deno.permissions.query(descriptor)).state === "granted";
}

/** Throws a {@linkcode PermissionNeededError} that lists every flag which is missing. Nobody is prompted. */
export async function requirePermissions(action: string, needs: Needs): Promise<void> {
  const flags: string[] = [];
  for (const path of needs.read ?? []) {
    if (!await isGranted({ name: "read", path })) flags.push(`--allow-read=${path}`);
  }
  for (const path of needs.write ?? []) {
    if (!await isGranted({ name: "write", path })) flags.push(`--allow-write=${path}`);
  }
  for (const command of needs.run ?? []) {
    if (!await isGranted({ name: "run", command })) flags.push(`--allow-run=${command}`);
  }
  const hosts = needs.netAny ?? [];
  const reachable = await Promise.all(hosts.map((host) => isGranted({ name: "net", host })));
  if (hosts.length > 0 && !reachable.includes(true)) flags.push(`--allow-net=${hosts[0]}`);
  if (flags.length > 0) throw new PermissionNeededError(action, flags);
}
