/**
 * What the methods of `VenvManager` take and give.
 *
 * @module
 */

import type { ContextOptions } from "./context.ts";
import type { PythonEnvironment } from "./environment_store.ts";
import type { InstalledPackage } from "./installed_packages.ts";
import type { InstallerChoice } from "./packages.ts";
import type { ComputeBackend, RocmStrategy } from "./providers.ts";
import type { RuntimeManager } from "./runtimes.ts";
import type { EnsureOptions } from "./specification.ts";

/** What a {@linkcode VenvManager} can be given: a runtime manager, or what a new one is made from. */
export interface VenvManagerOptions extends ContextOptions {
  /** The runtimes that environments are made from; it brings its own data directory. @default {a new manager} */
  readonly runtimes?: RuntimeManager;
  /** The path of a uv that is preferred to all others. */
  readonly uv?: string;
  /** Who installs when nothing is said: `auto` takes uv when it is there, else pip. @default {"auto"} */
  readonly installer?: InstallerChoice;
  /** How long another process is waited for, in milliseconds. @default {300000} */
  readonly lockDeadlineMs?: number;
}

/** How an existing environment is changed. */
export type ChangeOptions = Pick<
  EnsureOptions,
  "installer" | "index" | "sourceBuilds" | "signal" | "onProgress"
>;

/** What is known of an environment. */
export interface EnvironmentStatus {
  /** Its name. */
  readonly name: string;
  /** `ready` to be used, `broken` so that its next use makes it anew, or `missing`. */
  readonly state: "ready" | "broken" | "missing";
  /** What is wrong with a broken one. */
  readonly problem?: string;
  /** The environment, when it is ready. */
  readonly environment?: PythonEnvironment;
  /** Its packages, when it is ready. */
  readonly packages?: readonly InstalledPackage[];
}

/** How a provider's environment is made. */
export interface ProviderOptions extends Omit<EnsureOptions, "name"> {
  /** What computes. @default {what is found on this machine} */
  readonly computeBackend?: ComputeBackend;
  /** How environments for ROCm are shared. @default {"model"} */
  readonly rocmStrategy?: RocmStrategy;
}
