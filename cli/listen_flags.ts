/**
 * The flags of `start` that decide who reaches the server, and what it allows them.
 *
 * @module
 */

import type { Command } from "npm:commander@^15.1.0";
import { PythonHostError } from "../core/errors.ts";
import type { ListenOptions, ServerLimits } from "../servers/mod.ts";
import { type ListenWords, refusalOf } from "../servers/tls.ts";
import type { CliTransport } from "./verb.ts";

/** The flags, as the command line gives them. */
export interface ListenFlags {
  readonly host?: string;
  readonly auth: boolean;
  readonly listenBeyondLoopback?: boolean;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly tlsClientCa?: string;
  readonly allowHost?: string[];
  readonly allowOrigin?: string[];
  readonly limit?: Record<string, number>;
}

/** Adds the flags. */
export function addListenFlags(command: Command): Command {
  return command
    .option("--host <address>", "address to listen at (default: 127.0.0.1)")
    .option("--listen-beyond-loopback", "let --host be reached from other machines; takes TLS and a token")
    .option("--tls-cert <file>", "certificate with its chain, PEM: speak HTTPS and nothing else")
    .option("--tls-key <file>", "private key of the certificate, PEM")
    .option("--tls-client-ca <file>", "let in only clients with a certificate of this authority, PEM")
    .option("--allow-host <name>", "a name under which clients reach it; can be given again", append)
    .option("--allow-origin <origin>", "an Origin that is let in; can be given again", append)
    .option("--limit <name=number>", "a bound such as maxConnections=8; can be given again", addLimit)
    .option("--no-auth", "let clients in without a token: whoever reaches the server runs code as you");
}

/** What the options of a server are called here. */
const FLAG_WORDS: ListenWords = {
  host: "--host",
  listenBeyondLoopback: "--listen-beyond-loopback",
  tls: "--tls-cert with --tls-key",
  token: "a token (leave out --no-auth)",
  allowedHosts: "--allow-host",
  allowedOrigins: "--allow-origin",
};

/** What the server is started with. Throws, before anything is begun, for flags that no server can be started with. */
export function listenOptions(
  transport: CliTransport,
  flags: ListenFlags,
): ListenOptions & { readonly limits?: ServerLimits } {
  const { host, auth, listenBeyondLoopback, tlsCert, tlsKey, tlsClientCa, allowHost, allowOrigin, limit } =
    flags;
  if ((tlsCert === undefined) !== (tlsKey === undefined)) {
    throw new PythonHostError("argument", "Cannot use --tls-cert or --tls-key alone: they go together");
  }
  if (tlsClientCa !== undefined && tlsCert === undefined) {
    throw new PythonHostError("argument", "Cannot use --tls-client-ca without --tls-cert and --tls-key");
  }
  const options: ListenOptions = {
    auth,
    ...(host === undefined ? {} : { host }),
    ...(listenBeyondLoopback === undefined ? {} : { listenBeyondLoopback }),
    ...(tlsCert === undefined || tlsKey === undefined
      ? {}
      : { tls: { certFile: tlsCert, keyFile: tlsKey, clientCaFile: tlsClientCa } }),
    ...(allowHost === undefined ? {} : { allowedHosts: allowHost }),
    ...(allowOrigin === undefined ? {} : { allowedOrigins: allowOrigin }),
  };
  const [flag, why] = refusalOfFlags(transport, options) ?? [];
  if (flag !== undefined) throw new PythonHostError("argument", `Cannot use ${flag}: ${why}`);
  return { ...options, ...(limit === undefined ? {} : { limits: limit }) };
}

function refusalOfFlags(
  transport: CliTransport,
  options: ListenOptions,
): readonly [flag: string, why: string] | null {
  if (transport !== "pipe") return refusalOf(options, FLAG_WORDS);
  const { host, listenBeyondLoopback, tls, allowedHosts, allowedOrigins } = FLAG_WORDS;
  const flags = { host, listenBeyondLoopback, tls, allowedHosts, allowedOrigins };
  for (const [option, flag] of Object.entries(flags)) {
    if (Reflect.get(options, option) !== undefined) return [flag, "only http and rpc take it"];
  }
  return null;
}

function append(text: string, before: string[] = []): string[] {
  return [...before, text];
}

function addLimit(text: string, before: Record<string, number> = {}): Record<string, number> {
  const match = /^([A-Za-z]+)=(\d{1,15})$/.exec(text);
  if (match !== null) return { ...before, [match[1]!]: Number(match[2]) };
  throw new PythonHostError("argument", `Cannot use --limit ${text}: a limit is name=number`, {
    hint: "The names are those of ServerLimits, such as maxConnections=8.",
  });
}
