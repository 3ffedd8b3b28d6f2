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

import { PythonError, type PythonHostError } from "../core/errors.ts";
import { describeThrown, type ThrownDescription } from "../core/thrown.ts";

// Python may keep an error for as long as it likes, and cannot say when it has let go of it: the latest are known.
const MOST_KEPT = 256;

/** What the functions of one client threw lately, by number. */
export class ThrownErrors {
  readonly #errors = new Map<number, unknown>();
  #nextId = 1;

  /** What Python is told of an error. */
  describe(error: unknown): ThrownDescription & { readonly id: number } {
    const id = this.#nextId++;
    this.#errors.set(id, error);
    if (this.#errors.size > MOST_KEPT) this.#errors.delete(this.#errors.keys().next().value!);
    return { id, ...describeThrown(error) };
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
