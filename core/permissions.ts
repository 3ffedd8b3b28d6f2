/**
 * Names every Deno flag that is missing for something, at once and before anything is begun.
 *
 * Pure: who asks gives the look at the permissions.
 *
 * @module
 */

import { PermissionNeededError } from "./errors.ts";

/** What a step needs; each item as it stands behind the flag's `=`. */
export interface NeededPermissions {
  /** Programs to run; `*` stands for any. */
  readonly run?: readonly string[] | undefined;
  /** Paths to read. */
  readonly read?: readonly string[] | undefined;
  /** Paths to write. */
  readonly write?: readonly string[] | undefined;
  /** Hosts with or without port, `unix:<path>`, or `*` for any. */
  readonly net?: readonly string[] | undefined;
  /** Variables to read. */
  readonly env?: readonly string[] | undefined;
}

/** One permission, as it is asked for; without a value it is that for everything. */
export type PermissionQuestion =
  | { readonly name: "run"; readonly command?: string }
  | { readonly name: "read" | "write"; readonly path?: string }
  | { readonly name: "net"; readonly host?: string }
  | { readonly name: "env"; readonly variable?: string };

/** Says whether a permission is granted, without a prompt: what `querySync` of Deno's permissions does. */
export type QueryPermission = (question: PermissionQuestion) => { readonly state: string };

/** The flags that are missing, ready to be put on a command line. */
export function missingFlags(needed: NeededPermissions, query: QueryPermission): string[] {
  const flags: string[] = [];
  for (const name of ["run", "read", "write", "net", "env"] as const) {
    const missing = (needed[name] ?? []).filter((value) =>
      query(questionOf(name, value)).state !== "granted"
    );
    if (missing.length === 0) continue;
    flags.push(missing.includes(ANY) ? `--allow-${name}` : `--allow-${name}=${missing.join(",")}`);
  }
  return flags;
}

/** Throws one `PermissionNeededError` that lists all flags that are missing for `action`. */
export function requirePermissions(action: string, needed: NeededPermissions, query: QueryPermission): void {
  const flags = missingFlags(needed, query);
  if (flags.length > 0) throw new PermissionNeededError(action, flags);
}

const ANY = "*";

/**
 * Names the paths of a step, which follow from variables. Where those may not be read, one `PermissionNeededError` lists
 * them and all else that is missing; `unnamed` says what would be done with the paths, which then have no names.
 */
export function requireNamed<T>(
  action: string,
  needed: NeededPermissions,
  unnamed: readonly ("read" | "write" | "net")[],
  query: QueryPermission,
  name: () => T,
): T {
  try {
    return name();
  } catch (error) {
    if (!(error instanceof PermissionNeededError)) throw error;
    throw unnamedPathsError(action, needed, unnamed, error, query);
  }
}

/** The error for paths without names: their flags are told without any. `cause` says which variables are wanted. */
function unnamedPathsError(
  action: string,
  needed: NeededPermissions,
  unnamed: readonly ("read" | "write" | "net")[],
  cause: PermissionNeededError,
  query: QueryPermission,
): PermissionNeededError {
  const any = Object.fromEntries(unnamed.map((name) => [name, [ANY]]));
  const others = missingFlags({ ...needed, ...any }, query);
  const broad = unnamed.map((name) => `--allow-${name}`).filter((flag) => others.includes(flag));
  const flags = [...others, ...cause.flags];
  if (broad.length === 0) return new PermissionNeededError(action, flags, { cause });
  return new PermissionNeededError(action, flags, {
    cause,
    hint: `Run deno with: ${flags.join(" ")}. Where ${cause.flags.join(" ")} is granted, ` +
      `the paths have names: then ${broad.join(" and ")} can be narrowed to them, or are so already`,
  });
}

function questionOf(name: keyof NeededPermissions, value: string): PermissionQuestion {
  if (value === ANY) return { name };
  switch (name) {
    case "run":
      return { name, command: value };
    case "net":
      return { name, host: value };
    case "env":
      return { name, variable: value };
    default:
      return { name, path: value };
  }
}
