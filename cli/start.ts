/**
 * `start http|pipe|rpc`: serves in the foreground until it is told to end.
 *
 * The endpoint is the one line on stdout, so that a script can read it; all else goes to stderr.
 *
 * @module
 */

import type { Command } from "npm:commander@^15.1.0";
import { entryFileName, pipeEntryKey, portOf } from "../core/endpoint.ts";
import { PythonHostError, ServerExitedError } from "../core/errors.ts";
import { makeEnvironments, resolveEnvironment } from "../host/environment.ts";
import { HostServers } from "../host/host_servers.ts";
import { createProgressPrinter } from "../infrastructure/progress.ts";
import { hostRunDirectory, joinPath } from "../servers/directories.ts";
import { type PythonServer, type RpcServerOptions, startServer } from "../servers/mod.ts";
import { addListenFlags, type ListenFlags, listenOptions } from "./listen_flags.ts";
import { addressFor, type CliTransport, parsePort, TRANSPORTS } from "./verb.ts";

/** What a program ends with that a signal ended before it did its work. */
const INTERRUPTED_EXIT_CODE = 130;

interface StartFlags extends ListenFlags {
  readonly port?: number;
  readonly name?: string;
  readonly venv?: string;
  readonly grpc?: true;
  readonly connectPort?: number;
}

/** Adds the verb. */
export function addStartVerb(program: Command, report: (exitCode: number) => void): void {
  const command = program.command("start")
    .description("Start a server and serve in the foreground; Ctrl-C ends it.")
    .addArgument(program.createArgument("<transport>", "kind of wire").choices(TRANSPORTS))
    .option(
      "--port <number>",
      "port of HTTP or RPC; 0 lets the system choose (default: 5678, 50051)",
      parsePort,
    )
    .option("--name <name>", "name or path of the pipe (default: beep-python-pipe)")
    .option("--grpc", "serve gRPC on the port of RPC, and Connect beside it")
    .option("--connect-port <number>", "port of Connect beside gRPC (default: one that is free)", parsePort)
    .option("--venv <name>", "environment to serve from; made when it is not there", "admin");
  addListenFlags(command)
    .action(async (transport: CliTransport, flags: StartFlags) => report(await start(transport, flags)));
}

async function start(transport: CliTransport, flags: StartFlags): Promise<number> {
  const address = addressFor(transport, flags);
  const rpc = rpcOptions(transport, flags);
  using signals = new EndSignals();
  const listen = listenOptions(transport, flags);
  // What clients' code asks of Infrastructure is done here; servers that it starts end with this program.
  await using hosted = new HostServers({ environments: makeEnvironments() });
  let server: PythonServer;
  using printer = createProgressPrinter();
  try {
    const environment = await resolveEnvironment({
      environment: flags.venv,
      rpc,
      signal: signals.first,
      onProgress: printer.listener,
    });
    await hosted.keep(environment);
    server = await startServer({
      ...address,
      transport,
      ...listen,
      rpc,
      python: environment.python,
      signal: signals.first,
      hostApi: await hosted.access(undefined, listen.host),
      onStdout: writeError,
      onStderr: writeError,
    });
  } catch (error) {
    if (signals.first.aborted) return INTERRUPTED_EXIT_CODE;
    throw error;
  }
  await using _server = server;
  console.log(server.endpoint);
  console.error(`Python ${server.info.pythonVersion} serves there, process ${server.pid}. Ctrl-C ends it.`);
  if (server.info.connectAddress !== undefined) {
    console.error(`It speaks gRPC; Connect is at ${server.info.connectAddress}.`);
  }
  if (flags.auth) console.error(`Its token is in ${entryPath(transport, server)}, readable by you alone.`);
  else console.error("There is no token: whoever reaches it runs code as you.");
  server.ref();
  const facts = await Promise.race([server.exited, signals.received]);
  // Ended by a signal to this program, or in order by `stop`.
  if (facts === "signal" || facts.code === 0) return 0;
  throw new ServerExitedError("go on serving", facts);
}

/** Where a client in another language finds the token; those of this library look there by themselves. */
function entryPath(transport: CliTransport, { endpoint }: PythonServer): string {
  const key = transport === "pipe" ? pipeEntryKey(endpoint) : portOf(new URL(endpoint));
  return joinPath(hostRunDirectory(), entryFileName(transport, key));
}

/** What the flags say about RPC; they fit no other transport. */
function rpcOptions(
  transport: CliTransport,
  { grpc, connectPort }: StartFlags,
): RpcServerOptions | undefined {
  if (grpc === undefined && connectPort === undefined) return undefined;
  const flag = grpc === undefined ? "--connect-port" : "--grpc";
  if (transport !== "rpc") throw new PythonHostError("argument", `Cannot use ${flag}: it is for rpc`);
  if (grpc === undefined) {
    throw new PythonHostError(
      "argument",
      "Cannot use --connect-port: without --grpc, Connect has the --port",
    );
  }
  return { grpc, connectPort };
}

/** Collects the signals that end the program: the first asks, the second insists. */
class EndSignals implements Disposable {
  readonly #controller = new AbortController();
  readonly #received = Promise.withResolvers<"signal">();
  // Windows knows no other.
  readonly #names: readonly Deno.Signal[] = Deno.build.os === "windows"
    ? ["SIGINT"]
    : ["SIGINT", "SIGTERM", "SIGHUP"];

  constructor() {
    for (const name of this.#names) Deno.addSignalListener(name, this.#onSignal);
  }

  /** Aborts at the first signal. */
  get first(): AbortSignal {
    return this.#controller.signal;
  }

  /** Resolves at the first signal. */
  get received(): Promise<"signal"> {
    return this.#received.promise;
  }

  [Symbol.dispose](): void {
    for (const name of this.#names) Deno.removeSignalListener(name, this.#onSignal);
  }

  readonly #onSignal = (): void => {
    // The server does not outlive this program, so leaving at once leaves nothing behind.
    if (this.#controller.signal.aborted) Deno.exit(INTERRUPTED_EXIT_CODE);
    this.#controller.abort();
    this.#received.resolve("signal");
  };
}

function writeError(text: string): void {
  Deno.stderr.writeSync(new TextEncoder().encode(text));
}
