/**
 * Calls that have to wait for a server before they are made: their signal and their deadline count from the beginning.
 *
 * @module
 */

import { checkCallOptions } from "../core/argument.ts";
import type { CallOptions, PythonHostBackend } from "../core/backend.ts";
import { CallTimeoutError } from "../core/errors.ts";
import type { Generation } from "./generation.ts";

/** A call of a backend, with the options that it is to be made with. */
export type BackendCall<T> = (backend: PythonHostBackend, options: CallOptions | undefined) => Promise<T>;

/** `setTimeout` fires at once for a delay beyond this: 24.8 days. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

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
  const timer = setTimeout(
    () => deadline.abort(new CallTimeoutError("complete call", timeoutMs)),
    Math.min(timeoutMs, LONGEST_TIMER_MS),
  );
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

/** Waits until all have settled, but not longer. */
export async function settledWithin(work: readonly Promise<unknown>[], ms: number): Promise<void> {
  const settled = Promise.allSettled(work);
  if (ms === Infinity) return void await settled;
  const late = Promise.withResolvers<void>();
  const timer = setTimeout(late.resolve, Math.min(ms, LONGEST_TIMER_MS));
  try {
    await Promise.race([settled, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
