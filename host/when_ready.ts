/**
 * Calls that have to wait for a server before they are made: their signal and their deadline count from the beginning.
 *
 * @module
 */

import { checkCallOptions } from "../core/argument.ts";
import type { CallOptions, PythonHostBackend } from "../core/backend.ts";
import { CallTimeoutError } from "../core/errors.ts";
import { startTimer } from "../core/timers.ts";
import type { Generation } from "./generation.ts";

/** A call of a backend, with the options that it is to be made with. */
export type BackendCall<T> = (backend: PythonHostBackend, options: CallOptions | undefined) => Promise<T>;

/** Waits for the generation and makes the call there. */
export function callWhenReady<T>(
  ready: () => Promise<Generation>,
  options: CallOptions | undefined,
  call: BackendCall<T>,
): Promise<T> {
  return withDeadline(options, async (options) => {
    const { backend } = await unlessAborted(ready(), options?.signal);
    return await call(backend, options);
  });
}

/** Gives `work` the options with one signal in place of the signal and the deadline, which runs from now on. */
export async function withDeadline<O extends CallOptions, T>(
  options: O | undefined,
  work: (options: O | undefined) => Promise<T>,
): Promise<T> {
  if (options !== undefined) checkCallOptions(options);
  if (options?.timeoutMs === undefined) return await work(options);
  const { signal, timeoutMs } = options;
  const deadline = new AbortController();
  const timer = startTimer(() => deadline.abort(new CallTimeoutError("complete call", timeoutMs)), timeoutMs);
  const both = signal === undefined ? deadline.signal : AbortSignal.any([signal, deadline.signal]);
  try {
    return await work({ ...options, signal: both, timeoutMs: undefined });
  } finally {
    clearTimeout(timer);
  }
}

/** The promise's value, or a rejection with the signal's reason when that comes first. */
export async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return await promise;
  const aborted = Promise.withResolvers<never>();
  const onAbort = (): void => aborted.reject(signal.reason);
  signal.addEventListener("abort", onAbort);
  if (signal.aborted) onAbort();
  try {
    // Also when it has aborted: nobody else may be there to take what the promise rejects with.
    return await Promise.race([aborted.promise, promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
