/**
 * `RuntimeManager`: finds, installs, lists and removes Pythons.
 *
 * @module
 */

import { join } from "@std/path";
import { EnvironmentError, PythonNotFoundError, type RefusedCandidate } from "../core/errors.ts";
import { showAs } from "../core/inspection.ts";
import { Context, type ContextOptions } from "./context.ts";
import { chooseDistribution, type Distribution, distributionsFor } from "./distributions.ts";
import { namedDistributions } from "./download_list.ts";
import { readTextIfThere, removeIfThere, writeAtomically } from "./files.ts";
import { RuntimeFinder } from "./finder.ts";
import { mapIoError } from "./io_errors.ts";
import { prepareHome } from "./layout.ts";
import { forgetVerified } from "./marker.ts";
import { detectPlatform, targetTriple } from "./platform.ts";
import type { PythonRuntime } from "./runtime.ts";
import { type InstalledRuntime, RuntimeInstaller, type RuntimeInstallOptions } from "./runtime_installer.ts";
import { isPathRequest, parseRequest } from "./versions.ts";

/** What a {@linkcode RuntimeManager} can be given. */
export interface RuntimeManagerOptions extends ContextOptions {
  /** Where a project's `.venv` is looked for, upwards. @default {the current directory, where Deno may read it} */
  readonly cwd?: string;
  /** A candidate that does not describe itself within this time is passed over, in milliseconds. @default {5000} */
  readonly probeTimeoutMs?: number;
}

/** How a runtime is installed. */
export interface InstallRuntimeOptions extends RuntimeInstallOptions {
  /** An archive that is not in the table: its version, its exact URL and its pinned hash. */
  readonly distribution?: { readonly version: string; readonly url: string; readonly sha256: string };
}

/** How a runtime is found or installed. */
export interface EnsureRuntimeOptions extends RuntimeInstallOptions {
  /**
   * Whether a Python is downloaded when none on this machine meets the request.
   * @default {"auto", or "never" where `UV_PYTHON_DOWNLOADS` says so}
   */
  readonly download?: "auto" | "never";
}

/** What a user wants when nothing is said. */
export const DEFAULT_REQUEST = ">=3.9";

/** Finds, installs, lists and removes Pythons. */
export class RuntimeManager {
  /** What this manager and those made from it share. */
  readonly context: Context;
  readonly #finder: RuntimeFinder;
  readonly #installer: RuntimeInstaller;
  #triple: Promise<string> | undefined;

  static {
    showAs(this.prototype, "RuntimeManager", ({ context }) => ({ home: context.homeIfKnown }));
  }

  /** Makes a manager; nothing is read or started until it is asked for something. */
  constructor(options: RuntimeManagerOptions = {}) {
    this.context = new Context(options);
    this.#installer = new RuntimeInstaller(this.context);
    this.#finder = new RuntimeFinder(this.context, {
      cwd: options.cwd ?? currentDirectory(),
      managed: async () =>
        (await this.#installer.list()).map(({ executable, id }) => ({ path: executable, id })),
      probeTimeoutMs: options.probeTimeoutMs,
    });
  }

  /**
   * Every usable Python on this machine, in order of preference, each once.
   *
   * Starts each unknown interpreter once; later calls start none. Requires `--allow-read`, and `--allow-run` for
   * interpreters that are not known yet.
   */
  async discover(
    options: { signal?: AbortSignal; onRefused?: (refused: RefusedCandidate) => void } = {},
  ): Promise<PythonRuntime[]> {
    return await Array.fromAsync(this.#finder.runtimes(options));
  }

  /**
   * The first Python that meets a request: a version (`"3.12"`), conditions (`">=3.10,<3.13"`), a free-threaded
   * build (`"3.14t"`), or the path of an interpreter, a venv or an installation.
   *
   * @throws {PythonNotFoundError} With every candidate that was looked at, and why it was refused.
   */
  async find(
    request: string = DEFAULT_REQUEST,
    options: { signal?: AbortSignal } = {},
  ): Promise<PythonRuntime> {
    return await this.#finder.find(request, options.signal);
  }

  /**
   * The first Python on this machine that meets a request, or else one that is downloaded for it.
   *
   * @throws {PythonNotFoundError} When none is there and none may be downloaded.
   */
  async ensure(
    request: string = DEFAULT_REQUEST,
    options: EnsureRuntimeOptions = {},
  ): Promise<PythonRuntime> {
    try {
      return await this.#finder.find(request, options.signal);
    } catch (error) {
      const policy = options.download ??
        (/^(never|manual|false|0)$/i.test(this.context.environment("UV_PYTHON_DOWNLOADS") ?? "")
          ? "never"
          : "auto");
      if (!(error instanceof PythonNotFoundError) || isPathRequest(request) || policy === "never") {
        throw error;
      }
      await this.#checkInstallable(request, error, options.signal);
      this.context.logger.info("No suitable Python on this machine: installing one", request);
      return await this.install(request, options);
    }
  }

  /** Throws what was not found when there is nothing to install in its place either. */
  async #checkInstallable(
    request: string,
    notFound: PythonNotFoundError,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const [triple, table] = [await this.triple(), await this.#table(signal)];
    try {
      chooseDistribution(request, triple, table);
    } catch (cause) {
      if (!(cause instanceof EnvironmentError)) throw cause;
      throw new PythonNotFoundError(request, notFound.candidates, {
        cause,
        hint: `None that meets it can be downloaded either. ${cause.hint ?? ""}`.trim(),
      });
    }
  }

  /** The target triple of builds for this machine. */
  async triple(): Promise<string> {
    this.#triple ??= detectPlatform(this.context).then(targetTriple);
    return await this.#triple;
  }

  /**
   * The Pythons that can be installed on this machine, newest first: those of the pinned table, or of the list that
   * `UV_PYTHON_DOWNLOADS_JSON_URL` names.
   */
  async available(options: { signal?: AbortSignal } = {}): Promise<Distribution[]> {
    try {
      return await this.#table(options.signal);
    } catch (error) {
      throw mapIoError("list the Pythons that can be installed", error);
    }
  }

  async #table(signal: AbortSignal | undefined): Promise<Distribution[]> {
    const triple = await this.triple();
    return await namedDistributions(this.context, triple, signal) ?? distributionsFor(triple);
  }

  /**
   * Installs the newest Python that meets a request, unless it is there already, and gives it. Its archive is pinned
   * by its SHA-256; a mirror changes only where it comes from.
   *
   * Requires `--allow-net` for the place of the archives, and `--allow-read` and `--allow-write` for the data directory.
   *
   * @throws {DownloadError} When the archive cannot be had.
   * @throws {HashMismatchError} When what came is another file.
   */
  async install(request: string, options: InstallRuntimeOptions = {}): Promise<PythonRuntime> {
    try {
      const installed = await this.#installer.install(await this.#distribution(request, options), options);
      return await this.#runtimeOf(installed, options.signal);
    } catch (error) {
      throw mapIoError(`install Python "${request}"`, error);
    }
  }

  async #distribution(request: string, options: InstallRuntimeOptions): Promise<Distribution> {
    const triple = await this.triple();
    if (options.distribution === undefined) {
      return chooseDistribution(request, triple, await this.#table(options.signal));
    }
    const { version, url, sha256 } = options.distribution;
    if (!/^[0-9a-f]{64}$/.test(sha256)) {
      throw new EnvironmentError(
        `Cannot install Python ${version}: "${sha256}" is no SHA-256 in lower-case hex`,
      );
    }
    return {
      version,
      triple,
      freeThreaded: parseRequest(request).freeThreaded,
      tag: sha256.slice(0, 12),
      sha256,
      url,
    };
  }

  async #runtimeOf(installed: InstalledRuntime, signal: AbortSignal | undefined): Promise<PythonRuntime> {
    const { executable, id } = installed;
    const examined = await this.#finder.examine({ path: executable, source: "managed", id }, signal);
    if ("runtime" in examined) return examined.runtime;
    throw new EnvironmentError(`Cannot use the installed Python "${executable}": ${examined.refused.reason}`);
  }

  /** The Pythons that this library has installed. */
  async list(): Promise<InstalledRuntime[]> {
    return await this.#installer.list();
  }

  /** What is wrong with an installed Python, one line each: every file is compared with what was installed. */
  async verify(id: string): Promise<string[]> {
    return await this.#installer.verify(id);
  }

  /** Installs an installed Python again when something is wrong with it. Gives what was wrong. */
  async repair(id: string, options: RuntimeInstallOptions = {}): Promise<string[]> {
    const problems = await this.verify(id);
    if (problems.length === 0) return problems;
    const known = (await this.list()).find((runtime) => runtime.id === id)?.distribution ??
      (await this.available()).find((row) =>
        id.startsWith(`cpython-${row.version}${row.freeThreaded ? "+freethreaded" : ""}-`)
      );
    if (known === undefined) {
      throw new EnvironmentError(`Cannot repair runtime "${id}": it is not known what it was`);
    }
    forgetVerified();
    await removeIfThere(this.context.io, `${this.#installer.path(id)}.verified`);
    await this.#installer.install(known, options);
    return problems;
  }

  /** Removes an installed Python; environments made from it are made anew at their next use. Gives whether it was there. */
  async uninstall(id: string, options: { signal?: AbortSignal } = {}): Promise<boolean> {
    const path = this.#installer.path(id);
    const removed = await this.#installer.uninstall(id, options);
    const request = await this.#readDefault();
    if (request?.startsWith(path) === true) await removeIfThere(this.context.io, this.#defaultPath);
    return removed;
  }

  get #defaultPath(): string {
    return join(this.context.home, "default.json");
  }

  async #readDefault(): Promise<string | undefined> {
    const text = await readTextIfThere(this.context.io, this.#defaultPath);
    if (text === undefined) return undefined;
    try {
      const request: unknown = JSON.parse(text)?.request;
      return typeof request === "string" ? request : undefined;
    } catch (error) {
      // Written atomically, so somebody else has been at it: the default is as if none were set.
      this.context.logger.warn("The default runtime cannot be read", this.#defaultPath, error);
      return undefined;
    }
  }

  /** The request that stands for "any Python" here: the one that was set, else `>=3.9`. Starts nothing. */
  async defaultRequest(): Promise<string> {
    return (this.context.homeIfKnown === undefined ? undefined : await this.#readDefault()) ??
      DEFAULT_REQUEST;
  }

  /** The Python that is taken when none is asked for. */
  async getDefault(options: { signal?: AbortSignal } = {}): Promise<PythonRuntime> {
    return await this.find(await this.defaultRequest(), options);
  }

  /** Sets the Python that is taken when none is asked for: a runtime, a request or a path. Undefined unsets it. */
  async setDefault(choice: PythonRuntime | string | undefined): Promise<void> {
    if (choice === undefined) return await removeIfThere(this.context.io, this.#defaultPath);
    const request = typeof choice === "string" ? choice : choice.executable;
    await this.find(request);
    await prepareHome(this.context);
    await writeAtomically(this.context.io, this.#defaultPath, `${JSON.stringify({ schema: 1, request })}\n`);
  }
}

function currentDirectory(): string | undefined {
  try {
    return Deno.cwd();
  } catch {
    // Deno may not tell, or the directory is gone: then there is no project to look for.
    return undefined;
  }
}
