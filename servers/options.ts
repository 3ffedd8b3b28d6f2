/**
 * What a server is started with, and what a started one offers: the types of this folder's public face.
 *
 * @module
 */

import type { ExitFacts } from "../core/errors.ts";
import type { Logger } from "../core/logger.ts";
import type { ListenOptions } from "./tls.ts";

/** The kinds of wire that the Python sources can serve. */
export type ServerTransport = "pipe" | "http" | "rpc";

/** Bounds that a server keeps; what is left out has the server's own default. */
export interface ServerLimits {
  /** The largest frame that is accepted, in bytes. @default {268435456} */
  readonly maxFrameBytes?: number | undefined;
  /** The most connections that have shown the token; a pipe client has two. @default {64} */
  readonly maxConnections?: number | undefined;
  /** The most connections that have not yet shown the token; beyond it the oldest is dropped. @default {32} */
  readonly maxUnauthenticated?: number | undefined;
  /** The most calls of one client that have no reply yet. @default {1024} */
  readonly maxInFlight?: number | undefined;
  /** The most handles of one session. @default {1000000} */
  readonly maxHandles?: number | undefined;
  /** The most further sessions of one client. @default {1024} */
  readonly maxSessions?: number | undefined;
  /** The most threads for `concurrent` calls, over all clients; beyond it calls queue. @default {32} */
  readonly maxThreads?: number | undefined;
  /** How long a session over HTTP lives without a request, in milliseconds. @default {1800000} */
  readonly sessionIdleMs?: number | undefined;
  /** How long Python code may take to stop when it is interrupted, in milliseconds. @default {2000} */
  readonly interruptGraceMs?: number | undefined;
  /** How deep values may be nested in values, at most 200. @default {200} */
  readonly maxDepth?: number | undefined;
  /** The largest head of an HTTP request, in bytes. @default {16384} */
  readonly maxHeadBytes?: number | undefined;
  /** How long the head of an HTTP request may take, and the handshake of a pipe, in milliseconds. @default {10000} */
  readonly headTimeoutMs?: number | undefined;
  /** How long a client over HTTP may send nothing of a body, or take nothing of an answer, in milliseconds. @default {30000} */
  readonly bodyStallMs?: number | undefined;
  /** How long an HTTP connection may rest between two requests, in milliseconds. @default {300000} */
  readonly idleTimeoutMs?: number | undefined;
  /** The most bytes of output and replies that wait for a client to read them, per request or connection. @default {16777216} */
  readonly maxBufferedBytes?: number | undefined;
  /** How long the answer to a wrong token takes, in milliseconds; it makes guessing slow. @default {100} */
  readonly refusedTokenDelayMs?: number | undefined;
}

/**
 * How Python reaches its host: a file for its owner alone, which holds an address and a token. It belongs to the server
 * from the moment it is given, and is disposed when the server has ended or could not be started.
 */
export interface HostApiAccess extends AsyncDisposable {
  /** The file's path. */
  readonly path: string;
  /** Removes its files, for the moment in which the program ends. */
  removeNow(): void;
}

/** Options of a server over RPC. */
export interface RpcServerOptions {
  /**
   * Serves gRPC on the given port, by `grpcio`, which has to be in the server's environment with
   * `grpcio-health-checking`, `grpcio-reflection` and `protobuf`; Connect then listens on `connectPort`.
   *
   * @default {false}
   */
  readonly grpc?: boolean | undefined;
  /** The port of Connect beside gRPC; 0 lets the system choose. @default {0} */
  readonly connectPort?: number | undefined;
}

/** Options of {@linkcode startServer}. */
export interface ServerOptions extends ListenOptions {
  /** Path of the interpreter that runs the server; that of an environment, not of a bare runtime. */
  readonly python: string;
  /** The kind of wire. @default {"pipe"} */
  readonly transport?: ServerTransport | undefined;
  /**
   * What clients call a pipe server: a name of letters, digits, `.`, `_` and `-`, or an absolute socket path.
   *
   * @default {a random name}
   */
  readonly name?: string | undefined;
  /** Port of an HTTP or RPC server; 0 lets the system choose. @default {0} */
  readonly port?: number | undefined;
  /** What a server over RPC is to offer beside Connect. */
  readonly rpc?: RpcServerOptions | undefined;
  /** Folders of your own modules, put on `sys.path` before everything else. */
  readonly modulePaths?: readonly string[] | undefined;
  /** Working directory of the server. @default {the host's} */
  readonly cwd?: string | undefined;
  /** Variables to set in the server's environment; they win over all others. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** Names of host variables to pass on besides the harmless ones; a trailing `*` stands for any ending. */
  readonly inheritEnv?: readonly string[] | undefined;
  /** How long the server may take until it is ready, in milliseconds. @default {30000} */
  readonly startTimeoutMs?: number | undefined;
  /** Gives up starting when it aborts; nothing of the server is left then. */
  readonly signal?: AbortSignal | undefined;
  /** Told what happens. Never told the token. @default {silent} */
  readonly logger?: Logger | undefined;
  /** Bounds that the server keeps. */
  readonly limits?: ServerLimits | undefined;
  /** How Python reaches its host; without it, it does not. */
  readonly hostApi?: HostApiAccess | undefined;
  /** Told what the server's process writes to stdout, as text. */
  readonly onStdout?: ((text: string) => void) | undefined;
  /** Told what the server's process writes to stderr, as text. */
  readonly onStderr?: ((text: string) => void) | undefined;
}

/** What a server said when it became ready. */
export interface ServerReady {
  /** Where it really listens: an absolute socket path, `\\.\pipe\…` or `http://127.0.0.1:5678`. */
  readonly address: string;
  /** Process id of the interpreter; on Windows not that of the launcher that was spawned. */
  readonly pid: number;
  /** `platform.python_version()`. */
  readonly pythonVersion: string;
  /** Where Connect listens beside gRPC. */
  readonly connectAddress?: string | undefined;
}

/** Options of {@linkcode PythonServer.close}. */
export interface CloseServerOptions {
  /**
   * How long the server is given after the request to end, until it is killed. It gives itself two seconds.
   *
   * @default {2500}
   */
  readonly graceMs?: number | undefined;
}

/** Text that a process wrote, as far as it is kept. */
export interface CapturedOutput {
  /** The last bytes that were written, at most 1 MiB, as text. */
  readonly text: string;
  /** How many bytes before them were dropped. */
  readonly droppedBytes: number;
}

/** A started server: a Python process that ends with this object, or with the program that holds it. */
export interface PythonServer extends AsyncDisposable {
  /** The kind of wire. */
  readonly transport: ServerTransport;
  /** What a client is given: a pipe's name or path, or `http://localhost:5678`. */
  readonly endpoint: string;
  /** Where it really listens. */
  readonly address: string;
  /** The secret of this server; empty when it was started with `auth: false`. */
  readonly token: string;
  /** Process id of the interpreter. */
  readonly pid: number;
  /** What the server said when it became ready. */
  readonly info: ServerReady;
  /** Settles when the process has ended, however it ended; never rejects. See {@linkcode PythonServer.ref}. */
  readonly exited: Promise<ExitFacts>;
  /** What the process wrote to stdout. */
  readonly stdout: CapturedOutput;
  /** What the process wrote to stderr. */
  readonly stderr: CapturedOutput;
  /** Makes the program wait for the server's end. A started server alone does not keep a program running. */
  ref(): void;
  /** Takes {@linkcode PythonServer.ref} back. */
  unref(): void;
  /** Ends the server and all processes of its group, by request first and by force at last; doing it again gives the same promise. */
  close(options?: CloseServerOptions): Promise<void>;
}
