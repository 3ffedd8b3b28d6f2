/**
 * `VenvManager`: makes, finds, changes and removes environments.
 *
 * @module
 */

import { EnvironmentError } from "../core/errors.ts";
import { childEnvironment, expectSuccess, runChild } from "./child.ts";
import type { Context } from "./context.ts";
import { venvInterpreter } from "./discovery.ts";
import { type EnvironmentDetails, EnvironmentStore, type PythonEnvironment } from "./environment_store.ts";
import { readIndexSettings } from "./index_settings.ts";
import { mapIoError } from "./io_errors.ts";
import { prepareHome } from "./layout.ts";
import { lock, own } from "./locking.ts";
import { join } from "@std/path";
import { writeMarker } from "./marker.ts";
import { checkName } from "./names.ts";
import type { PackageInstaller } from "./packages.ts";
import { PipInstaller } from "./pip.ts";
import { DEFAULT_REQUEST, RuntimeManager } from "./runtimes.ts";
import {
  canonicalRequirements,
  type EnsureOptions,
  hashSpecification,
  indexKey,
  type Specification,
} from "./specification.ts";

/** What a {@linkcode VenvManager} can be given. */
export interface VenvManagerOptions {
  /** The runtimes that environments are made from. @default {a new manager with the same home} */
  readonly runtimes?: RuntimeManager;
  /** The data directory, when no `runtimes` are given. */
  readonly home?: string;
  /** How long another process is waited for, in milliseconds. @default {300000} */
  readonly lockDeadlineMs?: number;
}

/** The name of the environment that host programs run in. */
export const ADMIN_NAME = "admin";

/** Makes, finds, changes and removes environments. */
export class VenvManager {
  /** The runtimes that environments are made from. */
  readonly runtimes: RuntimeManager;
  readonly #context: Context;
  readonly #store: EnvironmentStore;
  readonly #lockDeadlineMs: number | undefined;

  /** Makes a manager; nothing is read or started until it is asked for something. */
  constructor(options: VenvManagerOptions = {}) {
    this.runtimes = options.runtimes ??
      new RuntimeManager(options.home === undefined ? {} : { home: options.home });
    this.#context = this.runtimes.context;
    this.#store = new EnvironmentStore(this.#context);
    this.#lockDeadlineMs = options.lockDeadlineMs;
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
   */
  async ensure(options: EnsureOptions = {}): Promise<PythonEnvironment> {
    const { signal } = options;
    signal?.throwIfAborted();
    const bare = isBare(options);
    const given = options.name === undefined ? undefined : checkName(options.name);
    const wanted = given ?? (bare ? ADMIN_NAME : undefined);
    try {
      if (bare) {
        const existing = await this.#store.follow(wanted!, "current");
        if (existing !== undefined) return existing;
      }
      const damaged = bare ? await this.#store.readPointer(wanted!, "current") : undefined;
      const specification = damaged?.specification ?? await this.#specify(options, wanted === ADMIN_NAME);
      const specHash = hashSpecification(specification, `${this.#context.os}-${this.#context.arch}`);
      const name = wanted ?? `auto-${specHash.slice(0, 12)}`;
      return await this.#store.hit(name, specHash) ??
        await this.#make(name, specHash, specification, options);
    } catch (error) {
      throw mapIoError(`make environment "${wanted ?? "(unnamed)"}"`, error);
    }
  }

  async #specify(options: EnsureOptions, admin: boolean): Promise<Specification> {
    const index = await readIndexSettings(this.#context);
    return {
      python: options.python ?? DEFAULT_REQUEST,
      requirements: canonicalRequirements(options.packages ?? []),
      constraints: canonicalRequirements(options.constraints ?? []),
      locked: options.lock !== undefined,
      withoutDependencies: false,
      pip: options.pip ?? admin,
      sourceBuilds: options.sourceBuilds ?? false,
      index: indexKey(index),
    };
  }

  async #make(
    name: string,
    specHash: string,
    specification: Specification,
    options: EnsureOptions,
  ): Promise<PythonEnvironment> {
    const { signal, onProgress } = options;
    const layout = await prepareHome(this.#context);
    const root = layout.environment(name);
    await this.#context.io.mkdir(root, { recursive: true, mode: 0o700 });
    onProgress?.({ stage: "lock", subject: name });
    const until = async (): Promise<boolean> => await this.#store.follow(name, specHash) !== undefined;
    using held = await lock(this.#context, join(root, ".lock"), {
      signal,
      deadlineMs: this.#lockDeadlineMs,
      until,
    });
    const existing = await this.#store.hit(name, specHash);
    if (existing !== undefined) return existing;
    if (held?.exclusive === true) await this.#store.sweep(name);
    return await this.#build(name, specHash, specification, options);
  }

  async #build(
    name: string,
    specHash: string,
    specification: Specification,
    options: EnsureOptions,
  ): Promise<PythonEnvironment> {
    const { signal, onProgress } = options;
    onProgress?.({ stage: "discover", subject: specification.python });
    const runtime = await this.runtimes.find(specification.python, signal === undefined ? {} : { signal });
    const installer = this.#installer();
    const directory = this.#store.newDirectory(name, specHash);
    using _owned = await own(this.#context, `${directory}.own`);
    try {
      const index = await readIndexSettings(this.#context);
      onProgress?.({ stage: "create", subject: name });
      await installer.createVenv(runtime, directory, { pip: specification.pip, index, signal });
      const python = venvInterpreter(this.#context.os, directory);
      if (specification.requirements.length > 0) {
        onProgress?.({ stage: "install", subject: name });
        await installer.install({
          runtime,
          environment: directory,
          python,
          requirements: specification.requirements,
          constraints: specification.constraints,
          requireHashes: specification.locked,
          withoutDependencies: specification.withoutDependencies,
          sourceBuilds: specification.sourceBuilds,
          offline: this.#context.offline,
          index,
          signal,
          onLine: (message) => onProgress?.({ stage: "install", subject: name, message }),
        });
      }
      onProgress?.({ stage: "verify", subject: name });
      await this.#probe(python, runtime.executable, signal);
      const details: EnvironmentDetails = { specification, runtime, installer: installer.name };
      await writeMarker(this.#context.io, directory, { kind: "environment", sha256: specHash, details });
      onProgress?.({ stage: "publish", subject: name });
      await this.#store.publish(name, directory, specHash, specification);
    } catch (error) {
      await this.#store.discard(directory);
      throw error;
    }
    const made = await this.#store.open(name, directory);
    if ("problem" in made) throw new EnvironmentError(`Cannot use environment "${name}": ${made.problem}`);
    onProgress?.({ stage: "done", subject: name });
    return made.environment;
  }

  async #probe(python: string, lifeline: string, signal: AbortSignal | undefined): Promise<void> {
    const { io, os, environment } = this.#context;
    const args = ["-I", "-S", "-c", "import sys, encodings"];
    const result = await runChild(io, os, python, {
      args,
      env: childEnvironment(environment),
      signal,
      timeoutMs: 10_000,
    });
    expectSuccess("start the interpreter of a new environment", [python, ...args], result);
    void lifeline;
  }

  #installer(): PackageInstaller {
    return new PipInstaller(
      this.#context,
      async function* (this: VenvManager) {
        yield* await this.runtimes.discover();
      }.bind(this),
    );
  }
}

/** Whether a specification says nothing but a name. */
function isBare(options: EnsureOptions): boolean {
  return options.python === undefined && options.packages === undefined &&
    options.requirementsFiles === undefined &&
    options.pyproject === undefined && options.lock === undefined && options.constraints === undefined;
}
