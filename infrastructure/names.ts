/**
 * Names of environments: what may stand in a path, and nothing else.
 *
 * @module
 */

import { EnvironmentError } from "../core/errors.ts";

const NAME_REGEXP = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

// Windows takes these for devices, in every directory and with any extension.
const DEVICE_REGEXP = /^(con|prn|aux|nul|clock\$|com[0-9]|lpt[0-9])(\..*)?$/i;

/** Why a name cannot be taken for an environment, or undefined when it can. */
export function refuseName(name: string): string | undefined {
  if (typeof name !== "string") return "it must be a string";
  if (!NAME_REGEXP.test(name)) {
    return 'it must be 1 to 64 letters, digits, ".", "_" and "-", and start with a letter or a digit';
  }
  if (name.endsWith(".")) return 'it ends with "."';
  if (DEVICE_REGEXP.test(name)) return "Windows takes it for a device";
  return undefined;
}

/** Gives the name back when an environment may have it. */
export function checkName(name: string): string {
  const reason = refuseName(name);
  if (reason === undefined) return name;
  throw new EnvironmentError(`Cannot use environment name ${shown(name)}: ${reason}`, {
    reason: "name",
  });
}

function shown(name: unknown): string {
  return typeof name === "string" ? `"${name.slice(0, 100)}"` : Deno.inspect(name, { depth: 1 });
}
