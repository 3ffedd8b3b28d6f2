/**
 * The servers of this user that are entered in the run directory, and whether they really are there.
 *
 * @module
 */

import type { RunEntry } from "../core/endpoint.ts";
import type { PythonHostBackend, ServerInfo } from "../core/backend.ts";
import { AuthenticationError, PythonHostError } from "../core/errors.ts";
import { connectTo } from "../host/transports.ts";
import { hostRunDirectory } from "../servers/directories.ts";
import { listRunEntries } from "../servers/run_entries.ts";
import type { ClientTls } from "../transports/mod.ts";

/** How long a server is given to answer a question about itself. It takes milliseconds; a busy machine may take seconds. */
const ANSWER_TIMEOUT_MS = 5_000;

/** A server that answered, or why it did not. */
export type Answer =
  | { readonly entry: RunEntry; readonly info: ServerInfo; readonly backend: PythonHostBackend }
  | { readonly entry: RunEntry; readonly error: PythonHostError };

/** All entries of this user. */
export async function runningEntries(): Promise<RunEntry[]> {
  return await listRunEntries(hostRunDirectory());
}

/** Connects to the server of an entry; the backend of an answer is the caller's to close. */
export async function ask(entry: RunEntry, tls: ClientTls): Promise<Answer> {
  // By TLS the name is what is proved; the address that is bound stands in few certificates.
  const address = entry.address.startsWith("https:") ? entry.endpoint : entry.address;
  const backend = connectTo(entry.transport, address, { token: entry.token, tls, protocol: entry.protocol });
  try {
    const info = await backend.initialize({ timeoutMs: ANSWER_TIMEOUT_MS });
    return { entry, info, backend };
  } catch (error) {
    await backend.close();
    // Whoever is at a command line has no option `tls`.
    if (error instanceof AuthenticationError && address.startsWith("https:")) {
      const hint = "Name whom to trust by --tls-ca, and what to show to it by --tls-cert and --tls-key.";
      return { entry, error: new AuthenticationError(error.message, { cause: error, hint }) };
    }
    if (error instanceof PythonHostError) return { entry, error };
    throw error;
  }
}
