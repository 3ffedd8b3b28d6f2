/**
 * Lets a server over plain HTTP prove that it knows the token, before it is told the token or anything else.
 *
 * ```text
 * client  GET /health, Beep-Nonce: n  ──────────────────────────────►  who listens
 *         ◄── Beep-Proof: HMAC-SHA256(token, "health:" n ":") ──────
 * ```
 *
 * For servers that were found in the run directory: one that ended without notice leaves its entry there, and its port
 * to whoever comes first.
 *
 * @module
 */

import { AuthenticationError } from "../core/errors.ts";
import { HEALTH_PATH, NONCE_HEADER, PROOF_HEADER } from "../core/protocol.ts";
import { hexBytes, importToken } from "./handshake.ts";
import { connectError } from "./http_answers.ts";
import { createClient, type HttpTarget } from "./http_wire.ts";

const encoder = new TextEncoder();

/** Asks for the proof. Rejects with an `AuthenticationError` when there is none, or not that of the token. */
export async function requireProof(target: HttpTarget, signal: AbortSignal): Promise<void> {
  const key = await importToken(target.token);
  if (key === null) return; // a server that wants no token knows nothing to prove itself by
  const nonce = crypto.getRandomValues(new Uint8Array(16)).toHex();
  const proof = hexBytes(await ask(target, nonce, signal));
  const text = encoder.encode(`health:${nonce}:`);
  if (proof !== null && await crypto.subtle.verify("HMAC", key, proof, text)) return;
  throw new AuthenticationError(
    `Cannot use server "${target.endpoint}": who listens there did not prove that it knows the token`,
    {
      hint:
        "Another program listens in the place of the server that is entered, which has ended: start it again.",
    },
  );
}

async function ask(target: HttpTarget, nonce: string, signal: AbortSignal): Promise<string | null> {
  using client = createClient(target.address, {});
  try {
    const response = await fetch(`${target.address}${HEALTH_PATH}`, {
      headers: { [NONCE_HEADER]: nonce },
      client,
      redirect: "manual",
      signal,
    });
    await response.body?.cancel();
    return response.headers.get(PROOF_HEADER);
  } catch (error) {
    throw signal.aborted ? error : connectError(error, target.address, target);
  }
}
