/**
 * Where a backend reaches a server, and how it finds the token: endpoints, the run directory and its entries.
 *
 * All functions are pure; `servers/` writes entries, `transports/` reads them. An entry is one JSON file, mode 0600,
 * in a directory of mode 0700, so that a client of the same user needs only the endpoint and nobody else gets in.
 *
 * @module
 */

import { ConnectError, ProtocolError } from "./errors.ts";

/** The endpoints of the original, used when none is given. */
export const DEFAULT_HTTP_URL = "http://localhost:5678";
/** See {@linkcode DEFAULT_HTTP_URL}. */
export const DEFAULT_PIPE_NAME = "beep-python-pipe";
/** See {@linkcode DEFAULT_HTTP_URL}. */
export const DEFAULT_RPC_URL = "http://localhost:50051";

/** The longest path that every system accepts for a Unix socket, in bytes (macOS has the smallest `sun_path`, 104 with its end). */
export const MAX_SOCKET_PATH_BYTES = 103;

/** What a running server is entered under in the run directory. */
export interface RunEntry {
  /** Version of this format. */
  readonly schema: 1;
  /** The kind of wire. */
  readonly transport: string;
  /** Left out but for a server of `transport` "rpc" that speaks gRPC at its address. */
  readonly protocol?: "grpc";
  /** What a client calls it: the pipe's name, or `http://localhost:5678`. */
  readonly endpoint: string;
  /** Where it really listens: an absolute socket path, `\\.\pipe\…`, or `http://127.0.0.1:5678`. */
  readonly address: string;
  /** Process id of the server. */
  readonly pid: number;
  /** The server's token; empty when it was started without one. */
  readonly token: string;
}

/** The environment values that decide where things are kept. */
export interface DirectoryEnvironment {
  /** `Deno.build.os`. */
  readonly os: string;
  /** Gives an environment variable, or undefined. */
  readonly get: (name: string) => string | undefined;
}

/** The names of the environment variables that {@linkcode dataDirectory} and {@linkcode runDirectory} read. */
export const DIRECTORY_VARIABLES: readonly string[] = [
  "BEEP_PYTHON_HOME",
  "XDG_DATA_HOME",
  "XDG_RUNTIME_DIR",
  "HOME",
  "LOCALAPPDATA",
  "USERPROFILE",
];

function join(os: string, ...segments: string[]): string {
  return segments.join(os === "windows" ? "\\" : "/");
}

function nonEmpty(value: string | undefined): string | undefined {
  return value === undefined || value === "" ? undefined : value;
}

/**
 * The directory in which runtimes, environments and caches are kept: `$BEEP_PYTHON_HOME` when set, else the
 * platform's place for a user's data. Throws a `ConnectError` when the environment names no home at all.
 */
export function dataDirectory(environment: DirectoryEnvironment): string {
  const { os, get } = environment;
  const explicit = nonEmpty(get("BEEP_PYTHON_HOME"));
  if (explicit !== undefined) return explicit;
  if (os === "windows") {
    const local = nonEmpty(get("LOCALAPPDATA"));
    if (local !== undefined) return join(os, local, "beep", "python-host");
    const profile = nonEmpty(get("USERPROFILE"));
    if (profile !== undefined) return join(os, profile, "AppData", "Local", "beep", "python-host");
  } else {
    const home = nonEmpty(get("HOME"));
    if (os === "darwin" && home !== undefined) {
      return join(os, home, "Library", "Application Support", "beep", "python-host");
    }
    const data = nonEmpty(get("XDG_DATA_HOME"));
    if (data !== undefined) return join(os, data, "beep", "python-host");
    if (home !== undefined) return join(os, home, ".local", "share", "beep", "python-host");
  }
  throw new ConnectError(
    "Cannot choose the data directory: neither BEEP_PYTHON_HOME nor a home directory is set",
    {
      hint: "Set BEEP_PYTHON_HOME to a directory that you own.",
    },
  );
}

/** The directory that holds the entries of running servers and their sockets. */
export function runDirectory(environment: DirectoryEnvironment): string {
  const { os, get } = environment;
  const explicit = nonEmpty(get("BEEP_PYTHON_HOME"));
  if (explicit !== undefined) return join(os, explicit, "run");
  const runtime = nonEmpty(get("XDG_RUNTIME_DIR"));
  if (os !== "windows" && runtime !== undefined) return join(os, runtime, "beep-python-host");
  return join(os, dataDirectory(environment), "run");
}

const NAME_REGEXP = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/** Whether `endpoint` names a pipe (to be looked up) rather than being a path. */
export function isPipeName(endpoint: string): boolean {
  return NAME_REGEXP.test(endpoint);
}

/** Checks what a user gave for a pipe: a name, an absolute path or `\\.\pipe\…`. */
export function checkPipeEndpoint(endpoint: string): string {
  if (isPipeName(endpoint) || !endpoint.includes("\0") && /^(\/|\\\\\.\\pipe\\|[A-Za-z]:\\)/.test(endpoint)) {
    return endpoint;
  }
  throw new ConnectError(
    `Cannot use pipe endpoint "${endpoint}": it is neither a name of letters, digits, ".", "_" and "-" nor an absolute path`,
  );
}

/** Checks the `http:` or `https:` URL of a server, which has no parts but scheme, host and port. */
export function checkUrlEndpoint(endpoint: string): URL {
  const url = URL.canParse(endpoint) ? new URL(endpoint) : null;
  if (url === null || (url.protocol !== "http:" && url.protocol !== "https:")) {
    // What cannot be read as a URL may hold credentials all the same.
    const shown = /[@?#]/.test(endpoint) ? "" : ` "${endpoint}"`;
    // "localhost:5678" reads as a URL of the scheme "localhost".
    const bare = /^(\[[0-9a-f:.]+\]|[a-z0-9.-]+)(:\d{1,5})?(\/\S*)?$/i.test(endpoint);
    throw new ConnectError(
      `Cannot use endpoint${shown}: it is not an http: or https: URL`,
      bare ? { hint: `Write it with its scheme: "http://${endpoint}".` } : {},
    );
  }
  if (url.username !== "" || url.password !== "") {
    throw new ConnectError(`Cannot use endpoint for host "${url.host}": it contains credentials`, {
      hint: "Pass the token by the option `token`.",
    });
  }
  // Not shown either: some put a token there.
  if (url.pathname !== "/" || url.search !== "" || url.hash !== "") {
    throw new ConnectError(
      `Cannot use endpoint for host "${url.host}": it has a path, a query or a fragment`,
      {
        hint: `Pass "${url.origin}".`,
      },
    );
  }
  return url;
}

/** The port of a URL as a number, with the scheme's default filled in. */
export function portOf(url: URL): number {
  return url.port === "" ? (url.protocol === "https:" ? 443 : 80) : Number(url.port);
}

/** The file name of a server's entry: `pipe-<name>.json`, `http-<port>.json`, `rpc-<port>.json`. */
export function entryFileName(transport: string, nameOrPort: string | number): string {
  return `${transport}-${nameOrPort}.json`;
}

/**
 * What stands for a pipe in the name of its entry's file: the name itself; for a path, which cannot be part of a file
 * name, `path-` and its 64-bit FNV-1a hash. Whoever reads the entry compares its `endpoint`, so a collision is harmless.
 */
export function pipeEntryKey(endpoint: string): string {
  if (isPipeName(endpoint)) return endpoint;
  let hash = 0xcbf29ce484222325n;
  for (const byte of new TextEncoder().encode(endpoint)) {
    hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
  }
  return `path-${hash.toString(16).padStart(16, "0")}`;
}

/** The text of an entry's file. */
export function formatRunEntry(entry: RunEntry): string {
  return `${JSON.stringify(entry)}\n`;
}

/** Reads the text of an entry's file; `path` is for the message. */
export function parseRunEntry(text: string, path: string): RunEntry {
  let entry: unknown;
  try {
    entry = JSON.parse(text);
  } catch (cause) {
    throw new ProtocolError("local", `Cannot read run entry "${path}": it is not JSON`, { cause });
  }
  if (isRunEntry(entry)) return entry;
  throw new ProtocolError(
    "local",
    `Cannot read run entry "${path}": fields are missing or of another schema`,
  );
}

function isRunEntry(value: unknown): value is RunEntry {
  if (typeof value !== "object" || value === null) return false;
  const entry = value as Record<string, unknown>;
  return entry.schema === 1 && typeof entry.transport === "string" && typeof entry.endpoint === "string" &&
    typeof entry.address === "string" && typeof entry.pid === "number" && typeof entry.token === "string";
}

/** Throws when a Unix socket path is longer than systems allow; the message says by how much. */
export function checkSocketPath(path: string): string {
  const bytes = new TextEncoder().encode(path).byteLength;
  if (bytes <= MAX_SOCKET_PATH_BYTES) return path;
  throw new ConnectError(
    `Cannot use socket path "${path}": it is ${bytes} bytes long, the most is ${MAX_SOCKET_PATH_BYTES}`,
    { hint: "Set XDG_RUNTIME_DIR or BEEP_PYTHON_HOME to a shorter directory, or pass a shorter path." },
  );
}
