/**
 * Everything that an environment needs, in one directory: the runtime's archive, the wheels and the lock. A machine
 * without a network reaches the same environment from it.
 *
 * ```text
 * bundle.json            what it is, and the SHA-256 of every other file
 * lock.txt               every package with version and hash
 * runtime.tar.gz         the runtime's archive, when it is one of ours
 * wheels/*.whl           the packages
 * ```
 *
 * @module
 */

import { join } from "@std/path";
import { EnvironmentError, HashMismatchError } from "../core/errors.ts";
import { createSha256 } from "./digest.ts";
import type { Context } from "./context.ts";
import { type Distribution, distributionKey } from "./distributions.ts";
import type { PythonEnvironment } from "./environment_store.ts";
import { listIfThere, statIfThere, writeAtomically } from "./files.ts";
import type { IndexSettings } from "./index_settings.ts";
import { isNotFound } from "./io_errors.ts";
import { Layout, prepareHome } from "./layout.ts";
import type { PipInstaller } from "./pip.ts";
import type { PythonRuntime } from "./runtime.ts";
import { RuntimeInstaller } from "./runtime_installer.ts";
import { splitRequirements } from "./requirements.ts";
import type { EnsureOptions } from "./specification.ts";
import { stage } from "./staging.ts";

/** What is in a bundle. */
export interface BundleDescription {
  /** Version of this format. */
  readonly schema: 1;
  /** The operating system and processor that its files are for. */
  readonly platform: string;
  /** The Python that the environment was locked for. */
  readonly python: string;
  /** The runtime in it; without one, a Python of the same minor version must be on the machine. */
  readonly distribution?: Distribution;
  /** Whether pip is in the environment. */
  readonly pip: boolean;
  /** The SHA-256 of each file. */
  readonly files: Readonly<Record<string, string>>;
}

/** What the functions here need of the managers. */
export interface BundleTools {
  /** What the managers share. */
  readonly context: Context;
  /** Downloads wheels. */
  readonly pip: PipInstaller;
  /** Makes the environment. */
  readonly ensure: (options: EnsureOptions) => Promise<PythonEnvironment>;
}

/** What is put into a bundle. */
export interface BundleContent {
  /** The runtime that the lock was made for. */
  readonly runtime: PythonRuntime;
  /** The lock. */
  readonly lock: string;
  /** Whether pip is in the environment. */
  readonly pip: boolean;
  /** Where packages come from. */
  readonly index: IndexSettings;
  /** Ends the work. */
  readonly signal?: AbortSignal | undefined;
}

async function sha256Of(context: Context, path: string): Promise<string> {
  const file = await context.io.open(path, { read: true });
  try {
    const hash = await createSha256();
    const buffer = new Uint8Array(1 << 20);
    for (let count = await file.read(buffer); count !== null; count = await file.read(buffer)) {
      hash.update(buffer.subarray(0, count));
    }
    return hash.digest("hex");
  } finally {
    file.close();
  }
}

function platformOf(context: Context): string {
  return `${context.os}-${context.arch}`;
}

/** Writes a bundle into a directory, which must be new or empty; the description comes last. */
export async function writeBundle(
  tools: BundleTools,
  directory: string,
  content: BundleContent,
): Promise<void> {
  const { context } = tools;
  const { io } = context;
  const present = await listIfThere(io, directory);
  if (present.length > 0) {
    throw new EnvironmentError(`Cannot write a bundle into "${directory}": it has "${present[0]}" in it`, {
      hint: "Name a directory that is new or empty.",
    });
  }
  await io.mkdir(join(directory, "wheels"), { recursive: true });
  const { runtime, lock, index, signal } = content;
  await prepareHome(context);
  const requirements = splitRequirements(lock);
  if (requirements.length > 0) {
    const request = { runtime, requirements, index, signal, withoutDependencies: true };
    await tools.pip.download(request, join(directory, "wheels"));
  }
  await io.writeFile(join(directory, "lock.txt"), new TextEncoder().encode(lock));
  const names = ["lock.txt"];
  const distribution = await distributionOf(context, runtime);
  if (distribution !== undefined) {
    await copyArchive(context, distribution, join(directory, "runtime.tar.gz"));
    names.push("runtime.tar.gz");
  }
  names.push(...(await listIfThere(io, join(directory, "wheels"))).map((name) => `wheels/${name}`));
  const files: Record<string, string> = {};
  for (const name of names) files[name] = await sha256Of(context, join(directory, name));
  if (distribution !== undefined && files["runtime.tar.gz"] !== distribution.sha256) {
    throw new HashMismatchError(
      archivePath(context, distribution),
      distribution.sha256,
      files["runtime.tar.gz"]!,
      {
        hint: ARCHIVE_HINT,
      },
    );
  }
  const description: BundleDescription = {
    schema: 1,
    platform: platformOf(context),
    python: runtime.version,
    pip: content.pip,
    files,
    ...(distribution === undefined ? {} : { distribution }),
  };
  await writeAtomically(io, join(directory, "bundle.json"), `${JSON.stringify(description, null, 2)}\n`);
}

async function distributionOf(context: Context, runtime: PythonRuntime): Promise<Distribution | undefined> {
  const installed = await new RuntimeInstaller(context).list();
  // One that was named by its path is ours all the same.
  for (const { id, executable, distribution } of installed) {
    if (id === runtime.id || await context.io.realPath(executable) === runtime.executable) {
      return distribution;
    }
  }
  return undefined;
}

function archivePath(context: Context, { sha256 }: Distribution): string {
  return join(new Layout(context.home).archives, `${sha256}.tar.gz`);
}

/** The runtime may be there without the archive that it came from, or with one that has gone bad since. */
const ARCHIVE_HINT = "Uninstall the runtime and install it again, which fetches its archive anew.";

async function copyArchive(context: Context, distribution: Distribution, target: string): Promise<void> {
  const archive = archivePath(context, distribution);
  try {
    await context.io.copyFile(archive, target);
  } catch (error) {
    if (!isNotFound(error)) throw error;
    throw new EnvironmentError(
      `Cannot put ${distributionKey(distribution)} into the bundle: its archive "${archive}" is missing`,
      { cause: error, hint: ARCHIVE_HINT },
    );
  }
}

async function readDescription(context: Context, directory: string): Promise<BundleDescription> {
  const path = join(directory, "bundle.json");
  let value: Partial<BundleDescription>;
  try {
    value = JSON.parse(await context.io.readTextFile(path));
  } catch (cause) {
    throw new EnvironmentError(`Cannot read bundle "${directory}": it has no bundle.json that can be read`, {
      cause,
    });
  }
  if (value?.schema !== 1 || typeof value.files !== "object" || typeof value.python !== "string") {
    throw new EnvironmentError(`Cannot read bundle "${directory}": it is of another version`);
  }
  const description = value as BundleDescription;
  const { distribution, files } = description;
  // The hash becomes a file's name.
  if (distribution !== undefined && !/^[0-9a-f]{64}$/.test(distribution?.sha256)) {
    throw new EnvironmentError(`Cannot read bundle "${directory}": the hash of its runtime is none`);
  }
  if (distribution !== undefined && files["runtime.tar.gz"] !== distribution.sha256) {
    throw new EnvironmentError(
      `Cannot use bundle "${directory}": its "runtime.tar.gz" is not the archive of Python ${distribution.version}`,
    );
  }
  if (description.platform !== platformOf(context)) {
    throw new EnvironmentError(
      `Cannot use bundle "${directory}" here: it is for ${description.platform}, this is ${
        platformOf(context)
      }`,
    );
  }
  return description;
}

/** Makes the environment of a bundle. No socket is opened. */
export async function readBundle(
  tools: BundleTools,
  directory: string,
  options: Pick<EnsureOptions, "name" | "installer" | "signal" | "onProgress">,
): Promise<PythonEnvironment> {
  const { context } = tools;
  const description = await readDescription(context, directory);
  for (const [name, expected] of Object.entries(description.files)) {
    if (!/^(lock\.txt|runtime\.tar\.gz|wheels\/[A-Za-z0-9][\w.+!-]*)$/.test(name)) {
      throw new EnvironmentError(`Cannot use bundle "${directory}": it names the file "${name}"`);
    }
    const path = join(directory, name);
    if (await statIfThere(context.io, path) === undefined) {
      throw new EnvironmentError(`Cannot use bundle "${directory}": the file "${name}" is missing`);
    }
    const actual = await sha256Of(context, path);
    if (actual !== expected) throw new HashMismatchError(path, expected, actual);
  }
  const python = await installRuntime(context, directory, description, options);
  const lock = await context.io.readTextFile(join(directory, "lock.txt"));
  return await tools.ensure({
    ...options,
    python,
    lock,
    pip: description.pip,
    download: "never",
    index: { noIndex: true, findLinks: [join(directory, "wheels")] },
  });
}

/** Installs the bundle's runtime; gives the request that finds it. */
async function installRuntime(
  context: Context,
  directory: string,
  description: BundleDescription,
  options: Pick<EnsureOptions, "signal" | "onProgress">,
): Promise<string> {
  const { distribution } = description;
  if (distribution === undefined) return description.python.split(".").slice(0, 2).join(".");
  const layout = await prepareHome(context);
  await context.io.mkdir(layout.archives, { recursive: true, mode: 0o700 });
  const archive = archivePath(context, distribution);
  // One that has gone bad is not fetched anew here, where there is no network.
  const there = await statIfThere(context.io, archive) !== undefined;
  if (!there || await sha256Of(context, archive) !== distribution.sha256) {
    await using staged = await stage(context);
    await context.io.copyFile(join(directory, "runtime.tar.gz"), staged.path);
    await context.io.rename(staged.path, archive);
  }
  const { signal, onProgress } = options;
  const installed = await new RuntimeInstaller(context).install(distribution, {
    ...(signal === undefined ? {} : { signal }),
    ...(onProgress === undefined ? {} : { onProgress }),
  });
  return installed.executable;
}
