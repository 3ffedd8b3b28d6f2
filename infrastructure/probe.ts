/**
 * Asks a Python about itself, once: a script prints one JSON object under a deadline, and the answer is remembered by
 * real path, time and size of the executable, so that the next discovery starts no process.
 *
 * @module
 */

import { dirname, join } from "@std/path";
import { childEnvironment, lastLines, runChild } from "./child.ts";
import type { Context } from "./context.ts";
import { writeAtomically } from "./files.ts";
import { isNotFound } from "./io_errors.ts";

/** What a Python says of itself. */
export interface ProbeFacts {
  /** Such as `3.13.1`. */
  readonly version: string;
  /** Such as `cpython`. */
  readonly implementation: string;
  /** Whether it is a build without the global lock. */
  readonly freeThreaded: boolean;
  /** `sys.prefix`. */
  readonly prefix: string;
  /** The interpreter that it was made from, for a venv; else its own path. */
  readonly baseExecutable: string;
  /** `platform.machine()`-like: `x86_64`. */
  readonly machine: string;
  /** Whether it can put pip into a venv without a network. */
  readonly ensurepip: boolean;
  /** The version of the pip that it has, or an empty text. */
  readonly pip: string;
}

/** The answer of a probe: facts, or why there are none. */
export type ProbeResult = { readonly facts: ProbeFacts } | { readonly reason: string };

/** A candidate that does not answer within this time is passed over. A busy machine and a cold disk take seconds. */
export const PROBE_TIMEOUT_MS = 10_000;

// It has to parse on Python 2 and 3.0 too, so that their answer is a version and not a traceback. Site packages are
// looked at (no -S), since pip is one of them.
const PROBE_SOURCE = `
import sys, json
def has(name):
    try:
        import importlib.util
        return importlib.util.find_spec(name) is not None
    except Exception:
        return False
def pip_version():
    if not has("pip"): return ""
    try:
        from importlib.metadata import version
        return version("pip")
    except Exception:
        return ""
def ensurepip():
    try:
        import ensurepip
        return bool(ensurepip.version())
    except Exception:
        return False
import os
v = sys.version_info
pre = "" if v[3] == "final" else {"alpha": "a", "beta": "b", "candidate": "rc"}[v[3]] + str(v[4])
uname = getattr(os, "uname", None)
print(json.dumps({
    "version": "%d.%d.%d%s" % (v[0], v[1], v[2], pre),
    "implementation": getattr(sys, "implementation", None) and sys.implementation.name or "cpython",
    "freeThreaded": "free-threading" in sys.version or "t" in getattr(sys, "abiflags", ""),
    "prefix": sys.prefix,
    "baseExecutable": getattr(sys, "_base_executable", None) or sys.executable,
    "machine": uname()[4] if uname else os.environ.get("PROCESSOR_ARCHITECTURE", ""),
    "ensurepip": ensurepip(),
    "pip": pip_version(),
}))
`;

/** Runs the probing script in `executable`; a Python that cannot answer gives a reason, never an exception. */
export async function probe(
  context: Context,
  executable: string,
  options: { signal?: AbortSignal | undefined; timeoutMs?: number } = {},
): Promise<ProbeResult> {
  const timeoutMs = options.timeoutMs ?? PROBE_TIMEOUT_MS;
  let result;
  try {
    result = await runChild(context.io, context.os, executable, {
      args: ["-I", "-B", "-c", PROBE_SOURCE],
      env: childEnvironment(context.environment),
      timeoutMs,
      signal: options.signal,
      keepCharacters: 65_536,
    });
  } catch (error) {
    options.signal?.throwIfAborted();
    return { reason: error instanceof Error ? error.message : String(error) };
  }
  if (result.timedOut) return { reason: `it did not answer within ${timeoutMs} ms` };
  if (result.code !== 0) return { reason: explainFailure(result) };
  return parseProbe(result.stdout);
}

function explainFailure(
  result: { code: number; signal: string | null; stdout: string; stderr: string },
): string {
  if (/unknown option:? -I/i.test(result.stderr)) {
    return "it is older than Python 3.4: it does not know the option -I";
  }
  const how = result.signal === null
    ? `it exited with code ${result.code}`
    : `it was ended by ${result.signal}`;
  const said = lastLines(result, 3).trim();
  return said === "" ? how : `${how}: ${said.replaceAll("\n", " | ")}`;
}

/** Reads what the probing script printed; lines that a `sitecustomize` printed before it are passed over. */
export function parseProbe(stdout: string): ProbeResult {
  const line = stdout.split(/\r?\n/).reverse().find((text) => text.startsWith("{"));
  if (line === undefined) return { reason: "it printed no description of itself" };
  let value: Partial<Record<keyof ProbeFacts, unknown>>;
  try {
    value = JSON.parse(line);
  } catch {
    // What it printed goes into the reason, which says more than the parser's complaint.
    return { reason: `its description of itself is no JSON: ${line.slice(0, 100)}` };
  }
  if (typeof value.version !== "string" || typeof value.implementation !== "string") {
    return { reason: "its description of itself has no version" };
  }
  const text = (field: unknown): string => typeof field === "string" ? field : "";
  return {
    facts: {
      version: value.version,
      implementation: value.implementation,
      freeThreaded: value.freeThreaded === true,
      prefix: text(value.prefix),
      baseExecutable: text(value.baseExecutable),
      machine: text(value.machine),
      ensurepip: value.ensurepip === true,
      pip: text(value.pip),
    },
  };
}

/** The size and time that tell one executable from its successor at the same path. */
export interface FileIdentity {
  /** The real path. */
  readonly path: string;
  /** Its size in bytes. */
  readonly size: number;
  /** When it was written, in milliseconds. */
  readonly mtimeMs: number;
}

interface CacheEntry {
  readonly size: number;
  readonly mtimeMs: number;
  readonly result: ProbeResult;
}

const CACHE_SCHEMA = 1;

/** Remembers the answers of probes, in memory and in one file of the data directory. */
export class ProbeCache {
  readonly #context: Context;
  #entries: Map<string, CacheEntry> | undefined;
  #loading: Promise<Map<string, CacheEntry>> | undefined;
  #changed = false;

  /** Makes the cache of a data directory; without one it remembers in memory only. */
  constructor(context: Context) {
    this.#context = context;
  }

  get #path(): string | undefined {
    const home = this.#context.homeIfKnown;
    return home === undefined ? undefined : join(home, "cache", "interpreters.json");
  }

  async #load(): Promise<Map<string, CacheEntry>> {
    const path = this.#path;
    if (path === undefined) return new Map();
    try {
      const value = JSON.parse(await this.#context.io.readTextFile(path));
      if (value?.schema === CACHE_SCHEMA && typeof value.entries === "object") {
        return new Map(Object.entries(value.entries as Record<string, CacheEntry>));
      }
    } catch (error) {
      // Without the cache every Python is asked again: slower, never wrong.
      if (!isNotFound(error)) this.#context.logger.debug("Cannot read remembered interpreters", path, error);
    }
    return new Map();
  }

  /**
   * The answer for a file: the remembered one when the file is the same, else a new one. With `again`, one that once
   * failed is asked again: what it lacked, such as a shared library, may be there now.
   */
  async ask(
    file: FileIdentity,
    options: { signal?: AbortSignal | undefined; timeoutMs?: number; again?: boolean } = {},
  ): Promise<ProbeResult> {
    this.#entries ??= await (this.#loading ??= this.#load());
    const known = this.#entries.get(file.path);
    if (known !== undefined && known.size === file.size && known.mtimeMs === file.mtimeMs) {
      if (options.again !== true || "facts" in known.result) return known.result;
    }
    const result = await probe(this.#context, file.path, options);
    // A slow disk or a missing permission may be gone the next time, so only answers of the Python itself are kept.
    if ("facts" in result || /older than Python|exited with code/.test(result.reason)) {
      this.#entries.set(file.path, { size: file.size, mtimeMs: file.mtimeMs, result });
      this.#changed = true;
    }
    return result;
  }

  /** Writes what is new to the file, where that is possible. */
  async save(): Promise<void> {
    const path = this.#path;
    if (!this.#changed || path === undefined || this.#entries === undefined) return;
    this.#changed = false;
    const text = JSON.stringify({ schema: CACHE_SCHEMA, entries: Object.fromEntries(this.#entries) });
    try {
      await this.#context.io.mkdir(dirname(path), { recursive: true, mode: 0o700 });
      await writeAtomically(this.#context.io, path, text, { durable: false });
    } catch (error) {
      // A read-only home costs a probe per process, and is no reason to fail a discovery.
      this.#context.logger.debug("Cannot remember interpreters", path, error);
    }
  }
}
