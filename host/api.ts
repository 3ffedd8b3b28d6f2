/**
 * The host's API, to be put into any program that answers requests.
 *
 * @module
 */

import { showAs } from "../core/inspection.ts";
import { SILENT_LOGGER } from "../core/logger.ts";
import type { Logger } from "../core/logger.ts";
import type { VenvManager } from "../infrastructure/mod.ts";
import { capabilitiesOf, type InfrastructureOption } from "./api_capabilities.ts";
import { BearerToken } from "./api_token.ts";
import { RunningWork } from "./api_work.ts";
import { ExposedFunctions } from "./expose.ts";
import { HostServers } from "./host_servers.ts";

/** What {@linkcode createHostApi} shows: a `PythonHost` is one. */
export interface ApiHost {
  /** The environments, and through them the runtimes. */
  readonly environments: VenvManager;
  /** The servers. @default {those that the API itself starts} */
  readonly servers?: HostServers | undefined;
}

/** Options of {@linkcode createHostApi}. */
export interface HostApiOptions {
  /** The bearer token that every request must show. @default {a random one, see `HostApi.token`} */
  readonly token?: string | undefined;
  /** Says whether a request is let in, and what it may do, instead of a token. */
  readonly authorize?:
    | ((request: Request) => InfrastructureOption | Promise<InfrastructureOption>)
    | undefined;
  /** What those may do who are let in by the token. @default {true} */
  readonly infrastructure?: InfrastructureOption | undefined;
  /** Told of failures of the host itself. @default {silent} */
  readonly logger?: Logger | undefined;
}

/** The API: an object with `fetch`, as every JavaScript server and framework takes it. */
export interface HostApi extends AsyncDisposable {
  /** Answers a request. Needs no `this`, so it can be passed on as it is; `info` is what `Deno.serve` gives. */
  readonly fetch: (request: Request, info?: object) => Promise<Response>;
  /** The token that requests must show; empty when `authorize` was given. */
  readonly token: string;
}

/**
 * Makes the API of a host: environments, packages, runtimes and servers over HTTP, described by `GET /openapi.json`.
 *
 * Disposing it ends what it does and the servers that were started through it.
 *
 * @example Serve it
 * ```ts ignore
 * import { createHostApi, Infrastructure } from "jsr:@beep/python-host";
 *
 * await using api = createHostApi({ environments: new Infrastructure.VenvManager() });
 * await using server = Deno.serve({ hostname: "127.0.0.1", port: 8080 }, api.fetch);
 * console.log(`curl -H "authorization: Bearer ${api.token}" http://127.0.0.1:8080/environments`);
 * await server.finished;
 * ```
 */
export function createHostApi(host: ApiHost, options: HostApiOptions = {}): HostApi {
  const { authorize, logger = SILENT_LOGGER } = options;
  const token = authorize === undefined ? new BearerToken(options.token) : undefined;
  const byToken = capabilitiesOf(options.infrastructure ?? true);
  const closing = new AbortController();
  const work = new RunningWork();
  const ownServers = host.servers === undefined
    ? new HostServers({ environments: host.environments, logger })
    : undefined;
  const services = {
    environments: host.environments,
    servers: host.servers ?? ownServers!,
    // Functions were exposed to the host's own Python, not to whoever reaches this API.
    functions: new ExposedFunctions(),
  };
  const load = async () => {
    const { createApp } = await import("./api_app.ts");
    return createApp({
      services,
      closing: closing.signal,
      work,
      logger,
      async authorize(request) {
        if (token !== undefined) return token.isIn(request) ? byToken : undefined;
        const answer = await authorize!(request);
        return answer === false ? undefined : capabilitiesOf(answer);
      },
    });
  };
  let app: ReturnType<typeof load> | undefined;
  const api: HostApi = {
    token: token?.text ?? "",
    fetch: async (request, info) => await (await (app ??= load()))(request, info),
    async [Symbol.asyncDispose](): Promise<void> {
      closing.abort();
      await work.settled();
      await ownServers?.[Symbol.asyncDispose]();
    },
  };
  showAs(api, "HostApi", () => ({}));
  return api;
}
