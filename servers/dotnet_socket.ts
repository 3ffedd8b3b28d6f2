/**
 * The second place where a pipe server without a token listens: there .NET's `NamedPipeClientStream` looks for a pipe.
 *
 * It is the one socket that is not in a directory of mode 0700: .NET leaves no choice, it looks in the directory for
 * temporary files. The socket itself is 0600, the server asks the kernel who connects, and nothing that stands there and
 * is not a dead socket of this user is ever touched.
 *
 * @module
 */

import { isPipeName, MAX_SOCKET_PATH_BYTES } from "../core/endpoint.ts";
import type { Logger } from "../core/logger.ts";
import { mayReadEnv } from "./child_environment.ts";
import { claimPath, type SocketClaim } from "./socket_address.ts";

/** Where .NET looks on Unix for the pipe of a name. */
export function dotnetSocketPath(name: string): string {
  const given = mayReadEnv("TMPDIR") ? Deno.env.get("TMPDIR") : undefined;
  const directory = given === undefined || given === "" ? "/tmp" : given.replace(/\/+$/, "");
  return `${directory}/CoreFxPipe_${name}`;
}

/** Adds that place to the claim of a named pipe; a claim for which there is none is given back as it is. */
export async function withDotnetSocket(
  claim: SocketClaim,
  runDirectory: string,
  logger: Logger,
): Promise<SocketClaim> {
  // On Windows a pipe's name is all that .NET needs; a path is nothing that it looks for.
  if (Deno.build.os === "windows" || !isPipeName(claim.endpoint)) return claim;
  const path = dotnetSocketPath(claim.endpoint);
  if (new TextEncoder().encode(path).byteLength > MAX_SOCKET_PATH_BYTES) {
    logger.warn(`Cannot listen where .NET looks: "${path}" is too long for a socket`);
    return claim;
  }
  const second = await claimPath(runDirectory, path, path, logger);
  return {
    endpoint: claim.endpoint,
    path: claim.path,
    alsoAt: path,
    async [Symbol.asyncDispose](): Promise<void> {
      await using _first = claim;
      await second[Symbol.asyncDispose]();
    },
    removeNow(): void {
      try {
        second.removeNow();
      } finally {
        claim.removeNow();
      }
    },
  };
}
