/**
 * What the verbs share: how they are added, and how they name a server.
 *
 * @module
 */

import type { Command } from "npm:commander@^15.1.0";
import { DEFAULT_HTTP_URL, DEFAULT_PIPE_NAME, DEFAULT_RPC_URL, portOf } from "../core/endpoint.ts";
import { PythonHostError } from "../core/errors.ts";

/** Adds a verb to the program; `report` takes the exit code. */
export type AddVerb = (program: Command, report: (exitCode: number) => void) => void;

/** The transports that the host program can serve. */
export const TRANSPORTS = ["http", "pipe", "rpc"] as const;
/** See {@linkcode TRANSPORTS}. */
export type CliTransport = typeof TRANSPORTS[number];

/** How a server is named on the command line. */
export interface ServerAddress {
  /** The port of an HTTP or RPC server. */
  readonly port?: number;
  /** The name or path of a pipe server. */
  readonly name?: string;
}

/** Fills in the endpoints of the original where none is given, and refuses what does not fit the transport. */
export function addressFor(transport: CliTransport, { port, name }: ServerAddress): ServerAddress {
  if (transport === "pipe") {
    if (port !== undefined) {
      throw new PythonHostError("argument", `Cannot use --port ${port}: a pipe has a --name`);
    }
    return { name: name ?? DEFAULT_PIPE_NAME };
  }
  if (name !== undefined) {
    throw new PythonHostError(
      "argument",
      `Cannot use --name ${name}: ${transport.toUpperCase()} has a --port`,
    );
  }
  const endpoint = transport === "http" ? DEFAULT_HTTP_URL : DEFAULT_RPC_URL;
  return { port: port ?? portOf(new URL(endpoint)) };
}

/** Reads a port from the command line. */
export function parsePort(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : NaN;
  if (port <= 65_535) return port;
  throw new PythonHostError("argument", `Cannot use --port ${text}: a port is an integer from 0 to 65535`);
}
