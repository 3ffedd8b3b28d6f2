/**
 * From a URL to where its server is and what proves who asks: what HTTP and RPC have in common.
 *
 * @module
 */

import { portOf } from "../core/endpoint.ts";
import { ConnectError } from "../core/errors.ts";
import type { HttpTarget } from "./http_wire.ts";
import { requireNamed, requirePermissions } from "./permissions.ts";
import { findEntry, runDirectoryPath } from "./run_directory.ts";
import { requireProof } from "./server_proof.ts";

const LOOPBACK_HOSTS = ["localhost", "127.0.0.1", "[::1]"];

/**
 * Finds the address and the token. With a token, or for another machine, there is no look-up. A server that was looked
 * up has proved that it is the one, unless it speaks gRPC, which has no place for that.
 */
export async function locateUrl(
  transport: "http" | "rpc",
  url: URL,
  token: string | undefined,
  signal: AbortSignal,
): Promise<HttpTarget> {
  const endpoint = url.origin;
  const port = portOf(url);
  const isLookedUp = token === undefined && LOOPBACK_HOSTS.includes(url.hostname);
  requireFor(url, isLookedUp ? transport : undefined);
  const entry = isLookedUp ? await findEntry(transport, port) : null;
  if (isLookedUp && entry === null && url.protocol === "http:") {
    // Whoever else listens there, of whatever user, would be given the code and could answer anything.
    throw new ConnectError(
      `Cannot connect to "${endpoint}": no server of yours is entered for port ${port}`,
      {
        hint:
          `Start one (\`start ${transport} --port ${port}\`), or pass the token of the one that is meant; ` +
          '`token: ""` if it wants none.',
      },
    );
  }
  const spoken = entry === null ? url.protocol : new URL(entry.address).protocol;
  if (spoken !== url.protocol) {
    throw new ConnectError(`Cannot connect to "${endpoint}": its server speaks ${spoken.slice(0, -1)}`, {
      hint: `Use "${entry!.endpoint}".`,
    });
  }
  // By TLS the name proves who it is, so it is kept; without, only the address that the server has written down does.
  const address = url.protocol === "https:" ? endpoint : entry?.address ?? endpoint;
  requirePermissions("connect to the server", { net: [hostOf(new URL(address))] });
  const known = token ?? entry?.token ?? "";
  const target: HttpTarget = {
    endpoint,
    address,
    token: known,
    hasToken: known !== "",
    ...(entry === null || transport !== "rpc" ? {} : { protocol: entry.protocol ?? "connect" }),
    nextStep: entry === null
      ? `Start a server there: \`start ${transport} --port ${port}\`.`
      : `Its server, process ${entry.pid}, has ended: start it again.`,
  };
  if (entry !== null && entry.protocol !== "grpc" && url.protocol === "http:") {
    await requireProof(target, signal);
  }
  return target;
}

/** Names what is missing before anything is begun. A server that is looked up listens at a loopback address. */
function requireFor(url: URL, lookedUpAs: string | undefined): void {
  if (lookedUpAs === undefined) return requirePermissions("connect to the server", { net: [hostOf(url)] });
  const isByName = url.hostname === "localhost" && url.protocol === "http:";
  const net = [isByName ? `127.0.0.1:${portOf(url)}` : hostOf(url)];
  const action = "connect to the server";
  const directory = requireNamed(action, { net }, ["read"], runDirectoryPath);
  requirePermissions(action, { read: [directory], net });
}

/** `host:port` as the flag wants it. */
function hostOf(url: URL): string {
  return `${url.hostname}:${portOf(url)}`;
}
