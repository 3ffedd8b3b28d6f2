/**
 * What is used of an OpenTelemetry tracer, and how the application's own is found.
 *
 * The types are structural, so that a `Tracer` of `@opentelemetry/api` fits without a dependency on it. The package is
 * loaded only in a program that has registered a tracer provider, with the SDK of its choice or by Deno's own
 * (`OTEL_DENO=true`); all others pay for one look at a global symbol.
 *
 * @module
 */

import type { Logger } from "../core/logger.ts";
import { LIBRARY_VERSION } from "../core/protocol.ts";

/** A span of a call. */
export interface CallSpan {
  /** Sets a fact. */
  setAttribute(key: string, value: string | number | boolean): unknown;
  /** Says whether the call failed: code 2 is an error. */
  setStatus(status: { code: number; message?: string }): unknown;
  /** The call has settled. */
  end(): void;
}

/** Makes spans; a `Tracer` of `@opentelemetry/api` is one. */
export interface CallTracer {
  /** Starts a span below the active one. */
  startSpan(
    name: string,
    options?: { kind?: number; attributes?: Record<string, string | number | boolean> },
  ): CallSpan;
}

const NAME = "@beep/python-host";
/** Where every copy of `@opentelemetry/api` 1.x registers what the application has set up. */
const REGISTRY: unique symbol = Symbol.for("opentelemetry.js.api.1");

/** The tracer that is to be used: the given one, else the application's, else none. */
export async function findTracer(
  given: CallTracer | false | undefined,
  logger: Logger,
): Promise<CallTracer | undefined> {
  if (given !== undefined) return given || undefined;
  const registered = (globalThis as { [REGISTRY]?: { trace?: unknown } })[REGISTRY];
  if (registered?.trace === undefined) return undefined;
  try {
    const { trace } = await import("npm:@opentelemetry/api@^1.9.0");
    return trace.getTracer(NAME, LIBRARY_VERSION);
  } catch (error) {
    // Calls must not fail because they cannot be watched.
    logger.warn("Cannot load @opentelemetry/api: calls are not traced", error);
    return undefined;
  }
}
