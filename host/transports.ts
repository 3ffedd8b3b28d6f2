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
import type { ClientTls } from "../transports/tls.ts";
import type { ServerTls, ServerTransport } from "../servers/mod.ts";
import type { HostEndpoint, HostTransport, PythonHostOptions } from "./options.ts";

/** The options of a host that decide how it talks to its server. */
export type TransportOptions = Pick<PythonHostOptions, "transport" | "rpc" | "tls">;

/** What any of the backends takes; each takes its part. */
interface BackendOptions extends ClientOptions {
  tls?: ClientTls | undefined;
  protocol?: "connect" | "grpc" | undefined;
}

type MakeBackend = (address: string, options: BackendOptions) => PythonHostBackend;

const BACKENDS: Readonly<Record<string, MakeBackend>> = {
  pipe: (address, options) => new PythonHostPipe(address, options),
  http: (address, options) => new PythonHostHttp(address, options),
  rpc: (address, options) => new PythonHostRpc(address, options),
};

/** Makes a backend for a server that somebody else has started. */
export function connectTo(transport: string, address: string, options: BackendOptions): PythonHostBackend {
  return known(transport)(address, options);
}

function known(transport: string): MakeBackend {
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
export function resolveTransport({ transport: given, rpc, tls }: TransportOptions): HostTransport {
  if (rpc !== undefined && given !== "rpc") {
    throw new PythonHostError("argument", 'Cannot use option "rpc": it is for transport "rpc"');
  }
  if (tls !== undefined && given !== "http" && given !== "rpc") {
    throw new PythonHostError(
      "argument",
      'Cannot use option "tls": it is for the transports "http" and "rpc"',
      {
        hint: "A pipe needs none; a transport of your own gives it by its serverArguments.",
      },
    );
  }
  if (typeof given === "object") return checkTransport(given);
  // Deno opens named pipes of Windows only with all permissions.
  const name = given ?? (Deno.build.os === "windows" ? "http" : "pipe");
  const make = known(name);
  const { client, ...server } = tls ?? {};
  const protocol = rpc?.grpc === true ? { protocol: "grpc" as const } : {};
  return {
    name,
    connect: (endpoint) => {
      // By TLS the name is what is proved; the address that is bound stands in few certificates.
      const address = tls === undefined ? endpoint.address : endpoint.endpoint;
      return make(address, { ...clientOptions(endpoint), tls: client, ...protocol });
    },
    serverArguments: {
      transport: name as ServerTransport,
      ...(rpc === undefined ? {} : { rpc }),
      ...(tls === undefined ? {} : { tls: server as ServerTls }),
    },
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

function clientOptions({ endpoint: _, address: __, limits, ...options }: HostEndpoint): ClientOptions {
  return {
    ...options,
    maxFrameBytes: limits.maxFrameBytes,
    interruptGraceMs: limits.interruptGraceMs,
  };
}
