/**
 * `PythonHost`: the whole chain in one object, from finding a Python to a backend that is connected.
 *
 * ```text
 * PythonHost.start ──► environment ──► server ──► backend
 *                      (made once)     (a process) (connected)
 *                                      └─ generation ─┘ another one when asked to restart (supervisor.ts)
 *      close()     ──────────────────► then ends  ◄── first ends
 * ```
 *
 * @module
 */

import { checkSignal } from "../core/argument.ts";
import type {
  CallOptions,
  CloseOptions,
  InitializeOptions,
  KeywordArguments,
  PositionalArguments,
  PythonHostBackend,
  ServerInfo,
} from "../core/backend.ts";
import { CallCounters } from "../core/call_counters.ts";
import { PythonHostError } from "../core/errors.ts";
import { showAs } from "../core/inspection.ts";
import type { PythonModuleHandle, PythonObjectHandle } from "../core/handles.ts";
import { SILENT_LOGGER } from "../core/logger.ts";
import type { PythonServer } from "../servers/mod.ts";
import type { VenvManager } from "../infrastructure/mod.ts";
import { type HostEnvironment, makeEnvironments, resolveEnvironment } from "./environment.ts";
import { withDotnet } from "./dotnet.ts";
import { ExposedFunctions, type HostFunctions } from "./expose.ts";
import { HostServers } from "./host_servers.ts";
import { staleError } from "./generation.ts";
import {
  checkOptionNames,
  HOST_OPTION_NAMES,
  type PythonHostOptions,
  replacesUninterruptible,
} from "./options.ts";
import { type HostStatistics, serverStatistics, withOperation } from "./statistics.ts";
import { Supervisor } from "./supervisor.ts";
import { requireHostPermissions } from "./permissions.ts";
import { resolveTransport } from "./transports.ts";
import { type BackendCall, callWhenReady, unlessAborted } from "./when_ready.ts";

/** What a host is put together from. */
interface HostParts {
  readonly environment: HostEnvironment;
  readonly environments: VenvManager;
  readonly servers: HostServers;
  readonly functions: ExposedFunctions;
  readonly supervisor: Supervisor;
  readonly counters: CallCounters;
}

/**
 * A Python of your own: its environment, its server and a backend that is connected to it.
 *
 * It is a backend itself, so everything that works on a backend works on a host. Dispose it, and its server ends.
 *
 * @example Own the whole chain
 * ```ts
 * import { PythonHost } from "jsr:@beep/python-host";
 * import { assertEquals } from "jsr:@std/assert";
 *
 * await using host = await PythonHost.start();
 * assertEquals(await host.evaluate("sum(range(10))"), 45);
 * ```
 */
export class PythonHost implements PythonHostBackend {
  /** The environment that the server runs in. */
  readonly environment: HostEnvironment;
  /** The environments of this user, and through them the runtimes. */
  readonly environments: VenvManager;
  /** The servers of this host: its own, and those that are started here or by Python. They end with the host. */
  readonly servers: HostServers;
  readonly #supervisor: Supervisor;
  readonly #counters: CallCounters;
  readonly #functions: ExposedFunctions;

  static {
    showAs(this.prototype, "PythonHost", ({ transport, environment, server }) => ({
      transport,
      environment: environment.name ?? environment.path,
      pid: server.pid,
    }));
  }

  private constructor(parts: HostParts) {
    this.environment = parts.environment;
    this.environments = parts.environments;
    this.servers = parts.servers;
    this.#functions = parts.functions;
    this.#supervisor = parts.supervisor;
    this.#counters = parts.counters;
  }

  /**
   * Finds a Python, makes the environment when it is not there yet, starts a server in it and connects to it.
   *
   * Needs `--allow-run`, `--allow-env`, and read, write and net permission for the data and run directories.
   *
   * @throws {PythonNotFoundError} when no suitable Python is there.
   * @throws {EnvironmentError} when the environment cannot be made or used.
   * @throws {ServerStartError} when the server does not become ready.
   * @throws {PermissionNeededError} naming the missing flags.
   */
  static async start(given: PythonHostOptions = {}): Promise<PythonHost> {
    checkSignal(given.signal);
    checkOptionNames(given, HOST_OPTION_NAMES);
    given.signal?.throwIfAborted();
    const transport = resolveTransport(given);
    requireHostPermissions(given, transport);
    const replaces = replacesUninterruptible(given.uninterruptible);
    const environment = await resolveEnvironment(given);
    const options = await withDotnet(given, environment.python);
    const counters = new CallCounters();
    const { logger } = options;
    const environments = makeEnvironments(logger);
    const functions = new ExposedFunctions();
    const servers = new HostServers({ environments, functions, logger });
    await using undo = new AsyncDisposableStack();
    undo.use(servers);
    await servers.keep(environment);
    const { name, python } = environment;
    const supervisor = await Supervisor.start({
      setup: {
        python,
        transport,
        options,
        counters,
        servers,
        environment: name,
        endHint: options.restart ? undefined : RESTART_HINT,
      },
      restart: options.restart === true ? {} : options.restart || undefined,
      replacesUninterruptible: replaces,
      logger: options.logger ?? SILENT_LOGGER,
    }, options.signal);
    undo.move();
    return new PythonHost({ environment, environments, servers, functions, supervisor, counters });
  }

  /** The backend that calls go to now; with `restart` another one takes its place when its server ends. */
  get backend(): PythonHostBackend {
    return this.#supervisor.current.backend;
  }

  /** The server that the backend is connected to. */
  get server(): PythonServer {
    return this.#supervisor.current.server;
  }

  /** The number of the server: 1 for the first, and one more for each that took the place of another. */
  get generation(): number {
    return this.#supervisor.current.number;
  }

  /** The kind of wire between host and server. */
  get transport(): PythonHostBackend["transport"] {
    return this.backend.transport;
  }

  /** Whether the backend is connected. */
  get isInitialized(): boolean {
    return this.#supervisor.live?.backend.isInitialized ?? false;
  }

  /** Tells about the server; it is connected already, or will be when another one has been started. */
  async initialize(options?: InitializeOptions): Promise<ServerInfo> {
    const { backend } = await unlessAborted(this.#supervisor.ready(), options?.signal);
    return await backend.initialize(options);
  }

  /** Imports a module and gives a handle to it. */
  importModule(name: string, options?: CallOptions): Promise<PythonModuleHandle> {
    return this.#on(options, (backend, options) => backend.importModule(name, options));
  }

  /** Makes an object: `module.className(*args, **kwargs)`. */
  createObject(
    module: PythonModuleHandle | string,
    className: string,
    args?: PositionalArguments,
    kwargs?: KeywordArguments,
    options?: CallOptions,
  ): Promise<PythonObjectHandle> {
    const call: BackendCall<PythonObjectHandle> = (backend, options) =>
      backend.createObject(module, className, args, kwargs, options);
    return typeof module === "string" ? this.#on(options, call) : this.#onHandle(module, options, call);
  }

  /** Calls `handle.name(*args, **kwargs)`. */
  callMethod<T = unknown>(
    handle: PythonObjectHandle,
    name: string,
    args?: PositionalArguments,
    kwargs?: KeywordArguments,
    options?: CallOptions,
  ): Promise<T> {
    return this.#onHandle(
      handle,
      options,
      (backend, options) => backend.callMethod<T>(handle, name, args, kwargs, options),
    );
  }

  /** Gives `handle.name`. */
  getAttribute<T = unknown>(handle: PythonObjectHandle, name: string, options?: CallOptions): Promise<T> {
    return this.#onHandle(
      handle,
      options,
      (backend, options) => backend.getAttribute<T>(handle, name, options),
    );
  }

  /** Does `handle.name = value`. */
  setAttribute(
    handle: PythonObjectHandle,
    name: string,
    value: unknown,
    options?: CallOptions,
  ): Promise<void> {
    return this.#onHandle(
      handle,
      options,
      (backend, options) => backend.setAttribute(handle, name, value, options),
    );
  }

  /** Releases a handle. */
  disposeHandle(handle: PythonObjectHandle, options?: CallOptions): Promise<void> {
    // That of a server which has ended is released already.
    return (handle?.backend ?? this.backend).disposeHandle(handle, options);
  }

  /** Runs Python code and gives the value of its last expression. */
  evaluate<T = unknown>(code: string, locals?: KeywordArguments, options?: CallOptions): Promise<T> {
    return this.#on(options, (backend, options) => backend.evaluate<T>(code, locals, options));
  }

  /** Gives anything array-like as one flat row of 32-bit floats. */
  toFloatArray(handle: PythonObjectHandle, options?: CallOptions): Promise<Float32Array> {
    return this.#onHandle(handle, options, (backend, options) => backend.toFloatArray(handle, options));
  }

  /** Gives anything array-like of two dimensions as rows of 32-bit floats. */
  toFloatArray2D(handle: PythonObjectHandle, options?: CallOptions): Promise<Float32Array[]> {
    return this.#onHandle(handle, options, (backend, options) => backend.toFloatArray2D(handle, options));
  }

  /** Whether `import name` would find the module. */
  isModuleAvailable(name: string, options?: CallOptions): Promise<boolean> {
    return this.#on(options, (backend, options) => backend.isModuleAvailable(name, options));
  }

  /** Gives a handle to the Python image of a value. */
  createObjectHandleFromResult(value: unknown, options?: CallOptions): Promise<PythonObjectHandle> {
    return this.#on(options, (backend, options) => backend.createObjectHandleFromResult(value, options));
  }

  /** Makes a further session: a namespace and a thread, named by `CallOptions.session`. A restart ends it. */
  openSession(label: string, options?: CallOptions): Promise<void> {
    return this.#on(
      options,
      async (backend, options) => await withOperation(backend, "openSession").openSession(label, options),
    );
  }

  /** Ends a further session, its calls and its handles. */
  closeSession(label: string, options?: CallOptions): Promise<void> {
    return this.#on(
      options,
      async (backend, options) => await withOperation(backend, "closeSession").closeSession(label, options),
    );
  }

  /** Asks the server for a sign of life, beside all calls; gives the numbers of the calls that run. */
  ping(options?: CallOptions): Promise<readonly number[]> {
    return this.#on(options, async (backend, options) => await withOperation(backend, "ping").ping(options));
  }

  /** What was counted of the calls, over all servers of this host, and what the present server counts. */
  async stats(options?: CallOptions): Promise<HostStatistics> {
    const { live, current } = this.#supervisor;
    return {
      ...this.#counters.statistics,
      generation: current.number,
      restarts: current.number - 1,
      server: live === undefined ? null : await serverStatistics(live.backend, options),
    };
  }

  /**
   * Lets Python call functions, as `beep_host.host.<name>.<function>(…)`, until the result is disposed. Only own
   * functions of the given object are reachable, as they are now.
   *
   * @example Give Python something to ask
   * ```ts
   * import { PythonHost } from "jsr:@beep/python-host";
   * import { assertEquals } from "jsr:@std/assert";
   *
   * await using host = await PythonHost.start();
   * using _ = host.expose("prices", { of: (item: string) => item.length * 10 });
   * assertEquals(await host.evaluate("from beep_host import host\nhost.prices.of('tea')"), 30);
   * ```
   */
  expose(name: string, functions: HostFunctions): Disposable {
    if (!this.#functions.isReachable) {
      throw new PythonHostError("argument", `Cannot expose "${name}": Python has no way to this host`, {
        hint:
          "Start the host with the option `infrastructure`; with { allow: [] } exposed functions are all there is.",
      });
    }
    return this.#functions.expose(name, functions);
  }

  /** Closes the backend, then the server, then what was started through it; doing it again does nothing more. */
  async close(options?: CloseOptions): Promise<void> {
    await using _servers = this.servers;
    await this.#supervisor.close(options);
  }

  /** Closes the host. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Makes a call on the present server, or on the next one while that is started. */
  #on<T>(options: CallOptions | undefined, call: BackendCall<T>): Promise<T> {
    const { live } = this.#supervisor;
    if (live !== undefined) return call(live.backend, options);
    return callWhenReady(() => this.#supervisor.ready(), options, call);
  }

  /** As {@linkcode #on}, for a call that a handle of an earlier server must not reach. */
  #onHandle<T>(
    handle: PythonObjectHandle,
    options: CallOptions | undefined,
    call: BackendCall<T>,
  ): Promise<T> {
    const { live } = this.#supervisor;
    // Callers without types pass values too, which the backend refuses.
    const owner = handle?.backend;
    if (live?.backend === owner) return call(live!.backend, options);
    const generation = owner && this.#supervisor.generationOf(owner);
    if (generation?.isSuperseded) return Promise.reject(staleError(generation));
    return this.#on(options, call);
  }
}

const RESTART_HINT =
  "Start a new host. With `restart: true` another server takes the place of one that ended; what it held is gone.";
