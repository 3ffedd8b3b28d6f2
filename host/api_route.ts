/**
 * What a route of the host's API is: one record from which its handler, its check of the input and its part of the
 * OpenAPI document are made.
 *
 * @module
 */

import type { z } from "npm:zod@^4.6.7";
import type { ProgressListener, VenvManager } from "../infrastructure/mod.ts";
import type { HostCapability } from "./api_capabilities.ts";
import type { ExposedFunctions } from "./expose.ts";
import type { HostServers } from "./host_servers.ts";

/** What the operations work on. */
export interface ApiServices {
  /** Environments, and through them runtimes. */
  readonly environments: VenvManager;
  /** The servers of this host. */
  readonly servers: HostServers;
  /** What `expose` offers. */
  readonly functions: ExposedFunctions;
}

/** What an operation is given besides its input. */
export interface RouteContext {
  readonly services: ApiServices;
  /** What the caller may do; servers that it starts get no more. */
  readonly granted: ReadonlySet<HostCapability>;
  /** Aborts when the caller goes away. */
  readonly signal: AbortSignal;
  /** Passes progress on to a caller who asked for it. */
  readonly onProgress: ProgressListener;
}

/** The places of a request that input comes from. */
export interface RouteInput {
  readonly path: z.ZodObject;
  readonly query: z.ZodObject;
  readonly body: z.ZodType;
}

/** One operation. */
export interface Route {
  readonly method: "get" | "post" | "put" | "delete";
  /** With parameters as OpenAPI writes them: `/environments/{name}`. */
  readonly path: string;
  /** The name under which generated clients offer it. */
  readonly id: string;
  readonly summary: string;
  readonly tag: string;
  readonly grant: HostCapability;
  readonly input: Partial<RouteInput>;
  readonly result: z.ZodType;
  readonly status: number;
  /** Whether it can take long, so that it answers as a stream when asked to. */
  readonly streams: boolean;
  run(input: never, context: RouteContext): Promise<unknown>;
}

type Parsed<T> = T extends z.ZodType ? z.output<T> : undefined;

/** A route as it is written, its input typed by its schemas. */
export interface RouteDefinition<P extends z.ZodObject, Q extends z.ZodObject, B extends z.ZodType> {
  readonly summary: string;
  readonly grant: HostCapability;
  readonly path?: P;
  readonly query?: Q;
  readonly body?: B;
  readonly result: z.ZodType;
  readonly status?: number;
  readonly streams?: boolean;
  run(
    input: { readonly path: Parsed<P>; readonly query: Parsed<Q>; readonly body: Parsed<B> },
    context: RouteContext,
  ): Promise<unknown>;
}

/** Makes a route; `line` is `method /path operationId`. */
export function route<
  P extends z.ZodObject = z.ZodObject,
  Q extends z.ZodObject = z.ZodObject,
  B extends z.ZodType = z.ZodType,
>(line: string, definition: RouteDefinition<P, Q, B>): Route {
  const [method, path, id] = line.split(" ") as [Route["method"], string, string];
  const { path: pathSchema, query, body, run, ...rest } = definition;
  return {
    streams: false,
    status: 200,
    ...rest,
    method,
    path,
    id,
    tag: path.split("/")[1]!,
    input: {
      ...(pathSchema === undefined ? {} : { path: pathSchema }),
      ...(query === undefined ? {} : { query }),
      ...(body === undefined ? {} : { body }),
    },
    run: run as Route["run"],
  };
}

/** A copy without the keys that are undefined: the managers tell "not given" from "undefined". */
export function given<T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>;
  };
}
