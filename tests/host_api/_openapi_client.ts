/**
 * A client that is made from an OpenAPI document alone: one function for each operation, by its `operationId`, which
 * checks what it sends and what it gets against the document's own schemas.
 */

import { Ajv2020, type ValidateFunction } from "npm:ajv@^8.20.0/dist/2020.js";

/** The part of an OpenAPI document that the client is made from. */
export interface OpenApiDocument {
  readonly openapi: string;
  readonly paths: Record<string, Record<string, OpenApiOperation>>;
  readonly components: { readonly schemas: Record<string, object> };
}

interface OpenApiOperation {
  readonly operationId: string;
  readonly parameters: readonly {
    readonly name: string;
    readonly in: "path" | "query";
    readonly required: boolean;
  }[];
  readonly requestBody?: { readonly content: { readonly "application/json": { readonly schema: object } } };
  readonly responses: Record<string, { readonly content?: Record<string, { readonly schema: object }> }>;
}

/** What an operation is given: parameters by their names, and a body. */
export interface OperationInput {
  readonly [parameter: string]: unknown;
  readonly body?: unknown;
}

/** What a call ended with. */
// deno-lint-ignore no-explicit-any -- what is in it, the document says
export type Outcome = { readonly status: number; readonly value: any };

/** The operations by their ids. */
export type OpenApiClient = Record<string, (input?: OperationInput) => Promise<Outcome>>;

/** Makes the client. */
export function generateClient(
  document: OpenApiDocument,
  send: (path: string, init: RequestInit) => Promise<Response>,
): OpenApiClient {
  const ajv = new Ajv2020({ strict: false, schemas: [{ $id: "document", ...document }] });
  const compile = (pointer: string): ValidateFunction => ajv.compile({ $ref: `document#${pointer}` });
  const client: OpenApiClient = {};
  for (const [path, operations] of Object.entries(document.paths)) {
    for (const [method, operation] of Object.entries(operations)) {
      const at = `/paths/${
        path.replaceAll("~", "~0").replaceAll("/", "~1").replaceAll(/[{}]/g, encodeURIComponent)
      }/${method}`;
      const [status] = Object.keys(operation.responses).filter((one) => one !== "default");
      const checkResult = compile(`${at}/responses/${status}/content/application~1json/schema`);
      const checkError = compile("/components/schemas/Error");
      const checkBody = operation.requestBody === undefined
        ? undefined
        : compile(`${at}/requestBody/content/application~1json/schema`);
      client[operation.operationId] = async ({ body, ...given } = {}) => {
        let target = path;
        const query = new URLSearchParams();
        for (const { name, in: place, required } of operation.parameters) {
          if (given[name] === undefined) {
            if (required) throw new TypeError(`${operation.operationId} needs ${name}`);
          } else if (place === "path") {
            target = target.replace(`{${name}}`, encodeURIComponent(String(given[name])));
          } else query.set(name, String(given[name]));
        }
        if (checkBody !== undefined) assertValid(checkBody, body ?? {}, `body of ${operation.operationId}`);
        const response = await send(`${target}${query.size > 0 ? `?${query}` : ""}`, {
          method: method.toUpperCase(),
          ...(checkBody === undefined
            ? {}
            : { body: JSON.stringify(body ?? {}), headers: { "content-type": "application/json" } }),
        });
        const value = await response.json();
        assertValid(response.ok ? checkResult : checkError, value, `answer of ${operation.operationId}`);
        if (response.ok && String(response.status) !== status) {
          throw new TypeError(`Status ${response.status}`);
        }
        return { status: response.status, value };
      };
    }
  }
  return client;
}

function assertValid(check: ValidateFunction, value: unknown, what: string): void {
  if (check(value)) return;
  throw new TypeError(
    `The ${what} is not what the document says: ${JSON.stringify(check.errors)}\n${JSON.stringify(value)}`,
  );
}
