/**
 * The base of all errors of this library. `errors.ts` draws the tree and is what others import.
 *
 * @module
 */

/** The closed set of values that {@linkcode PythonHostError.code} takes. */
export type PythonHostErrorCode =
  | "python" // user code raised an exception
  | "timeout" // the call's `timeoutMs` passed
  | "not-interrupted" // Python did not stop within the grace time
  | "conversion" // a value has no faithful image on the other side
  | "stale-handle" // the handle or session is released, foreign or of an earlier server
  | "connect" // nobody listens at the endpoint
  | "authentication" // token missing or wrong, on either side
  | "closed" // the connection or backend is closed
  | "server-exited" // the owned server process ended
  | "server-start" // the server did not become ready
  | "crash-loop" // the server ended again and again, and is not started any more
  | "address-in-use" // the port, name or path is taken
  | "protocol" // a side broke the protocol
  | "version" // the two sides speak different versions of the protocol
  | "limit" // a stated limit was passed; the message names the option
  | "permission" // Deno permissions are missing
  | "python-not-found" // no suitable Python
  | "environment" // an environment cannot be made, found or used
  | "command" // a child process failed
  | "download" // a download failed
  | "hash-mismatch" // the bytes are not the expected ones
  | "disk-full" // no space left for what was to be written
  | "deadlock" // a call would have waited for a call that waits for it
  | "not-granted" // the operation was not allowed to whom it was asked by
  | "argument"; // the caller passed a value that is not allowed

/** What every error of this library can be given besides its message. */
export interface PythonHostErrorOptions extends ErrorOptions {
  /** The next step for the reader, as a sentence; kept apart from the message. */
  hint?: string | undefined;
}

/** The base of all errors that this library throws. */
export class PythonHostError extends Error {
  /** A stable word for the kind of failure; never changes its meaning between versions. */
  readonly code: PythonHostErrorCode;
  /** The next step for the reader, when there is one. */
  declare readonly hint?: string;

  /** Makes an error of the given code. */
  constructor(code: PythonHostErrorCode, message: string, options: PythonHostErrorOptions = {}) {
    super(message, "cause" in options ? { cause: options.cause } : undefined);
    this.name = new.target.name;
    this.code = code;
    if (options.hint !== undefined) this.hint = options.hint;
  }

  /** The message with the hint on a line of its own, as a person wants to read it. */
  override toString(): string {
    return this.hint === undefined
      ? `${this.name}: ${this.message}`
      : `${this.name}: ${this.message}\nhint: ${this.hint}`;
  }
}
