/**
 * Every error that this library throws, in one tree.
 *
 * ```text
 * PythonHostError                 code, hint, cause
 * ├─ PythonError                  user code raised: type, module, frames, notes, cause, group
 * ├─ CallTimeoutError             the call's own `timeoutMs` passed
 * ├─ CallNotInterruptedError      Python could not be stopped within the grace time
 * ├─ ValueConversionError         a value has no faithful image on the other side
 * ├─ StaleHandleError             a handle or session that is released, foreign or of an earlier server
 * ├─ ConnectError                 nobody listens at the endpoint, or it is not usable
 * ├─ AuthenticationError          the server refused the token, or could not prove that it knows it
 * ├─ ConnectionClosedError        the connection ended; the exit code is not known to this client
 * ├─ ServerExitedError            the owned server process ended: exit code or signal, last lines of stderr
 * ├─ ServerStartError             a server could not be started, or did not become ready in time
 * ├─ CrashLoopError               the server ended again and again, and is not started any more
 * ├─ AddressInUseError            the port, name or path that a server was to listen on is taken
 * ├─ ProtocolError                one side broke the protocol: `fault` says which
 * ├─ PermissionNeededError        every missing `--allow-*` flag at once
 * ├─ PythonNotFoundError          no suitable Python: what was looked at, and why each was refused
 * ├─ EnvironmentError             an environment cannot be made, found or used
 * ├─ CommandError                 a child process (pip, uv, venv) failed: its decisive lines
 * ├─ DownloadError                a download failed
 * └─ HashMismatchError            what was downloaded is not what was asked for
 * ```
 *
 * A subclass exists only where a caller would do something different on catching it.
 *
 * @module
 */

import { PythonHostError, type PythonHostErrorOptions } from "./host_error.ts";

export { PythonHostError, type PythonHostErrorCode, type PythonHostErrorOptions } from "./host_error.ts";
export { PythonError, type PythonExceptionInfo, type PythonFrame } from "./python_error.ts";

/** The call's own deadline passed, and Python stopped running it. */
export class CallTimeoutError extends PythonHostError {
  /** The deadline that was given, in milliseconds. */
  readonly timeoutMs: number;

  /** Makes the error for a deadline in milliseconds. */
  constructor(action: string, timeoutMs: number, options: PythonHostErrorOptions = {}) {
    super("timeout", `Cannot ${action} within timeoutMs: ${timeoutMs} ms passed`, options);
    this.timeoutMs = timeoutMs;
  }
}

/** Python did not stop a call within the grace time; `cause` says why it was to be stopped. */
export class CallNotInterruptedError extends PythonHostError {
  /** The grace time that passed, in milliseconds. */
  readonly graceMs: number;

  /** Makes the error; `cause` is the abort reason or the timeout. */
  constructor(action: string, graceMs: number, options: PythonHostErrorOptions = {}) {
    super("not-interrupted", `Cannot ${action}: Python did not stop it within ${graceMs} ms`, {
      hint:
        "Code written in C looks at interrupts only when it returns; use a server of its own (PythonHostPool) " +
        "for such work, or close the host to end it.",
      ...options,
    });
    this.graceMs = graceMs;
  }
}

/** A value has no faithful image on the other side. */
export class ValueConversionError extends PythonHostError {
  /** Where in the value it is, such as `$.rows[3].when`; `$` is the value itself. */
  readonly path: string;

  /** Makes the error for the value at `path`. */
  constructor(message: string, path: string, options: PythonHostErrorOptions = {}) {
    super("conversion", `${message} (at ${path})`, options);
    this.path = path;
  }
}

/** The handle or session is released, belongs to another session, or to an earlier server. */
export class StaleHandleError extends PythonHostError {
  /** Makes the error. */
  constructor(message: string, options: PythonHostErrorOptions = {}) {
    super("stale-handle", message, options);
  }
}

/** Nobody listens at the endpoint, or the endpoint cannot be used. */
export class ConnectError extends PythonHostError {
  /** Makes the error. */
  constructor(message: string, options: PythonHostErrorOptions = {}) {
    super("connect", message, options);
  }
}

/** A token is missing or wrong, or the server could not prove that it knows it. */
export class AuthenticationError extends PythonHostError {
  /** Makes the error. */
  constructor(message: string, options: PythonHostErrorOptions = {}) {
    super("authentication", message, options);
  }
}

/** The connection ended. A client by endpoint cannot know how the server ended; an owner gets {@linkcode ServerExitedError}. */
export class ConnectionClosedError extends PythonHostError {
  /** Makes the error. */
  constructor(message: string, options: PythonHostErrorOptions = {}) {
    super("closed", message, options);
  }
}

/** How a process ended. */
export interface ExitFacts {
  /** The exit code; 128 + n when a signal ended it. */
  readonly code: number;
  /** The signal that ended it, when one did. */
  readonly signal: string | null;
  /** The last lines that it wrote to stderr. */
  readonly stderrTail: string;
}

/** The owned server process ended while it was needed. */
export class ServerExitedError extends PythonHostError {
  /** The exit code; 128 + n when a signal ended it. */
  readonly exitCode: number;
  /** The signal that ended it, when one did. */
  readonly signal: string | null;
  /** The last lines that it wrote to stderr. */
  readonly stderrTail: string;

  /** Makes the error from the way the process ended. */
  constructor(action: string, facts: ExitFacts, options: PythonHostErrorOptions = {}) {
    const how = facts.signal === null ? `exited with code ${facts.code}` : `was ended by ${facts.signal}`;
    const tail = facts.stderrTail.trim() === "" ? "" : `\n[stderr]\n${facts.stderrTail.trimEnd()}`;
    super("server-exited", `Cannot ${action}: the Python server ${how}${tail}`, options);
    this.exitCode = facts.code;
    this.signal = facts.signal;
    this.stderrTail = facts.stderrTail;
  }
}

/** A server could not be started, or did not become ready in time. */
export class ServerStartError extends PythonHostError {
  /** The last lines that the server wrote to stderr; empty when it wrote none. */
  readonly stderrTail: string;

  /** Makes the error. */
  constructor(message: string, stderrTail = "", options: PythonHostErrorOptions = {}) {
    const tail = stderrTail.trim() === "" ? "" : `\n[stderr]\n${stderrTail.trimEnd()}`;
    super("server-start", `${message}${tail}`, options);
    this.stderrTail = stderrTail;
  }
}

/** The server ended again and again, soon after it was started, and is not started any more; `cause` is the last end. */
export class CrashLoopError extends PythonHostError {
  /** How often it ended within `windowMs`. */
  readonly ends: number;
  /** The time within which the ends are counted, in milliseconds. */
  readonly windowMs: number;

  /** Makes the error from the number of ends. */
  constructor(ends: number, windowMs: number, options: PythonHostErrorOptions = {}) {
    super("crash-loop", `Cannot restart the Python server: it ended ${ends} times within ${windowMs} ms`, {
      hint: "The cause tells how it ended the last time. Mend that, and start a new host or pool.",
      ...options,
    });
    this.ends = ends;
    this.windowMs = windowMs;
  }
}

/** The port, name or path that a server was to listen on is taken. */
export class AddressInUseError extends PythonHostError {
  /** What is taken: a port, a pipe's name, or a path. */
  readonly address: string;

  /** Makes the error. */
  constructor(address: string, message: string, options: PythonHostErrorOptions = {}) {
    super("address-in-use", message, options);
    this.address = address;
  }
}

/** One side broke the protocol. */
export class ProtocolError extends PythonHostError {
  /** Who broke it: `local` is this library or its caller, `remote` the peer. */
  readonly fault: "local" | "remote";

  /** Makes the error; `code` may narrow it to `version` or `limit`. */
  constructor(
    fault: "local" | "remote",
    message: string,
    options: PythonHostErrorOptions & { code?: "protocol" | "version" | "limit" } = {},
  ) {
    super(options.code ?? "protocol", message, options);
    this.fault = fault;
  }
}

/** Deno permissions are missing; all of them are listed at once. */
export class PermissionNeededError extends PythonHostError {
  /** Each missing flag, ready to be put on a command line. */
  readonly flags: readonly string[];

  /** Makes the error for the flags that are missing. */
  constructor(action: string, flags: readonly string[], options: PythonHostErrorOptions = {}) {
    super("permission", `Cannot ${action}: Deno was started without ${flags.join(" ")}`, {
      hint: `Run deno with: ${flags.join(" ")}`,
      ...options,
    });
    this.flags = flags;
  }
}

/** A Python that was looked at, and why it was not taken. */
export interface RefusedCandidate {
  /** The executable's path. */
  readonly path: string;
  /** Where it was found: `PATH`, `pyenv`, `VIRTUAL_ENV` … */
  readonly source: string;
  /** Why it was refused. */
  readonly reason: string;
}

/** No suitable Python was found. */
export class PythonNotFoundError extends PythonHostError {
  /** Every Python that was looked at, with the reason of its refusal. */
  readonly candidates: readonly RefusedCandidate[];

  /** Makes the error for a request such as `>=3.10`. */
  constructor(
    request: string,
    candidates: readonly RefusedCandidate[],
    options: PythonHostErrorOptions = {},
  ) {
    const looked = candidates.length === 0
      ? "nothing was found to look at"
      : `looked at:\n${candidates.map((c) => `  ${c.path} (${c.source}): ${c.reason}`).join("\n")}`;
    super("python-not-found", `Cannot find a Python for request "${request}": ${looked}`, options);
    this.candidates = candidates;
  }
}

/** Why an environment cannot be had, where a caller would do something different. */
export type EnvironmentErrorReason = "name" | "input" | "missing" | "exists" | "in-use" | "other";

/** An environment cannot be made, found or used. */
export class EnvironmentError extends PythonHostError {
  /**
   * The name is not allowed, what was asked for cannot be had in any environment, there is none of that name, there is one
   * already, or somebody uses it.
   */
  readonly reason: EnvironmentErrorReason;

  /** Makes the error. */
  constructor(
    message: string,
    options: PythonHostErrorOptions & { reason?: EnvironmentErrorReason | undefined } = {},
  ) {
    super("environment", message, options);
    this.reason = options.reason ?? "other";
  }
}

/** A child process failed. */
export class CommandError extends PythonHostError {
  /** The program and its arguments, secrets removed. */
  readonly command: readonly string[];
  /** Its exit code; 128 + n when a signal ended it. */
  readonly exitCode: number;
  /** The signal that ended it. */
  readonly signal: string | null;
  /** Its own decisive lines. */
  readonly output: string;

  /** Makes the error. */
  constructor(
    action: string,
    facts: { command: readonly string[]; exitCode: number; signal?: string | null; output: string },
    options: PythonHostErrorOptions = {},
  ) {
    const how = facts.signal ? `was ended by ${facts.signal}` : `exited with code ${facts.exitCode}`;
    const output = facts.output.trim() === "" ? "" : `\n${facts.output.trimEnd()}`;
    super("command", `Cannot ${action}: ${facts.command[0]} ${how}${output}`, options);
    this.command = facts.command;
    this.exitCode = facts.exitCode;
    this.signal = facts.signal ?? null;
    this.output = facts.output;
  }
}

/** A download failed. */
export class DownloadError extends PythonHostError {
  /** Where it was to come from, credentials removed. */
  readonly url: string;

  /** Makes the error. */
  constructor(message: string, url: string, options: PythonHostErrorOptions = {}) {
    super("download", message, options);
    this.url = url;
  }
}

/** What was downloaded is not what was asked for. */
export class HashMismatchError extends PythonHostError {
  /** The pinned SHA-256, as lower-case hex. */
  readonly expected: string;
  /** The SHA-256 of what arrived. */
  readonly actual: string;
  /** Where it came from, credentials removed. */
  readonly url: string;

  /** Makes the error. */
  constructor(url: string, expected: string, actual: string, options: PythonHostErrorOptions = {}) {
    super("hash-mismatch", `Cannot accept ${url}: SHA-256 is ${actual}, expected ${expected}`, options);
    this.expected = expected;
    this.actual = actual;
    this.url = url;
  }
}
