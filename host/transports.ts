/**
 * The transports that a host knows by name.
 *
 * @module
 */

import { PythonHostError } from "../core/errors.ts";
import type { ClientOptions } from "../transports/client_options.ts";
import { PythonHostHttp } from "../transports/http.ts";
import { PythonHostPipe } from "../transports/pipe.ts";
import type { HostEndpoint, HostTransport } from "./options.ts";

const KNOWN: Readonly<Record<string, HostTransport>> = {
  pipe: {
    name: "pipe",
    connect: (endpoint) => new PythonHostPipe(endpoint.address, clientOptions(endpoint)),
    serverArguments: { transport: "pipe" },
  },
  http: {
    name: "http",
    connect: (endpoint) => new PythonHostHttp(endpoint.address, clientOptions(endpoint)),
    serverArguments: { transport: "http" },
  },
};

/** Gives the transport that is meant by a name, by an object, or by nothing. */
export function resolveTransport(given: string | HostTransport | undefined): HostTransport {
  if (typeof given === "object") return given;
  // Deno opens named pipes of Windows only with all permissions.
  const name = given ?? (Deno.build.os === "windows" ? "http" : "pipe");
  const known = Object.hasOwn(KNOWN, name) ? KNOWN[name] : undefined;
  if (known !== undefined) return known;
  throw new PythonHostError(
    "argument",
    `Cannot use transport "${name}": known are ${Object.keys(KNOWN).join(", ")}`,
    {
      hint: "A transport of your own is passed as an object with name and connect().",
    },
  );
}

function clientOptions({ endpoint: _, address: __, limits, ...options }: HostEndpoint): ClientOptions {
  return {
    ...options,
    maxFrameBytes: limits.maxFrameBytes,
    interruptGraceMs: limits.interruptGraceMs,
  };
}
