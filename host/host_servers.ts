/**
 * The servers of a host: those that it was told of, and those that it starts in environments by name.
 *
 * @module
 */

import { EnvironmentError, PermissionNeededError, PythonHostError } from "../core/errors.ts";
import { type Logger, SILENT_LOGGER } from "../core/logger.ts";
import type { VenvManager } from "../infrastructure/mod.ts";
import {
  type HostApiAccess,
  type PythonServer,
  type ServerOptions,
  type ServerTransport,
  startServer,
} from "../servers/mod.ts";
import { capabilitiesOf, type HostCapability, type InfrastructureOption } from "./api_capabilities.ts";
import { NotFoundError } from "./api_errors.ts";
import { type DotnetOptions, ensurePythonnet, prepareDotnet } from "./dotnet.ts";
import type { HostEnvironment } from "./environment.ts";
import { ExposedFunctions } from "./expose.ts";
import { openPrivateApi } from "./private_api.ts";

/** A server that runs. */
export interface HostServer {
  /** A name for it within its host. */
  readonly id: string;
  /** The environment that it runs in; null when that has no name. */
  readonly environment: string | null;
  /** The kind of wire. */
  readonly transport: ServerTransport;
  /** What a client is given. */
  readonly endpoint: string;
  /** Process id of the interpreter. */
  readonly pid: number;
  /** The version of its Python. */
  readonly pythonVersion: string;
  /** Who started it: one of the host program cannot be stopped by the API. */
  readonly owner: "host" | "api";
}

/** How a server is started in an environment. */
export interface HostServerOptions extends Omit<ServerOptions, "python" | "hostApi"> {
  /** The name of the environment; it must be there. */
  readonly environment: string;
  /** What Python may ask of this host. @default {true} */
  readonly infrastructure?: InfrastructureOption | undefined;
  /** .NET in Python, by Python.NET, which is installed into the environment. */
  readonly dotnet?: DotnetOptions | undefined;
}

/** What a host's servers are made with. */
export interface HostServersOptions {
  /** Where environments are found. */
  readonly environments: VenvManager;
  /** The functions that their Python may call. @default {none} */
  readonly functions?: ExposedFunctions | undefined;
  /** Told what happens. @default {silent} */
  readonly logger?: Logger | undefined;
}

interface Running {
  readonly record: HostServer;
  readonly server: PythonServer;
}

/**
 * Starts servers whose Python can ask for environments, packages and servers, and ends them when it is disposed.
 *
 * @example A server in an environment of ours
 * ```ts ignore
 * import { HostServers, Infrastructure } from "jsr:@beep/python-host";
 *
 * const environments = new Infrastructure.VenvManager();
 * await environments.ensureAdmin();
 * await using hosted = new HostServers({ environments });
 * const { endpoint } = await hosted.start({ environment: "admin", transport: "http" });
 * ```
 */
export class HostServers implements AsyncDisposable {
  readonly #environments: VenvManager;
  readonly #functions: ExposedFunctions;
  readonly #logger: Logger;
  readonly #running = new Map<string, Running>();
  readonly #leases = new AsyncDisposableStack();
  #count = 0;
  #closed: Promise<void> | undefined;

  /** Makes an empty collection; nothing is started. */
  constructor(options: HostServersOptions) {
    this.#environments = options.environments;
    this.#functions = options.functions ?? new ExposedFunctions();
    this.#logger = options.logger ?? SILENT_LOGGER;
  }

  /** Those that run. */
  list(): HostServer[] {
    return [...this.#running.values()].map(({ record }) => record);
  }

  /** One that runs. Throws when there is none of this id. */
  get(id: string): HostServer {
    return this.#find(id).record;
  }

  /** The server itself. Throws when there is none of this id. */
  server(id: string): PythonServer {
    return this.#find(id).server;
  }

  /** Starts a server in an environment, which cannot be removed while it runs. */
  async start(options: HostServerOptions): Promise<HostServer> {
    const { environment: name, infrastructure, dotnet, ...rest } = options;
    if (dotnet !== undefined) await ensurePythonnet(this.#environments, name, rest.signal);
    const { environment } = await this.#environments.status(name);
    if (environment === undefined) {
      throw new EnvironmentError(`Cannot start a server in environment "${name}": it is not there`, {
        reason: "missing",
        hint: "Make it first, by ensure() or create().",
      });
    }
    await using undo = new AsyncDisposableStack();
    const lease = undo.use(await this.#environments.lease(environment));
    const { python } = environment;
    const prepared = dotnet === undefined ? {} : await prepareDotnet(dotnet, python, rest);
    const hostApi = await this.access(infrastructure, rest.host);
    const server = await startServer({ logger: this.#logger, ...rest, ...prepared, python, hostApi });
    if (this.#closed !== undefined) {
      await server.close();
      throw new PythonHostError("closed", "Cannot start a server: the host has been closed");
    }
    undo.move();
    void server.exited.then(() => lease[Symbol.asyncDispose]());
    return this.#enter(server, name, "api");
  }

  /** Keeps an environment of ours from being removed until these servers are ended; the user's own are theirs. */
  async keep({ name, path }: HostEnvironment): Promise<void> {
    if (name !== undefined) this.#leases.use(await this.#environments.lease({ path }));
  }

  /** Takes note of a server that somebody else started and ends. */
  adopt(server: PythonServer, environment: string | undefined): HostServer {
    return this.#enter(server, environment ?? null, "host");
  }

  /** Ends a server. Throws when it is not one that this object started. */
  async stop(id: string): Promise<void> {
    const { record, server } = this.#find(id);
    if (record.owner === "host") {
      throw new PythonHostError("not-granted", `Cannot stop server "${id}": it belongs to the host program`);
    }
    await server.close();
  }

  /**
   * Opens the endpoint on which a server that is about to be started reaches this host; undefined when it may ask for
   * nothing. By default everything is granted, and where Deno may not listen there is none.
   */
  async access(
    infrastructure?: InfrastructureOption,
    host = "127.0.0.1",
  ): Promise<HostApiAccess | undefined> {
    const option = infrastructure ?? isLoopback(host);
    if (option === false) return undefined;
    const granted = new Set<HostCapability>(capabilitiesOf(option));
    // What is exposed was chosen by name already.
    granted.add("functions:call");
    const services = { environments: this.#environments, servers: this, functions: this.#functions };
    try {
      const access = await openPrivateApi(services, granted, this.#logger);
      this.#functions.isReachable = true;
      return access;
    } catch (error) {
      if (!(error instanceof Deno.errors.NotCapable)) throw error;
      const missing = new PermissionNeededError("let Python reach its host", ["--allow-net"], {
        cause: error,
      });
      if (infrastructure !== undefined) throw missing;
      this.#logger.warn("Python cannot reach its host", missing);
      return undefined;
    }
  }

  /** Ends all servers that were started here, and lets go of what was kept for them. */
  async [Symbol.asyncDispose](): Promise<void> {
    await (this.#closed ??= this.#close());
  }

  async #close(): Promise<void> {
    await using _leases = this.#leases;
    const own = [...this.#running.values()].filter(({ record }) => record.owner === "api");
    await Promise.all(own.map(({ server }) => server.close()));
  }

  #find(id: string): Running {
    const running = this.#running.get(id);
    if (running !== undefined) return running;
    throw new NotFoundError(`Cannot find server "${id}": none of this id runs`);
  }

  #enter(server: PythonServer, environment: string | null, owner: HostServer["owner"]): HostServer {
    const record: HostServer = {
      id: `server-${++this.#count}`,
      environment,
      transport: server.transport,
      endpoint: server.endpoint,
      pid: server.pid,
      pythonVersion: server.info.pythonVersion,
      owner,
    };
    this.#running.set(record.id, { record, server });
    void server.exited.then(() => this.#running.delete(record.id));
    return record;
  }
}

function isLoopback(host: string): boolean {
  return /^(localhost|127(\.\d{1,3}){3}|::1|\[::1\])$/.test(host);
}
