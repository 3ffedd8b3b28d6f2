/**
 * What an installer of packages is: the interface that pip and uv both meet, and one suite tests.
 *
 * @module
 */

import type { IndexSettings } from "./index_settings.ts";
import type { PythonRuntime } from "./runtime.ts";

/** Which installer is wanted: `auto` takes uv when it is there, else pip. */
export type InstallerChoice = "auto" | "uv" | "pip";

/** What is to be installed, and from where. */
export interface InstallRequest {
  /** The environment's runtime. */
  readonly runtime: PythonRuntime;
  /** The environment's directory. */
  readonly environment: string;
  /** The environment's interpreter. */
  readonly python: string;
  /** The lines of a requirements file. */
  readonly requirements: readonly string[];
  /** Where packages come from. */
  readonly index: IndexSettings;
  /** Versions that are kept where a package is needed at all, as lines. */
  readonly constraints?: readonly string[];
  /** Whether each line must have a hash, and nothing else is installed. */
  readonly requireHashes?: boolean;
  /** Whether dependencies are left out. */
  readonly withoutDependencies?: boolean;
  /** Whether packages may be built from source, which runs code of theirs. */
  readonly sourceBuilds?: boolean;
  /** Whether no network is used. */
  readonly offline?: boolean;
  /** Ends the installation. */
  readonly signal?: AbortSignal | undefined;
  /** Told what the installer says. */
  readonly onLine?: ((line: string) => void) | undefined;
}

/** What of a request matters when only versions are to be found. */
export type LockRequest = Omit<InstallRequest, "environment" | "python" | "requireHashes">;

/** Makes venvs and fills them. */
export interface PackageInstaller {
  /** Its name. */
  readonly name: "uv" | "pip";
  /** Makes an empty venv at `path`. */
  createVenv(
    runtime: PythonRuntime,
    path: string,
    options: {
      readonly pip: boolean;
      readonly index: IndexSettings;
      readonly signal?: AbortSignal | undefined;
    },
  ): Promise<void>;
  /** Installs into a venv. */
  install(request: InstallRequest): Promise<void>;
  /** Finds the versions of all that is needed, as the lines of a requirements file with hashes. */
  lock(request: LockRequest): Promise<string>;
  /** What is inconsistent among the installed packages, one line each. */
  check(python: string, runtime: PythonRuntime, signal?: AbortSignal): Promise<string[]>;
}
