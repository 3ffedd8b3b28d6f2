/**
 * Runs user code in an environment as a process of its own.
 *
 * @module
 */

import { dirname } from "@std/path";
import { EnvironmentError, PythonHostError } from "../core/errors.ts";
import { childEnvironment, runChild } from "./child.ts";
import type { Context } from "./context.ts";
import type { PythonEnvironment } from "./environment_store.ts";
import { statIfThere } from "./files.ts";
import { mapIoError } from "./io_errors.ts";
import type { ScriptInfrastructure } from "./script_access.ts";

/** What is run in an environment, and how. */
export interface RunOptions {
  /** The path of a script; either this or `module`. */
  readonly script?: string;
  /** The name of a module, as after `python -m`. */
  readonly module?: string;
  /** The arguments. */
  readonly args?: readonly string[];
  /** The directory that it starts in. @default {this process's own} */
  readonly cwd?: string;
  /** More environment variables. */
  readonly env?: Readonly<Record<string, string>>;
  /** What it may ask of this host: everything, nothing, or `{ allow: ["environments:read", …] }`. @default {false} */
  readonly infrastructure?: ScriptInfrastructure;
  /** Told every line of output as it comes. */
  readonly onLine?: (line: string, stream: "stdout" | "stderr") => void;
  /** Ends it, and rejects with the signal's reason. */
  readonly signal?: AbortSignal;
  /** Ends it after this many milliseconds. */
  readonly timeoutMs?: number;
}

/** How it ended, and the last part of its output. */
export interface RunResult {
  /** The exit code; 128 + n when a signal ended it. */
  readonly code: number;
  /** The signal that ended it, when one did. */
  readonly signal: string | null;
  /** What it printed, at most the last four million characters. */
  readonly stdout: string;
  /** What it complained about, at most the last four million characters. */
  readonly stderr: string;
  /** Whether `timeoutMs` passed. */
  readonly timedOut: boolean;
}

/** The variables of an environment, as its activation would set them. */
export function activation(context: Context, environment: PythonEnvironment): Record<string, string> {
  const separator = context.os === "windows" ? ";" : ":";
  const path = context.environment("PATH");
  const bin = dirname(environment.python);
  return { VIRTUAL_ENV: environment.path, PATH: path ? `${bin}${separator}${path}` : bin };
}

/** Runs a script or module to its end. */
export async function runInEnvironment(
  context: Context,
  environment: PythonEnvironment,
  options: RunOptions,
  access: Readonly<Record<string, string>> = {},
): Promise<RunResult> {
  const { script, module } = options;
  if ((script === undefined) === (module === undefined)) {
    throw new PythonHostError("argument", "Cannot run in an environment: give either `script` or `module`");
  }
  if (options.cwd !== undefined) await checkDirectory(context, options.cwd);
  // A script whose name starts with a dash would be taken for an option.
  const target = module !== undefined ? ["-m", module] : [script!.startsWith("-") ? `./${script}` : script!];
  return await runChild(context.io, context.os, environment.python, {
    args: ["-u", ...target, ...options.args ?? []],
    env: childEnvironment(context.environment, {
      ...activation(context, environment),
      ...options.env,
      ...access,
      ...withPythonPath(context, options.env?.PYTHONPATH, access.PYTHONPATH),
    }),
    lifeline: environment.python,
    onLine: options.onLine,
    signal: options.signal,
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.timeoutMs === undefined ? {} : { timeoutMs: options.timeoutMs }),
  });
}

async function checkDirectory({ io }: Context, path: string): Promise<void> {
  try {
    if ((await statIfThere(io, path))?.isDirectory === true) return;
  } catch (error) {
    // Whoever may not look finds out by starting.
    if (error instanceof Deno.errors.NotCapable || error instanceof Deno.errors.PermissionDenied) return;
    throw mapIoError(`run in directory ${JSON.stringify(path)}`, error);
  }
  throw new EnvironmentError(`Cannot run in directory "${path}": it is no directory`, { reason: "input" });
}

/** The user's own folders stay on the path, after ours: nothing but the package `beep_host` is in that one. */
function withPythonPath(
  context: Context,
  own: string | undefined,
  ours: string | undefined,
): Record<string, string> {
  if (own === undefined || ours === undefined) return {};
  return { PYTHONPATH: `${ours}${context.os === "windows" ? ";" : ":"}${own}` };
}
