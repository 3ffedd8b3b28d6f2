/**
 * The backend over a pipe: a Unix socket, or on Windows a named pipe. The fastest of the transports.
 *
 * @module
 */

import { checkPipeEndpoint, checkSocketPath, DEFAULT_PIPE_NAME, isPipeName } from "../core/endpoint.ts";
import { ConnectError } from "../core/errors.ts";
import { DEFAULT_MAX_FRAME_BYTES } from "../core/frames.ts";
import { PythonHostClient } from "./client.ts";
import type { ClientOptions } from "./client_options.ts";
import type { ByteStream } from "./frame_stream.ts";
import { type PipeTarget, PipeWire } from "./pipe_wire.ts";
import { requireNamed, requirePermissions } from "./permissions.ts";
import { checkOwnSocket, findEntry, findEntryByAddress, runDirectoryPath } from "./run_directory.ts";
import type { Wire } from "./wire.ts";

/** Options of {@linkcode PythonHostPipe}. */
export type PythonHostPipeOptions = ClientOptions;

/**
 * A backend that reaches its server by a pipe.
 *
 * Requires `--allow-read` and `--allow-write` for the socket and `--allow-net` for its connections; to look a name up
 * also `--allow-env`. On Windows, where Deno opens named pipes only with all permissions, `-A`; that path was not run
 * on Windows yet.
 *
 * @example Evaluate on a running server
 * ```ts ignore
 * import { PythonHostPipe } from "jsr:@beep/python-host";
 * import { assertEquals } from "jsr:@std/assert";
 *
 * await using python = new PythonHostPipe("beep-python-pipe");
 * assertEquals(await python.evaluate("1 + 1"), 2);
 * ```
 */
export class PythonHostPipe extends PythonHostClient {
  /** The kind of wire. */
  readonly transport = "pipe" as const;
  readonly #endpoint: string;
  readonly #token: string | undefined;
  readonly #maxFrameBytes: number;

  /**
   * Makes a backend; nothing is connected until `initialize` or the first call.
   *
   * @param nameOrPath The name under which a server was started, an absolute socket path, or `\\.\pipe\…`.
   */
  constructor(nameOrPath: string = DEFAULT_PIPE_NAME, options: PythonHostPipeOptions = {}) {
    super(options);
    this.#endpoint = checkPipeEndpoint(nameOrPath);
    this.#token = options.token;
    this.#maxFrameBytes = options.maxFrameBytes ?? DEFAULT_MAX_FRAME_BYTES;
  }

  /** Makes the pair of connections. */
  protected override createWire(): Wire {
    return new PipeWire(() => locate(this.#endpoint, this.#token), this.#maxFrameBytes);
  }
}

/** Finds the address and the token. A path with a token needs no look-up. */
async function locate(endpoint: string, token: string | undefined): Promise<PipeTarget> {
  if (!isPipeName(endpoint)) {
    if (token === undefined && endpoint.startsWith("/")) requireLookUp(endpoint);
    const entry = token === undefined ? await findEntryByAddress("pipe", endpoint) : null;
    // Neither a token to prove the server by, nor its word in our own directory: then the socket itself must be ours.
    if (token === undefined && entry === null && endpoint.startsWith("/")) await checkOwnSocket(endpoint);
    return {
      endpoint,
      token: token ?? entry?.token ?? "",
      connect: () => connect(endpoint, endpoint, "start a server that listens there"),
    };
  }
  const directory = requireNamed("connect to the pipe", {}, ["read", "write", "net"], runDirectoryPath);
  // Where it listens unless that is too long for a socket; then its entry tells, and connecting asks for the rest.
  if (Deno.build.os !== "windows") requireSocket(`${directory}/${endpoint}.sock`, directory);
  const entry = await findEntry("pipe", endpoint);
  if (entry === null) {
    throw new ConnectError(
      `Cannot connect to pipe "${endpoint}": no server of that name is entered in "${directory}"`,
      {
        hint: `Start one (\`start pipe --name ${endpoint}\`), or pass the path of its socket and its token.`,
      },
    );
  }
  const nextStep = `its server, process ${entry.pid}, has ended: start it again`;
  return { endpoint, token: token ?? entry.token, connect: () => connect(entry.address, endpoint, nextStep) };
}

async function connect(address: string, endpoint: string, nextStep: string): Promise<ByteStream> {
  if (address.startsWith("\\\\.\\pipe\\")) {
    const { connectNamedPipe } = await import("./named_pipe.ts");
    return await connectNamedPipe(address);
  }
  const path = checkSocketPath(address);
  requireSocket(path, path);
  try {
    return await connectSocket(path);
  } catch (cause) {
    throw new ConnectError(`Cannot connect to pipe "${endpoint}": nobody listens at socket "${path}"`, {
      cause,
      hint: `Most likely ${nextStep}.`,
    });
  }
}

// A Unix socket refuses at once, where TCP would wait, when too many connections wait to be accepted.
const CROWDED_RETRY_MS = 20;
const CROWDED_GIVE_UP_MS = 5_000;

async function connectSocket(path: string): Promise<Deno.UnixConn> {
  const giveUp = performance.now() + CROWDED_GIVE_UP_MS;
  for (;;) {
    try {
      return await Deno.connect({ transport: "unix", path });
    } catch (error) {
      if (!(error instanceof Deno.errors.WouldBlock) || performance.now() > giveUp) throw error;
      await new Promise((resolve) => setTimeout(resolve, CROWDED_RETRY_MS));
    }
  }
}

/** Names what is missing to find the token of a socket that is known by its path, and to connect to it. */
function requireLookUp(path: string): void {
  const action = "connect to the pipe";
  const socket = { read: [path], write: [path], net: [`unix:${path}`] };
  const directory = requireNamed(action, socket, ["read"], runDirectoryPath);
  requirePermissions(action, { ...socket, read: [directory, path] });
}

/** Names every flag that a socket needs and that is missing, before anything is begun. */
function requireSocket(path: string, directory: string): void {
  if (!path.startsWith("/")) return; // a named pipe, which Deno opens only with all permissions
  const rights = (name: "read" | "write"): string[] => {
    // Of the socket alone, or of the directory that it is in.
    const isGranted = Deno.permissions.querySync({ name, path }).state === "granted";
    return isGranted ? [] : [directory];
  };
  requirePermissions("connect to the pipe", {
    read: rights("read"),
    write: rights("write"),
    net: [`unix:${path}`],
  });
}
