/**
 * The operations of the host's API on environments and their packages, and the table of all.
 *
 * @module
 */

import * as z from "npm:zod@^4.6.7";
import type { EnvironmentStatus, IndexSettings, PythonEnvironment } from "../infrastructure/mod.ts";
import { EnvironmentError } from "../core/errors.ts";
import {
  appendBackendSuffix,
  detectComputeBackend,
  providerEnvironmentName,
} from "../infrastructure/providers.ts";
import { given, type Route, route, type RouteContext } from "./api_route.ts";
import { RUNTIME_ROUTES } from "./api_runtime_routes.ts";
import * as schemas from "./api_schemas.ts";
import { SERVER_ROUTES } from "./api_server_routes.ts";

/** What is told of an environment. */
function describe(status: EnvironmentStatus): z.output<typeof schemas.Environment> {
  const { name, state, environment, packages, problem } = status;
  return {
    name,
    state,
    path: environment?.path ?? null,
    python: environment?.python ?? null,
    version: environment?.version ?? null,
    runtime: environment?.runtime.id ?? null,
    problem: problem ?? null,
    requirements: [...environment?.requirements ?? []],
    packages: packages === undefined ? null : packages.map((one) => ({ ...one })),
  };
}

function ready(environment: PythonEnvironment): z.output<typeof schemas.Environment> {
  return describe({ name: environment.name, state: "ready", environment });
}

function working({ signal, onProgress }: RouteContext): Pick<RouteContext, "signal" | "onProgress"> {
  return { signal, onProgress };
}

const ENVIRONMENT_ROUTES: readonly Route[] = [
  route("get /environments listEnvironments", {
    summary: "All environments",
    grant: "environments:read",
    result: z.object({ environments: z.array(schemas.Environment) }),
    run: async (_, { services }) => ({ environments: (await services.environments.list()).map(describe) }),
  }),
  route("post /environments createEnvironment", {
    summary: "Make an environment; one of that name must not be there",
    grant: "environments:write",
    body: schemas.CreateEnvironment,
    result: schemas.Environment,
    status: 201,
    streams: true,
    run: async ({ body: { name, ...options } }, context) =>
      ready(await context.services.environments.create(name, { ...withIndex(options), ...working(context) })),
  }),
  route("post /environments/ensure ensureEnvironment", {
    summary: "Take the environment of a specification, or make it",
    grant: "environments:write",
    body: schemas.EnsureEnvironment,
    result: schemas.Environment,
    streams: true,
    run: async ({ body }, context) =>
      ready(await context.services.environments.ensure({ ...withIndex(body), ...working(context) })),
  }),
  route("get /environments/{name} getEnvironment", {
    summary: "The status of an environment, with its packages",
    grant: "environments:read",
    path: schemas.NamePath,
    result: schemas.Environment,
    run: async ({ path }, { services }) => {
      const status = await services.environments.status(path.name);
      if (status.state !== "missing") return describe(status);
      throw new EnvironmentError(`Cannot find environment "${path.name}"`, { reason: "missing" });
    },
  }),
  route("delete /environments/{name} deleteEnvironment", {
    summary: "Remove an environment",
    grant: "environments:write",
    path: schemas.NamePath,
    query: schemas.Force,
    result: schemas.Deleted,
    run: async ({ path, query }, { services, signal }) => ({
      deleted: await services.environments.delete(path.name, { force: query.force === "true", signal }),
    }),
  }),
  route("post /environments/{name}/install installPackages", {
    summary: "Add packages; the environment is made when there is none",
    grant: "packages:write",
    path: schemas.NamePath,
    body: schemas.ChangePackages,
    result: schemas.Environment,
    streams: true,
    run: async ({ path, body: { packages, ...options } }, context) =>
      ready(
        await context.services.environments.install(path.name, packages, {
          ...withIndex(options),
          ...working(context),
        }),
      ),
  }),
  route("post /environments/{name}/uninstall uninstallPackages", {
    summary: "Remove packages",
    grant: "packages:write",
    path: schemas.NamePath,
    body: schemas.ChangePackages,
    result: schemas.Environment,
    streams: true,
    run: async ({ path, body: { packages, ...options } }, context) =>
      ready(
        await context.services.environments.uninstall(path.name, packages, {
          ...withIndex(options),
          ...working(context),
        }),
      ),
  }),
  route("post /environments/{name}/verify verifyEnvironment", {
    summary: "What is wrong with an environment, and which of the packages are missing",
    grant: "environments:read",
    path: schemas.NamePath,
    body: z.strictObject({ packages: z.array(z.string()).optional() }),
    result: schemas.Problems,
    run: async ({ path, body }, { services, signal }) => ({
      problems: await services.environments.verify(path.name, { ...given(body), signal }),
    }),
  }),
  route("post /environments/{name}/run runInEnvironment", {
    summary: "Run a script or module in an environment, to its end",
    grant: "environments:run",
    path: schemas.NamePath,
    body: schemas.RunRequest,
    result: schemas.RunResult,
    streams: true,
    run: ({ path, body: { infrastructure, ...options } }, { services, granted, signal, onProgress }) =>
      services.environments.run(path.name, {
        ...given(options),
        infrastructure: infrastructure && { allow: [...granted] },
        signal,
        onLine: (line, stream) => onProgress({ stage: "install", subject: stream, message: line }),
      }),
  }),
  route("post /providers/ensure ensureProviderEnvironment", {
    summary: "The environment of a provider; made empty when it is not known, unless packages are given",
    grant: "environments:write",
    body: schemas.EnsureProvider,
    result: schemas.Environment,
    streams: true,
    run: async ({ body: { provider, modelId, ...options } }, context) =>
      ready(
        await context.services.environments.ensureProviderEnvironment(provider, modelId, {
          ...withIndex(options),
          ...working(context),
        }),
      ),
  }),
  route("get /providers/name providerName", {
    summary: "The name of a provider's environment, and what computes on this machine",
    grant: "environments:read",
    query: schemas.ProviderQuery,
    result: z.object({ name: z.string(), computeBackend: z.string() }),
    run: async ({ query: { provider, modelId, computeBackend, rocmStrategy } }, { services, signal }) => {
      const backend = computeBackend ??
        await detectComputeBackend(services.environments.runtimes.context, signal);
      const name = providerEnvironmentName(appendBackendSuffix(provider, backend), modelId, rocmStrategy);
      return { name, computeBackend: backend };
    },
  }),
];

/** The options as the managers take them: without the keys that are undefined, those of the index too. */
function withIndex<T extends object>(
  options: T,
): { [K in keyof T as Exclude<K, "index">]: Exclude<T[K], undefined> } & { index?: IndexSettings } {
  const { index, ...rest } = options as T & { index?: object | undefined };
  return { ...given(rest), ...(index === undefined ? {} : { index: given(index) }) } as ReturnType<
    typeof withIndex<T>
  >;
}

/** Every operation. */
export const ROUTES: readonly Route[] = [...ENVIRONMENT_ROUTES, ...RUNTIME_ROUTES, ...SERVER_ROUTES];
