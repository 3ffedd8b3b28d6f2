/**
 * The flags of the verbs that ask a running server: whom they trust where it speaks TLS, and what they show.
 *
 * @module
 */

import type { Command } from "npm:commander@^15.1.0";
import { PythonHostError } from "../core/errors.ts";
import type { ClientTls } from "../transports/mod.ts";

/** The flags, as the command line gives them. */
export interface ClientTlsFlags {
  readonly tlsCa?: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
}

/** Adds the flags. */
export function addClientTlsFlags(command: Command): Command {
  return command
    .option("--tls-ca <file>", "trust certificates of this authority, PEM, for servers that speak TLS")
    .option("--tls-cert <file>", "certificate to show to a server that wants one, PEM")
    .option("--tls-key <file>", "private key of that certificate, PEM");
}

/** Reads the files that the flags name. */
export async function clientTls({ tlsCa, tlsCert, tlsKey }: ClientTlsFlags): Promise<ClientTls> {
  if ((tlsCert === undefined) !== (tlsKey === undefined)) {
    throw new PythonHostError("argument", "Cannot use --tls-cert or --tls-key alone: they go together");
  }
  return {
    ...(tlsCa === undefined ? {} : { caCerts: [await read("--tls-ca", tlsCa)] }),
    ...(tlsCert === undefined || tlsKey === undefined
      ? {}
      : { cert: await read("--tls-cert", tlsCert), key: await read("--tls-key", tlsKey) }),
  };
}

async function read(flag: string, path: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (cause) {
    throw new PythonHostError("argument", `Cannot use ${flag} ${path}: the file cannot be read`, { cause });
  }
}
