/**
 * `PythonHost`: the whole chain in one object, from finding a Python to a backend that is connected.
 *
 * ```text
 * PythonHost.start ──► environment ──► server ──► backend
 *                      (made once)     (a process) (connected)
 *      close()     ──────────────────► then ends  ◄── first ends
 * ```
 *
 * @module
 */

import type {
  CallOptions,
  CloseOptions,
  InitializeOptions,
  KeywordArguments,
  PositionalArguments,
  PythonHostBackend,
  ServerInfo,
} from "../core/backend.ts";
import { ServerExitedError } from "../core/errors.ts";
import type { PythonModuleHandle, PythonObjectHandle } from "../core/handles.ts";
import { SILENT_LOGGER } from "../core/logger.ts";
import { type PythonServer, startServer } from "../servers/mod.ts";
import { type HostEnvironment, resolveEnvironment } from "./environment.ts";
import type { HostEndpoint, HostTransport, PythonHostOptions } from "./options.ts";
import { resolveTransport } from "./transports.ts";

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
  /** The backend that all calls go to. */
  readonly backend: PythonHostBackend;
  /** The server that the backend is connected to. */
  readonly server: PythonServer;
  /** The environment that the server runs in. */
  readonly environment: HostEnvironment;
  readonly #resources: AsyncDisposableStack;
  #closed: Promise<void> | undefined;

  private constructor(
    backend: PythonHostBackend,
    server: PythonServer,
    environment: HostEnvironment,
    resources: AsyncDisposableStack,
  ) {
    this.backend = backend;
    this.server = server;
    this.environment = environment;
    this.#resources = resources;
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
  static async start(options: PythonHostOptions = {}): Promise<PythonHost> {
    options.signal?.throwIfAborted();
    const transport = resolveTransport(options.transport);
    const environment = await resolveEnvironment(options);
    await using resources = new AsyncDisposableStack();
    const server = resources.use(await startFor(environment, transport, options));
    const backend = resources.use(transport.connect(endpointOf(server, options)));
    await backend.initialize({ signal: options.signal });
    return new PythonHost(backend, server, environment, resources.move());
  }

  /** The kind of wire between host and server. */
  get transport(): PythonHostBackend["transport"] {
    return this.backend.transport;
  }

  /** Whether the backend is connected. */
  get isInitialized(): boolean {
    return this.backend.isInitialized;
  }

  /** Tells about the server; it is connected already. */
  initialize(options?: InitializeOptions): Promise<ServerInfo> {
    return this.backend.initialize(options);
  }

  /** Imports a module and gives a handle to it. */
  importModule(name: string, options?: CallOptions): Promise<PythonModuleHandle> {
    return this.backend.importModule(name, options);
  }

  /** Makes an object: `module.className(*args, **kwargs)`. */
  createObject(
    module: PythonModuleHandle | string,
    className: string,
    args?: PositionalArguments,
    kwargs?: KeywordArguments,
    options?: CallOptions,
  ): Promise<PythonObjectHandle> {
    return this.backend.createObject(module, className, args, kwargs, options);
  }

  /** Calls `handle.name(*args, **kwargs)`. */
  callMethod<T = unknown>(
    handle: PythonObjectHandle,
    name: string,
    args?: PositionalArguments,
    kwargs?: KeywordArguments,
    options?: CallOptions,
  ): Promise<T> {
    return this.backend.callMethod<T>(handle, name, args, kwargs, options);
  }

  /** Gives `handle.name`. */
  getAttribute<T = unknown>(handle: PythonObjectHandle, name: string, options?: CallOptions): Promise<T> {
    return this.backend.getAttribute<T>(handle, name, options);
  }

  /** Does `handle.name = value`. */
  setAttribute(
    handle: PythonObjectHandle,
    name: string,
    value: unknown,
    options?: CallOptions,
  ): Promise<void> {
    return this.backend.setAttribute(handle, name, value, options);
  }

  /** Releases a handle. */
  disposeHandle(handle: PythonObjectHandle, options?: CallOptions): Promise<void> {
    return this.backend.disposeHandle(handle, options);
  }

  /** Runs Python code and gives the value of its last expression. */
  evaluate<T = unknown>(code: string, locals?: KeywordArguments, options?: CallOptions): Promise<T> {
    return this.backend.evaluate<T>(code, locals, options);
  }

  /** Gives anything array-like as one flat row of 32-bit floats. */
  toFloatArray(handle: PythonObjectHandle, options?: CallOptions): Promise<Float32Array> {
    return this.backend.toFloatArray(handle, options);
  }

  /** Gives anything array-like of two dimensions as rows of 32-bit floats. */
  toFloatArray2D(handle: PythonObjectHandle, options?: CallOptions): Promise<Float32Array[]> {
    return this.backend.toFloatArray2D(handle, options);
  }

  /** Whether `import name` would find the module. */
  isModuleAvailable(name: string, options?: CallOptions): Promise<boolean> {
    return this.backend.isModuleAvailable(name, options);
  }

  /** Gives a handle to the Python image of a value. */
  createObjectHandleFromResult(value: unknown, options?: CallOptions): Promise<PythonObjectHandle> {
    return this.backend.createObjectHandleFromResult(value, options);
  }

  /** Closes the backend, then the server; doing it again gives the same promise. */
  close(options?: CloseOptions): Promise<void> {
    return this.#closed ??= this.#close(options);
  }

  /** Closes the host. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(options: CloseOptions | undefined): Promise<void> {
    // The stack closes again what is closed, which does nothing, and the server whatever the backend said.
    await using _resources = this.#resources;
    await this.backend.close(options);
  }
}

function startFor(
  environment: HostEnvironment,
  transport: HostTransport,
  options: PythonHostOptions,
): Promise<PythonServer> {
  const { modulePaths, cwd, env, inheritEnv, startTimeoutMs, signal, logger, limits } = options;
  return startServer({
    ...transport.serverArguments,
    python: environment.python,
    modulePaths,
    cwd,
    env,
    inheritEnv,
    startTimeoutMs,
    signal,
    logger,
    limits,
  });
}

function endpointOf(server: PythonServer, options: PythonHostOptions): HostEndpoint {
  const { endpoint, address, token } = server;
  return {
    endpoint,
    address,
    token,
    limits: options.limits ?? {},
    explainEnd: async (action) => new ServerExitedError(action, await server.exited),
    logger: options.logger ?? SILENT_LOGGER,
  };
}
