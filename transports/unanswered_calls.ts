/**
 * What the backends of this library tell a pool of their calls, without that it is part of what they are for everybody.
 *
 * @module
 */

import type { PythonHostBackend } from "../core/backend.ts";
import type { PendingCall } from "./pending_call.ts";

/** The calls of a backend that have no reply yet. */
export interface UnansweredCalls {
  /** How many there are of those that the user has made. */
  readonly count: number;
  /** The call whose Python waits for the function in which the program is just now, if it is in one. */
  readonly waiting: { readonly isWaiting: boolean } | undefined;
}

const looks = new WeakMap<PythonHostBackend, () => UnansweredCalls>();

/** Says how to look at the calls of a backend: its calls without a reply, and the one that waits just now. */
export function showUnanswered(
  backend: PythonHostBackend,
  pendingCalls: () => Iterable<PendingCall>,
  waitingCall: () => UnansweredCalls["waiting"],
): void {
  looks.set(backend, () => {
    let count = 0;
    for (const call of pendingCalls()) if (call.startedAt >= 0 && call.isWaiting) count++;
    return { count, waiting: waitingCall() };
  });
}

/** Looks at a backend's calls; undefined for one that is not of this library. */
export function unansweredCallsOf(backend: PythonHostBackend): UnansweredCalls | undefined {
  return looks.get(backend)?.();
}
