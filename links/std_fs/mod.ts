/**
 * Stand-in for `@std/fs`, on Deno's own functions, since npm carries no copy of the real package.
 *
 * @module
 */

import { basename, join, normalize } from "@std/path";

/** What {@linkcode exists} looks for. */
export interface ExistsOptions {
  /** Whether the entry must be a directory. */
  isDirectory?: boolean;
  /** Whether the entry must be a file. */
  isFile?: boolean;
}

/** Whether there is an entry at `path`, of the wanted kind. */
export async function exists(path: string | URL, options: ExistsOptions = {}): Promise<boolean> {
  if (options.isDirectory && options.isFile) {
    throw new TypeError(
      "ExistsOptions.options.isDirectory and ExistsOptions.options.isFile must not be true together",
    );
  }
  try {
    const stat = await Deno.stat(path);
    return (!options.isDirectory || stat.isDirectory) && (!options.isFile || stat.isFile);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Makes a directory and those above it, unless it is there. */
export async function ensureDir(dir: string | URL): Promise<void> {
  await Deno.mkdir(dir, { recursive: true });
}

/** Makes a directory, or removes all that is in it. */
export async function emptyDir(dir: string): Promise<void> {
  await ensureDir(dir);
  for await (const entry of Deno.readDir(dir)) await Deno.remove(join(dir, entry.name), { recursive: true });
}

/** What {@linkcode walk} yields and leaves out. */
export interface WalkOptions {
  /** How deep to go; the root is 0. */
  maxDepth?: number;
  /** Whether files are yielded. */
  includeFiles?: boolean;
  /** Whether directories are yielded. */
  includeDirs?: boolean;
  /** Whether symbolic links are yielded; they are never followed. */
  includeSymlinks?: boolean;
  /** Only paths that end in one of these are yielded. */
  exts?: string[];
  /** Only paths that match one of these are yielded. */
  match?: RegExp[];
  /** Paths that match one of these are left out, with all below them. */
  skip?: RegExp[];
}

/** One entry that {@linkcode walk} came upon. */
export interface WalkEntry extends Deno.DirEntry {
  /** The path, starting with the root that was given. */
  path: string;
}

/** Yields what is at and below a directory, depth first. */
export async function* walk(root: string, options: WalkOptions = {}): AsyncIterableIterator<WalkEntry> {
  const { maxDepth = Infinity, includeFiles = true, includeDirs = true, includeSymlinks = true } = options;
  if (maxDepth < 0) return;
  const path = normalize(root);
  if (includeDirs && isWanted(path, options)) {
    yield { path, name: basename(path), isFile: false, isDirectory: true, isSymlink: false };
  }
  if (maxDepth < 1 || !isWanted(path, { ...(options.skip && { skip: options.skip }) })) return;
  for await (const entry of Deno.readDir(path)) {
    const below = join(path, entry.name);
    if (entry.isDirectory) yield* walk(below, { ...options, maxDepth: maxDepth - 1 });
    else if (
      (entry.isSymlink ? includeSymlinks : includeFiles) && isWanted(below, options)
    ) yield { path: below, ...entry };
  }
}

function isWanted(path: string, { exts, match, skip }: WalkOptions): boolean {
  if (exts !== undefined && !exts.some((ext) => path.endsWith(ext))) return false;
  if (match !== undefined && !match.some((pattern) => pattern.test(path))) return false;
  return skip === undefined || !skip.some((pattern) => pattern.test(path));
}
