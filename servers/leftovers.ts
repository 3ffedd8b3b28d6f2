/**
 * Sweeps the run directory of what killed hosts have left there beside their entries: sockets, locks and half-written files.
 *
 * @module
 */

import type { Logger } from "../core/logger.ts";
import { joinPath } from "./directories.ts";

/** Younger files may be about to be used: a socket refuses between its making and its first listening. */
const AGE_MS = 60_000;

/** How many files a start looks at: all are gone after some starts, and none costs much. */
const TIDIED_FILES = 16;

/** Removes what nobody uses any more; of many files, looks at `most` that chance picks. */
export async function removeLeftovers(
  directory: string,
  logger: Logger,
  options: { readonly most?: number; readonly ageMs?: number } = {},
): Promise<void> {
  const { most = TIDIED_FILES, ageMs = AGE_MS } = options;
  try {
    const names: string[] = [];
    for await (const { name } of Deno.readDir(directory)) if (ruleFor(name) !== undefined) names.push(name);
    while (names.length > most) names.splice(Math.floor(Math.random() * names.length), 1);
    for (const name of names) {
      const path = joinPath(directory, name);
      const info = await statIfThere(path);
      if (info === undefined || Date.now() - (info.mtime?.getTime() ?? Date.now()) < ageMs) continue;
      await ruleFor(name)!(path);
    }
  } catch (error) {
    logger.warn("Cannot remove what killed hosts have left", error);
  }
}

/** What removes a file of this name if it is of no use any more. */
function ruleFor(name: string): ((path: string) => Promise<void>) | undefined {
  if (name.endsWith(".sock")) {
    return async (path) => await isRefused(path) ? await removeIfThere(path) : undefined;
  }
  if (name.endsWith(".api")) {
    return async (path) => await isLost(path) ? await removeIfThere(path) : undefined;
  }
  if (/^pipe-.*\.lock$/.test(name)) return removeUnlocked;
  // What an entry is written to before it gets its name.
  if (/\.json\.[0-9a-f-]{36}$/.test(name)) return removeIfThere;
  return undefined;
}

async function isRefused(path: string): Promise<boolean> {
  try {
    (await Deno.connect({ transport: "unix", path })).close();
    return false;
  } catch (error) {
    // Any other error, such as a missing permission, says nothing about who listens.
    return error instanceof Deno.errors.ConnectionRefused;
  }
}

/** A lock is removed by who holds it, so whoever waits for it finds out that it is gone. */
async function removeUnlocked(path: string): Promise<void> {
  try {
    using file = await Deno.open(path, { write: true });
    if (await file.tryLock(true)) await removeIfThere(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotSupported)) throw error;
  }
}

/** One that names a socket goes with the socket. */
async function isLost(path: string): Promise<boolean> {
  try {
    const { address } = JSON.parse(await Deno.readTextFile(path));
    if (typeof address !== "string") return true;
    return address.startsWith("unix:") && await statIfThere(address.slice("unix:".length)) === undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return true; // its writer was killed at it
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotCapable) return false;
    throw error;
  }
}

async function statIfThere(path: string): Promise<Deno.FileInfo | undefined> {
  try {
    return await Deno.lstat(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

async function removeIfThere(path: string): Promise<void> {
  try {
    await Deno.remove(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error; // gone already is what was wanted
  }
}
