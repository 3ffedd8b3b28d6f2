/**
 * How a caller's options travel: as options of the request, and by the choice of its lane.
 *
 * @module
 */

import type { CallOptions } from "../core/backend.ts";
import type { Lane, RequestOptions } from "../core/protocol.ts";
import { askForEvents } from "./call_events.ts";
import type { WaitingCall } from "./callbacks.ts";

/** The options of a call that has none. */
export const NO_OPTIONS: CallOptions = {};

/** A call inside a callback goes where Python waits for it; what must not wait goes to the control lane. */
export function laneOf(options: CallOptions, parent: WaitingCall | undefined): Lane {
  if (options.concurrent === true || options.session !== undefined) return "control";
  return parent?.lane ?? "session";
}

/** The options on the wire, or undefined when all have their usual values: most requests have none. */
export function requestOptions(
  options: CallOptions,
  tagged: boolean,
  parent: WaitingCall | undefined,
): RequestOptions | undefined {
  if (options === NO_OPTIONS && !tagged && parent === undefined) return undefined;
  const wire: RequestOptions = {};
  if (tagged) wire.tagged = 1;
  if (options.result !== undefined && options.result !== "auto") wire.result = options.result;
  if (options.concurrent === true) wire.concurrent = 1;
  if (options.session !== undefined) wire.session = options.session;
  askForEvents(options, wire);
  if (parent !== undefined) wire.parent = parent.id;
  for (const _ in wire) return wire;
  return undefined;
}
