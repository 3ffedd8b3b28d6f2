/**
 * A runtime: an installed Python, as a plain immutable record.
 *
 * @module
 */

import { sha256OfText } from "./digest.ts";
import type { RuntimeSource } from "./discovery.ts";
import type { FileIdentity, ProbeFacts } from "./probe.ts";

/** An installed Python, found or downloaded. */
export interface PythonRuntime {
  /** A name for it that stays the same as long as it stays where it is. */
  readonly id: string;
  /** The real path of its interpreter: never a link, never a version manager's shim. */
  readonly executable: string;
  /** Such as `3.13.1`. */
  readonly version: string;
  /** Such as `cpython`. */
  readonly implementation: string;
  /** Whether it is a build without the global lock. */
  readonly freeThreaded: boolean;
  /** Where it was found. */
  readonly source: RuntimeSource;
  /** Whether this library installed it, and may remove it. */
  readonly managed: boolean;
  /** `sys.prefix`. */
  readonly prefix: string;
  /** The processor that it runs on, as it names it: `x86_64`. */
  readonly machine: string;
  /** Whether it can put pip into a venv without a network. */
  readonly ensurepip: boolean;
  /** The version of its own pip; empty when it has none. */
  readonly pip: string;
  /** Size and time of the interpreter: when they change, it is another Python. */
  readonly identity: FileIdentity;
}

/** Makes the record from what a probe said. */
export async function makeRuntime(
  facts: ProbeFacts,
  identity: FileIdentity,
  source: RuntimeSource,
  id?: string,
): Promise<PythonRuntime> {
  const flavor = facts.freeThreaded ? "+freethreaded" : "";
  const suffix = (await sha256OfText(identity.path)).slice(0, 8);
  return {
    id: id ?? `${facts.implementation}-${facts.version}${flavor}-${suffix}`,
    executable: identity.path,
    version: facts.version,
    implementation: facts.implementation,
    freeThreaded: facts.freeThreaded,
    source,
    managed: source === "managed",
    prefix: facts.prefix,
    machine: facts.machine,
    ensurepip: facts.ensurepip,
    pip: facts.pip,
    identity,
  };
}
