/**
 * From nothing to Python: runtimes, environments and packages.
 *
 * `RuntimeManager` finds a Python on this machine or downloads one; `VenvManager` makes environments from it and fills
 * them. Both survive being killed at any moment and any number of processes that do the same at once: what is there is
 * whole, and what is not whole is made again.
 *
 * @example Take an environment, or make it
 * ```ts ignore
 * import { VenvManager } from "jsr:@beep/python-host/infrastructure";
 *
 * const environments = new VenvManager();
 * const environment = await environments.ensure({ python: ">=3.10", packages: ["numpy"] });
 * console.log(environment.python);
 * ```
 *
 * @module
 */

export {
  DEFAULT_REQUEST,
  type EnsureRuntimeOptions,
  type InstallRuntimeOptions,
  RuntimeManager,
  type RuntimeManagerOptions,
} from "./runtimes.ts";
export type { PythonRuntime } from "./runtime.ts";
export type { InstalledRuntime, RuntimeInstallOptions } from "./runtime_installer.ts";
export type { Distribution } from "./distributions.ts";
export type { DownloadLimits } from "./download.ts";
export type { RuntimeSource } from "./discovery.ts";
export type { FileIdentity } from "./probe.ts";

export { ADMIN_NAME, VenvManager } from "./environments.ts";
export type {
  ChangeOptions,
  EnvironmentStatus,
  ProviderOptions,
  VenvManagerOptions,
} from "./environment_options.ts";
export type { PythonEnvironment } from "./environment_store.ts";
export type { EnsureOptions, EnvironmentSpec } from "./specification.ts";
export type { InstalledPackage } from "./installed_packages.ts";
export type { InstallerChoice } from "./packages.ts";
export type { IndexSettings } from "./index_settings.ts";
export type { RunOptions, RunResult } from "./run.ts";
export type { ScriptInfrastructure } from "./script_access.ts";
export { type TemplateName, templates } from "./templates.ts";
export type { ComputeBackend, RocmStrategy } from "./providers.ts";
export {
  appendBackendSuffix,
  backendOfProvider,
  providerEnvironmentName,
  slugifyModelId,
} from "./providers.ts";

export { detectPlatform, type Libc, type Platform, type PlatformSources, targetTriple } from "./platform.ts";
export {
  createProgressPrinter,
  formatBytes,
  formatProgress,
  type ProgressPrinter,
  type ProgressPrinterOptions,
} from "./progress.ts";
export type { ProgressEvent, ProgressListener, ProgressStage } from "./progress_events.ts";
export { Context, type ContextOptions, type EnvironmentValues } from "./context.ts";
export type {
  Io,
  IoEntry,
  IoFile,
  IoInfo,
  IoNewFile,
  IoOpenOptions,
  IoProcess,
  IoSpawnOptions,
} from "./io.ts";
export type { Logger } from "../core/logger.ts";
export type { RefusedCandidate } from "../core/errors.ts";
