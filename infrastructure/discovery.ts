/**
 * Where Pythons are looked for, and in which order. Nothing is executed here, and a version manager's shim never is:
 * it is slow, and what it stands for depends on the current directory.
 *
 * @module
 */

import type { RefusedCandidate } from "../core/errors.ts";
import type { Context } from "./context.ts";
import { listIfThere, readTextIfThere, statIfThere } from "./files.ts";
import { compareVersions, parseVersion } from "./versions.ts";

/** Where a Python was found; the order is the order of preference. */
export type RuntimeSource =
  | "explicit" // a path in the request
  | "BEEP_PYTHON_PATH" // the variable that overrides everything but an explicit path
  | "VIRTUAL_ENV" // the base of the active venv
  | "CONDA_PREFIX" // the active conda environment
  | "project" // the base of a `.venv` in the current directory or above
  | "managed" // installed by this library
  | "uv" // installed by uv
  | "PATH" // on the search path
  | "pyenv" // installed by pyenv
  | "registry"; // registered with Windows (PEP 514)

/** A path that may be a Python. */
export interface Candidate {
  /** The path, links not yet followed. */
  readonly path: string;
  /** Where it was found. */
  readonly source: RuntimeSource;
  /** The name of an installed runtime. */
  readonly id?: string;
}

/** Either a candidate or something that was passed over without a look inside. */
export type Sighting = Candidate | RefusedCandidate & { readonly source: RuntimeSource };

/** Names with a minor version that are looked for on the search path. */
const MINORS: readonly number[] = [15, 14, 13, 12, 11, 10, 9];

/** What discovery needs beside the context. */
export interface DiscoveryOptions {
  /** The current directory, or undefined when Deno may not read it. */
  readonly cwd: string | undefined;
  /** The Pythons that this library has installed. */
  readonly managed: () => Promise<readonly { readonly path: string; readonly id: string }[]>;
}

/** Joins path parts by the rule of `os`, so that rows of other systems can be tested here. */
export function joinFor(os: string, ...parts: readonly string[]): string {
  return parts.join(os === "windows" ? "\\" : "/");
}

/** Where the interpreter of a prefix (an installation, a conda environment) is. */
export function interpreterOf(os: string, prefix: string): string {
  return os === "windows" ? joinFor(os, prefix, "python.exe") : joinFor(os, prefix, "bin", "python3");
}

/** Where the interpreter of a venv is. */
export function venvInterpreter(os: string, venv: string): string {
  return os === "windows" ? joinFor(os, venv, "Scripts", "python.exe") : joinFor(os, venv, "bin", "python");
}

/** Gives every place that may hold a Python, best first. Lazy: a source is read only when those before did not do. */
export async function* sightings(context: Context, options: DiscoveryOptions): AsyncGenerator<Sighting> {
  const { os, environment } = context;
  const override = environment("BEEP_PYTHON_PATH");
  if (override) yield { path: await intoPrefix(context, override), source: "BEEP_PYTHON_PATH" };
  const active = environment("VIRTUAL_ENV");
  if (active) yield* venvBase(context, active, "VIRTUAL_ENV");
  const conda = environment("CONDA_PREFIX");
  // The environment named "base" is conda's own, not one that a user works in.
  if (conda && environment("CONDA_DEFAULT_ENV") !== "base") {
    yield { path: interpreterOf(os, conda), source: "CONDA_PREFIX" };
  }
  if (options.cwd !== undefined) yield* projectVenv(context, options.cwd);
  for (const { path, id } of await options.managed()) yield { path, source: "managed", id };
  yield* uvManaged(context);
  yield* searchPath(context);
  yield* pyenvVersions(context);
  if (os === "windows") yield* registered(context);
}

/** The interpreter in a directory, or the path itself when it is none. */
export async function intoPrefix(context: Context, path: string): Promise<string> {
  const info = await statIfThere(context.io, path);
  if (info?.isDirectory !== true) return path;
  const venv = venvInterpreter(context.os, path);
  return (await statIfThere(context.io, venv)) !== undefined ? venv : interpreterOf(context.os, path);
}

/** Reads `pyvenv.cfg`: the keys are lower case, the values are trimmed. */
export function parsePyvenv(text: string): Map<string, string> {
  const result = new Map<string, string>();
  for (const line of text.split(/\r?\n/)) {
    const at = line.indexOf("=");
    if (at > 0) result.set(line.slice(0, at).trim().toLowerCase(), line.slice(at + 1).trim());
  }
  return result;
}

/** The interpreter that a venv was made from, by its `pyvenv.cfg`; none when it is no venv. */
export async function* venvBase(
  context: Context,
  venv: string,
  source: RuntimeSource,
): AsyncGenerator<Sighting> {
  const { os, io } = context;
  const text = await readTextIfThere(io, joinFor(os, venv, "pyvenv.cfg"));
  if (text === undefined) return;
  const home = parsePyvenv(text).get("home");
  if (home === undefined) {
    yield { path: venv, source, reason: "its pyvenv.cfg names no home" };
    return;
  }
  // The link in the venv leads to the very interpreter; where it was copied, the home holds the base.
  const own = venvInterpreter(os, venv);
  const real = await io.realPath(own).catch(() => undefined);
  if (real !== undefined && !real.startsWith(venv)) yield { path: real, source };
  else yield { path: await copiedBase(context, parsePyvenv(text), home), source };
}

/** Where the original of a copied interpreter is: named, or beside others of its version in the home. */
async function copiedBase(
  { os, io }: Context,
  config: ReadonlyMap<string, string>,
  home: string,
): Promise<string> {
  const minor = /^\d+\.\d+/.exec(config.get("version") ?? config.get("version_info") ?? "")?.[0];
  const named = [
    config.get("base-executable"),
    config.get("executable"),
    os === "windows" || minor === undefined ? undefined : joinFor(os, home, `python${minor}`),
  ];
  for (const path of named) if (path && await exists(io, path)) return path;
  return joinFor(os, home, os === "windows" ? "python.exe" : "python3");
}

async function* projectVenv(context: Context, cwd: string): AsyncGenerator<Sighting> {
  const separator = context.os === "windows" ? /[\\/]/ : /\//;
  const parts = cwd.split(separator);
  for (let length = parts.length; length > 0; length--) {
    const directory = parts.slice(0, length).join(context.os === "windows" ? "\\" : "/");
    const venv = joinFor(context.os, directory, ".venv");
    let found = false;
    try {
      for await (const sighting of venvBase(context, venv, "project")) {
        found = true;
        yield sighting;
      }
    } catch (error) {
      // A directory above that may not be read has no venv for us.
      context.logger.debug("Cannot look for a project venv", venv, error);
    }
    if (found) return;
  }
}

async function* uvManaged(context: Context): AsyncGenerator<Sighting> {
  const { os, io, environment } = context;
  const home = environment("HOME");
  const data = os === "windows"
    ? environment("APPDATA")
    : environment("XDG_DATA_HOME") || (home && `${home}/.local/share`);
  const root = environment("UV_PYTHON_INSTALL_DIR") || (data && joinFor(os, data, "uv", "python"));
  if (!root) return;
  const names = (await listOrNone(context, root)).filter((name) => name.startsWith("cpython-"));
  for (const name of newestFirst(names)) {
    const path = interpreterOf(os, joinFor(os, root, name));
    if (await exists(io, path)) yield { path, source: "uv" };
  }
}

async function exists(io: Context["io"], path: string): Promise<boolean> {
  return await io.stat(path).then(() => true, () => false);
}

/** Names in a directory that may be missing or unreadable: discovery passes over it. */
async function listOrNone(context: Context, path: string): Promise<string[]> {
  try {
    return await listIfThere(context.io, path);
  } catch (error) {
    context.logger.debug("Cannot look into a directory", path, error);
    return [];
  }
}

/** Sorts names that contain a version, newest first. */
export function newestFirst(names: readonly string[]): string[] {
  const versionOf = (name: string) =>
    parseVersion(/\d+\.\d+(\.\d+)?((a|b|rc)\d+)?/.exec(name)?.[0] ?? "0") ?? { release: [0], pre: "" };
  return [...names].sort((a, b) => compareVersions(versionOf(b), versionOf(a)) || (a < b ? -1 : 1));
}

/** The names of interpreters on a search path, best first. */
export function searchNames(os: string): string[] {
  if (os === "windows") return ["python.exe", "python3.exe"];
  return ["python3", "python", ...MINORS.map((minor) => `python3.${minor}`)];
}

async function* searchPath(context: Context): AsyncGenerator<Sighting> {
  const { os, environment, io } = context;
  const directories = (environment("PATH") ?? "").split(os === "windows" ? ";" : ":").filter((part) =>
    part !== ""
  );
  for (const directory of new Set(directories)) {
    if (/[\\/]shims[\\/]*$/.test(directory)) {
      yield* behindShims(context, directory.replace(/[\\/]+$/, ""));
      continue;
    }
    const paths = searchNames(os).map((name) => joinFor(os, directory.replace(/(.)[\\/]+$/, "$1"), name));
    const there = await Promise.all(paths.map((path) => exists(io, path)));
    for (const [index, path] of paths.entries()) if (there[index]) yield { path, source: "PATH" };
  }
}

/** What the shims of pyenv stand for: the version that it is set to use, taken from where it is installed. */
async function* behindShims(context: Context, shims: string): AsyncGenerator<Sighting> {
  const { os, io, environment } = context;
  yield {
    path: joinFor(os, shims, "python3"),
    source: "PATH",
    reason: "it is a shim, which is never executed",
  };
  const root = shims.replace(/[\\/]shims$/, "");
  const set = environment("PYENV_VERSION") ??
    await io.readTextFile(joinFor(os, root, "version")).catch(() => "");
  for (const version of set.split(/[\s:]+/)) {
    if (!/^[\w.+-]+$/.test(version) || version === "system") continue;
    const path = interpreterOf(os, joinFor(os, root, "versions", version));
    if (await exists(io, path)) yield { path, source: "PATH" };
  }
}

async function* pyenvVersions(context: Context): AsyncGenerator<Sighting> {
  const { os, environment } = context;
  const home = environment("HOME");
  const root = environment("PYENV_ROOT") ||
    (os === "windows" ? environment("PYENV") : home && `${home}/.pyenv`);
  if (!root) return;
  const versions = joinFor(os, root, "versions");
  for (const name of newestFirst(await listOrNone(context, versions))) {
    const prefix = joinFor(os, versions, name);
    // Python 2 has no `python3`; it is shown as refused instead of silently left out.
    const three = interpreterOf(os, prefix);
    const two = joinFor(os, prefix, "bin", "python");
    if (await exists(context.io, three)) yield { path: three, source: "pyenv" };
    else if (await exists(context.io, two)) yield { path: two, source: "pyenv" };
  }
}

async function* registered(context: Context): AsyncGenerator<Sighting> {
  const { runChild, childEnvironment } = await import("./child.ts");
  for (const root of ["HKCU\\Software\\Python", "HKLM\\Software\\Python"]) {
    try {
      const result = await runChild(context.io, context.os, "reg.exe", {
        args: ["query", root, "/s", "/v", "ExecutablePath"],
        env: childEnvironment(context.environment),
        timeoutMs: 5_000,
      });
      for (const path of parseRegistry(result.stdout)) yield { path, source: "registry" };
    } catch (error) {
      context.logger.debug("Cannot read the registry", root, error);
    }
  }
}

/** The interpreters in the output of `reg query … /v ExecutablePath`. */
export function parseRegistry(output: string): string[] {
  return [...output.matchAll(/^\s+ExecutablePath\s+REG_(?:EXPAND_)?SZ\s+(.+?)\s*$/gm)].map((match) =>
    match[1]!
  );
}

/** Why a candidate must not even be started, or undefined. `real` is its real path. */
export async function untouchable(context: Context, path: string, real: string): Promise<string | undefined> {
  const { os, io } = context;
  if (/[\\/]shims[\\/][^\\/]+$/.test(real)) return "it is a shim, which is never executed";
  if (os === "windows" && /\\Microsoft\\WindowsApps\\/i.test(path)) {
    return "it is a stub of the Windows Store";
  }
  if (os === "darwin" && real === "/usr/bin/python3") {
    const tools = ["/Library/Developer/CommandLineTools", "/Applications/Xcode.app"];
    const there = await Promise.all(tools.map((tool) => exists(io, tool)));
    if (!there.includes(true)) return "it is a stub that would ask to install developer tools";
  }
  const info = await io.stat(real);
  if (!info.isFile) return "it is not a file";
  if (info.size < SCRIPT_BYTES) {
    const text = await io.readTextFile(real).catch(() => "");
    if (SHIM_REGEXP.test(text)) return "it is a shim, which is never executed";
  }
  return undefined;
}

/** Scripts are shorter than this; no interpreter is. */
const SCRIPT_BYTES = 4_096;
const SHIM_REGEXP = /^#!.*[\s\S]*\b(pyenv|asdf|mise|rtx)"?\s+exec\b/;
