/**
 * What a host is started with.
 *
 * @module
 */

import type { PythonHostBackend } from "../core/backend.ts";
import type { CallCounters } from "../core/call_counters.ts";
import { PythonHostError } from "../core/errors.ts";
import type { Logger } from "../core/logger.ts";
import type { ProgressListener } from "../infrastructure/mod.ts";
import type {
  ListenOptions,
  RpcServerOptions,
  ServerLimits,
  ServerOptions,
  ServerTls,
} from "../servers/mod.ts";
import type { CallTracer, ClientTls, ExplainEnd } from "../transports/mod.ts";
import type { InfrastructureOption } from "./api_capabilities.ts";
import type { DotnetOptions } from "./dotnet.ts";
import type { RestartOptions } from "./restart.ts";

/** Where a backend finds the server that its host has started. */
export interface HostEndpoint {
  /** What a client elsewhere would be given: a pipe's name, or `http://localhost:5678`. */
  readonly endpoint: string;
  /** Where the server really listens. */
  readonly address: string;
  /** The server's token; empty when it was started without one. */
  readonly token: string;
  /** The bounds that the server was given. */
  readonly limits: ServerLimits;
  /** Says how the server ended; for the backend's errors. See `ClientOptions.explainEnd`. */
  readonly explainEnd: ExplainEnd;
  /** The host's logger. */
  readonly logger: Logger;
  /** Counts the calls of all backends of the host. */
  readonly counters: CallCounters;
  /** Makes a span of each call. See `ClientOptions.tracer`. */
  readonly tracer: CallTracer | false | undefined;
  /** Aborted when the server has ended. See `ClientOptions.serverEnded`. */
  readonly serverEnded: AbortSignal;
  /** Makes the error of calls after the end. See `ClientOptions.afterEnd`. */
  readonly afterEnd: (reason: PythonHostError) => PythonHostError;
  /** Ends the server under a call that does not stop, where the user wants that. See `ClientOptions.endUninterruptible`. */
  readonly endUninterruptible: (() => Promise<void>) | undefined;
}

/** A transport of your own: how its server is started, and how a backend is connected to it. */
export interface HostTransport {
  /** What it is called. */
  readonly name: string;
  /** Makes a backend for the server; it need not be connected yet. */
  connect(endpoint: HostEndpoint): PythonHostBackend;
  /** What the server is started with. */
  readonly serverArguments?:
    | Pick<ServerOptions, "transport" | "name" | "port" | "rpc" | keyof ListenOptions>
    | undefined;
}

/** TLS between a host and its server: the paths that the server reads, and what the host itself trusts and shows. */
export interface HostTls extends ServerTls {
  /** For the host's own backend. The certificate must be one for `localhost`. @default {the authorities of the system} */
  readonly client?: ClientTls | undefined;
}

/** Options of `PythonHost.start`. */
export interface PythonHostOptions {
  /** The Python that is wanted: a version (`"3.12"`), conditions (`">=3.10"`), or a path. @default {">=3.9"} */
  readonly python?: string | undefined;
  /** Whether a Python is downloaded when none on this machine meets the request. @default {"auto"} */
  readonly download?: "auto" | "never" | undefined;
  /** Packages that the environment is to have, as requirements. */
  readonly packages?: readonly string[] | undefined;
  /**
   * The environment to run in: the name of one of ours, or the path of any venv.
   *
   * @default {with `packages` or `python` one that is named by their content, else `admin`}
   */
  readonly environment?: string | { readonly path: string } | undefined;
  /** Folders of your own modules, put on `sys.path` before everything else. */
  readonly modulePaths?: readonly string[] | undefined;
  /** Working directory of the server. @default {this program's} */
  readonly cwd?: string | undefined;
  /** Variables to set in the server's environment. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** Names of this program's variables to pass on besides the harmless ones; a trailing `*` stands for any ending. */
  readonly inheritEnv?: readonly string[] | undefined;
  /** How host and server talk. @default {"pipe"; on Windows "http"} */
  readonly transport?: "pipe" | "http" | "rpc" | HostTransport | undefined;
  /** For transport `"rpc"`: with `{ grpc: true }` host and server speak gRPC, whose packages are installed for it. */
  readonly rpc?: RpcServerOptions | undefined;
  /** For the transports `"http"` and `"rpc"`: they speak TLS, by these files and with this trust. */
  readonly tls?: HostTls | undefined;
  /** How long the server may take until it is ready, in milliseconds. @default {30000} */
  readonly startTimeoutMs?: number | undefined;
  /** Bounds that the server keeps. */
  readonly limits?: ServerLimits | undefined;
  /**
   * What Python may ask of this host, by `beep_host.infrastructure`: everything, nothing, or what is listed, such as
   * `{ allow: ["environments:read"] }`. Code that is evaluated has the power of your user already, so it takes nothing
   * from you that is not theirs; it is off for servers that listen beyond loopback unless you say so.
   *
   * @default {true for loopback and private sockets, else false}
   */
  readonly infrastructure?: InfrastructureOption | undefined;
  /**
   * .NET in Python, by Python.NET: it is installed into the environment (never into one that was given by its path), the
   * assemblies are put where it finds them, and a runtime that does not work is told at the start.
   */
  readonly dotnet?: DotnetOptions | undefined;
  /**
   * Starts another server when this one ends by itself: `true`, or how. What lived in the server is gone then; calls that
   * were under way reject with `ServerExitedError`, and handles and sessions of before with `StaleHandleError`. A call made
   * while the next server is started waits for it.
   *
   * @default {false}
   */
  readonly restart?: boolean | RestartOptions | undefined;
  /**
   * What is done when Python does not stop a call within `limits.interruptGraceMs`: `"reject"` leaves it running and
   * rejects the call with `CallNotInterruptedError`; `"replace"` kills the server and starts another one in its place, as
   * by `restart`.
   *
   * @default {"reject"}
   */
  readonly uninterruptible?: "reject" | "replace" | undefined;
  /**
   * Makes a span of each call; a `Tracer` of `@opentelemetry/api` is one. `false` makes none.
   *
   * @default {that of the application, when it has registered one with OpenTelemetry}
   */
  readonly tracer?: CallTracer | false | undefined;
  /** Gives up starting when it aborts; nothing is left then. */
  readonly signal?: AbortSignal | undefined;
  /** Told how the making of the environment goes on. */
  readonly onProgress?: ProgressListener | undefined;
  /**
   * Told what Python prints where no call listens: calls without an `onStdout` of their own, threads that outlive their
   * call, subprocesses and C code. Nothing is written to this program's terminal by itself.
   *
   * @default {kept in `server.stdout`, the last of it}
   */
  readonly onStdout?: ((text: string) => void) | undefined;
  /** The same for stderr. @default {kept in `server.stderr`, the last of it} */
  readonly onStderr?: ((text: string) => void) | undefined;
  /** Told what happens. Never told a token. @default {silent} */
  readonly logger?: Logger | undefined;
}

/** The name of each option; the compiler sees to it that there are neither more nor fewer. */
export const HOST_OPTION_NAMES: Readonly<Record<keyof PythonHostOptions, true>> = {
  python: true,
  download: true,
  packages: true,
  environment: true,
  modulePaths: true,
  cwd: true,
  env: true,
  inheritEnv: true,
  transport: true,
  rpc: true,
  tls: true,
  startTimeoutMs: true,
  limits: true,
  infrastructure: true,
  dotnet: true,
  restart: true,
  uninterruptible: true,
  tracer: true,
  signal: true,
  onProgress: true,
  onStdout: true,
  onStderr: true,
  logger: true,
};

/** Throws for an option that there is none of, which callers without types, and spreads, pass unnoticed. */
export function checkOptionNames(given: object, known: Readonly<Record<string, true>>): void {
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined || Object.hasOwn(known, name)) continue;
    throw new PythonHostError("argument", `Cannot use option "${name}": there is none of this name`, {
      hint: `The options are ${Object.keys(known).sort().join(", ")}.`,
    });
  }
}

/** Whether a server is replaced in which a call cannot be interrupted. */
export function replacesUninterruptible(given: PythonHostOptions["uninterruptible"] = "reject"): boolean {
  if (given === "reject" || given === "replace") return given === "replace";
  throw new PythonHostError(
    "argument",
    `Cannot use uninterruptible "${given}": it is "reject" or "replace"`,
  );
}
