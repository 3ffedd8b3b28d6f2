/**
 * Turns a failed procedure into one of the library's errors: those of the calls themselves come as messages, so this is
 * about the connection, the token, the session, and servers that are none of ours.
 *
 * @module
 */

import {
  AuthenticationError,
  ConnectionClosedError,
  ProtocolError,
  type PythonHostError,
} from "../core/errors.ts";
import { connectError } from "./http_answers.ts";
import type { HttpTarget } from "./http_wire.ts";
import { errorFromPayload } from "./reply_errors.ts";
import type { RpcFailure } from "./rpc_link.ts";
import { tlsError } from "./tls.ts";

/** Makes the error. `failure` is what the protocol says of it, null when it did not come from there. */
export function rpcError(
  error: unknown,
  failure: RpcFailure | null,
  { target, when }: { readonly target: HttpTarget; readonly when: "open" | "call" },
): PythonHostError {
  // A stream that is refused before it began says so by the status alone.
  if (failure?.payload?.code === "authentication" || failure?.code === "unauthenticated") {
    return new AuthenticationError(`Cannot use server "${target.endpoint}": ${failure.message}`, {
      hint: target.hasToken
        ? "The token belongs to another server, or to one that was started again."
        : "Pass the server's token by the option `token`; it is found by itself only for a server of the same user.",
    });
  }
  if (failure?.payload) {
    return errorFromPayload(failure.payload, when === "open" ? `connect to "${target.endpoint}"` : "go on");
  }
  const byTls = when === "open" && target.address.startsWith("https:")
    ? tlsError(error, target.endpoint)
    : null;
  if (byTls !== null) return byTls;
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  if (when === "call") {
    return new ConnectionClosedError(`Cannot go on: the connection to "${target.endpoint}" broke`, { cause });
  }
  // What did not get as far as an answer has the error of the network for its cause.
  const isUnreached = cause instanceof TypeError || isOfSystem(cause) || failure?.code === "unavailable";
  if (failure === null || isUnreached) return connectError(cause, target.address, target);
  return new ProtocolError(
    "remote",
    `Cannot use server "${target.endpoint}": it is not a Python host that speaks this protocol ` +
      `(${failure.code}: ${failure.message})`,
    {
      hint: target.address.startsWith("http:")
        ? "Another program listens there, the server speaks TLS (then use an https: URL), or it was started without gRPC."
        : "Another program listens there, or the server was started without gRPC.",
      cause: error,
    },
  );
}

/** Whether an error is one of the system's or of Deno's, such as a refused connection or a name that nobody knows. */
function isOfSystem(error: unknown): boolean {
  return Object.values(Deno.errors).some((kind) => error instanceof kind) ||
    // The resolver's has neither a class of its own nor a code.
    error instanceof Error && error.message.startsWith("failed to lookup address");
}
