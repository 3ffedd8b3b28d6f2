/**
 * The operations of the host's API on servers.
 *
 * @module
 */

import * as z from "npm:zod@^4.6.7";
import { capabilitiesOf } from "./api_capabilities.ts";
import { given, type Route, route } from "./api_route.ts";
import * as schemas from "./api_schemas.ts";

/** See the module comment. */
export const SERVER_ROUTES: readonly Route[] = [
  route("get /servers listServers", {
    summary: "The servers of this host that run",
    grant: "servers:read",
    result: z.object({ servers: z.array(schemas.Server) }),
    run: (_, { services }) => Promise.resolve({ servers: services.servers.list() }),
  }),
  route("post /servers startServer", {
    summary: "Start a server in an environment",
    grant: "servers:write",
    body: schemas.StartServer,
    result: schemas.Server,
    status: 201,
    streams: true,
    run: async ({ body: { infrastructure = true, ...options } }, { services, granted, signal }) => {
      // Nobody hands on more than they have.
      const allow = [...capabilitiesOf(infrastructure)].filter((one) => granted.has(one));
      return await services.servers.start({ ...given(options), infrastructure: { allow }, signal });
    },
  }),
  route("get /servers/{id} getServer", {
    summary: "The status of a server",
    grant: "servers:read",
    path: schemas.IdPath,
    result: schemas.Server,
    run: ({ path }, { services }) => Promise.resolve(services.servers.get(path.id)),
  }),
  route("delete /servers/{id} stopServer", {
    summary: "Stop a server that was started by this API",
    grant: "servers:write",
    path: schemas.IdPath,
    result: schemas.Deleted,
    run: async ({ path }, { services }) => {
      await services.servers.stop(path.id);
      return { deleted: true };
    },
  }),
];
