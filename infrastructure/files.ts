/**
 * Small file operations that are right under crashes and races: atomic writes, patient renames, whole removals.
 *
 * @module
 */

import { dirname } from "@std/path";
import type { Io, IoInfo } from "./io.ts";
import { isNotFound, isRefused } from "./io_errors.ts";

/**
 * Writes a file so that a reader sees either the old or the new content, whenever this process dies.
 *
 * `durable` forces it to the disk before and after the rename, which a mere cache does not need.
 */
export async function writeAtomically(
  io: Io,
  path: string,
  text: string,
  options: { durable?: boolean; mode?: number } = {},
): Promise<void> {
  const durable = options.durable ?? true;
  for (let attempt = 1;; attempt++) {
    const scratch = `${path}.${crypto.randomUUID()}.tmp`;
    try {
      await writeScratch(io, scratch, text, durable, options.mode ?? 0o600);
      await renamePatiently(io, scratch, path);
      break;
    } catch (error) {
      await removeIfThere(io, scratch);
      // A sweep may have taken the scratch file for one that a dead process left.
      if (!isNotFound(error) || attempt === SCRATCH_ATTEMPTS) throw error;
    }
  }
  if (durable) await io.syncDirectory(dirname(path));
}

const SCRATCH_ATTEMPTS = 3;

async function writeScratch(
  io: Io,
  path: string,
  text: string,
  durable: boolean,
  mode: number,
): Promise<void> {
  const file = await io.open(path, { write: true, createNew: true, mode });
  try {
    await file.write(new TextEncoder().encode(text));
    if (durable) await file.sync();
  } finally {
    file.close();
  }
}

const RENAME_ATTEMPTS = 10;
const RENAME_FIRST_WAIT_MS = 10;

/**
 * Renames, and tries again for about ten seconds while the system refuses: on Windows a virus scanner may hold a
 * fresh file for a moment. Elsewhere a refusal is final.
 */
export async function renamePatiently(
  io: Io,
  from: string,
  to: string,
  os: string = Deno.build.os,
): Promise<void> {
  for (let attempt = 1;; attempt++) {
    try {
      return await io.rename(from, to);
    } catch (error) {
      if (os !== "windows" || !isRefused(error) || attempt === RENAME_ATTEMPTS) throw error;
      await new Promise((resolve) => setTimeout(resolve, RENAME_FIRST_WAIT_MS * 2 ** (attempt - 1)));
    }
  }
}

/** Removes a file or a whole directory, and is content when it is not there. */
export async function removeIfThere(io: Io, path: string): Promise<void> {
  try {
    await io.remove(path, { recursive: true });
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
}

/** What is at a path, links followed, or undefined when nothing is. */
export async function statIfThere(io: Io, path: string): Promise<IoInfo | undefined> {
  try {
    return await io.stat(path);
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

/** A file's text, or undefined when there is no file. */
export async function readTextIfThere(io: Io, path: string): Promise<string | undefined> {
  try {
    return await io.readTextFile(path);
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

/** The names in a directory, sorted; none when it is not there. */
export async function listIfThere(io: Io, path: string): Promise<string[]> {
  try {
    return (await io.readDir(path)).map((entry) => entry.name).sort();
  } catch (error) {
    if (isNotFound(error)) return [];
    throw error;
  }
}
