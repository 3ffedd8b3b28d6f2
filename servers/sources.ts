/**
 * Writes the Python sources to a directory named by their content, once, and compiles them there, once per interpreter.
 *
 * ```text
 * <data>/servers/0.1.0-1f2e3d4c5b6a7988/          appears whole, by rename, and is never written over
 *   __main__.py  beep_host/…  beep_host/__pycache__/…
 *   .complete                                     last file of the staging directory
 *   .compiled-<interpreter>                       bytecode for this interpreter is there
 * ```
 *
 * @module
 */

import { PROTOCOL_VERSION } from "../core/protocol.ts";
import type { Logger } from "../core/logger.ts";
import { ensurePrivateDirectory, joinPath } from "./directories.ts";

/** The Python files, and a hash of them all. */
export interface PythonSources {
  /** Gives the text of each file by its relative path, with `/` between the segments; called when they are missing. */
  readonly load: () => Promise<Readonly<Record<string, string>>>;
  /** Lower-case hex hash over paths and texts. */
  readonly hash: string;
  /** Version of the library that the files belong to. */
  readonly version: string;
}

/** What {@linkcode ensureBytecode} is told besides the directory. */
export interface BytecodeOptions {
  /** Gives up when it aborts. */
  readonly signal?: AbortSignal | undefined;
  /** Told when compiling failed. */
  readonly logger: Logger;
}

const STAGING_LIFE_MS = 60 * 60 * 1000;

/** Makes sure that the sources are below `root`, and gives the directory to start Python on. */
export async function ensureSources(root: string, sources: PythonSources): Promise<string> {
  const directory = joinPath(root, `${sources.version}-${sources.hash.slice(0, 16)}`);
  if (await isComplete(directory, sources)) return directory;
  await ensurePrivateDirectory(root);
  await sweep(root);
  const staging = joinPath(root, `.staging-${crypto.randomUUID()}`);
  try {
    await writeFiles(staging, sources);
    await publish(staging, directory, sources);
  } finally {
    // Gone after a successful rename; left over by a lost race or a failure.
    await removeIfThere(staging);
  }
  return directory;
}

/**
 * Compiles the directory to bytecode for `python`, unless that was done before. Python itself is started with `-B`, so
 * it reads the bytecode and never writes any. Failing costs only start-up time, so it is logged and passed over.
 */
export async function ensureBytecode(
  directory: string,
  python: string,
  options: BytecodeOptions,
): Promise<void> {
  const marker = joinPath(directory, `.compiled-${await interpreterKey(python)}`);
  if (await isThere(marker)) return;
  const { code, stdout } = await new Deno.Command(python, {
    // An unchecked hash saves a stat for each module at start; the directory's name already says what is in it.
    args: ["-I", "-S", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", directory],
    stdin: "null",
    stdout: "piped", // where compileall writes its errors
    stderr: "null",
    clearEnv: true,
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  }).output();
  options.signal?.throwIfAborted();
  if (code !== 0) {
    options.logger.warn(
      "Cannot compile the server's sources; it starts more slowly",
      new TextDecoder().decode(stdout),
    );
    return;
  }
  // compileall renames finished files into place, so racing starts only do the same work twice.
  await Deno.writeTextFile(marker, "");
}

/** Removes what a start left that was killed while it wrote. An hour is longer than any start takes. */
async function sweep(root: string): Promise<void> {
  for await (const { name } of Deno.readDir(root)) {
    if (!name.startsWith(".staging-")) continue;
    const path = joinPath(root, name);
    const { mtime } = await Deno.stat(path).catch(() => ({ mtime: null })); // gone: another start swept it
    if (mtime !== null && Date.now() - mtime.getTime() > STAGING_LIFE_MS) await removeIfThere(path);
  }
}

async function isComplete(directory: string, sources: PythonSources): Promise<boolean> {
  try {
    return await Deno.readTextFile(joinPath(directory, ".complete")) === markerText(sources);
  } catch (error) {
    if (isNotFound(error)) return false;
    throw error;
  }
}

function markerText(sources: PythonSources): string {
  return `${sources.hash}, protocol ${PROTOCOL_VERSION}\n`;
}

async function writeFiles(staging: string, sources: PythonSources): Promise<void> {
  await Deno.mkdir(staging, { mode: 0o700 });
  for (const [path, text] of Object.entries(await sources.load())) {
    const segments = path.split("/");
    if (segments.length > 1) {
      await Deno.mkdir(joinPath(staging, ...segments.slice(0, -1)), { recursive: true });
    }
    await Deno.writeTextFile(joinPath(staging, ...segments), text);
  }
  await Deno.writeTextFile(joinPath(staging, ".complete"), markerText(sources));
}

async function publish(staging: string, directory: string, sources: PythonSources): Promise<void> {
  try {
    await Deno.rename(staging, directory);
  } catch (error) {
    if (await isComplete(directory, sources)) return; // another process was faster, with the same files
    if (!(await isThere(directory))) throw error;
    // There, but not whole: somebody took files out of it. It is moved away in one step, never mended in place.
    const trash = joinPath(directory, "..", `.staging-${crypto.randomUUID()}`);
    await Deno.rename(directory, trash);
    await Deno.rename(staging, directory);
    await removeIfThere(trash);
  }
}

/**
 * Names an interpreter by the file that it really is, so that the environments of one runtime share bytecode and one
 * that was upgraded in place is another. The real path is not asked for: reading there may not be permitted.
 */
async function interpreterKey(python: string): Promise<string> {
  const { dev, ino, size, mtime } = await Deno.stat(python);
  const text = new TextEncoder().encode([dev, ino, size, mtime?.getTime()].join(" "));
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", text));
  return digest.subarray(0, 8).toHex();
}

async function isThere(path: string): Promise<boolean> {
  try {
    await Deno.lstat(path);
    return true;
  } catch (error) {
    if (isNotFound(error)) return false;
    throw error;
  }
}

async function removeIfThere(path: string): Promise<void> {
  try {
    await Deno.remove(path, { recursive: true });
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
}

function isNotFound(error: unknown): boolean {
  return error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory;
}
