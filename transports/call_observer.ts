/**
 * Counts a client's calls and, in a program that traces, makes a span of each.
 *
 * A span is named `python <operation>` and has the attributes `rpc.system` (`beep`), `rpc.method`, `beep.target` (the
 * module, class or member that is named; never code or values), `beep.session`, and for a failed call `error.type`, with
 * the error's message as its status.
 *
 * @module
 */

import type { CallCounters } from "../core/call_counters.ts";
import { JsonText } from "../core/protocol.ts";
import type { CallSpan, CallTracer } from "./call_tracer.ts";
import type { Outcome, PendingCall } from "./pending_call.ts";

/** A call that is made on another process. */
const CLIENT_KIND = 2;
const ERROR_STATUS = 2;

/** Sees the beginning and the end of each call. */
export class CallObserver {
  /** Set when the backend has connected, in a program that traces. */
  tracer: CallTracer | undefined;
  readonly #counters: CallCounters;

  /** Makes an observer that only counts. */
  constructor(counters: CallCounters) {
    this.#counters = counters;
  }

  /** A call was made. */
  begin(call: PendingCall): void {
    call.startedAt = this.#counters.begin();
    if (this.tracer !== undefined) call.span = startSpan(this.tracer, call);
  }

  /** A call that was begun is settled. */
  end(call: PendingCall, outcome: Outcome, value: unknown): void {
    const isCancelled = outcome === "failed" && call.stopper?.makeReason !== undefined;
    const how = isCancelled ? "cancelled" : outcome === "error" || outcome === "failed" ? "error" : "done";
    this.#counters.end(call.startedAt, how);
    if (call.span === null) return;
    if (how !== "done") endInError(call.span, how === "cancelled" ? "cancelled" : outcome, value);
    call.span.end();
    call.span = null;
  }
}

function startSpan(tracer: CallTracer, call: PendingCall): CallSpan {
  const [, operation, args] = call.message;
  const attributes: Record<string, string> = { "rpc.system": "beep", "rpc.method": operation };
  const target = targetOf(operation, args instanceof JsonText ? args.row : args);
  if (target !== undefined) attributes["beep.target"] = target;
  if (call.options.session !== undefined) attributes["beep.session"] = call.options.session;
  return tracer.startSpan(`python ${operation}`, { kind: CLIENT_KIND, attributes });
}

/** What a request names; the code of `evaluate` may hold secrets and is not told. */
function targetOf(operation: string, args: readonly unknown[]): string | undefined {
  const named = operation === "import" || operation === "available" ? args[0] : args[1];
  return operation !== "evaluate" && typeof named === "string" ? named : undefined;
}

function endInError(span: CallSpan, outcome: string, value: unknown): void {
  if (outcome === "error") {
    const { code, message, exception } = value as {
      code?: string;
      message?: string;
      exception?: { type?: string };
    };
    span.setAttribute("error.type", exception?.type ?? code ?? "error");
    span.setStatus({ code: ERROR_STATUS, ...(message === undefined ? {} : { message }) });
    return;
  }
  span.setAttribute("error.type", outcome);
  span.setStatus({ code: ERROR_STATUS, message: messageOf(value) });
}

/** The message of the error with which a call without a reply rejects. */
function messageOf(makeError: unknown): string {
  const error: unknown = typeof makeError === "function" ? makeError() : undefined;
  return error instanceof Error ? error.message : String(error);
}
