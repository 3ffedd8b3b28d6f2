/**
 * Chooses where a pipe server listens, and claims that place for the life of its owner.
 *
 * A name always gives the same path, so that a client can be granted exactly `--allow-net=unix:<path>`. The claim is a
 * lock on a file beside it: the kernel drops it when the owner dies in any way, and then the server is dead too, so a
 * socket file that is found under a fresh claim is a stale one.
 *
 * @module
 */

import { AddressInUseError, PermissionNeededError, ServerStartError } from "../core/errors.ts";
import {
  checkPipeEndpoint,
  checkSocketPath,
  isPipeName,
  MAX_SOCKET_PATH_BYTES,
  pipeEntryKey,
} from "../core/endpoint.ts";
import type { Logger } from "../core/logger.ts";
import { ensurePrivateDirectory, joinPath } from "./directories.ts";

/** A place to listen at that nobody else of this library can have. */
export interface SocketClaim extends AsyncDisposable {
  /** What a client is given: a name or a path. */
  readonly endpoint: string;
  /** The path of the socket, or `\\.\pipe\…`. */
  readonly path: string;
  /** A second path at which the same server is to listen. */
  readonly alsoAt?: string | undefined;
  /** Removes the socket, for the moment in which the program ends. */
  removeNow(): void;
}

/** Claims the socket of `endpoint` (a name, a path, or undefined for a random name) below the run directory. */
export async function claimSocket(
  runDirectory: string,
  endpoint: string | undefined,
  logger: Logger,
): Promise<SocketClaim> {
  if (endpoint === undefined) {
    // 128 random bits: nobody else has it, so there is nothing to claim.
    const name = `host-${crypto.getRandomValues(new Uint8Array(16)).toHex()}`;
    const path = await socketPath(runDirectory, name);
    return claimOf(name, path);
  }
  checkPipeEndpoint(endpoint);
  const path = await socketPath(runDirectory, endpoint);
  if (isWindowsPipe(path)) return claimOf(endpoint, path);
  if (!isPipeName(endpoint)) await checkOwnDirectory(path, runDirectory);
  return await claimPath(runDirectory, endpoint, path, logger);
}

/** Claims one path for the server that is called `endpoint`. What is there is removed when it is a dead socket of ours. */
export async function claimPath(
  runDirectory: string,
  endpoint: string,
  path: string,
  logger: Logger,
): Promise<SocketClaim> {
  const lockPath = joinPath(runDirectory, `pipe-${pipeEntryKey(endpoint)}.lock`);
  for (let attempt = 1;; attempt++) {
    const file = await Deno.open(lockPath, { create: true, write: true, mode: 0o600 });
    try {
      await takeLock(file, endpoint, logger);
      // Its last holder may have removed it between our opening and our locking: then somebody else can lock another.
      if (await isStillAt(file, lockPath) || attempt === LOCK_ATTEMPTS) {
        await removeStaleSocket(path, endpoint, runDirectory);
        return claimOf(endpoint, path, { file, path: lockPath });
      }
    } catch (error) {
      file.close();
      throw error;
    }
    file.close();
  }
}

const LOCK_ATTEMPTS = 10;

async function isStillAt(file: Deno.FsFile, path: string): Promise<boolean> {
  try {
    const [mine, there] = await Promise.all([file.stat(), Deno.stat(path)]);
    return mine.ino === there.ino && mine.dev === there.dev;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** A socket in a directory that others can enter could be taken from there and replaced: that is refused. */
async function checkOwnDirectory(path: string, runDirectory: string): Promise<void> {
  const directory = path.slice(0, path.lastIndexOf("/")) || "/";
  const refusal = (why: string, cause?: unknown): ServerStartError =>
    new ServerStartError(`Cannot listen at "${path}": its directory ${why}`, "", {
      hint: "Give a path in a directory of yours with mode 0700, or a name, for which that is done.",
      ...(cause === undefined ? {} : { cause }),
    });
  let info: Deno.FileInfo;
  try {
    info = await Deno.lstat(directory);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) throw refusal("does not exist", error);
    if (!(error instanceof Deno.errors.NotCapable)) throw error;
    throw new PermissionNeededError(`listen at "${path}"`, [`--allow-read=${directory}`], { cause: error });
  }
  if (!info.isDirectory) throw refusal("is not a directory of its own but a link or a file");
  if (((info.mode ?? 0) & 0o077) !== 0) throw refusal("can be entered by others");
  // The run directory is known to be ours; the user's number itself would take a permission of its own.
  if (info.uid !== (await Deno.stat(runDirectory)).uid) throw refusal("belongs to another user");
}

interface ClaimLock {
  readonly file: Deno.FsFile;
  readonly path: string;
}

function claimOf(endpoint: string, path: string, lock?: ClaimLock): SocketClaim {
  return {
    endpoint,
    path,
    async [Symbol.asyncDispose](): Promise<void> {
      await removeSocket(path);
      if (lock === undefined) return;
      // While it is held, so that nobody can have taken it.
      await removeIfThere(lock.path);
      lock.file.close();
    },
    removeNow(): void {
      for (const file of [path, ...(lock === undefined ? [] : [lock.path])]) {
        try {
          if (!isWindowsPipe(file)) Deno.removeSync(file);
        } catch (error) {
          if (!(error instanceof Deno.errors.NotFound)) throw error;
        }
      }
    },
  };
}

async function takeLock(lock: Deno.FsFile, endpoint: string, logger: Logger): Promise<void> {
  let taken: boolean;
  try {
    taken = await lock.tryLock(true);
  } catch (error) {
    // Some network file systems have no locks; the server's own bind is the check that remains.
    logger.warn(`Cannot lock pipe "${endpoint}"; going on without a lock`, error);
    return;
  }
  if (!taken) throw inUse(endpoint);
}

function inUse(endpoint: string, cause?: unknown): AddressInUseError {
  return new AddressInUseError(
    endpoint,
    `Cannot start a Python server on pipe "${endpoint}": another server has it`,
    {
      hint: "Choose another name, or stop the other server first.",
      ...(cause === undefined ? {} : { cause }),
    },
  );
}

/** The socket's path: beside the run entries when that is short enough, else in a short directory of this user's. */
async function socketPath(runDirectory: string, endpoint: string): Promise<string> {
  if (!isPipeName(endpoint)) return endpoint.startsWith("/") ? checkSocketPath(endpoint) : endpoint;
  if (Deno.build.os === "windows") return `\\\\.\\pipe\\${endpoint}`;
  const path = joinPath(runDirectory, `${endpoint}.sock`);
  if (new TextEncoder().encode(path).byteLength <= MAX_SOCKET_PATH_BYTES) return path;
  // The hash keeps equal names of different homes apart. Clients find the path in the run entry.
  const short = `${pipeEntryKey(path).slice("path-".length)}.sock`;
  const { uid } = await Deno.stat(runDirectory);
  const directory = `/tmp/beep-${uid}`;
  await ensurePrivateDirectory(directory);
  return checkSocketPath(joinPath(directory, short));
}

/** Removes a socket of ours that nobody listens on; anything else that is in the way is left, and is an error. */
async function removeStaleSocket(path: string, endpoint: string, runDirectory: string): Promise<void> {
  let info: Deno.FileInfo;
  try {
    info = await Deno.lstat(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    throw error;
  }
  const isForeign = info.uid !== (await Deno.stat(runDirectory)).uid;
  if (info.isSocket !== true || isForeign) {
    const what = isForeign ? "belongs to another user" : "is a file";
    throw new AddressInUseError(
      path,
      `Cannot start a Python server on pipe "${endpoint}": "${path}" ${what}`,
      {
        hint: "Remove the file, or choose another path.",
      },
    );
  }
  // A path that the user chose may belong to a program that knows nothing of our locks.
  if (!isPipeName(endpoint) && await isListening(path)) throw inUse(endpoint);
  await removeSocket(path);
}

async function isListening(path: string): Promise<boolean> {
  try {
    (await Deno.connect({ transport: "unix", path })).close();
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.ConnectionRefused || error instanceof Deno.errors.NotFound) return false;
    // Not allowed to look: then it has to be taken for alive.
    if (error instanceof Deno.errors.NotCapable || error instanceof Deno.errors.PermissionDenied) return true;
    throw error;
  }
}

async function removeSocket(path: string): Promise<void> {
  if (!isWindowsPipe(path)) await removeIfThere(path);
}

async function removeIfThere(path: string): Promise<void> {
  try {
    await Deno.remove(path);
  } catch (error) {
    // A server that ends in order removes its socket itself.
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** Named pipes of Windows are no files: they go with their server. */
function isWindowsPipe(path: string): boolean {
  return path.startsWith("\\\\.\\pipe\\");
}
