/**
 * The host: everything from finding a Python to a connected backend, in one object.
 *
 * @module
 */

import "./script_access.ts";

export { PythonHost } from "./python_host.ts";
export type { HostEnvironment } from "./environment.ts";
export type { HostEndpoint, HostTls, HostTransport, PythonHostOptions } from "./options.ts";
export type { RestartEvent, RestartOptions } from "./restart.ts";
export type { HostStatistics, ServerStatistics } from "./statistics.ts";
export { createHostApi } from "./api.ts";
export type { ApiHost, HostApi, HostApiOptions } from "./api.ts";
export { HOST_CAPABILITIES, type HostCapability, type InfrastructureOption } from "./api_capabilities.ts";
export type { DotnetOptions } from "./dotnet.ts";
export { ExposedFunctions, type HostFunction, type HostFunctions } from "./expose.ts";
export {
  type HostServer,
  type HostServerOptions,
  HostServers,
  type HostServersOptions,
} from "./host_servers.ts";
export { LentBackend } from "./lent_backend.ts";
export { PythonHostPool } from "./pool.ts";
export type { PoolItems } from "./pool_map.ts";
export type {
  PoolCloseOptions,
  PoolMapOptions,
  PoolRunOptions,
  PoolStatistics,
  PoolUseOptions,
  PoolWork,
  PythonHostPoolOptions,
} from "./pool_options.ts";
