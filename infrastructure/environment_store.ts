/**
 * Environments on disk: pointers, hits, publishing and sweeping. Nothing here starts a process.
 *
 * An environment is built at its final path, because a venv contains it, with its marker last; what publishes it is
 * the atomic replacement of a pointer. So no lock is needed for correctness, and an update never touches what runs.
 *
 * @module
 */

import { basename, dirname, join } from "@std/path";
import type { Context } from "./context.ts";
import { venvInterpreter } from "./discovery.ts";
import { listIfThere, readTextIfThere, removeIfThere, statIfThere, writeAtomically } from "./files.ts";
import { isInUse, untilSettled } from "./environment_use.ts";
import { isNotFound } from "./io_errors.ts";
import { Layout } from "./layout.ts";
import { isAbandoned, removeIfAbandoned } from "./locking.ts";
import { compareManifest, type Marker, readMarker, verifyOncePerBoot } from "./marker.ts";
import { refuseName } from "./names.ts";
import type { PythonRuntime } from "./runtime.ts";
import type { Specification } from "./specification.ts";

/** A venv made from a runtime, with its packages. */
export interface PythonEnvironment {
  /** Its name. */
  readonly name: string;
  /** Its directory, which never changes. */
  readonly path: string;
  /** The absolute path of its interpreter. */
  readonly python: string;
  /** The version of its Python. */
  readonly version: string;
  /** The runtime that it was made from. */
  readonly runtime: PythonRuntime;
  /** The hash of what it was made from. */
  readonly specHash: string;
  /** The requirements that it was made from. */
  readonly requirements: readonly string[];
}

/** What the marker of an environment adds. */
export interface EnvironmentDetails {
  /** What it was made from. */
  readonly specification: Specification;
  /** The runtime. */
  readonly runtime: PythonRuntime;
  /** Who installed its packages. */
  readonly installer: string;
}

/** What a pointer file says. */
export interface Pointer {
  /** Version of this format. */
  readonly schema: 1;
  /** The name of the directory, beside the pointer. */
  readonly directory: string;
  /** The hash of what it was made from. */
  readonly specHash: string;
  /** What it was made from, so that it can be made again. */
  readonly specification: Specification;
}

/** The length of the part of a hash that stands in paths. */
const SHORT_HASH = 16;

/** What lies beside a directory: who makes or uses it, and that it was verified. */
const BESIDE_DIRECTORY = /^([0-9a-f]{16}-[0-9a-f]{8})\.(?:own$|verified$|use-)/;

/** Why a directory is not usable, or the environment in it. */
export type Opened = { readonly environment: PythonEnvironment } | { readonly problem: string };

/** Environments on disk. */
export class EnvironmentStore {
  readonly #context: Context;

  /** Makes the store of a data directory. */
  constructor(context: Context) {
    this.#context = context;
  }

  get #layout(): Layout {
    return new Layout(this.#context.home);
  }

  /** The pointer of a specification, or with `current` that of the name. */
  pointerPath(name: string, which: string): string {
    const file = which === "current" ? "current.json" : `${which.slice(0, SHORT_HASH)}.json`;
    return join(this.#layout.environment(name), file);
  }

  /** A path for a new environment that nobody else has. */
  newDirectory(name: string, specHash: string): string {
    const random = crypto.randomUUID().slice(0, 8);
    return join(this.#layout.environment(name), `${specHash.slice(0, SHORT_HASH)}-${random}`);
  }

  /** The directory that a pointer leads to. */
  path(name: string, pointer: Pointer): string {
    return join(this.#layout.environment(name), pointer.directory);
  }

  /** Forgets that a directory was verified since the last boot. */
  async forget(directory: string): Promise<void> {
    await removeIfThere(this.#context.io, `${directory}.verified`);
  }

  /** Reads a pointer; undefined when there is none that can be believed. */
  async readPointer(name: string, which: string): Promise<Pointer | undefined> {
    const text = await readTextIfThere(this.#context.io, this.pointerPath(name, which));
    if (text === undefined) return undefined;
    try {
      const value = JSON.parse(text) as Partial<Pointer>;
      const whole = value?.schema === 1 && typeof value.directory === "string" &&
        value.specification !== undefined &&
        typeof value.specHash === "string" && basename(value.directory) === value.directory;
      return whole ? value as Pointer : undefined;
    } catch (error) {
      if (error instanceof SyntaxError) return undefined;
      throw error;
    }
  }

  /** Writes a pointer, atomically. */
  async writePointer(name: string, which: string, pointer: Pointer): Promise<void> {
    await writeAtomically(this.#context.io, this.pointerPath(name, which), `${JSON.stringify(pointer)}\n`);
  }

  /** Opens a directory: marker, base and files are checked, the files once per boot. */
  async open(name: string, directory: string): Promise<Opened> {
    const { io, os } = this.#context;
    const marker = await readMarker<EnvironmentDetails>(io, directory, "environment");
    if (marker === undefined) return { problem: "it was never finished" };
    const problem = await this.#baseProblem(marker.details.runtime);
    if (problem !== undefined) return { problem };
    const python = venvInterpreter(os, directory);
    if (await statIfThere(io, python) === undefined) return { problem: "its interpreter is missing" };
    const problems = await verifyOncePerBoot(io, directory, marker);
    if (problems.length > 0) return { problem: problems.slice(0, 3).join(", ") };
    return { environment: toEnvironment(name, directory, python, marker) };
  }

  /** A base that was removed or replaced takes its environments along. */
  async #baseProblem(runtime: PythonRuntime): Promise<string | undefined> {
    const info = await statIfThere(this.#context.io, runtime.executable);
    if (info === undefined) return `its base Python "${runtime.executable}" is gone`;
    const same = info.size === runtime.identity.size && info.mtimeMs === runtime.identity.mtimeMs;
    return same ? undefined : `its base Python "${runtime.executable}" was replaced`;
  }

  /** The environment that a pointer leads to, when it is usable. */
  async follow(name: string, which: string): Promise<PythonEnvironment | undefined> {
    const pointer = await this.readPointer(name, which);
    if (pointer === undefined) return undefined;
    const directory = this.path(name, pointer);
    const opened = await this.open(name, directory);
    if ("environment" in opened) return opened.environment;
    this.#context.logger.warn("An environment must be made again", directory, opened.problem);
    return undefined;
  }

  /** The environment of a specification, made the current one of its name. */
  async hit(name: string, specHash: string): Promise<PythonEnvironment | undefined> {
    const environment = await this.follow(name, specHash);
    if (environment === undefined) return undefined;
    const current = await this.readPointer(name, "current");
    if (current?.directory === basename(environment.path)) return environment;
    const pointer = await this.readPointer(name, specHash);
    if (pointer !== undefined) await this.writePointer(name, "current", pointer);
    // It was not the current one until now, so somebody may have been about to remove it.
    await untilSettled(this.#context, environment.path);
    return await this.follow(name, specHash);
  }

  /** Publishes a finished directory: the pointer of its specification, then that of the name. */
  async publish(
    name: string,
    directory: string,
    specHash: string,
    specification: Specification,
  ): Promise<void> {
    const pointer: Pointer = { schema: 1, directory: basename(directory), specHash, specification };
    await this.writePointer(name, specHash, pointer);
    await this.writePointer(name, "current", pointer);
  }

  /** Whether the name of a directory points to it. */
  async isPublished(directory: string): Promise<boolean> {
    const pointer = await this.readPointer(basename(dirname(directory)), "current");
    return pointer?.directory === basename(directory);
  }

  /** What the marker of a directory says, whether it is usable or not. */
  async details(directory: string): Promise<EnvironmentDetails | undefined> {
    return (await readMarker<EnvironmentDetails>(this.#context.io, directory, "environment"))?.details;
  }

  /** What is wrong with a directory, every file compared. */
  async verify(directory: string): Promise<string[]> {
    const marker = await readMarker<EnvironmentDetails>(this.#context.io, directory, "environment");
    if (marker === undefined) return ["it was never finished"];
    const problem = await this.#baseProblem(marker.details.runtime);
    return [
      ...(problem === undefined ? [] : [problem]),
      ...await compareManifest(this.#context.io, directory, marker),
    ];
  }

  /**
   * Removes what leads nowhere: pointers of specifications, and what lay beside directories that are gone. The pointer of
   * the name stays, since it says what a broken environment was made from. Only for the holder of the name's lock.
   */
  async dropStrays(name: string): Promise<void> {
    const root = this.#layout.environment(name);
    const there = new Set(await listIfThere(this.#context.io, root));
    for (const entry of there) {
      const path = join(root, entry);
      const beside = BESIDE_DIRECTORY.exec(entry)?.[1];
      if (beside !== undefined && !there.has(beside)) await removeIfAbandoned(this.#context, path);
      if (!/^[0-9a-f]{16}\.json$/.test(entry)) continue;
      const pointer = await this.readPointer(name, entry.slice(0, SHORT_HASH));
      if (pointer === undefined || !there.has(pointer.directory)) await removeIfThere(this.#context.io, path);
    }
  }

  /** Removes all that belongs to a name, but for its lock: who waits for it must not hold a file that is gone. */
  async removeName(name: string): Promise<void> {
    const root = this.#layout.environment(name);
    await removeIfThere(this.#context.io, this.pointerPath(name, "current"));
    for (const entry of await listIfThere(this.#context.io, root)) {
      if (entry !== ".lock") await moveToTrash(this.#context, join(root, entry));
    }
  }

  /** Removes what is left of a name when that is nothing but its lock, which the caller holds. */
  async removeIfEmpty(name: string): Promise<void> {
    // Windows renames no directory in which a file is open.
    if (this.#context.os === "windows") return;
    const root = this.#layout.environment(name);
    try {
      const entries = await listIfThere(this.#context.io, root);
      if (entries.length !== 1 || entries[0] !== ".lock") return;
      await this.#context.io.remove(join(root, ".lock"));
      // Only if it is empty still: whoever has no locks may have begun to work there.
      await this.#context.io.remove(root);
    } catch (error) {
      // It disturbs nobody, and the work that it was held for must not fail by it.
      this.#context.logger.debug("Cannot remove an empty directory", root, error);
    }
  }

  /** The names of which there is anything at all, finished or not. */
  async allNames(): Promise<string[]> {
    const names = (await listIfThere(this.#context.io, this.#layout.environments))
      .filter((name) => refuseName(name) === undefined);
    const found = await Promise.all(names.map(async (name) => {
      return (await statIfThere(this.#context.io, this.#layout.environment(name)))?.isDirectory;
    }));
    return names.filter((_name, index) => found[index]);
  }

  /** The names of all environments that have a pointer. */
  async names(): Promise<string[]> {
    const names = (await listIfThere(this.#context.io, this.#layout.environments))
      .filter((name) => refuseName(name) === undefined);
    const there = await Promise.all(names.map(async (name) => {
      const pointer = join(this.#layout.environments, name, "current.json");
      return await statIfThere(this.#context.io, pointer) !== undefined;
    }));
    return names.filter((_name, index) => there[index]);
  }

  /**
   * Removes what was never finished and whose maker is gone. Only for the holder of the name's lock.
   *
   * Each is renamed into the trash before it is deleted, so that a slow maker can never publish one that is half gone.
   */
  async sweep(name: string): Promise<void> {
    const { io } = this.#context;
    const root = this.#layout.environment(name);
    for (const entry of await listIfThere(io, root)) {
      const path = join(root, entry);
      if (entry.endsWith(".tmp")) await removeIfThere(io, path);
      if (!isDirectoryName(entry)) continue;
      if (await readMarker(io, path, "environment") !== undefined) continue;
      if (!await isAbandoned(this.#context, `${path}.own`) || await isInUse(this.#context, path)) continue;
      // Its maker may have marked and claimed it since, where locks do not tell that it is still there.
      if (!await this.claim(path) && await readMarker(io, path, "environment") !== undefined) continue;
      await this.discard(path);
    }
  }

  /**
   * Takes the mark of ownership of a directory away, which only one can do: its maker, who has marked it as whole and
   * may now publish it, or a sweep, which may now discard it. Gives whether that was the caller.
   */
  async claim(directory: string): Promise<boolean> {
    try {
      await this.#context.io.remove(`${directory}.own`);
      return true;
    } catch (error) {
      if (isNotFound(error)) return false;
      throw error;
    }
  }

  /** Deletes an environment's directory and what lies beside it. */
  async discard(directory: string): Promise<void> {
    // The mark of ownership goes first, so that an owner who finds the rest gone finds this gone too.
    for (const suffix of [".own", ".verified"]) await removeIfThere(this.#context.io, directory + suffix);
    await moveToTrash(this.#context, directory);
  }

  /** The directories of a name, finished or not. */
  async directories(name: string): Promise<string[]> {
    const root = this.#layout.environment(name);
    return (await listIfThere(this.#context.io, root)).filter(isDirectoryName).map((entry) =>
      join(root, entry)
    );
  }
}

function isDirectoryName(entry: string): boolean {
  return /^[0-9a-f]{16}-[0-9a-f]{8}$/.test(entry);
}

function toEnvironment(
  name: string,
  path: string,
  python: string,
  marker: Marker<EnvironmentDetails>,
): PythonEnvironment {
  const { runtime, specification } = marker.details;
  return {
    name,
    path,
    python,
    version: runtime.version,
    runtime,
    specHash: marker.sha256,
    requirements: specification.requirements,
  };
}

/** Moves a path into the trash, where it is deleted: it is gone from its place at once, or not at all. */
export async function moveToTrash(context: Context, path: string): Promise<void> {
  const { io } = context;
  const layout = new Layout(context.home);
  await io.mkdir(layout.trash, { recursive: true, mode: 0o700 });
  const target = join(layout.trash, crypto.randomUUID());
  try {
    await io.rename(path, target);
  } catch (error) {
    if (isNotFound(error)) return;
    throw error;
  }
  await io.syncDirectory(dirname(path));
  await removeIfThere(io, target);
}
