/**
 * What the client's functions threw, on its way through Python and back.
 *
 * ```text
 * a function throws E ── {id: 7, name, message, stack} ──► JavaScriptError in Python
 *                                                            │ nobody catches it
 * the call rejects with E itself ◄── {…, javascript: 7} ─────┘
 * ```
 *
 * @module
 */

import { PythonError, PythonHostError } from "../core/errors.ts";

// Python may keep an error for as long as it likes, and cannot say when it has let go of it: the latest are known.
const MOST_KEPT = 256;
// A longer text says nothing more, and one that no frame can hold would never reach Python, which waits for it.
const MOST_CHARACTERS = 16 * 1024;

/** What the functions of one client threw lately, by number. */
export class ThrownErrors {
  readonly #errors = new Map<number, unknown>();
  #nextId = 1;

  /** What Python is told of an error. */
  describe(error: unknown): Record<string, unknown> {
    const id = this.#nextId++;
    this.#errors.set(id, error);
    if (this.#errors.size > MOST_KEPT) this.#errors.delete(this.#errors.keys().next().value!);
    try {
      return { id, ...described(error) };
    } catch {
      // Whatever is thrown by reading it: Python waits for an answer, and the number leads back to the value itself.
      return { id, code: "javascript", name: "", message: "what was thrown cannot be described", stack: "" };
    }
  }

  /** What a call rejects with: the very error that one of our functions threw, if the exception came from it. */
  restore(error: PythonHostError): unknown {
    if (!(error instanceof PythonError)) return error;
    if (this.#knows(error)) return this.#errors.get(error.exception.javascript!);
    for (let outer: PythonError = error; outer.cause instanceof PythonError; outer = outer.cause) {
      if (!this.#knows(outer.cause)) continue;
      outer.cause = this.#errors.get(outer.cause.exception.javascript!);
      break;
    }
    return error;
  }

  /** Forgets all. */
  clear(): void {
    this.#errors.clear();
  }

  #knows(error: PythonError): boolean {
    return error.exception.javascript !== undefined && this.#errors.has(error.exception.javascript);
  }
}

function described(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) {
    return { code: "javascript", name: "", message: bounded(error), stack: "" };
  }
  const told = {
    code: error instanceof PythonHostError ? error.code : "javascript",
    name: bounded(error.name),
    message: bounded(error.message),
    stack: bounded(error.stack ?? ""),
  };
  // By its number Python finds the exception again that the function's own call had raised.
  const exception = error instanceof PythonError ? error.exception.id : undefined;
  return exception === undefined ? told : { ...told, exception };
}

function bounded(value: unknown): string {
  const text = String(value);
  if (text.length <= MOST_CHARACTERS) return text;
  return `${text.slice(0, MOST_CHARACTERS)} [… ${text.length - MOST_CHARACTERS} more characters]`;
}
