/**
 * Opens a lane of a pipe: both sides prove that they know the token without sending it (docs/PROTOCOL.md §2).
 *
 * @module
 */

import { AuthenticationError, ConnectError, ProtocolError } from "../core/errors.ts";
import { type Lane, LIBRARY_VERSION, PIPE_MAGIC, PROTOCOL_VERSION } from "../core/protocol.ts";
import type { FrameStream } from "./frame_stream.ts";
import { errorFromPayload } from "./reply_errors.ts";
import type { WireWelcome } from "./wire.ts";

/** What a handshake needs to know. */
export interface HandshakeOptions {
  /** Which of the two connections this is. */
  readonly lane: Lane;
  /** On the control lane, the session of the other one. */
  readonly session: string | null;
  /** The key made of the token; null when there is no token. */
  readonly key: CryptoKey | null;
  /** What is connected to, for messages. */
  readonly endpoint: string;
}

const HMAC = { name: "HMAC", hash: "SHA-256" };
const encoder = new TextEncoder();

/** The key with which proofs are made; null for an empty token. */
export async function importToken(token: string): Promise<CryptoKey | null> {
  if (token === "") return null;
  return await crypto.subtle.importKey("raw", encoder.encode(token), HMAC, false, ["sign", "verify"]);
}

/** Speaks the client's part on a fresh connection. Rejects with a typed error when either side cannot accept the other. */
export async function shakeHands(stream: FrameStream, options: HandshakeOptions): Promise<WireWelcome> {
  const { lane, session, key, endpoint } = options;
  const nonce = crypto.getRandomValues(new Uint8Array(16)).toHex();
  stream.sendBytes(PIPE_MAGIC);
  stream.send(
    JSON.stringify(["hello", {
      protocol: PROTOCOL_VERSION,
      client: `deno/${LIBRARY_VERSION}`,
      lane,
      session,
      nonce,
    }]),
    [],
  );
  const challenge = await receive(stream, "challenge", endpoint);
  checkProtocol(challenge.protocol, endpoint);
  const nonces = `${nonce}:${challenge.nonce}`;
  await checkServer(challenge, nonces, key, endpoint);
  const proof = key === null
    ? ""
    : new Uint8Array(await crypto.subtle.sign("HMAC", key, encoder.encode(`client:${nonces}`))).toHex();
  stream.send(JSON.stringify(["proof", proof]), []);
  const welcome = await receive(stream, "welcome", endpoint);
  checkProtocol(welcome.protocol, endpoint);
  if (typeof welcome.session !== "string") throw malformed(endpoint, "welcome");
  return welcome as unknown as WireWelcome;
}

/** Whether the server knows the token. Done before our own proof is made: an impostor learns nothing. */
async function checkServer(
  challenge: Record<string, unknown>,
  nonces: string,
  key: CryptoKey | null,
  endpoint: string,
): Promise<void> {
  if (key === null) {
    if (challenge.auth !== true) return;
    throw new AuthenticationError(
      `Cannot connect to "${endpoint}": the server wants a token and none is known`,
      {
        hint: "Pass the option `token`, or connect as the user who started the server.",
      },
    );
  }
  const proof = hexBytes(challenge.proof);
  if (proof === null || !await crypto.subtle.verify("HMAC", key, proof, encoder.encode(`server:${nonces}`))) {
    throw new AuthenticationError(
      `Cannot connect to "${endpoint}": the server did not prove that it knows the token`,
      {
        hint: "Either the token is not that of this server, or something else listens in its place.",
      },
    );
  }
}

/** Receives a message of the wanted kind and gives its fields. */
async function receive(
  stream: FrameStream,
  kind: string,
  endpoint: string,
): Promise<Record<string, unknown>> {
  const frame = await stream.receive();
  if (frame === null) {
    throw new ConnectError(
      `Cannot connect to "${endpoint}": the server closed the connection before its ${kind}`,
      {
        hint: "Something else may listen there, or the server is just ending.",
      },
    );
  }
  let message: unknown;
  try {
    message = JSON.parse(frame.json);
  } catch (cause) {
    throw new ProtocolError("remote", `Cannot connect to "${endpoint}": the server sent no JSON`, { cause });
  }
  const fields = Array.isArray(message) ? message[1] : undefined;
  if (!Array.isArray(message) || typeof fields !== "object" || fields === null) {
    throw malformed(endpoint, kind);
  }
  if (message[0] === "refused") throw errorFromPayload(fields, `connect to "${endpoint}"`);
  if (message[0] !== kind) throw malformed(endpoint, kind);
  return fields as Record<string, unknown>;
}

function checkProtocol(protocol: unknown, endpoint: string): void {
  if (protocol === PROTOCOL_VERSION) return;
  throw new ProtocolError(
    "remote",
    `Cannot connect to "${endpoint}": the server speaks protocol ${protocol}, this library ${PROTOCOL_VERSION}`,
    { code: "version", hint: "Use the same version of the library on both sides." },
  );
}

function malformed(endpoint: string, kind: string): ProtocolError {
  return new ProtocolError(
    "remote",
    `Cannot connect to "${endpoint}": the server did not send a valid ${kind}`,
  );
}

/** The bytes of lower-case hex digits; null for anything else. */
export function hexBytes(text: unknown): Uint8Array<ArrayBuffer> | null {
  return typeof text === "string" && /^([0-9a-f]{2})+$/.test(text) ? Uint8Array.fromHex(text) : null;
}
