/**
 * Makes environments: finds the runtime, makes the venv at its final path, fills it, tries it, marks it, publishes it.
 *
 * @module
 */

import { dirname, join } from "@std/path";
import { EnvironmentError } from "../core/errors.ts";
import { childEnvironment, expectSuccess, runChild } from "./child.ts";
import type { Context } from "./context.ts";
import { venvInterpreter } from "./discovery.ts";
import type { EnvironmentDetails, EnvironmentStore, PythonEnvironment } from "./environment_store.ts";
import { untilSettled } from "./environment_use.ts";
import { statIfThere } from "./files.ts";
import { type IndexSettings, readIndexSettings } from "./index_settings.ts";
import { prepareHome } from "./layout.ts";
import { lock, own } from "./locking.ts";
import { writeMarker } from "./marker.ts";
import { checkChoice } from "./option_checks.ts";
import type { InstallerChoice, PackageInstaller } from "./packages.ts";
import { requirePermissions } from "./permissions.ts";
import { PipInstaller } from "./pip.ts";
import type { ProgressListener } from "./progress_events.ts";
import type { PythonRuntime } from "./runtime.ts";
import type { EnsureRuntimeOptions, RuntimeManager } from "./runtimes.ts";
import type { Specification } from "./specification.ts";
import { UvInstaller } from "./uv.ts";
import { UvFinder } from "./uv_tool.ts";

/** How an environment is made; none of it is part of what the environment is. */
export interface BuildOptions {
  /** Who installs. */
  readonly installer?: InstallerChoice | undefined;
  /** Whether a Python may be downloaded. */
  readonly download?: "auto" | "never" | undefined;
  /** The Python to make it from, where the request would also take others: a change of packages keeps it. */
  readonly runtime?: PythonRuntime | undefined;
  /** Where packages come from, instead of where pip is set to look. */
  readonly index?: IndexSettings | undefined;
  /** Ends the work. */
  readonly signal?: AbortSignal | undefined;
  /** Told of progress. */
  readonly onProgress?: ProgressListener | undefined;
}

/** What matters when the runtime is found or installed. */
export function runtimeOptions({ download, signal, onProgress }: BuildOptions): EnsureRuntimeOptions {
  return {
    ...(download === undefined ? {} : { download }),
    ...(signal === undefined ? {} : { signal }),
    ...(onProgress === undefined ? {} : { onProgress }),
  };
}

/** How often the work is begun again when somebody sweeps it away. */
const SWEPT_ATTEMPTS = 5;

/** Makes environments. */
export class EnvironmentBuilder {
  readonly #runtimes: RuntimeManager;
  readonly #context: Context;
  readonly #store: EnvironmentStore;
  readonly #uv: UvFinder;
  readonly #lockDeadlineMs: number | undefined;
  /** pip, which is always there. */
  readonly pip: PipInstaller;

  /** Makes a builder. */
  constructor(
    runtimes: RuntimeManager,
    store: EnvironmentStore,
    options: { readonly uv?: string | undefined; readonly lockDeadlineMs?: number | undefined } = {},
  ) {
    this.#runtimes = runtimes;
    this.#context = runtimes.context;
    this.#store = store;
    this.#uv = new UvFinder(this.#context, options.uv);
    this.#lockDeadlineMs = options.lockDeadlineMs;
    this.pip = new PipInstaller(this.#context, async function* (): AsyncGenerator<PythonRuntime> {
      yield* await runtimes.discover();
    });
  }

  /** The installer that a choice means here. */
  async installer(choice: InstallerChoice = "auto", options: BuildOptions = {}): Promise<PackageInstaller> {
    checkChoice("installer", choice, ["auto", "uv", "pip"]);
    if (choice === "pip") return this.pip;
    const tool = await this.#uv.find(options.signal);
    if (tool !== undefined) return new UvInstaller(this.#context, tool);
    if (choice === "auto") return this.pip;
    const runtime = await this.#runtimes.find(
      ">=3.9",
      options.signal === undefined ? {} : { signal: options.signal },
    );
    const index = options.index ?? await readIndexSettings(this.#context);
    const offline = this.#context.offline;
    const made = await this.#uv.bootstrap(
      (target, requirements, signal) =>
        this.pip.installInto(target, { runtime, requirements, index, offline, signal }),
      options.signal,
    );
    return new UvInstaller(this.#context, made);
  }

  /** Takes the lock of a name, or goes on without where there are none. */
  async locked<T>(
    name: string,
    options: BuildOptions & { readonly until?: () => Promise<boolean> },
    use: (exclusive: boolean) => Promise<T>,
  ): Promise<T> {
    const home = [this.#context.home];
    await requirePermissions(`work on environment "${name}"`, { read: home, write: home });
    const layout = await prepareHome(this.#context);
    const root = layout.environment(name);
    options.onProgress?.({ stage: "lock", subject: name });
    using held = await lock(this.#context, join(root, ".lock"), {
      signal: options.signal,
      deadlineMs: this.#lockDeadlineMs,
      prepare: () => this.#context.io.mkdir(root, { recursive: true, mode: 0o700 }),
      ...(options.until === undefined ? {} : { until: options.until }),
    });
    const exclusive = held?.exclusive === true;
    try {
      return await use(exclusive);
    } finally {
      if (exclusive) await this.#store.removeIfEmpty(name);
    }
  }

  /** The environment of a specification, made if another process has not made it in the meantime. */
  async make(
    name: string,
    specHash: string,
    specification: Specification,
    options: BuildOptions,
  ): Promise<PythonEnvironment> {
    const until = async (): Promise<boolean> => await this.#store.follow(name, specHash) !== undefined;
    return await this.locked(name, { ...options, until }, async (exclusive) => {
      const existing = await this.#store.hit(name, specHash);
      if (existing !== undefined) return existing;
      if (exclusive) await this.#store.sweep(name);
      return await this.#build(name, specHash, specification, options);
    });
  }

  async #build(
    name: string,
    specHash: string,
    specification: Specification,
    options: BuildOptions,
  ): Promise<PythonEnvironment> {
    const { onProgress } = options;
    onProgress?.({ stage: "discover", subject: specification.python });
    const runtime = options.runtime ??
      await this.#runtimes.ensure(specification.python, runtimeOptions(options));
    const installer = await this.installer(options.installer, options);
    for (let attempt = 1;; attempt++) {
      const directory = this.#store.newDirectory(name, specHash);
      // Where locks do not work, a process with working ones may have removed what was empty.
      await this.#context.io.mkdir(dirname(directory), { recursive: true, mode: 0o700 });
      using _owned = await own(this.#context, `${directory}.own`);
      let claimed = false;
      try {
        await this.#fill(directory, name, runtime, installer, specification, options);
        onProgress?.({ stage: "verify", subject: name });
        const details: EnvironmentDetails = { specification, runtime, installer: installer.name };
        await writeMarker(this.#context.io, directory, { kind: "environment", sha256: specHash, details });
        onProgress?.({ stage: "publish", subject: name });
        claimed = await this.#store.claim(directory);
        if (!claimed) throw new EnvironmentError(`Cannot publish environment "${name}": it was swept`);
        await this.#store.publish(name, directory, specHash, specification);
        // Until then it was nobody's, so somebody may have been about to remove it.
        await untilSettled(this.#context, directory);
      } catch (error) {
        // Where locks do not work, a process with working ones may have taken this for left behind.
        const swept = !claimed && await statIfThere(this.#context.io, `${directory}.own`) === undefined;
        await this.#discardAfter(error, directory);
        if (!swept || attempt === SWEPT_ATTEMPTS) throw error;
        this.#context.logger.warn("Somebody swept what was being made: once more", directory, error);
        continue;
      }
      const made = await this.#store.open(name, directory);
      if ("environment" in made) {
        onProgress?.({ stage: "done", subject: name });
        return made.environment;
      }
      // Where locks do not work, another process may have published the same just after, and a third one have removed
      // this, which nothing led to any more.
      const other = await this.#store.hit(name, specHash);
      if (other !== undefined) return other;
      if (attempt === SWEPT_ATTEMPTS) {
        throw new EnvironmentError(`Cannot use environment "${name}": ${made.problem}`);
      }
    }
  }

  /** A half-made directory is removed at once; should that fail too, the next sweep does it. */
  async #discardAfter(error: unknown, directory: string): Promise<void> {
    try {
      // Published already: what failed came after, and the directory is whole.
      if (await this.#store.isPublished(directory)) return;
      await this.#store.discard(directory);
    } catch (second) {
      this.#context.logger.warn(
        "A half-made environment is left for the next sweep",
        directory,
        error,
        second,
      );
    }
  }

  async #fill(
    directory: string,
    name: string,
    runtime: PythonRuntime,
    installer: PackageInstaller,
    specification: Specification,
    options: BuildOptions,
  ): Promise<void> {
    const { signal, onProgress } = options;
    const index = options.index ?? await readIndexSettings(this.#context);
    onProgress?.({ stage: "create", subject: name });
    await installer.createVenv(runtime, directory, { pip: specification.pip, index, signal });
    onProgress?.({ stage: "install", subject: name });
    // The trial needs nothing of the packages, so it runs beside their installation. Both are waited for, whatever
    // becomes of either: nothing may still work in a directory that is about to be discarded.
    const installing = installer.install({
      runtime,
      environment: directory,
      python: venvInterpreter(this.#context.os, directory),
      requirements: specification.requirements,
      constraints: specification.constraints,
      requireHashes: specification.locked,
      withoutDependencies: specification.withoutDependencies,
      sourceBuilds: specification.sourceBuilds,
      offline: this.#context.offline,
      index,
      signal,
      onLine: (line) => onProgress?.({ stage: "install", subject: name, message: line }),
    });
    const outcomes = await Promise.allSettled([installing, this.#tryOut(directory, signal)]);
    for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
  }

  /** Starts the new interpreter once, so that a base which cannot carry a venv is found out here. */
  async #tryOut(directory: string, signal: AbortSignal | undefined): Promise<void> {
    const { io, os, environment } = this.#context;
    const python = venvInterpreter(os, directory);
    const args = ["-I", "-S", "-c", "import encodings"];
    const env = childEnvironment(environment);
    const result = await runChild(io, os, python, { args, env, signal, timeoutMs: 30_000 });
    expectSuccess("start the interpreter of a new environment", [python, ...args], result);
  }
}
