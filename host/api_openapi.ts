/**
 * The OpenAPI 3.1 document of the host's API, made from the records that also check its input.
 *
 * @module
 */

import * as z from "npm:zod@^4.6.7";
import { LIBRARY_VERSION } from "../core/protocol.ts";
import type { Route } from "./api_route.ts";
import { ErrorBody, Progress } from "./api_schemas.ts";

type Json = Record<string, unknown>;

/** Makes the document. `server` is where the API is mounted. */
export function openApiDocument(routes: readonly Route[], server: string): Json {
  const schemas: Json = {};
  const error = { description: "What went wrong", content: json(schemaOf(ErrorBody, "output", schemas)) };
  const paths: Record<string, Json> = {};
  for (const route of routes) {
    (paths[route.path] ??= {})[route.method] = operationOf(route, schemas);
  }
  schemaOf(Progress, "output", schemas);
  return {
    openapi: "3.1.0",
    info: {
      title: "Python host",
      version: LIBRARY_VERSION,
      description:
        "Runtimes, environments, packages and servers of a host. Long operations answer as a stream of " +
        "`application/x-ndjson` or `text/event-stream` when `Accept` asks for one.",
    },
    servers: [{ url: server }],
    security: [{ token: [] }],
    paths,
    components: {
      schemas,
      responses: { Error: error },
      securitySchemes: { token: { type: "http", scheme: "bearer" } },
    },
  };
}

function operationOf(route: Route, schemas: Json): Json {
  const { input, status } = route;
  const result = schemaOf(route.result, "output", schemas);
  const content = route.streams
    ? {
      ...json(result),
      "application/x-ndjson": { schema: { type: "string" } },
      "text/event-stream": { schema: { type: "string" } },
    }
    : json(result);
  return {
    operationId: route.id,
    summary: route.summary,
    description: `Needs the capability \`${route.grant}\`.`,
    tags: [route.tag],
    parameters: [
      ...parametersOf(input.path, "path", schemas),
      ...parametersOf(input.query, "query", schemas),
    ],
    ...(input.body === undefined
      ? {}
      : { requestBody: { required: true, content: json(schemaOf(input.body, "input", schemas)) } }),
    responses: {
      [status]: { description: route.summary, content },
      default: { $ref: "#/components/responses/Error" },
    },
  };
}

function parametersOf(schema: z.ZodObject | undefined, place: string, schemas: Json): Json[] {
  return Object.entries(schema?.shape ?? {}).map(([name, field]) => {
    const { description, ...rest } = schemaOf(field as z.ZodType, "input", schemas);
    return {
      name,
      in: place,
      required: place === "path" || !(field as z.ZodType).safeParse(undefined).success,
      ...(description === undefined ? {} : { description }),
      schema: rest,
    };
  });
}

/** The JSON schema; what has an id of its own goes among the components and is referred to. */
function schemaOf(schema: z.ZodType, io: "input" | "output", schemas: Json): Json {
  const { $schema: _, $defs, ...rest } = z.toJSONSchema(schema, { io, target: "draft-2020-12" }) as Json;
  for (const [name, definition] of Object.entries($defs ?? {})) schemas[name] ??= pointed(definition);
  const id = schema.meta()?.id;
  const own = pointed(rest) as Json;
  delete own.id;
  if (typeof id !== "string") return own;
  schemas[id] ??= own;
  return { $ref: `#/components/schemas/${id}` };
}

/** References into the document instead of into the schema. */
function pointed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(pointed);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [
      key,
      key === "$ref" && typeof item === "string"
        ? item.replace("#/$defs/", "#/components/schemas/")
        : pointed(item),
    ]),
  );
}

function json(schema: Json): Json {
  return { "application/json": { schema } };
}
