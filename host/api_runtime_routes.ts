/**
 * The operations of the host's API on runtimes.
 *
 * @module
 */

import * as z from "npm:zod@^4.6.7";
import type { PythonRuntime } from "../infrastructure/mod.ts";
import { NotFoundError } from "./api_errors.ts";
import { given, type Route, route } from "./api_route.ts";
import * as schemas from "./api_schemas.ts";

function describe(runtime: PythonRuntime): z.output<typeof schemas.Runtime> {
  const { id, executable, version, implementation, freeThreaded, source, managed } = runtime;
  return { id, executable, version, implementation, freeThreaded, source, managed };
}

/** See the module comment. */
export const RUNTIME_ROUTES: readonly Route[] = [
  route("get /runtimes listRuntimes", {
    summary: "Every usable Python on this machine, in order of preference",
    grant: "runtimes:read",
    result: z.object({ runtimes: z.array(schemas.Runtime) }),
    run: async (_, { services, signal }) => ({
      runtimes: (await services.environments.runtimes.discover({ signal })).map(describe),
    }),
  }),
  route("get /runtimes/available listAvailableRuntimes", {
    summary: "The Pythons that can be installed on this machine, newest first",
    grant: "runtimes:read",
    result: z.object({ runtimes: z.array(schemas.Available) }),
    run: async (_, { services }) => ({
      runtimes: (await services.environments.runtimes.available())
        .map(({ version, freeThreaded }) => ({ version, freeThreaded })),
    }),
  }),
  route("post /runtimes/find findRuntime", {
    summary: "The first Python that meets a request",
    grant: "runtimes:read",
    body: schemas.RuntimeRequest,
    result: schemas.Runtime,
    run: async ({ body }, { services, signal }) =>
      describe(await services.environments.runtimes.find(body.request, { signal })),
  }),
  route("post /runtimes/ensure ensureRuntime", {
    summary: "The first Python that meets a request, or else one that is downloaded for it",
    grant: "runtimes:write",
    body: schemas.RuntimeRequest,
    result: schemas.Runtime,
    streams: true,
    run: async ({ body: { request, ...options } }, { services, signal, onProgress }) =>
      describe(
        await services.environments.runtimes.ensure(request, { ...given(options), signal, onProgress }),
      ),
  }),
  route("post /runtimes/install installRuntime", {
    summary: "Install the newest Python that meets a request",
    grant: "runtimes:write",
    body: schemas.RuntimeRequest,
    result: schemas.Runtime,
    streams: true,
    run: async ({ body }, { services, signal, onProgress }) =>
      describe(await services.environments.runtimes.install(body.request, { signal, onProgress })),
  }),
  route("get /runtimes/default getDefaultRuntime", {
    summary: "The request that stands for any Python",
    grant: "runtimes:read",
    result: schemas.DefaultRuntime,
    run: async (_, { services }) => ({ request: await services.environments.runtimes.defaultRequest() }),
  }),
  route("put /runtimes/default setDefaultRuntime", {
    summary: "Set the Python that is taken when none is asked for",
    grant: "runtimes:write",
    body: schemas.DefaultRuntime,
    result: schemas.DefaultRuntime,
    run: async ({ body }, { services }) => {
      const { runtimes } = services.environments;
      await runtimes.setDefault(body.request ?? undefined);
      return { request: await runtimes.defaultRequest() };
    },
  }),
  route("delete /runtimes/{id} deleteRuntime", {
    summary: "Remove a Python that was installed by this library",
    grant: "runtimes:write",
    path: schemas.IdPath,
    result: schemas.Deleted,
    run: async ({ path }, { services, signal }) => {
      const { runtimes } = services.environments;
      // Only ids that are listed reach the file system.
      if (!(await runtimes.list()).some(({ id }) => id === path.id)) {
        throw new NotFoundError(`Cannot remove runtime "${path.id}": this library has not installed it`);
      }
      return { deleted: await runtimes.uninstall(path.id, { signal }) };
    },
  }),
];
