/**
 * From nothing to Python: runtimes, environments and packages.
 *
 * @module
 */

export { RuntimeManager, type RuntimeManagerOptions } from "./runtimes.ts";
export type { PythonRuntime } from "./runtime.ts";
export type { RuntimeSource } from "./discovery.ts";
export { VenvManager, type VenvManagerOptions } from "./environments.ts";
export type { PythonEnvironment } from "./environment_store.ts";
export type { EnsureOptions, EnvironmentSpec } from "./specification.ts";
export type { InstallerChoice } from "./packages.ts";
export type { ProgressEvent, ProgressListener, ProgressStage } from "./progress_events.ts";
export { Context, type ContextOptions, type EnvironmentValues } from "./context.ts";
export type { FileIdentity } from "./probe.ts";
export type { Io, IoEntry, IoFile, IoInfo, IoOpenOptions, IoProcess, IoSpawnOptions } from "./io.ts";
