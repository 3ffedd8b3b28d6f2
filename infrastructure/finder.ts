/**
 * Turns candidates into runtimes: follows links, refuses what must not be started, asks the rest once.
 *
 * @module
 */

import { EnvironmentError, PythonNotFoundError, type RefusedCandidate } from "../core/errors.ts";
import { resolve } from "@std/path";
import type { Context } from "./context.ts";
import {
  type Candidate,
  type DiscoveryOptions,
  intoPrefix,
  parsePyvenv,
  sightings,
  untouchable,
  venvBase,
} from "./discovery.ts";
import { readTextIfThere } from "./files.ts";
import { mapIoError } from "./io_errors.ts";
import { type FileIdentity, ProbeCache } from "./probe.ts";
import { makeRuntime, type PythonRuntime } from "./runtime.ts";
import { isPathRequest, mismatch, OLDEST_PYTHON, parseRequest, type VersionRequest } from "./versions.ts";

/** What {@linkcode RuntimeFinder.examine} came to. */
export type Examined = { readonly runtime: PythonRuntime } | { readonly refused: RefusedCandidate };

const OLDEST: VersionRequest = parseRequest(`>=${OLDEST_PYTHON.join(".")}`);

/** Finds runtimes; remembers what it learned of each file. */
export class RuntimeFinder {
  readonly #context: Context;
  readonly #options: DiscoveryOptions;
  readonly #cache: ProbeCache;
  readonly #probeTimeoutMs: number | undefined;

  /** Makes a finder; it reads nothing until asked. */
  constructor(
    context: Context,
    options: DiscoveryOptions & { readonly probeTimeoutMs?: number | undefined },
  ) {
    this.#context = context;
    this.#options = options;
    this.#cache = new ProbeCache(context);
    this.#probeTimeoutMs = options.probeTimeoutMs;
  }

  /** Looks at one candidate: follows its links, and asks it unless its answer is known. */
  async examine(candidate: Candidate, signal?: AbortSignal): Promise<Examined> {
    const { io } = this.#context;
    const refuse = (reason: string): Examined => ({
      refused: { path: candidate.path, source: candidate.source, reason },
    });
    let identity: FileIdentity;
    try {
      const path = await this.#realBase(candidate.path);
      const reason = await untouchable(this.#context, candidate.path, path);
      if (reason !== undefined) return refuse(reason);
      const { size, mtimeMs } = await io.stat(path);
      identity = { path, size, mtimeMs };
    } catch (error) {
      return refuse(error instanceof Error ? error.message : String(error));
    }
    const answer = await this.#cache.ask(identity, {
      signal,
      // Whoever names a Python has a reason to think that it works.
      again: candidate.source === "explicit" || candidate.source === "BEEP_PYTHON_PATH",
      ...(this.#probeTimeoutMs === undefined ? {} : { timeoutMs: this.#probeTimeoutMs }),
    });
    if ("reason" in answer) return refuse(answer.reason);
    const old = mismatch(OLDEST, { ...answer.facts, implementation: "cpython", freeThreaded: false });
    if (old !== undefined && !old.includes("pre-release")) {
      return refuse(`${old}, older than ${OLDEST_PYTHON.join(".")}, the oldest that works`);
    }
    return { runtime: await makeRuntime(answer.facts, identity, candidate.source, candidate.id) };
  }

  /** The real path of an interpreter, or that of its base when it is a venv's copy. */
  async #realBase(path: string): Promise<string> {
    const { io } = this.#context;
    const real = await io.realPath(path);
    const base = await this.#baseOf(real);
    return base === real ? real : await io.realPath(base);
  }

  /** Gives every usable runtime, best first, each once. */
  async *runtimes(
    options: {
      signal?: AbortSignal | undefined;
      onRefused?: ((refused: RefusedCandidate) => void) | undefined;
    } = {},
  ): AsyncGenerator<PythonRuntime> {
    const seen = new Set<string>();
    try {
      for await (const sighting of sightings(this.#context, this.#options)) {
        options.signal?.throwIfAborted();
        if ("reason" in sighting) {
          options.onRefused?.(sighting);
          continue;
        }
        const real = await this.#realBase(sighting.path).catch(() => sighting.path);
        if (seen.has(real)) continue;
        seen.add(real);
        const examined = await this.examine(sighting, options.signal);
        if ("runtime" in examined) yield examined.runtime;
        else options.onRefused?.(examined.refused);
      }
    } finally {
      await this.#cache.save();
    }
  }

  /** The first runtime that meets a request. Throws `PythonNotFoundError` with everything that was looked at. */
  async find(request: string, signal?: AbortSignal): Promise<PythonRuntime> {
    if (isPathRequest(request)) return await this.#findPath(request, signal);
    const wanted = parseRequest(request);
    const refused: RefusedCandidate[] = [];
    const onRefused = (candidate: RefusedCandidate): void => {
      if (candidate.source === "BEEP_PYTHON_PATH") throw unusableOverride(candidate);
      refused.push(candidate);
    };
    const runtimes = this.runtimes({ signal, onRefused });
    for await (const runtime of runtimes) {
      const reason = mismatch(wanted, runtime);
      if (reason === undefined) return runtime;
      refused.push({ path: runtime.executable, source: runtime.source, reason });
    }
    throw new PythonNotFoundError(request, refused, {
      hint: refused.some((candidate) => candidate.reason.includes("--allow-"))
        ? "Some were refused because Deno may not start or read them: see the flags above."
        : "Install one with RuntimeManager.install(), or set BEEP_PYTHON_PATH to an interpreter.",
    });
  }

  async #findPath(request: string, signal: AbortSignal | undefined): Promise<PythonRuntime> {
    const home = this.#context.environment("HOME") ?? this.#context.environment("USERPROFILE");
    const expanded = request.startsWith("~") && home !== undefined ? home + request.slice(1) : request;
    let path: string;
    try {
      path = await this.#baseOf(await intoPrefix(this.#context, resolve(expanded)));
    } catch (error) {
      throw mapIoError(`look for a Python at ${JSON.stringify(request)}`, error);
    }
    const examined = await this.examine({ path, source: "explicit" }, signal);
    await this.#cache.save();
    if ("runtime" in examined) return examined.runtime;
    throw new PythonNotFoundError(request, [examined.refused], {
      hint: examined.refused.reason.includes("--allow-")
        ? "Deno may not start or read it: see the flag above."
        : 'Name the interpreter of a Python, a venv or an installation, or ask for a version, such as "3.12".',
    });
  }

  /** The base of a venv's interpreter, so that a new venv never hangs on another one. */
  async #baseOf(executable: string): Promise<string> {
    const match = /^(.*)[\\/](?:bin|Scripts)[\\/][^\\/]+$/.exec(executable);
    if (match === null) return executable;
    const text = await readTextIfThere(this.#context.io, `${match[1]}/pyvenv.cfg`);
    if (text === undefined || !parsePyvenv(text).has("home")) return executable;
    for await (const sighting of venvBase(this.#context, match[1]!, "explicit")) return sighting.path;
    throw new EnvironmentError(`Cannot find the base of the venv "${match[1]}"`);
  }
}

/** Whoever sets the variable wants that Python and no other, so another one is never taken in its place. */
function unusableOverride({ path, reason }: RefusedCandidate): EnvironmentError {
  return new EnvironmentError(`Cannot use the Python that BEEP_PYTHON_PATH names, "${path}": ${reason}`, {
    hint: "Set BEEP_PYTHON_PATH to an interpreter, a venv or an installation, or unset it.",
  });
}
