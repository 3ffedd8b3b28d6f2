/**
 * Hands what Python says during a call to the callbacks in the call's options.
 *
 * @module
 */

import type { CallOptions } from "../core/backend.ts";
import type { InputHandler, MimeBundle, ProgressReport, PythonLogRecord } from "../core/call_events.ts";
import type { RequestOptions } from "../core/protocol.ts";
import type { PendingCall } from "./pending_call.ts";
import type { IncomingParts } from "./wire.ts";

/** Which callbacks of a call ask for which events on the wire. */
const EVENT_KINDS = {
  onStdout: "stdout",
  onStderr: "stderr",
  onLog: "log",
  onProgress: "progress",
  onDisplay: "display",
  onInput: "input",
} as const;

const EVENT_ENTRIES = Object.entries(EVENT_KINDS) as [keyof typeof EVENT_KINDS, EventOption][];
type EventOption = typeof EVENT_KINDS[keyof typeof EVENT_KINDS];

/** Sets the options on the wire that ask for the events for which there are callbacks. */
export function askForEvents(options: CallOptions, wire: RequestOptions): void {
  for (const [name, kind] of EVENT_ENTRIES) if (options[name] !== undefined) wire[kind] = 1;
}

/** Calls the callback for an event, `message` being `[id, kind, …]`; false when the call has none for it. */
export function deliverEvent(
  options: CallOptions,
  message: readonly unknown[],
  parts: IncomingParts,
): boolean {
  const value = message[2];
  switch (message[1]) {
    case "stdout":
      return tell(options.onStdout, String(value));
    case "stderr":
      return tell(options.onStderr, String(value));
    case "log":
      return tell(options.onLog, value as PythonLogRecord);
    case "progress":
      return tell(options.onProgress, value as ProgressReport);
    case "display":
      return tell(options.onDisplay, bundleOf(value, message[3], parts));
    default:
      return false;
  }
}

function tell<T>(callback: ((value: T) => void) | undefined, value: T): boolean {
  callback?.(value);
  return callback !== undefined;
}

function bundleOf(data: unknown, binary: unknown, parts: IncomingParts): MimeBundle {
  const bundle: Record<string, unknown> = { ...(data as MimeBundle) };
  (binary as readonly string[]).forEach((type, i) => bundle[type] = parts[i]);
  return bundle;
}

/** What answers the call's questions for input. */
export function inputHandlerOf(call: PendingCall | undefined): InputHandler {
  if (!call?.isWaiting || call.options.onInput === undefined) {
    throw new ReferenceError("Cannot ask for input: its call is over");
  }
  return call.options.onInput;
}
