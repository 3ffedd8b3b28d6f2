/**
 * The host's API as a Hono app: authorizes, checks the input, runs the operation, answers as JSON or as a stream.
 *
 * Loaded at the first request only, and Hono and Zod with it.
 *
 * @module
 */

import { type Context, Hono } from "npm:hono@^4.13.19";
import * as z from "npm:zod@^4.6.7";
import { AuthenticationError, PythonHostError } from "../core/errors.ts";
import type { Logger } from "../core/logger.ts";
import { type HostCapability, requireCapability } from "./api_capabilities.ts";
import { errorBody, NotFoundError, statusOf } from "./api_errors.ts";
import { answerFunction } from "./api_functions.ts";
import { openApiDocument } from "./api_openapi.ts";
import type { ApiServices, Route } from "./api_route.ts";
import { ROUTES } from "./api_routes.ts";
import { streamOperation, streamTypeOf } from "./api_stream.ts";
import type { RunningWork } from "./api_work.ts";

/** What the app is made from. */
export interface ApiAppOptions {
  /** What the operations work on. */
  readonly services: ApiServices;
  /** What the sender of a request may do; undefined when it is not let in at all. */
  readonly authorize: (request: Request) => Promise<ReadonlySet<HostCapability> | undefined>;
  /** Aborts all that runs. */
  readonly closing: AbortSignal;
  /** Told of the operations that run. */
  readonly work: RunningWork;
  /** Told of failures of the host itself. */
  readonly logger: Logger;
}

/** The most bytes of a request's body: a lock file is the largest thing that is sent here. */
const MAX_BODY_BYTES = 16 * 1024 * 1024;

/** What a server may pass beside a request; Deno's has `completed`, which rejects when the client has gone. */
export type RequestInfo = { readonly completed?: unknown } | undefined;

interface AppEnvironment {
  readonly Bindings: { readonly gone: AbortSignal };
}

/** Makes the app, as the function that answers requests. */
export function createApp(
  options: ApiAppOptions,
): (request: Request, info?: RequestInfo) => Promise<Response> {
  const { services, logger } = options;
  const app = new Hono<AppEnvironment>();
  app.onError((error) => {
    const status = statusOf(error);
    if (!(error instanceof PythonHostError)) logger.error("The host's API failed", error);
    return Response.json(errorBody(error), {
      status,
      headers: status === 401 ? { "www-authenticate": "Bearer" } : {},
    });
  });
  app.notFound(({ req }) => {
    const others = methodsFor(req.path);
    if (others.length > 0) {
      const message = `Cannot answer ${req.method} "${req.path}": it takes ${others.join(", ")}`;
      return Response.json(errorBody(new PythonHostError("argument", message)), {
        status: 405,
        headers: { allow: others.join(", ") },
      });
    }
    throw new NotFoundError(`Cannot answer ${req.method} "${req.path}": there is no such operation`, {
      hint: "GET /openapi.json tells what there is.",
    });
  });
  const granted = async ({ req }: Context<AppEnvironment>): Promise<ReadonlySet<HostCapability>> => {
    const capabilities = await options.authorize(req.raw);
    if (capabilities !== undefined) return capabilities;
    throw new AuthenticationError("Cannot authorize the request: its token is missing or wrong");
  };

  app.get("/openapi.json", async (context) => {
    await granted(context);
    return context.json(openApiDocument(ROUTES, "."));
  });
  app.get("/functions", async (context) => {
    requireCapability(await granted(context), "functions:call");
    return context.json({ functions: services.functions.list() });
  });
  app.post("/functions/:object/:name", async (context) => {
    requireCapability(await granted(context), "functions:call");
    return await answerFunction(
      services.functions,
      context.req.param("object"),
      context.req.param("name"),
      context.req.raw,
    );
  });
  for (const route of ROUTES) {
    app.on(route.method.toUpperCase(), route.path.replaceAll(/\{(\w+)\}/g, ":$1"), async (context) => {
      const capabilities = await granted(context);
      requireCapability(capabilities, route.grant);
      const input = await readInput(route, context);
      const gone = new AbortController();
      const signal = AbortSignal.any([context.env.gone, gone.signal, options.closing]);
      const type = route.streams ? streamTypeOf(context.req.header("accept")) : undefined;
      const work = { services, granted: capabilities, signal };
      if (type !== undefined) {
        return streamOperation(
          type,
          (onProgress) => options.work.run(() => route.run(input as never, { ...work, onProgress })),
          (reason) => gone.abort(reason),
        );
      }
      const result = await options.work.run(() =>
        route.run(input as never, { ...work, onProgress: () => {} })
      );
      return Response.json(result, { status: route.status });
    });
  }
  return async (request, info) => await app.fetch(request, { gone: whenGone(request, info) });
}

/** The methods that a path can be asked by. */
function methodsFor(path: string): string[] {
  return ROUTES.filter((route) => new RegExp(`^${route.path.replaceAll(/\{\w+\}/g, "[^/]+")}$`).test(path))
    .map(({ method }) => method.toUpperCase());
}

/** Aborts when the client goes away. A request's own signal aborts also after an answer, of which Deno warns. */
function whenGone(request: Request, info: RequestInfo): AbortSignal {
  if (!(info?.completed instanceof Promise)) return request.signal;
  const controller = new AbortController();
  info.completed.catch((reason) => controller.abort(reason));
  return controller.signal;
}

async function readInput(route: Route, context: Context): Promise<Record<string, unknown>> {
  const { path, query, body } = route.input;
  return {
    ...(path === undefined ? {} : { path: check(path, context.req.param(), "path") }),
    ...(query === undefined ? {} : { query: check(query, context.req.query(), "query") }),
    ...(body === undefined ? {} : { body: check(body, await readJson(context), "body") }),
  };
}

function check(schema: z.ZodType, value: unknown, place: string): unknown {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw new PythonHostError(
    "argument",
    `Cannot read the request's ${place}: ${z.prettifyError(result.error)}`,
  );
}

async function readJson({ req }: Context): Promise<unknown> {
  const type = req.header("content-type")?.split(";", 1).join("").trim().toLowerCase();
  if (type !== "application/json") {
    throw new PythonHostError(
      "argument",
      `Cannot read the request's body: its content type is "${type ?? ""}"`,
      {
        hint: 'Send "application/json".',
      },
    );
  }
  try {
    const text = await readText(req.raw);
    return text === "" ? {} : JSON.parse(text);
  } catch (cause) {
    // A TypeError is what bytes that are no UTF-8 give.
    if (!(cause instanceof SyntaxError || cause instanceof TypeError)) throw cause;
    throw new PythonHostError("argument", "Cannot read the request's body: it is not JSON", { cause });
  }
}

/** Reads a body of a size that can be meant; what is larger is not kept in memory first. */
async function readText(request: Request): Promise<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let text = "";
  let bytes = 0;
  for await (const chunk of request.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > MAX_BODY_BYTES) {
      throw new PythonHostError(
        "limit",
        `Cannot read the request's body: it is longer than ${MAX_BODY_BYTES} bytes`,
      );
    }
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}
