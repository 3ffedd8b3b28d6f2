/**
 * The narrow interface between the operations (`client.ts`) and whatever carries them.
 *
 * A wire carries messages; it does not know what they mean. Three shapes fit it: a pair of connections on which
 * frames flow both ways (pipe), an exchange of its own for each request (HTTP), typed procedures (RPC).
 *
 * ```text
 * client.ts ── open, send, setBusy, close ──► Wire
 *           ◄── message, failed, ended ────── (WireEvents)
 * ```
 *
 * @module
 */

import type { ServerInfo } from "../core/backend.ts";
import type { PythonHostError } from "../core/errors.ts";
import type { Lane, RequestMessage } from "../core/protocol.ts";

/** Binary parts that came with a message, each with a buffer of its own. */
export type IncomingParts = readonly Uint8Array<ArrayBuffer>[];

/** Where a wire counts its bytes. */
export interface Traffic {
  /** Bytes that went to the server. */
  bytesSent: number;
  /** Bytes that came from the server. */
  bytesReceived: number;
}

/** What a wire tells its client. A wire calls none of these before `open` has resolved, nor after `ended`. */
export interface WireEvents {
  /** The bytes that it sent and received are added here. */
  readonly traffic: Traffic;
  /** A message came: any JSON value, not yet checked. `lane` is where it came, and where an answer belongs. */
  message(message: unknown, parts: IncomingParts, lane: Lane): void;
  /** One request will have no reply, and the wire goes on: its own exchange failed. */
  failed(id: number, error: PythonHostError): void;
  /** Nothing will come any more. The client settles all that is pending with the reason. */
  ended(reason: PythonHostError): void;
}

/** What a server said when the wire was opened. */
export type WireWelcome = ServerInfo & {
  /** The session that the server made for this client. */
  readonly session: string;
};

/** Carries messages between one client and one server. It is opened once and closed once. */
export interface Wire {
  /**
   * Connects and shakes hands. Rejects when the server is not reached, refuses, or speaks another version, and with
   * `signal.reason` when the signal aborts; it then leaves nothing open.
   */
  open(events: WireEvents, signal: AbortSignal): Promise<WireWelcome>;
  /**
   * Takes a message to be sent soon, in order with the others of its lane; never waits. Throws a typed error when
   * this one message cannot be sent at all (it is too large), which leaves the wire as it was.
   *
   * The parts are not copied: they belong to the wire until the reply has come.
   */
  send(message: RequestMessage, parts: readonly Uint8Array[], lane: Lane): void;
  /** Whether calls are pending: an idle wire does not keep the program running. */
  setBusy(isBusy: boolean): void;
  /** Sends what is left, then closes at once. Does not call `ended`. Doing it again does nothing. */
  close(): Promise<void>;
}
