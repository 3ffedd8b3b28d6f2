/**
 * Starts a server: sources on disk, a place to listen, the process, its ready line, its entry in the run directory.
 *
 * Whatever step fails, or is aborted, the ones before it are undone: nothing of a server that did not start is left.
 *
 * @module
 */

import { argumentError, checkSignal } from "../core/argument.ts";
import type { RunEntry } from "../core/endpoint.ts";
import { ServerStartError } from "../core/errors.ts";
import { type Logger, SILENT_LOGGER } from "../core/logger.ts";
import { LIBRARY_VERSION } from "../core/protocol.ts";
import { PYTHON_SOURCES_HASH } from "./_python_hash.gen.ts";
import { childEnvironment } from "./child_environment.ts";
import { withDotnetSocket } from "./dotnet_socket.ts";
import { ensurePrivateDirectory, hostRunDirectory, joinPath, sourcesDirectory } from "./directories.ts";
import type { PythonServer, ServerOptions, ServerTransport } from "./options.ts";
import { removeLeftovers } from "./leftovers.ts";
import { requireNamed, requirePermissions } from "./permissions.ts";
import { becomeReady } from "./readiness.ts";
import { removeDeadEntries, writeRunEntry } from "./run_entries.ts";
import { ServerProcess } from "./server_process.ts";
import { claimSocket, type SocketClaim } from "./socket_address.ts";
import { ensureBytecode, ensureSources, type PythonSources } from "./sources.ts";
import { StartedServer } from "./started_server.ts";
import { listenFields, reachableFrom, refusalOf } from "./tls.ts";

/**
 * Starts a Python server and waits until it is ready.
 *
 * The process ends with {@linkcode PythonServer.close}, or with this program, however that ends.
 *
 * Needs `--allow-run=<python>`, read and write permission for the data and run directories, `--allow-env` for what is
 * to be passed on.
 *
 * @throws {ServerStartError} when the process fails, or is not ready within `startTimeoutMs`.
 * @throws {AddressInUseError} when the port, name or path is taken.
 * @throws {PermissionNeededError} naming every missing flag.
 */
export async function startServer(options: ServerOptions): Promise<PythonServer> {
  const { python } = options;
  const needed = { run: [python], read: [environmentRootOf(python) ?? python] };
  const directories = requireNamed("start a Python server", needed, () => ({
    sourcesRoot: sourcesDirectory(),
    runDirectory: hostRunDirectory(),
  }));
  return await launch(options, { sources: SOURCES, ...directories });
}

/** The Python sources of this version. */
const SOURCES: PythonSources = { load: loadSources, hash: PYTHON_SOURCES_HASH, version: LIBRARY_VERSION };

/** Writes the Python sources where they are not yet, and gives their directory: `beep_host` can be imported from it. */
export async function ensureServerSources(): Promise<string> {
  return await ensureSources(sourcesDirectory(), SOURCES);
}

/** Loaded when they are to be written, which is once: they are large. */
async function loadSources(): Promise<Readonly<Record<string, string>>> {
  const sources = await import("./_python.gen.ts");
  if (sources.PYTHON_SOURCES_HASH === PYTHON_SOURCES_HASH) return sources.PYTHON_SOURCES;
  throw new ServerStartError(
    "Cannot start a Python server: its sources are not those that their hash is of",
    "",
    {
      hint: 'The generated files do not fit each other: run "deno task gen".',
    },
  );
}

/** What a server is made of, and where its files go. */
export interface LaunchContext {
  /** The Python program. */
  readonly sources: PythonSources;
  /** The directory below which the sources are written. */
  readonly sourcesRoot: string;
  /** The directory of sockets and run entries. */
  readonly runDirectory: string;
}

/** {@linkcode startServer} with any sources and directories; the tests give their own. */
export async function launch(options: ServerOptions, context: LaunchContext): Promise<PythonServer> {
  const { signal, python, logger = SILENT_LOGGER } = options;
  await using undo = new AsyncDisposableStack();
  if (options.hostApi !== undefined) undo.use(options.hostApi);
  signal?.throwIfAborted();
  const transport = checkOptions(options);
  const { sources, sourcesRoot, runDirectory } = context;
  const environment = await environmentOf(python, [sourcesRoot, runDirectory]);
  await ensurePrivateDirectory(runDirectory);
  const directory = await ensureSources(sourcesRoot, sources);
  await ensureBytecode(directory, python, { signal, logger });
  signal?.throwIfAborted();

  const claim = transport === "pipe" ? undo.use(await claimFor(options, runDirectory, logger)) : undefined;
  const token = options.auth === false ? "" : randomHex(32);
  const child = new ServerProcess({
    python,
    directory,
    bootstrap: bootstrapOf(options, transport, token, claim),
    env: childEnvironment({ env: options.env, inheritEnv: options.inheritEnv, ...environment }),
    cwd: options.cwd,
    onStdout: options.onStdout,
    onStderr: options.onStderr,
    logger,
  });
  undo.defer(() => child.kill());
  // In the time that Python takes anyway.
  const tidied = Promise.all([
    removeDeadEntries(runDirectory, logger),
    removeLeftovers(runDirectory, logger),
  ]);
  undo.defer(async () => void await tidied);
  const ready = await becomeReady(child, options, describe(options, transport));
  await tidied;
  signal?.throwIfAborted();
  const entry: RunEntry = {
    schema: 1,
    transport,
    ...(options.rpc?.grpc === true ? { protocol: "grpc" } : {}),
    ...(claim === undefined
      ? reachableFrom(ready.address)
      : { endpoint: claim.endpoint, address: ready.address }),
    pid: ready.pid,
    token,
  };
  const written = await writeRunEntry(runDirectory, entry);
  undo.move(); // from here on the server's own end undoes these steps
  logger.info(`Python server ${ready.pid} is ready at ${entry.endpoint}`);
  return new StartedServer({ child, claim, entry, ready, written, hostApi: options.hostApi, logger });
}

/** Checks what can be checked before anything is begun. */
function checkOptions(options: ServerOptions): ServerTransport {
  const { transport = "pipe", name, port } = options;
  const wrong = (option: string, why: string): ServerStartError =>
    new ServerStartError(`Cannot start a Python server with ${option}: ${why}`);
  const { startTimeoutMs, signal } = options;
  if (startTimeoutMs !== undefined && !(typeof startTimeoutMs === "number" && startTimeoutMs > 0)) {
    throw argumentError("startTimeoutMs", "a number above 0", startTimeoutMs);
  }
  checkSignal(signal);
  if (options.python.includes("\0")) throw wrong(JSON.stringify(options.python), "it is no path");
  if (transport === "pipe") {
    for (
      const option of [
        "port",
        "host",
        "tls",
        "allowedHosts",
        "allowedOrigins",
        "listenBeyondLoopback",
        "rpc",
      ] as const
    ) {
      const given = options[option];
      if (given === undefined) continue;
      const shown = typeof given === "object" ? option : `${option} ${JSON.stringify(given)}`;
      throw wrong(shown, `a pipe has no ${option}`);
    }
  } else {
    if (name !== undefined) {
      throw wrong(`name "${name}"`, `only a pipe has a name, and the transport is "${transport}"`);
    }
    if (port !== undefined && !(Number.isInteger(port) && port >= 0 && port <= 65_535)) {
      throw wrong(`port ${port}`, "a port is an integer from 0 to 65535");
    }
    if (options.rpc !== undefined && transport !== "rpc") {
      throw wrong("rpc", `it is for transport "rpc", and the transport is "${transport}"`);
    }
    const refusal = refusalOf(options);
    if (refusal !== null) throw wrong(...refusal);
  }
  return transport;
}

/** Where a pipe server listens: one place, and without a token a second one for clients in .NET. */
async function claimFor(options: ServerOptions, runDirectory: string, logger: Logger): Promise<SocketClaim> {
  const claim = await claimSocket(runDirectory, options.name, logger);
  if (options.auth !== false || options.name === undefined) return claim;
  try {
    return await withDotnetSocket(claim, runDirectory, logger);
  } catch (error) {
    await claim[Symbol.asyncDispose]();
    throw error;
  }
}

/** Finds out whether the interpreter is that of an environment, and that we may do what comes next. */
async function environmentOf(
  python: string,
  writable: readonly string[],
): Promise<{ binPath?: string; environmentPath?: string }> {
  const binPath = parentOf(python);
  const root = environmentRootOf(python);
  requirePermissions("start a Python server", {
    run: [python],
    read: [...writable, root ?? python],
    write: writable,
  });
  try {
    await Deno.stat(python);
  } catch (cause) {
    if (!(cause instanceof Deno.errors.NotFound)) throw cause;
    throw new ServerStartError(`Cannot start a Python server: there is no interpreter at "${python}"`, "", {
      cause,
      hint:
        "Pass the path of an environment's interpreter, or use PythonHost.start, which finds or makes one.",
    });
  }
  if (root === undefined || binPath === undefined) return {};
  try {
    await Deno.stat(joinPath(root, "pyvenv.cfg"));
    return { binPath, environmentPath: root };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return { binPath };
    throw error;
  }
}

/** The directory of the environment that an interpreter would be of. */
function environmentRootOf(python: string): string | undefined {
  const binPath = parentOf(python);
  return binPath === undefined ? undefined : parentOf(binPath);
}

function parentOf(path: string): string | undefined {
  const at = Deno.build.os === "windows"
    ? Math.max(path.lastIndexOf("\\"), path.lastIndexOf("/"))
    : path.lastIndexOf("/");
  return at <= 0 ? undefined : path.slice(0, at);
}

/** The line that the server reads first. It is the only way on which the token travels. */
function bootstrapOf(
  options: ServerOptions,
  transport: ServerTransport,
  token: string,
  claim: SocketClaim | undefined,
): Record<string, unknown> & { nonce: string } {
  return {
    nonce: randomHex(16),
    transport,
    token,
    auth: options.auth !== false,
    ...(claim === undefined ? listenFields(options) : { path: claim.path, alsoAt: claim.alsoAt }),
    modulePaths: options.modulePaths ?? [],
    limits: options.limits ?? {},
    ...(options.rpc === undefined
      ? {}
      : { grpc: options.rpc.grpc === true, connectPort: options.rpc.connectPort ?? 0 }),
    ...(options.hostApi === undefined ? {} : { hostApi: options.hostApi.path }),
  };
}

function describe(options: ServerOptions, transport: ServerTransport): string {
  if (transport === "pipe") return options.name === undefined ? "on a pipe" : `on pipe "${options.name}"`;
  return options.port === undefined || options.port === 0
    ? `over ${transport}`
    : `over ${transport} on port ${options.port}`;
}

function randomHex(bytes: number): string {
  return crypto.getRandomValues(new Uint8Array(bytes)).toHex();
}
