/**
 * One started server with the backend that is connected to it. A host that restarts its server has one after the other.
 *
 * @module
 */

import type { CallCounters } from "../core/call_counters.ts";
import type { PythonHostBackend } from "../core/backend.ts";
import { type PythonHostError, ServerExitedError, StaleHandleError } from "../core/errors.ts";
import { SILENT_LOGGER } from "../core/logger.ts";
import { type PythonServer, startServer } from "../servers/mod.ts";
import type { HostServers } from "./host_servers.ts";
import type { HostTransport, PythonHostOptions } from "./options.ts";
import { unlessAborted } from "./when_ready.ts";

/** What every generation of a host is made from. */
export interface GenerationSetup {
  /** The interpreter. */
  readonly python: string;
  /** How it is reached. */
  readonly transport: HostTransport;
  /** What the user asked for. */
  readonly options: PythonHostOptions;
  /** Counts the calls of all generations. */
  readonly counters: CallCounters;
  /** The servers of the host, through which Python reaches it; without them it does not. */
  readonly servers?: HostServers | undefined;
  /** The name of the environment, where it has one. */
  readonly environment?: string | undefined;
  /** What a user may do about a server that ended, where there is something. */
  readonly endHint?: string | undefined;
  /** Run on each new backend before anybody else can use it. */
  readonly prepare?: ((backend: PythonHostBackend) => Promise<void>) | undefined;
}

/** See the module comment. */
export class Generation implements AsyncDisposable {
  /** 1 for the first server, and one more for each that took its place. */
  readonly number: number;
  /** The server. */
  readonly server: PythonServer;
  /** The backend, connected. */
  readonly backend: PythonHostBackend;
  /** Whether another one takes its place: its handles and sessions are stale from then on. */
  isSuperseded = false;

  private constructor(number: number, server: PythonServer, backend: PythonHostBackend) {
    this.number = number;
    this.server = server;
    this.backend = backend;
  }

  /** Starts a server and connects to it; nothing is left when a step fails or `signal` aborts. */
  static async start(
    number: number,
    setup: GenerationSetup,
    { signal, endUninterruptible }: StartOptions,
  ): Promise<Generation> {
    const { transport, options, prepare } = setup;
    await using resources = new AsyncDisposableStack();
    const server = resources.use(await startFor(setup, signal));
    const serverEnded = new AbortController();
    const hint = setup.endHint === undefined ? {} : { hint: setup.endHint };
    server.exited.then((facts) => serverEnded.abort(new ServerExitedError("complete call", facts, hint)));
    const backend: PythonHostBackend = resources.use(transport.connect({
      endpoint: server.endpoint,
      address: server.address,
      token: server.token,
      limits: options.limits ?? {},
      logger: options.logger ?? SILENT_LOGGER,
      counters: setup.counters,
      tracer: options.tracer,
      explainEnd: async (action) => new ServerExitedError(action, await server.exited, hint),
      serverEnded: serverEnded.signal,
      afterEnd: (reason) => generation.isSuperseded ? staleError(generation, reason) : reason,
      endUninterruptible: endUninterruptible && (() => endUninterruptible(generation)),
    }));
    const generation = new Generation(number, server, backend);
    await backend.initialize({ signal });
    // Closing the backend ends what it may still be doing then.
    if (prepare !== undefined) await unlessAborted(prepare(backend), signal);
    signal?.throwIfAborted();
    resources.move();
    return generation;
  }

  /** Closes the backend, then the server. Both are idempotent, and the server ends whatever the backend says. */
  async [Symbol.asyncDispose](): Promise<void> {
    await using _server = this.server;
    await this.backend.close();
  }
}

/** How a generation is started. */
export interface StartOptions {
  /** Gives up when it aborts. */
  readonly signal?: AbortSignal | undefined;
  /** Ends the server when a call cannot be interrupted. */
  readonly endUninterruptible?: ((generation: Generation) => Promise<void>) | undefined;
}

/** What the use of something of an earlier generation rejects with. */
export function staleError(generation: Generation, cause?: PythonHostError): StaleHandleError {
  return new StaleHandleError(
    `Cannot use a handle or session of server generation ${generation.number}: that server has ended`,
    { cause, hint: "Another server has taken its place, without its state: make the object there again." },
  );
}

async function startFor(setup: GenerationSetup, signal: AbortSignal | undefined): Promise<PythonServer> {
  const { modulePaths, cwd, env, inheritEnv, startTimeoutMs, logger, limits, infrastructure } = setup.options;
  const { serverArguments } = setup.transport;
  const server = await startServer({
    ...serverArguments,
    python: setup.python,
    modulePaths,
    cwd,
    env,
    inheritEnv,
    startTimeoutMs,
    signal,
    logger,
    limits,
    onStdout: setup.options.onStdout,
    onStderr: setup.options.onStderr,
    hostApi: await setup.servers?.access(infrastructure, serverArguments?.host),
  });
  setup.servers?.adopt(server, setup.environment);
  return server;
}
