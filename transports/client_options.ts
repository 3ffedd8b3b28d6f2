/**
 * The options that the backends of all transports take.
 *
 * @module
 */

import { argumentError } from "../core/argument.ts";
import type { CallCounters } from "../core/call_counters.ts";
import type { PythonHostError } from "../core/errors.ts";
import type { Logger } from "../core/logger.ts";
import type { CallTracer } from "./call_tracer.ts";
import type { ExplainEnd } from "./ending.ts";

/** Options that the backends of all transports take. */
export interface ClientOptions {
  /** The server's token; without it, the run directory is looked into. */
  token?: string | undefined;
  /** Told what the backend does. @default {silent} */
  logger?: Logger | undefined;
  /** The largest frame that is sent or accepted, in bytes. @default {268435456} */
  maxFrameBytes?: number | undefined;
  /** How long Python is given to stop a call that was aborted or timed out, in milliseconds. @default {2000} */
  interruptGraceMs?: number | undefined;
  /**
   * For the owner of the server process: asked how it ended when the connection ends unexpectedly, and given one
   * second. What it gives is the reason with which pending and later calls reject; undefined keeps the usual
   * `ConnectionClosedError`. `action` goes behind "Cannot" in its message.
   */
  explainEnd?: ExplainEnd | undefined;
  /**
   * For an owner who starts another server in place of one that ended: makes, from the reason of the end, the error of
   * calls that are made after it. What makes them is a handle or a session of the earlier server.
   *
   * @default {the reason itself}
   */
  afterEnd?: ((reason: PythonHostError) => PythonHostError) | undefined;
  /**
   * For the owner of the server process: ends it when Python does not stop a call within `interruptGraceMs`. That call
   * then rejects with the reason why it was to be stopped, all others with that of the server's end.
   *
   * @default {the call rejects with `CallNotInterruptedError`, and the server goes on}
   */
  endUninterruptible?: (() => Promise<void>) | undefined;
  /**
   * For the owner of the server process: aborted, with how it ended, when it has. A backend that is closed after that
   * gives it as the reason to calls which are still pending.
   */
  serverEnded?: AbortSignal | undefined;
  /** Counts the calls; given to several backends, it counts them together. @default {one of its own} */
  counters?: CallCounters | undefined;
  /**
   * Makes a span of each call; a `Tracer` of `@opentelemetry/api` is one. `false` makes none.
   *
   * @default {that of the application, when it has registered one with OpenTelemetry}
   */
  tracer?: CallTracer | false | undefined;
  /** Told once when the backend has ended, with the reason that later calls get; after `close` too. */
  onEnd?: ((reason: PythonHostError) => void) | undefined;
}

const DEFAULT_INTERRUPT_GRACE_MS = 2_000;

/** The grace time of the options; throws when it is none. */
export function interruptGraceMsOf(options: ClientOptions): number {
  const graceMs = options.interruptGraceMs ?? DEFAULT_INTERRUPT_GRACE_MS;
  // `!(… >= 0)` is true for NaN too.
  if (!(graceMs >= 0)) throw argumentError("interruptGraceMs", "a number of at least 0", graceMs);
  return graceMs;
}
