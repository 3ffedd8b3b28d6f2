/**
 * Starts and supervises Python servers: the layer below `PythonHost`.
 *
 * A server is the Python program of this library, run by an interpreter of your choice, listening on a pipe or on a
 * loopback port (beyond this machine only with TLS and a token). It ends with its object, or with the program that started it, however that ends.
 *
 * @module
 */

export type { ExitFacts } from "../core/errors.ts";
export type { Logger } from "../core/logger.ts";
export { startServer } from "./start.ts";
export type {
  CapturedOutput,
  CloseServerOptions,
  HostApiAccess,
  PythonServer,
  RpcServerOptions,
  ServerLimits,
  ServerOptions,
  ServerReady,
  ServerTransport,
} from "./options.ts";
export type { ListenOptions, ServerTls } from "./tls.ts";
