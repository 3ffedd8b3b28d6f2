/**
 * The transports that a host knows by name.
 *
 * @module
 */

import type { PythonHostBackend } from "../core/backend.ts";
import { PythonHostError } from "../core/errors.ts";
import type { ClientOptions } from "../transports/client_options.ts";
import { PythonHostHttp } from "../transports/http.ts";
import { PythonHostPipe } from "../transports/pipe.ts";
import { PythonHostRpc } from "../transports/rpc.ts";
import type { RpcServerOptions, ServerTransport } from "../servers/mod.ts";
import type { HostEndpoint, HostTransport } from "./options.ts";

const BACKENDS: Readonly<Record<string, (address: string, options: ClientOptions) => PythonHostBackend>> = {
  pipe: (address, options) => new PythonHostPipe(address, options),
  http: (address, options) => new PythonHostHttp(address, options),
  rpc: (address, options) => new PythonHostRpc(address, options),
};

/** Makes a backend for a server of which no more is known than where it listens and its token. */
export function connectTo(transport: string, address: string, token: string): PythonHostBackend {
  return known(transport)(address, { token });
}

function known(transport: string): (address: string, options: ClientOptions) => PythonHostBackend {
  const make = Object.hasOwn(BACKENDS, transport) ? BACKENDS[transport] : undefined;
  if (make !== undefined) return make;
  throw new PythonHostError(
    "argument",
    `Cannot use transport "${transport}": known are ${Object.keys(BACKENDS).join(", ")}`,
    { hint: "A transport of your own is passed as an object with name and connect()." },
  );
}

/** What gRPC needs in the server's environment. */
export const GRPC_PACKAGES: readonly string[] = [
  "grpcio",
  "grpcio-health-checking",
  "grpcio-reflection",
  "protobuf",
];

/** Gives the transport that is meant by a name, by an object, or by nothing. */
export function resolveTransport(
  given: string | HostTransport | undefined,
  rpc?: RpcServerOptions,
): HostTransport {
  if (rpc !== undefined && given !== "rpc") {
    throw new PythonHostError("argument", 'Cannot use option "rpc": it is for transport "rpc"');
  }
  if (rpc?.grpc === true) return grpcTransport(rpc);
  if (typeof given === "object") return checkTransport(given);
  // Deno opens named pipes of Windows only with all permissions.
  const name = given ?? (Deno.build.os === "windows" ? "http" : "pipe");
  const make = known(name);
  return {
    name,
    connect: (endpoint) => make(endpoint.address, clientOptions(endpoint)),
    serverArguments: { transport: name as ServerTransport },
  };
}

/** Callers without types pass anything. */
function checkTransport(given: HostTransport | null): HostTransport {
  if (typeof given?.name === "string" && typeof given.connect === "function") return given;
  const lacks = typeof given?.name === "string" ? "no function connect" : "no name";
  throw new PythonHostError("argument", `Cannot use the transport that was given: it has ${lacks}`, {
    hint: 'Pass a name ("pipe", "http" or "rpc"), or { name, connect(endpoint) }.',
  });
}

function grpcTransport(rpc: RpcServerOptions): HostTransport {
  return {
    name: "rpc",
    connect: (endpoint) =>
      new PythonHostRpc(endpoint.address, { ...clientOptions(endpoint), protocol: "grpc" }),
    serverArguments: { transport: "rpc", rpc },
  };
}

function clientOptions({ endpoint: _, address: __, limits, ...options }: HostEndpoint): ClientOptions {
  return {
    ...options,
    maxFrameBytes: limits.maxFrameBytes,
    interruptGraceMs: limits.interruptGraceMs,
  };
}
