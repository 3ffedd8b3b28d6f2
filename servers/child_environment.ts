/**
 * The environment variables that a server gets: an allow-list, so that no secret of the host reaches user code unasked.
 *
 * @module
 */

import { INHERITED_VARIABLES } from "../core/inherited_variables.ts";

/** What a server inherits besides what every child does. */
const INHERITED: readonly string[] = [
  ...INHERITED_VARIABLES,
  "SHELL",
  "LC_*",
  "XDG_*",
  "CUDA_*",
  // By name: beside these, NVIDIA_API_KEY is a secret.
  "NVIDIA_VISIBLE_DEVICES",
  "NVIDIA_DRIVER_CAPABILITIES",
  "DISPLAY",
  "WAYLAND_DISPLAY",
  "USERNAME",
  "PROGRAMFILES",
];

const SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin";

/** Where the values come from and what is asked for. */
export interface ChildEnvironmentOptions {
  /** Variables to set; they win over all others. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** Names to pass on besides the allow-list; a trailing `*` stands for any ending. */
  readonly inheritEnv?: readonly string[] | undefined;
  /** The environment's directory, when the interpreter is that of an environment. */
  readonly environmentPath?: string | undefined;
  /** The directory that holds the environment's programs; put first on `PATH`. */
  readonly binPath?: string | undefined;
}

/** The environment of a server's process. Variables that Deno may not read are left out, without a prompt. */
export function childEnvironment(options: ChildEnvironmentOptions): Record<string, string> {
  const result: Record<string, string> = {};
  const wanted = [...INHERITED, ...options.inheritEnv ?? []];
  for (const [name, value] of readVariables(wanted)) result[name] = value;
  if (options.binPath !== undefined) {
    const windows = Deno.build.os === "windows";
    const path = Object.keys(result).find((name) => name.toUpperCase() === "PATH") ?? "PATH";
    // Where PATH may not be read, the system's own programs must still be found, as they are without any PATH.
    const others = result[path] ?? (windows ? undefined : SYSTEM_PATH);
    result[path] = others === undefined
      ? options.binPath
      : `${options.binPath}${windows ? ";" : ":"}${others}`;
  }
  if (options.environmentPath !== undefined) result.VIRTUAL_ENV = options.environmentPath;
  return { ...result, ...options.env };
}

function* readVariables(patterns: readonly string[]): Generator<[string, string]> {
  if (mayReadEnv()) {
    const ignoreCase = Deno.build.os === "windows";
    for (const [name, value] of Object.entries(Deno.env.toObject())) {
      if (patterns.some((pattern) => matches(name, pattern, ignoreCase))) yield [name, value];
    }
    return;
  }
  for (const name of patterns) {
    // A pattern cannot be asked for by name; only the whole environment can answer it.
    const value = name.endsWith("*") || !mayReadEnv(name) ? undefined : Deno.env.get(name);
    if (value !== undefined) yield [name, value];
  }
}

function matches(name: string, pattern: string, ignoreCase: boolean): boolean {
  const [given, wanted] = ignoreCase ? [name.toUpperCase(), pattern.toUpperCase()] : [name, pattern];
  return wanted.endsWith("*") ? given.startsWith(wanted.slice(0, -1)) : given === wanted;
}

/** Whether a variable (or all of them) can be read; asking this way shows no prompt. */
export function mayReadEnv(variable?: string): boolean {
  const descriptor = variable === undefined ? { name: "env" as const } : { name: "env" as const, variable };
  return Deno.permissions.querySync(descriptor).state === "granted";
}
