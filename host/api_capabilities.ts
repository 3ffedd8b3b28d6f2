/**
 * What a caller of the host's API may do: a closed list of words, and the check of one against those that were granted.
 *
 * @module
 */

import { PythonHostError } from "../core/errors.ts";

/** One kind of operation of the host's API. */
export type HostCapability =
  | "environments:read" // list, status, verify, freeze
  | "environments:write" // create, ensure, delete
  | "environments:run" // run a script or module in one
  | "packages:write" // install, uninstall
  | "runtimes:read" // list, find
  | "runtimes:write" // install, remove, set the default
  | "servers:read" // list, status
  | "servers:write" // start, stop
  | "functions:call"; // what `expose` offers

/** All capabilities, in the order of the list above. */
export const HOST_CAPABILITIES: readonly HostCapability[] = [
  "environments:read",
  "environments:write",
  "environments:run",
  "packages:write",
  "runtimes:read",
  "runtimes:write",
  "servers:read",
  "servers:write",
  "functions:call",
];

/** What Python may ask of its host: everything, nothing, or what is listed. */
export type InfrastructureOption = boolean | { readonly allow: readonly HostCapability[] };

/** The capabilities that an option stands for. Words that are none are refused, so that a typo takes nothing away. */
export function capabilitiesOf(option: InfrastructureOption): ReadonlySet<HostCapability> {
  if (option === true) return new Set(HOST_CAPABILITIES);
  if (option === false) return new Set();
  for (const word of option.allow) {
    if (HOST_CAPABILITIES.includes(word)) continue;
    throw new PythonHostError("argument", `Cannot grant "${word}": there is no such capability`, {
      hint: `There are: ${HOST_CAPABILITIES.join(", ")}.`,
    });
  }
  return new Set(option.allow);
}

/** Throws when the capability was not granted. */
export function requireCapability(granted: ReadonlySet<HostCapability>, wanted: HostCapability): void {
  if (granted.has(wanted)) return;
  throw new PythonHostError("not-granted", `Cannot do this: "${wanted}" was not granted`, {
    hint: `The host grants it by: infrastructure: { allow: ["${wanted}", …] }.`,
  });
}
