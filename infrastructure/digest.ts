/**
 * SHA-256: of a text by the runtime itself, of a stream by Node's module, which takes some 20 ms to load and is therefore loaded
 * by the first stream only.
 *
 * @module
 */

import type { Hash } from "node:crypto";

/** The SHA-256 of a text's UTF-8 bytes, as lower-case hex. */
export async function sha256OfText(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return new Uint8Array(digest).toHex();
}

/** A SHA-256 that is fed piece by piece. */
export async function createSha256(): Promise<Hash> {
  const { createHash } = await import("node:crypto");
  return createHash("sha256");
}
