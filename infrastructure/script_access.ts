/**
 * Access to the host for scripts that are run in an environment.
 *
 * The API that they ask belongs to the host, which this layer does not know: the host registers itself here when its
 * module is loaded.
 *
 * @module
 */

import { PythonHostError } from "../core/errors.ts";
import type { VenvManager } from "./environments.ts";

/** What a script may ask: everything, or the listed capabilities of the host's API. */
export type ScriptInfrastructure = boolean | { readonly allow: readonly string[] };

/** The way to the host for one script. */
export interface ScriptAccess extends AsyncDisposable {
  /** The variables that the script needs. Never the token. */
  readonly env: Readonly<Record<string, string>>;
}

/** Opens the way. */
export type OpenScriptAccess = (
  environments: VenvManager,
  infrastructure: ScriptInfrastructure,
) => Promise<ScriptAccess>;

let opener: OpenScriptAccess | undefined;

/** Registers who opens it. Called by the host's module. */
export function setScriptAccess(open: OpenScriptAccess): void {
  opener = open;
}

/** Opens the way to the host for a script; undefined when none is wanted. */
export async function openScriptAccess(
  environments: VenvManager,
  infrastructure: ScriptInfrastructure | undefined,
): Promise<ScriptAccess | undefined> {
  if (infrastructure === undefined || infrastructure === false) return undefined;
  if (opener !== undefined) return await opener(environments, infrastructure);
  throw new PythonHostError(
    "argument",
    "Cannot give a script access to the host: the host's module is not loaded",
    {
      hint: 'Import "jsr:@beep/python-host", of which "jsr:@beep/python-host/infrastructure" is only a part.',
    },
  );
}
