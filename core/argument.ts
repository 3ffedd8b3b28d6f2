/**
 * Arguments that are not allowed, refused in one form: the name, what is allowed, and what came instead.
 *
 * @module
 */

import type { CallOptions } from "./backend.ts";
import { PythonHostError } from "./errors.ts";

const RESULTS: readonly unknown[] = ["auto", "value", "handle", "arrow"];
const CALLBACKS = ["onStdout", "onStderr", "onLog", "onProgress", "onDisplay", "onInput"] as const;

/** The error for an argument or option called `name` that must be what `allowed` says. */
export function argumentError(
  name: string,
  allowed: string,
  value: unknown,
  options?: { hint: string },
): PythonHostError {
  return new PythonHostError(
    "argument",
    `Cannot use ${name}: it must be ${allowed}, current value is ${shown(value)}`,
    options,
  );
}

/** Throws what keeps a call from being made; before anything of it is encoded, sent or waited for. */
export function checkCallOptions(options: CallOptions): void {
  if (typeof options !== "object" || options === null) throw argumentError("options", "an object", options);
  const { signal, timeoutMs, result, session } = options;
  checkSignal(signal);
  signal?.throwIfAborted();
  checkTimeoutMs(timeoutMs);
  if (result !== undefined && !RESULTS.includes(result)) {
    throw argumentError("result", `one of ${RESULTS.join(", ")}`, result);
  }
  if (session !== undefined) checkLabel(session);
  for (const name of CALLBACKS) {
    const callback = options[name];
    if (callback !== undefined && typeof callback !== "function") {
      throw argumentError(name, "a function", callback);
    }
  }
}

/** Throws when `signal` is given and is no signal; what else may stand in its place would never abort. */
export function checkSignal(signal: AbortSignal | undefined): void {
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw argumentError("signal", "an AbortSignal", signal, {
      hint: "Pass the signal of an AbortController, or AbortSignal.timeout().",
    });
  }
}

/** Throws when `timeoutMs` is not a number of milliseconds above zero. */
export function checkTimeoutMs(timeoutMs: number | undefined): void {
  // `!(… > 0)` is true for NaN too.
  if (timeoutMs !== undefined && !(typeof timeoutMs === "number" && timeoutMs > 0)) {
    throw argumentError("timeoutMs", "a number above 0", timeoutMs, {
      hint: "Leave timeoutMs out for a call without a deadline.",
    });
  }
}

/** Throws unless it can be the label of a further session; none at all would mean the backend's own. */
export function checkLabel(label: string): void {
  if (typeof label === "string" && label !== "" && label.isWellFormed()) return;
  throw argumentError("session", "a string that is not empty, without lone surrogates", label);
}

/** A value as a message shows it: never long, never its inside, and text apart from what it looks like. */
function shown(value: unknown): string {
  switch (typeof value) {
    case "string":
      return JSON.stringify(value.length > 80 ? `${value.slice(0, 80)}…` : value);
    case "bigint":
      return `${value}n`;
    case "function":
      return "a function";
    case "object":
      return value === null ? "null" : Array.isArray(value) ? "an array" : "an object";
    default:
      return Object.is(value, -0) ? "-0" : String(value);
  }
}
