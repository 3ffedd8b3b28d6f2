/**
 * Turns an error that came over the wire into one of the library's classes.
 *
 * @module
 */

import type { PythonExceptionInfo, PythonHostError } from "../core/errors.ts";
import {
  AuthenticationError,
  ConnectionClosedError,
  ProtocolError,
  PythonError,
  PythonHostError as HostError,
  StaleHandleError,
  ValueConversionError,
} from "../core/errors.ts";
import type { ErrorPayload } from "../core/protocol.ts";

type Convert = (payload: ErrorPayload, action: string) => PythonHostError;

/** What each code of docs/PROTOCOL.md §2 and §3 becomes. */
const CONVERSIONS: Readonly<Record<string, Convert>> = {
  python: (payload) => new PythonError(exceptionInfo(payload), pythonHintOf(payload)),
  conversion: (payload) => conversionError(payload),
  "stale-handle": (payload) => new StaleHandleError(payload.message, hintOf(payload)),
  // Asked for, a cancel is answered by the caller's own reason before it gets here; so the server did it unasked.
  cancelled: (_payload, action) =>
    new ConnectionClosedError(
      `Cannot ${action}: the server stopped it, since its session ended or the call in which it was made was stopped`,
    ),
  protocol: (payload) => new ProtocolError("remote", payload.message, hintOf(payload)),
  version: (payload) => new ProtocolError("remote", payload.message, { code: "version", ...hintOf(payload) }),
  limit: (payload) => new ProtocolError("remote", payload.message, { code: "limit", ...hintOf(payload) }),
  authentication: (payload) => new AuthenticationError(payload.message, hintOf(payload)),
  argument: (payload) => new HostError("argument", payload.message, hintOf(payload)),
};

/** The codes that an error on the wire may have. */
export const WIRE_ERROR_CODES: readonly string[] = Object.keys(CONVERSIONS);

/** Makes the error that a caller gets; `action` is what could not be done, for the message. */
export function errorFromPayload(payload: unknown, action: string): PythonHostError {
  if (!isErrorPayload(payload)) {
    return new ProtocolError(
      "remote",
      `Cannot ${action}: the server answered with an error that has no code`,
    );
  }
  const convert = Object.hasOwn(CONVERSIONS, payload.code) ? CONVERSIONS[payload.code] : undefined;
  if (convert !== undefined) return convert(payload, action);
  return new ProtocolError(
    "remote",
    `Cannot ${action}: the server answered with unknown error code "${payload.code}": ${payload.message}`,
  );
}

function isErrorPayload(value: unknown): value is ErrorPayload {
  if (typeof value !== "object" || value === null) return false;
  const { code, message } = value as Record<string, unknown>;
  return typeof code === "string" && typeof message === "string";
}

function hintOf(payload: ErrorPayload): { hint?: string } {
  return typeof payload.hint === "string" ? { hint: payload.hint } : {};
}

/** Only a hint: a function around the error would take the place of one of the caller's frames in its stack, which are few. */
function pythonHintOf(payload: ErrorPayload): { hint?: string } {
  const { type, module } = exceptionInfo(payload);
  const isMissing = type === "ModuleNotFoundError" && module === "builtins";
  return isMissing ? { hint: MODULE_HINT, ...hintOf(payload) } : hintOf(payload);
}

const MODULE_HINT = "What is to be installed for a server is named when it is started, as `packages` of " +
  "PythonHost.start(); folders of modules of your own as its `modulePaths`.";

function conversionError(payload: ErrorPayload): ValueConversionError {
  const path = typeof payload.path === "string" ? payload.path : "$";
  // The class writes the path behind the message; a server that wrote it already must not make it appear twice.
  const suffix = ` (at ${path})`;
  const message = payload.message.endsWith(suffix)
    ? payload.message.slice(0, -suffix.length)
    : payload.message;
  return new ValueConversionError(message, path, hintOf(payload));
}

/** The exception of a `python` error; what a server left out is filled, so that readers find every field. */
function exceptionInfo(payload: ErrorPayload): PythonExceptionInfo {
  const given = typeof payload.exception === "object" && payload.exception !== null ? payload.exception : {};
  const exception = { ...NO_EXCEPTION, message: payload.message, ...given };
  cutCauses(exception);
  return exception;
}

/** Ends a chain of causes that no server of ours makes so long: each becomes an error within an error. */
function cutCauses(exception: PythonExceptionInfo): void {
  let last: { cause?: PythonExceptionInfo; context?: PythonExceptionInfo } = exception;
  for (let links = 0; links < MAX_CAUSES; links++) {
    const next: unknown = last.cause ?? last.context;
    if (typeof next !== "object" || next === null) return;
    last = next;
  }
  delete last.cause;
  delete last.context;
}

/** More than the server sends. */
const MAX_CAUSES = 100;

const NO_EXCEPTION: PythonExceptionInfo = {
  type: "Exception",
  module: "builtins",
  bases: [],
  message: "",
  arguments: [],
  frames: [],
  notes: [],
  traceback: "",
};
