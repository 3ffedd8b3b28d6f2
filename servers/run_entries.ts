/**
 * The run directory's entries: how a client of the same user finds a server's address and token.
 *
 * @module
 */

import {
  entryFileName,
  formatRunEntry,
  parseRunEntry,
  pipeEntryKey,
  portOf,
  type RunEntry,
} from "../core/endpoint.ts";
import { ProtocolError } from "../core/errors.ts";
import type { Logger } from "../core/logger.ts";
import { joinPath } from "./directories.ts";

/** How many entries a start looks at: the dead ones are all gone after some starts, and none costs much. */
const TIDIED_ENTRIES = 8;

/** An entry that was written. */
export interface WrittenEntry {
  /** The entry's file. */
  readonly path: string;
  /** Removes the entry, unless another server has written its own in the meantime. */
  remove(): Promise<void>;
  /** The same, for the moment in which the program ends. */
  removeNow(): void;
}

/** Writes an entry so that a reader sees the old one or the whole new one. */
export async function writeRunEntry(directory: string, entry: RunEntry): Promise<WrittenEntry> {
  const path = joinPath(directory, fileNameOf(entry));
  const staging = `${path}.${crypto.randomUUID()}`;
  try {
    // `createNew` and the mode together: the token is never in a file that others can open, not even for a moment.
    await Deno.writeTextFile(staging, formatRunEntry(entry), { createNew: true, mode: 0o600 });
    await Deno.rename(staging, path);
  } catch (error) {
    await Deno.remove(staging).catch(() => {}); // the first error is the one to report
    throw error;
  }
  return {
    path,
    remove: () => removeEntry(path, entry),
    removeNow(): void {
      if (isSame(parse(Deno.readTextFileSync(path), path), entry)) Deno.removeSync(path);
    },
  };
}

/** Reads every entry of the run directory; entries that cannot be read are left out. */
export async function listRunEntries(directory: string): Promise<RunEntry[]> {
  const entries: RunEntry[] = [];
  for (const path of await entryFiles(directory)) {
    const entry = await readEntry(path);
    if (entry !== undefined) entries.push(entry);
  }
  return entries;
}

/** Removes entries whose server does not listen any more; of many, looks at `most` that chance picks. */
export async function removeDeadEntries(
  directory: string,
  logger: Logger,
  most: number = TIDIED_ENTRIES,
): Promise<void> {
  try {
    const paths = await entryFiles(directory);
    while (paths.length > most) paths.splice(Math.floor(Math.random() * paths.length), 1);
    for (const path of paths) {
      const entry = await readEntry(path);
      if (entry === undefined || !await isDead(entry)) continue;
      await removeEntry(path, entry);
      // Only a socket beside the entries is surely ours.
      if (entry.transport === "pipe" && entry.address.startsWith(directory)) await removeFile(entry.address);
    }
  } catch (error) {
    logger.warn("Cannot remove the run entries of dead servers", error);
  }
}

/** Whether connections to the entry's address are refused. An entry is written only when its server listens. */
async function isDead(entry: RunEntry): Promise<boolean> {
  try {
    const connection = entry.transport === "pipe"
      ? await Deno.connect({ transport: "unix", path: entry.address })
      : await Deno.connect({
        hostname: new URL(entry.address).hostname,
        port: portOf(new URL(entry.address)),
      });
    connection.close();
    return false;
  } catch (error) {
    // Any other error (no permission to look, too many open files) says nothing about the server.
    return error instanceof Deno.errors.ConnectionRefused || error instanceof Deno.errors.NotFound;
  }
}

function fileNameOf(entry: RunEntry): string {
  const key = entry.transport === "pipe" ? pipeEntryKey(entry.endpoint) : portOf(new URL(entry.address));
  return entryFileName(entry.transport, key);
}

async function entryFiles(directory: string): Promise<string[]> {
  const paths: string[] = [];
  try {
    for await (const { name, isFile } of Deno.readDir(directory)) {
      if (isFile && name.endsWith(".json")) paths.push(joinPath(directory, name));
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return paths.sort();
}

async function removeEntry(path: string, entry: RunEntry): Promise<void> {
  if (isSame(await readEntry(path), entry)) await removeFile(path);
}

function isSame(current: RunEntry | undefined, entry: RunEntry): boolean {
  return current?.pid === entry.pid && current.token === entry.token;
}

async function removeFile(path: string): Promise<void> {
  try {
    await Deno.remove(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error; // gone already is what was wanted
  }
}

async function readEntry(path: string): Promise<RunEntry | undefined> {
  try {
    return parse(await Deno.readTextFile(path), path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined; // its server ended just now
    throw error;
  }
}

function parse(text: string, path: string): RunEntry | undefined {
  try {
    return parseRunEntry(text, path);
  } catch (error) {
    if (error instanceof ProtocolError) return undefined; // of another version of this library: not ours to touch
    throw error;
  }
}
