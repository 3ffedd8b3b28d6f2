/**
 * The messages of the wire, as types and constants. Twin of `protocol.py`; `docs/PROTOCOL.md` is the specification.
 *
 * A message is a JSON array; binary parts travel beside it in the same frame (`frames.ts`).
 *
 * @module
 */

import type { ServerInfo } from "./backend.ts";

/** Version of the wire protocol. The two sides must agree on it exactly. */
export const PROTOCOL_VERSION = 1;
/** Version of this library, sent in the first message and to be kept equal to `deno.json`. */
export const LIBRARY_VERSION = "0.1.0";
/** The bytes that open a pipe connection of our own protocol. */
export const PIPE_MAGIC: Uint8Array = new TextEncoder().encode("BEEP");
/** Content type of an HTTP body that is a row of frames. */
export const FRAMES_CONTENT_TYPE = "application/x-beep-frames";
/** HTTP path that takes and gives frames. */
export const FRAMES_PATH = "/beep/v1/call";
/** HTTP header that names the session which `hello` gave. */
export const SESSION_HEADER = "beep-session";
/** HTTP path at which a server says that it is there. */
export const HEALTH_PATH = "/health";
/** HTTP header with which a client asks who is at {@linkcode HEALTH_PATH} to prove that it knows the token. */
export const NONCE_HEADER = "beep-nonce";
/** HTTP header with the proof. */
export const PROOF_HEADER = "beep-proof";

/** Which of a pipe backend's two connections this is. */
export type Lane = "session" | "control";

/** Client to server, first message of a connection (pipe) or of a session (HTTP, RPC). */
export type HelloMessage = readonly ["hello", {
  readonly protocol: number;
  readonly client: string;
  readonly lane: Lane;
  /** On the control lane, the session that the session lane was given. */
  readonly session: string | null;
  /** 32 hex digits, new for each connection. */
  readonly nonce: string;
}];

/** Server to client, answering a hello on a pipe. */
export type ChallengeMessage = readonly ["challenge", {
  readonly protocol: number;
  readonly nonce: string;
  /** Hex HMAC-SHA256 of `server:<client nonce>:<server nonce>` under the token; empty under `--no-auth`. */
  readonly proof: string;
  /** Whether the server wants a proof. */
  readonly auth: boolean;
}];

/** Client to server, answering a challenge: hex HMAC-SHA256 of `client:<client nonce>:<server nonce>`, or empty. */
export type ProofMessage = readonly ["proof", string];

/** Server to client: the connection is open. */
export type WelcomeMessage = readonly ["welcome", ServerInfo & { readonly session: string }];

/** Server to client: the connection is refused and will be closed. */
export type RefusedMessage = readonly ["refused", {
  readonly code: "version" | "authentication" | "limit" | "stale-handle" | "protocol";
  readonly message: string;
}];

/** Options of one request; left out when empty. */
export interface RequestOptions {
  /** The arguments contain tags (`values.ts`). */
  tagged?: 1;
  /** How the result travels; `auto` when left out. */
  result?: "value" | "handle" | "arrow";
  /** Run on the pool of threads. */
  concurrent?: 1;
  /** Label of a further session of this backend. */
  session?: string;
  /** Send `stdout` events. */
  stdout?: 1;
  /** Send `stderr` events. */
  stderr?: 1;
  /** Send `log` events. */
  log?: 1;
  /** Send `progress` events. */
  progress?: 1;
  /** Send `display` events. */
  display?: 1;
  /** Ask for input by an `invoke` of function 0. */
  input?: 1;
  /** The call whose callback makes this one. */
  parent?: number;
}

/** The operations a request can ask for; `docs/PROTOCOL.md` has the arguments of each. */
export type Operation =
  | "evaluate"
  | "import"
  | "create"
  | "call"
  | "get"
  | "set"
  | "release"
  | "floats"
  | "floats2d"
  | "available"
  | "wrap"
  | "ping"
  | "cancel"
  | "resume"
  | "converters"
  | "open_session"
  | "close_session"
  | "stats";

/** Arguments that are JSON text already: the row of them, as the value codec wrote it. */
export class JsonText {
  /** The text. */
  readonly text: string;
  /** What it was written from, for messages to people. */
  readonly row: readonly unknown[];

  /** Takes text that is known to be the JSON of a row. */
  constructor(text: string, row: readonly unknown[]) {
    this.text = text;
    this.row = row;
  }
}

/** The arguments of a request. */
export type RequestArguments = readonly unknown[] | JsonText;

/** The JSON text of a request. */
export function requestText(message: RequestMessage): string {
  const args = message[2];
  if (!(args instanceof JsonText)) return JSON.stringify(message);
  const options = message.length === 4 ? `,${JSON.stringify(message[3])}` : "";
  return `[${message[0]},"${message[1]}",${args.text}${options}]`;
}

/** Client to server: do something. Ids count up and are unique per backend, over all its connections. */
export type RequestMessage =
  | readonly [id: number, operation: Operation, args: RequestArguments]
  | readonly [id: number, operation: Operation, args: RequestArguments, options: RequestOptions];

/**
 * Server to client, the one answer to a request:
 * `ok` plain JSON, `tagged` JSON with tags and parts, `packed` a pickle stream in part 0 with its buffers in the
 * further parts, `error` an {@linkcode ErrorPayload}.
 */
export type ReplyMessage =
  | readonly [id: number, kind: "ok" | "tagged", value: unknown]
  | readonly [id: number, kind: "packed"]
  | readonly [id: number, kind: "error", error: ErrorPayload];

/** Server to client, before the reply: output, or a call of one of the client's functions. */
export type EventMessage =
  | readonly [id: number, kind: "stdout" | "stderr", text: string]
  | readonly [id: number, kind: "log" | "progress", value: unknown]
  | readonly [id: number, kind: "display", data: unknown, binary: readonly string[]]
  | readonly [id: number, kind: "invoke", invocation: number, functionId: number];

/** An error on the wire. `code` is one of `PythonHostErrorCode`; `python` carries the exception. */
export interface ErrorPayload {
  readonly code: string;
  readonly message: string;
  /** For `python`: a `PythonExceptionInfo`. */
  readonly exception?: unknown;
  /** For `conversion`: where in the value. */
  readonly path?: string;
  /** The next step for the reader. */
  readonly hint?: string;
}
