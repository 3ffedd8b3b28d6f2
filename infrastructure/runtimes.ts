/**
 * `RuntimeManager`: finds, installs, lists and removes Pythons.
 *
 * @module
 */

import type { RefusedCandidate } from "../core/errors.ts";
import { Context, type ContextOptions } from "./context.ts";
import { RuntimeFinder } from "./finder.ts";
import type { PythonRuntime } from "./runtime.ts";

/** What a {@linkcode RuntimeManager} can be given. */
export interface RuntimeManagerOptions extends ContextOptions {
  /** Where a project's `.venv` is looked for, upwards. @default {the current directory, where Deno may read it} */
  readonly cwd?: string;
  /** A candidate that does not describe itself within this time is passed over, in milliseconds. @default {5000} */
  readonly probeTimeoutMs?: number;
}

/** What a user wants when nothing is said. */
export const DEFAULT_REQUEST = ">=3.9";

/** Finds, installs, lists and removes Pythons. */
export class RuntimeManager {
  /** What this manager and those made from it share. */
  readonly context: Context;
  readonly #finder: RuntimeFinder;

  /** Makes a manager; nothing is read or started until it is asked for something. */
  constructor(options: RuntimeManagerOptions = {}) {
    this.context = new Context(options);
    this.#finder = new RuntimeFinder(this.context, {
      cwd: options.cwd ?? currentDirectory(),
      managed: () => Promise.resolve([]),
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
}

function currentDirectory(): string | undefined {
  try {
    return Deno.cwd();
  } catch {
    // Deno may not tell, or the directory is gone: then there is no project to look for.
    return undefined;
  }
}
