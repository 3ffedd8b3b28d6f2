/**
 * The backends: how a program reaches a running Python server.
 *
 * | class | wire | when |
 * | --- | --- | --- |
 * | {@linkcode PythonHostPipe} | Unix socket or named pipe | same machine; the fastest |
 * | {@linkcode PythonHostHttp} | HTTP/1.1 by `fetch` | where sockets are not allowed, through proxies, on Windows |
 *
 * @module
 */

export { PythonHostHttp, type PythonHostHttpOptions } from "./http.ts";
export { PythonHostPipe, type PythonHostPipeOptions } from "./pipe.ts";
export { PythonHostClient } from "./client.ts";
export type { ClientOptions } from "./client_options.ts";
export type { ClientTls } from "./tls.ts";
export type { CallSpan, CallTracer } from "./call_tracer.ts";
export type { ExplainEnd } from "./ending.ts";
export type { IncomingParts, Traffic, Wire, WireEvents, WireWelcome } from "./wire.ts";
