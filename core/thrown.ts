/**
 * What Python is told of something that was thrown here: whatever it is, Python gets an answer.
 *
 * @module
 */

import { PythonError, PythonHostError } from "./errors.ts";

// A longer text says nothing more, and one that no frame can hold would never reach Python, which waits for it.
const MOST_CHARACTERS = 16 * 1024;

/** The error of `docs/PROTOCOL.md` §3, as far as the thrown value alone gives it. */
export interface ThrownDescription {
  readonly code: string;
  readonly name: string;
  readonly message: string;
  readonly stack: string;
  /** Python's number of the exception that it came from, by which Python finds that exception again. */
  readonly exception?: number;
}

/** Describes anything that can be thrown. Never throws. */
export function describeThrown(error: unknown): ThrownDescription {
  try {
    if (!(error instanceof Error)) {
      return { code: "javascript", name: "", message: bounded(error), stack: "" };
    }
    const told = {
      code: error instanceof PythonHostError ? error.code : "javascript",
      name: bounded(error.name),
      message: bounded(error.message),
      stack: bounded(error.stack ?? ""),
    };
    const exception = error instanceof PythonError ? error.exception.id : undefined;
    return exception === undefined ? told : { ...told, exception };
  } catch {
    // Reading it throws in turn: an object without a prototype, a getter, a revoked proxy.
    return { code: "javascript", name: "", message: "what was thrown cannot be described", stack: "" };
  }
}

function bounded(value: unknown): string {
  const text = String(value);
  if (text.length <= MOST_CHARACTERS) return text;
  return `${text.slice(0, MOST_CHARACTERS)} [… ${text.length - MOST_CHARACTERS} more characters]`;
}
