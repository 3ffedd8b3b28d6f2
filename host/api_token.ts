/**
 * A bearer token of the host's API, and the comparison that tells nothing by its time.
 *
 * @module
 */

/** A token. */
export class BearerToken {
  /** Its text: 64 hex digits unless it was given. */
  readonly text: string;
  readonly #bytes: Uint8Array;

  /** Makes a token of 256 random bits, or takes one that is given. */
  constructor(text: string = crypto.getRandomValues(new Uint8Array(32)).toHex()) {
    this.text = text;
    this.#bytes = new TextEncoder().encode(text);
  }

  /** Whether a request shows it. */
  isIn(request: Request): boolean {
    const [scheme, given = ""] = (request.headers.get("authorization") ?? "").split(" ", 2);
    return isSame(this.#bytes, new TextEncoder().encode(given)) && scheme?.toLowerCase() === "bearer";
  }
}

function isSame(expected: Uint8Array, given: Uint8Array): boolean {
  let difference = expected.byteLength ^ given.byteLength;
  for (let i = 0; i < expected.byteLength; i++) difference |= expected[i]! ^ (given[i] ?? 0);
  return difference === 0;
}
