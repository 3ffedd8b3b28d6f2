/**
 * Looks up servers in the user's run directory, where each leaves its address and its token.
 *
 * An entry is trusted only when nobody else could have written it: the directory and the file must be closed to others.
 *
 * @module
 */

import { ConnectError, PermissionNeededError } from "../core/errors.ts";
import { entryFileName, parseRunEntry, runDirectory, type RunEntry } from "../core/endpoint.ts";

/** The directory of entries, as the environment names it. Needs `--allow-env` for the variables that it depends on. */
export function runDirectoryPath(): string {
  return runDirectory({ os: Deno.build.os, get: readVariable });
}

/** Reads a variable; one that may not be read is told, and never asked for by a prompt. */
function readVariable(variable: string): string | undefined {
  if (Deno.permissions.querySync({ name: "env", variable }).state === "granted") {
    return Deno.env.get(variable);
  }
  throw new PermissionNeededError("look up the server", ["--allow-env"], {
    hint:
      "Run deno with: --allow-env, or pass the server's address and token, for which no look-up is needed",
  });
}

/**
 * The entry of a server, or null when there is none.
 *
 * @param nameOrPort The pipe's name, or the port of a URL.
 */
export async function findEntry(transport: string, nameOrPort: string | number): Promise<RunEntry | null> {
  const directory = runDirectoryPath();
  return await readEntry(directory, `${directory}/${entryFileName(transport, nameOrPort)}`);
}

/** The entry whose server listens at an address, or null when there is none. */
export async function findEntryByAddress(transport: string, address: string): Promise<RunEntry | null> {
  const directory = runDirectoryPath();
  const names = await reading(directory, async () => {
    const found: string[] = [];
    for await (const file of Deno.readDir(directory)) {
      if (file.name.startsWith(`${transport}-`) && file.name.endsWith(".json")) found.push(file.name);
    }
    return found;
  });
  for (const name of names ?? []) {
    const entry = await readEntry(directory, `${directory}/${name}`);
    if (entry?.address === address) return entry;
  }
  return null;
}

async function readEntry(directory: string, path: string): Promise<RunEntry | null> {
  const text = await reading(directory, async () => {
    await checkPrivate(directory);
    await checkPrivate(path);
    return await Deno.readTextFile(path);
  });
  return text === null ? null : parseRunEntry(text, path);
}

/** Runs a read, giving null when what it reads is not there, and the missing flag when it is not permitted. */
async function reading<T>(directory: string, read: () => Promise<T>): Promise<T | null> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    if (error instanceof Deno.errors.NotCapable) {
      throw new PermissionNeededError("look up the server", [`--allow-read=${directory}`], { cause: error });
    }
    throw error;
  }
}

/**
 * Throws when the socket at a path could be somebody else's: one that only its owner can open, and that we can, is ours.
 * One that is not there, or may not be looked at, is left for the connection to tell.
 */
export async function checkOwnSocket(path: string): Promise<void> {
  try {
    await checkPrivate(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotCapable)) throw error;
  }
}

/**
 * Throws when others than the user could have written the file or directory. Where the platform has no modes
 * (Windows), the user's own data directory is closed to others by its access list.
 */
async function checkPrivate(path: string): Promise<void> {
  const { mode, uid, isSymlink } = await Deno.lstat(path);
  if (isSymlink) throw notPrivate(path, "it is a symbolic link");
  if (mode === null) return;
  if ((mode & 0o077) !== 0) throw notPrivate(path, `its mode is ${(mode & 0o777).toString(8)}`);
  // Only the owner, and root, can read what is closed to all others; so the owner need be asked for only where that
  // is permitted without a prompt.
  const permission = await Deno.permissions.query({ name: "sys", kind: "uid" });
  if (permission.state === "granted" && uid !== null && uid !== Deno.uid()) {
    throw notPrivate(path, `it belongs to user ${uid}`);
  }
}

function notPrivate(path: string, why: string): ConnectError {
  return new ConnectError(`Cannot trust "${path}": ${why}`, {
    hint: "Only what nobody else can write is used without a token: directory 0700, file 0600, owned by you.",
  });
}
