/**
 * The backends: how a program reaches a running Python server.
 *
 * | class | wire | when |
 * | --- | --- | --- |
 * | {@linkcode PythonHostPipe} | Unix socket or named pipe | same machine; the fastest |
 * | {@linkcode PythonHostHttp} | HTTP/1.1 by `fetch` | where sockets are not allowed, through proxies, on Windows |
 * | {@linkcode PythonHostRpc} | Connect over HTTP, or gRPC | beside clients in other languages, through gateways |
 *
 * @module
 */

export { PythonHostHttp, type PythonHostHttpOptions } from "./http.ts";
export { PythonHostPipe, type PythonHostPipeOptions } from "./pipe.ts";
export { PythonHostRpc, type PythonHostRpcOptions } from "./rpc.ts";
export type { RpcProtocol } from "./rpc_link.ts";
export { PythonHostClient } from "./client.ts";
export type { ClientOptions } from "./client_options.ts";
export type { ClientTls } from "./tls.ts";
export type { CallSpan, CallTracer } from "./call_tracer.ts";
export type { ExplainEnd } from "./ending.ts";
export type { IncomingParts, Traffic, Wire, WireEvents, WireWelcome } from "./wire.ts";
