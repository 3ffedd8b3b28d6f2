/**
 * Functions that Python asks its host for beside the connections of its calls, and the calls that such a function makes.
 *
 * ```text
 * call ──► Python ── asks the host ──► function ──► call (`parent`) ──► Python ── asks …
 * waits ◄─────────────────────────────────┘          refused when it would wait for one of those that wait
 * ```
 *
 * Python says which call asks, by the name of its backend's session; that backend runs the function, so that whatever
 * makes calls in it (a host, a proxy, a session) is known to be inside.
 *
 * @module
 */

import type { CallOptions } from "../core/backend.ts";
import { PythonHostError } from "../core/errors.ts";
import type { HeldUp, WaitingCall } from "./callbacks.ts";

/** The call of Python that asks for a function. */
export interface AskingCall {
  /** Its backend's session. */
  readonly session: string;
  /** Its id. */
  readonly call: number;
  /** What waits for the function: for the call, and for those inside whose functions it was made. */
  readonly held: HeldUp;
}

type RunFunction = (waiting: WaitingCall, fn: () => unknown) => Promise<unknown>;

/** The backends of this program that are connected, by their sessions. */
const runners = new Map<string, RunFunction>();

/** Says how functions are run for the calls of a session, until that has ended. */
export function runAskedBy(session: string, run: RunFunction): void {
  runners.set(session, run);
}

/** The session has ended. */
export function forgetSession(session: string | undefined): void {
  if (session !== undefined) runners.delete(session);
}

/** Runs a function for a call of Python that waits for it; for one of another program, or of none, it is just run. */
export async function runAsked(fn: () => unknown, asking: AskingCall | undefined): Promise<unknown> {
  const run = asking && runners.get(asking.session);
  if (run === undefined) return await fn();
  // On the control lane, which is read whoever waits.
  const waiting: WaitingCall = { id: asking!.call, lane: "control", isWaiting: true, held: asking!.held };
  try {
    return await run(waiting, fn);
  } finally {
    waiting.isWaiting = false;
  }
}

/** Throws when a call would wait for ever: for a session's thread, or the event loop, that waits for its caller. */
export function refuseDeadlock(options: CallOptions, { held }: WaitingCall): void {
  if (held === undefined) return;
  const needsThread = options.concurrent !== true && held.sessions.includes(options.session ?? null);
  if (!held.loop && !needsThread) return;
  throw new PythonHostError(
    "deadlock",
    "Cannot call Python: the call that asked for this function waits, and the call would wait for it",
    {
      hint: held.loop
        ? "Make the function async, so that the coroutine awaits it."
        : "Pass `concurrent: true`, or another session.",
    },
  );
}
