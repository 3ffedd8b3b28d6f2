/**
 * Failures of the file system and of processes, turned into this library's errors at the edge.
 *
 * @module
 */

import {
  EnvironmentError,
  PermissionNeededError,
  PythonHostError,
  type PythonHostErrorOptions,
} from "../core/errors.ts";

/** The system's word for a failure (`ENOSPC`, `EEXIST` …), or undefined. */
export function errorCode(error: unknown): string | undefined {
  if (typeof error !== "object" || error === null) return undefined;
  const code = (error as { code?: unknown }).code;
  return typeof code === "string" ? code : undefined;
}

/** Whether something is not there. */
export function isNotFound(error: unknown): boolean {
  const code = errorCode(error);
  // ENOTDIR: what should be a directory above it is a file, so it is not there either.
  return error instanceof Deno.errors.NotFound || code === "ENOENT" || code === "ENOTDIR";
}

/** Whether something is there already. */
export function isAlreadyThere(error: unknown): boolean {
  const code = errorCode(error);
  return error instanceof Deno.errors.AlreadyExists || code === "EEXIST" || code === "ENOTEMPTY";
}

/** Whether the system refused an operation, as Windows does while a virus scanner holds a file. */
export function isRefused(error: unknown): boolean {
  const code = errorCode(error);
  return error instanceof Deno.errors.PermissionDenied || code === "EPERM" || code === "EACCES" ||
    code === "EBUSY";
}

/** Whether nothing may be written to a place: its rights, a read-only file system or Deno's permissions forbid it. */
export function isUnwritable(error: unknown): boolean {
  // What was mapped already tells by its cause.
  if (error instanceof PythonHostError) return error.cause !== undefined && isUnwritable(error.cause);
  return isRefused(error) || errorCode(error) === "EROFS" || error instanceof Deno.errors.NotCapable;
}

/** Whether the file system has no locks. */
export function isLockUnsupported(error: unknown): boolean {
  const code = errorCode(error);
  return error instanceof Deno.errors.NotSupported || code === "ENOSYS" || code === "ENOLCK" ||
    code === "EOPNOTSUPP" || code === "ENOTSUP";
}

/** The error of a full disk or a used-up quota. */
export function diskFull(action: string, message: string, cause: unknown): PythonHostError {
  return new PythonHostError("disk-full", `Cannot ${action}: no space is left: ${message}`, {
    cause,
    hint: "Free some space, or set BEEP_PYTHON_HOME to a directory on another disk.",
  });
}

/**
 * Gives the library's error for a failure: a full disk, a missing Deno permission, or an environment that cannot be
 * used. Errors of the library itself and aborts pass through unchanged.
 */
export function mapIoError(action: string, error: unknown): unknown {
  if (error instanceof PythonHostError) return error;
  // An abort's reason, or a fault of our own that a kinder name would only hide.
  const foreign = errorCode(error) === undefined &&
    !Object.values(Deno.errors).some((kind) => error instanceof kind);
  if (foreign) return error;
  const message = error instanceof Error ? error.message : String(error);
  if (errorCode(error) === "ENOSPC" || errorCode(error) === "EDQUOT") {
    return diskFull(action, message, error);
  }
  if (error instanceof Deno.errors.NotCapable) {
    const flag = /--allow-[a-z]+/.exec(message)?.[0] ?? "--allow-read";
    const target = /access to "([^"]*)"/.exec(message)?.[1];
    return new PermissionNeededError(action, [target === undefined ? flag : `${flag}=${target}`], {
      cause: error,
    });
  }
  const options: PythonHostErrorOptions = isUnwritable(error)
    ? {
      cause: error,
      hint:
        "Check who owns the path and whether it may be written, or set BEEP_PYTHON_HOME to a directory that you own.",
    }
    : errorCode(error) === "EXDEV"
    ? {
      cause: error,
      hint: "Staging and target must be on one file system: do not mount or link parts of the home.",
    }
    : { cause: error };
  return new EnvironmentError(`Cannot ${action}: ${message}`, options);
}
