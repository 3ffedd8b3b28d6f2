/**
 * Errors of the host's API: which status a failure has, and what of it is told.
 *
 * @module
 */

import {
  CommandError,
  DownloadError,
  EnvironmentError,
  type EnvironmentErrorReason,
  HashMismatchError,
  PermissionNeededError,
  PythonHostError,
  type PythonHostErrorCode,
  PythonNotFoundError,
} from "../core/errors.ts";

/** An error as JSON. `type` is the class; the fields after `hint` are there for the classes that have them. */
export interface ApiErrorBody {
  readonly error: {
    readonly type: string;
    readonly code: string;
    readonly message: string;
    readonly hint?: string;
    readonly reason?: string;
    readonly output?: string;
    readonly exitCode?: number;
    readonly url?: string;
    readonly flags?: readonly string[];
    readonly candidates?: readonly { path: string; source: string; reason: string }[];
  };
}

const STATUSES: Readonly<Partial<Record<PythonHostErrorCode, number>>> = {
  "argument": 400,
  "authentication": 401,
  "not-granted": 403,
  "permission": 403,
  "python-not-found": 404,
  "address-in-use": 409,
  "closed": 409,
  "command": 422,
  "limit": 413,
  "download": 502,
  "hash-mismatch": 502,
  "server-start": 500,
  "disk-full": 507,
};

const REASON_STATUSES: Readonly<Record<EnvironmentErrorReason, number>> = {
  "name": 400,
  "input": 400,
  "missing": 404,
  "exists": 409,
  "in-use": 409,
  "other": 500,
};

/** Something that a request names is not there. */
export class NotFoundError extends PythonHostError {
  /** Makes the error. */
  constructor(message: string, options: { hint?: string } = {}) {
    super("argument", message, options);
  }
}

/** The HTTP status that an error is answered with. */
export function statusOf(error: unknown): number {
  if (error instanceof NotFoundError) return 404;
  if (error instanceof EnvironmentError) return REASON_STATUSES[error.reason];
  return error instanceof PythonHostError ? STATUSES[error.code] ?? 500 : 500;
}

/** What is told of an error. Stacks stay here: a caller can do nothing with the host's files and lines. */
export function errorBody(error: unknown): ApiErrorBody {
  if (!(error instanceof PythonHostError)) {
    const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    return { error: { type: "InternalError", code: "internal", message: `The host failed: ${message}` } };
  }
  return {
    error: {
      type: error.name,
      code: error.code,
      message: error.message,
      ...(error.hint === undefined ? {} : { hint: error.hint }),
      ...(error instanceof EnvironmentError ? { reason: error.reason } : {}),
      ...(error instanceof CommandError ? { output: error.output, exitCode: error.exitCode } : {}),
      ...(error instanceof DownloadError || error instanceof HashMismatchError ? { url: error.url } : {}),
      ...(error instanceof PermissionNeededError ? { flags: error.flags } : {}),
      ...(error instanceof PythonNotFoundError
        ? { candidates: error.candidates.map((one) => ({ ...one })) }
        : {}),
    },
  };
}
