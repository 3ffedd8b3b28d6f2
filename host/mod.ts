/**
 * The host: everything from finding a Python to a connected backend, in one object.
 *
 * @module
 */

export { PythonHost } from "./python_host.ts";
export type { HostEnvironment } from "./environment.ts";
export type { HostEndpoint, HostTransport, PythonHostOptions } from "./options.ts";
export type { RestartEvent, RestartOptions } from "./restart.ts";
export type { HostStatistics, ServerStatistics } from "./statistics.ts";
