/**
 * `VenvManager`: makes, finds, changes and removes environments.
 *
 * @module
 */

import { resolve } from "@std/path";
import { CommandError, EnvironmentError } from "../core/errors.ts";
import { type BundleTools, readBundle, writeBundle } from "./bundle.ts";
import type { Context } from "./context.ts";
import { type BuildOptions, EnvironmentBuilder, runtimeOptions } from "./environment_builder.ts";
import { withoutPackages, withPackages } from "./environment_changes.ts";
import type {
  ChangeOptions,
  EnvironmentStatus,
  ProviderOptions,
  VenvManagerOptions,
} from "./environment_options.ts";
import { EnvironmentStore, type PythonEnvironment } from "./environment_store.ts";
import { holdBackAll, lease } from "./environment_use.ts";
import { collectGarbage } from "./garbage.ts";
import { readIndexSettings } from "./index_settings.ts";
import { frozen, type InstalledPackage, listPackages, sitePackages } from "./installed_packages.ts";
import { mapIoError } from "./io_errors.ts";
import { forgetVerified } from "./marker.ts";
import { checkName } from "./names.ts";
import { checkList } from "./option_checks.ts";
import type { InstallerChoice } from "./packages.ts";
import { requirePermissions } from "./permissions.ts";
import { appendBackendSuffix, detectComputeBackend, providerEnvironmentName } from "./providers.ts";
import { runInEnvironment, type RunOptions, type RunResult } from "./run.ts";
import { RuntimeManager } from "./runtimes.ts";
import { openScriptAccess } from "./script_access.ts";
import {
  canonicalRequirement,
  type EnsureOptions,
  hashSpecification,
  normalizePackageName,
  packageOf,
  type Specification,
} from "./specification.ts";
import { givenPackages, isBare, specify } from "./specify.ts";
import { prepareHome } from "./layout.ts";

/** The name of the environment that host programs run in. */
export const ADMIN_NAME = "admin";

/**
 * Makes, finds, changes and removes environments.
 *
 * An environment never changes once it is made: a change makes a new one and switches its name to it, so a server that
 * runs in the old one never sees its packages change.
 */
export class VenvManager {
  /** The runtimes that environments are made from. */
  readonly runtimes: RuntimeManager;
  readonly #context: Context;
  readonly #store: EnvironmentStore;
  readonly #builder: EnvironmentBuilder;
  readonly #installer: InstallerChoice;

  /** Makes a manager; nothing is read or started until it is asked for something. */
  constructor(options: VenvManagerOptions = {}) {
    const { runtimes, uv, lockDeadlineMs, installer, ...context } = options;
    this.runtimes = runtimes ?? new RuntimeManager(context);
    this.#context = this.runtimes.context;
    this.#store = new EnvironmentStore(this.#context);
    this.#builder = new EnvironmentBuilder(this.runtimes, this.#store, { uv, lockDeadlineMs });
    this.#installer = installer ?? "auto";
  }

  /** The admin environment: named `admin`, made from the default runtime, with pip. Taken as it is when it exists. */
  async ensureAdmin(options: Omit<EnsureOptions, "name"> = {}): Promise<PythonEnvironment> {
    return await this.ensure({ pip: true, ...options, name: ADMIN_NAME });
  }

  /**
   * The environment that a specification describes: the existing one when there is one, without starting a process,
   * else a new one. A specification that has nothing but a name takes the environment of that name as it is.
   *
   * Requires `--allow-read` and `--allow-write` for the data directory; making one needs `--allow-run` too.
   *
   * @throws {PythonNotFoundError} When no Python meets the request and none may be downloaded.
   * @throws {CommandError} When the installer fails, with its own decisive lines.
   * @throws {EnvironmentError} When the environment cannot be made for another reason.
   */
  async ensure(options: EnsureOptions = {}): Promise<PythonEnvironment> {
    options.signal?.throwIfAborted();
    const bare = isBare(options);
    const name = options.name === undefined ? (bare ? ADMIN_NAME : undefined) : checkName(options.name);
    try {
      if (bare) {
        const existing = await this.#store.follow(name!, "current");
        if (existing !== undefined) return existing;
        // Broken: it is made again from what it was made from.
        const pointer = await this.#store.readPointer(name!, "current");
        if (pointer !== undefined) return await this.#realize(name, pointer.specification, options);
      }
      return await this.#realize(name, await this.#specify(options, name === ADMIN_NAME), options);
    } catch (error) {
      const action = `make environment "${name ?? "(unnamed)"}"`;
      if (error instanceof Deno.errors.NotCapable) {
        const home = [this.#context.home];
        await requirePermissions(action, { read: home, write: home });
      }
      throw mapIoError(action, error);
    }
  }

  async #specify(options: EnsureOptions, admin: boolean): Promise<Specification> {
    const python = (): Promise<string> => this.runtimes.defaultRequest();
    return await specify(this.#context, options, { python, pip: admin, index: options.index });
  }

  async #realize(
    name: string | undefined,
    specification: Specification,
    options: EnsureOptions & Pick<BuildOptions, "runtime">,
  ): Promise<PythonEnvironment> {
    const specHash = await hashSpecification(specification, `${this.#context.os}-${this.#context.arch}`);
    const actual = name ?? `auto-${specHash.slice(0, 12)}`;
    const installer = options.installer ?? this.#installer;
    return await this.#store.hit(actual, specHash) ??
      await this.#builder.make(actual, specHash, specification, { ...options, installer });
  }

  /** Makes an environment. Throws an {@linkcode EnvironmentError} when there is one of that name. */
  async create(name: string, options: Omit<EnsureOptions, "name"> = {}): Promise<PythonEnvironment> {
    if (await this.#store.readPointer(checkName(name), "current") !== undefined) {
      throw new EnvironmentError(`Cannot create environment "${name}": it exists`, {
        reason: "exists",
        hint: "Use ensure() to take or change it, or delete() it first.",
      });
    }
    return await this.ensure({ packages: [], ...options, name });
  }

  /** What is known of all environments. */
  async list(): Promise<EnvironmentStatus[]> {
    return await Promise.all((await this.#store.names()).map((name) => this.#status(name, false)));
  }

  /** What is known of an environment, its packages included. Starts no process. */
  async status(name: string): Promise<EnvironmentStatus> {
    return await this.#status(checkName(name), true);
  }

  async #status(name: string, withPackages: boolean): Promise<EnvironmentStatus> {
    const pointer = await this.#store.readPointer(name, "current");
    if (pointer === undefined) return { name, state: "missing" };
    const opened = await this.#store.open(name, this.#store.path(name, pointer));
    if ("problem" in opened) return { name, state: "broken", problem: opened.problem };
    const { environment } = opened;
    if (!withPackages) return { name, state: "ready", environment };
    return { name, state: "ready", environment, packages: await this.#packages(environment) };
  }

  async #packages(environment: PythonEnvironment): Promise<InstalledPackage[]> {
    const { version, runtime, path } = environment;
    return await listPackages(
      this.#context,
      sitePackages(this.#context.os, path, version, runtime.freeThreaded),
    );
  }

  async #current(name: string): Promise<PythonEnvironment> {
    const environment = await this.#store.follow(checkName(name), "current");
    if (environment !== undefined) return environment;
    if (await this.#store.readPointer(name, "current") !== undefined) return await this.ensure({ name });
    throw new EnvironmentError(`Cannot find environment "${name}"`, {
      reason: "missing",
      hint: `There are: ${(await this.#store.names()).join(", ") || "none"}.`,
    });
  }

  /**
   * The packages of an environment, one exact line each, as `pip freeze` prints them: without pip itself, unless it was
   * asked for by name. `ensure({ packages })` takes them back.
   */
  async freeze(name: string): Promise<string[]> {
    const environment = await this.#current(name);
    return frozen(await this.#packages(environment), environment);
  }

  /**
   * Adds packages. What is there keeps its version where that is possible; an environment of that name is made when
   * there is none.
   */
  async install(
    name: string,
    packages: readonly string[],
    options: ChangeOptions = {},
  ): Promise<PythonEnvironment> {
    const pointer = await this.#store.readPointer(checkName(name), "current");
    if (pointer === undefined) return await this.ensure({ ...options, name, packages });
    const environment = await this.#current(name);
    const next = withPackages(
      pointer.specification,
      givenPackages(packages),
      await this.#packages(environment),
      options.sourceBuilds,
    );
    const { runtime } = environment;
    try {
      return await this.#realize(name, next, { ...options, runtime });
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      // The new packages need other versions of what is there: then those give way, as with pip.
      this.#context.logger.warn("Installing with other versions of what was there", name, error.output);
      const looser = { ...next, constraints: pointer.specification.constraints };
      return await this.#realize(name, looser, { ...options, runtime });
    }
  }

  /** Removes packages; what they needed stays, as with pip. */
  async uninstall(
    name: string,
    packages: readonly string[],
    options: ChangeOptions = {},
  ): Promise<PythonEnvironment> {
    const environment = await this.#current(name);
    const pointer = (await this.#store.readPointer(name, "current"))!;
    const next = withoutPackages(name, pointer.specification, packages, await this.#packages(environment));
    return await this.#realize(name, next, { ...options, runtime: environment.runtime });
  }

  /** Gives an environment exactly the packages that are asked for, and what they need. Its Python stays. */
  async sync(name: string, options: Omit<EnsureOptions, "name">): Promise<PythonEnvironment> {
    const pointer = await this.#store.readPointer(checkName(name), "current");
    const old = pointer?.specification;
    const runtime = options.python === undefined
      ? (await this.#store.follow(name, "current"))?.runtime
      : undefined;
    const wanted: EnsureOptions & Pick<BuildOptions, "runtime"> = {
      packages: [],
      ...(old === undefined ? {} : { python: old.python, pip: old.pip }),
      ...options,
      name,
      runtime,
    };
    return await this.ensure(wanted);
  }

  /**
   * Finds the versions of everything that a specification needs, with hashes. The text goes into a file of the user's
   * and later into `ensure({ lock })`, which installs exactly that. Nothing is installed here.
   */
  async lock(options: EnsureOptions): Promise<string> {
    const specification = await this.#specify(options, false);
    const { signal } = options;
    const runtime = await this.runtimes.ensure(specification.python, runtimeOptions(options));
    await prepareHome(this.#context);
    const installer = await this.#builder.installer(options.installer ?? this.#installer, options);
    return await installer.lock({
      runtime,
      requirements: specification.requirements,
      constraints: specification.constraints,
      index: options.index ?? await readIndexSettings(this.#context),
      sourceBuilds: specification.sourceBuilds,
      offline: this.#context.offline,
      signal,
    });
  }

  /** What is wrong with an environment, one line each: its files, its base, and packages that do not fit together. */
  async verify(
    name: string,
    options: ChangeOptions & { readonly packages?: readonly string[] } = {},
  ): Promise<string[]> {
    const pointer = await this.#store.readPointer(checkName(name), "current");
    if (pointer === undefined) return ["it does not exist"];
    const directory = this.#store.path(name, pointer);
    const problems = await this.#store.verify(directory);
    const opened = await this.#store.open(name, directory);
    if ("problem" in opened) return problems.length > 0 ? problems : [opened.problem];
    const { environment } = opened;
    const installed = new Set(
      (await this.#packages(environment)).map((item) => normalizePackageName(item.name)),
    );
    checkList("packages", options.packages ?? []);
    for (const item of options.packages ?? []) {
      if (!installed.has(packageOf(canonicalRequirement(item)) ?? "")) {
        problems.push(`package "${item}" is not installed`);
      }
    }
    const installer = await this.#builder.installer(options.installer ?? this.#installer, options);
    return [...problems, ...await installer.check(environment.python, environment.runtime, options.signal)];
  }

  /** Makes a broken environment anew from what it was made from. Gives what was wrong with its files. */
  async repair(name: string, options: ChangeOptions = {}): Promise<string[]> {
    const pointer = await this.#store.readPointer(checkName(name), "current");
    if (pointer === undefined) {
      throw new EnvironmentError(`Cannot repair environment "${name}": it does not exist`);
    }
    const problems = await this.#store.verify(this.#store.path(name, pointer));
    if (problems.length === 0) return problems;
    forgetVerified();
    await this.#store.forget(this.#store.path(name, pointer));
    await this.ensure({ ...options, name });
    return problems;
  }

  /**
   * Runs a script or a module in an environment, to its end. It is ended when this process ends, in whatever way.
   *
   * With `infrastructure` it can ask this host, by `beep_host.infrastructure`: it is given the path of a file that only
   * its user can read, in `BEEP_HOST_API`, and what it starts ends with it.
   *
   * Requires `--allow-run` for the environment's interpreter.
   */
  async run(environment: string | PythonEnvironment, options: RunOptions): Promise<RunResult> {
    const actual = typeof environment === "string" ? await this.#current(environment) : environment;
    await using _lease = await this.lease(actual);
    await using access = await openScriptAccess(this, options.infrastructure);
    return await runInEnvironment(this.#context, actual, options, access?.env);
  }

  /**
   * Keeps an environment from being removed for as long as it is held, as a server does that runs in it. Where the data
   * directory cannot be written, which only its owner can then clean up, nothing is held.
   */
  async lease(environment: Pick<PythonEnvironment, "path">): Promise<AsyncDisposable> {
    return await lease(this.#context, environment.path);
  }

  /** Removes an environment. Gives false when there is none; refuses while it is in use, unless `force` is given. */
  async delete(
    name: string,
    options: { readonly force?: boolean; readonly signal?: AbortSignal } = {},
  ): Promise<boolean> {
    const directories = await this.#store.directories(checkName(name));
    const pointer = await this.#store.readPointer(name, "current");
    if (directories.length === 0 && pointer === undefined) return false;
    return await this.#builder.locked(name, options, async () => {
      const all = await this.#store.directories(name);
      await using _held = await holdBackAll(this.#context, name, all, options.force === true);
      await this.#store.removeName(name);
      return true;
    });
  }

  /** Removes what nobody needs any more: superseded environments that are not in use, and what dead processes left. */
  async gc(
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<{ readonly removed: readonly string[] }> {
    return { removed: await collectGarbage(this.#context, this.#store, this.#builder, options.signal) };
  }

  /**
   * Writes everything that an environment needs into a new directory: the runtime's archive when it is one that was
   * installed by this library, the wheels and the lock. Gives the lock.
   */
  async exportBundle(directory: string, options: EnsureOptions): Promise<string> {
    const { signal } = options;
    const specification = await this.#specify(options, false);
    const runtime = await this.runtimes.ensure(specification.python, runtimeOptions(options));
    const lock = options.lock ?? (specification.requirements.length === 0 ? "" : await this.lock(options));
    const index = options.index ?? await readIndexSettings(this.#context);
    const { pip } = specification;
    try {
      await writeBundle(this.#bundleTools, resolve(directory), { runtime, lock, pip, index, signal });
    } catch (error) {
      throw mapIoError(`write bundle "${directory}"`, error);
    }
    return lock;
  }

  /** Makes the environment of a bundle, without a network. */
  async importBundle(
    directory: string,
    options: Pick<EnsureOptions, "name" | "installer" | "signal" | "onProgress"> = {},
  ): Promise<PythonEnvironment> {
    try {
      return await readBundle(this.#bundleTools, resolve(directory), options);
    } catch (error) {
      throw mapIoError(`use bundle "${directory}"`, error);
    }
  }

  get #bundleTools(): BundleTools {
    const ensure = (options: EnsureOptions): Promise<PythonEnvironment> => this.ensure(options);
    return { context: this.#context, pip: this.#builder.pip, ensure };
  }

  /**
   * The environment of a provider and, for ROCm, of a model, named as the original names it: the provider with what
   * computes (`llama-cuda`). One that is not known yet is made, empty unless packages are given.
   */
  async ensureProviderEnvironment(
    provider: string,
    modelId?: string,
    options: ProviderOptions = {},
  ): Promise<PythonEnvironment> {
    const { computeBackend, rocmStrategy, ...rest } = options;
    const backend = computeBackend ?? await detectComputeBackend(this.#context, options.signal);
    const name = providerEnvironmentName(appendBackendSuffix(provider, backend), modelId, rocmStrategy);
    return await this.ensure({ ...rest, name });
  }
}
