/**
 * Packages by uv, which is many times faster than pip.
 *
 * @module
 */

import { join } from "@std/path";
import { CommandError } from "../core/errors.ts";
import { childEnvironment, type ChildResult, expectSuccess, lastLines, runChild } from "./child.ts";
import type { Context } from "./context.ts";
import { venvInterpreter } from "./discovery.ts";
import { type IndexSettings, uvVariables } from "./index_settings.ts";
import type { InstallRequest, LockRequest, PackageInstaller } from "./packages.ts";
import { withRequirementFiles } from "./requirement_files.ts";
import type { PythonRuntime } from "./runtime.ts";
import type { UvTool } from "./uv_tool.ts";

/** The lines of uv's output that say what is wrong: from its first mark on. */
export function decisiveUvLines(result: Pick<ChildResult, "stdout" | "stderr">): string {
  const lines = result.stderr.split("\n");
  const at = lines.findIndex((line) => /^\s*(×|error:|x No solution)/.test(line));
  return at === -1 ? lastLines(result) : lines.slice(at).join("\n").trimEnd().slice(0, 4_000);
}

interface RunOptions {
  readonly index: IndexSettings;
  readonly signal?: AbortSignal | undefined;
  readonly onLine?: ((line: string) => void) | undefined;
  readonly decisive?: (result: ChildResult) => string;
  readonly lifeline?: string;
}

/** Packages by uv. */
export class UvInstaller implements PackageInstaller {
  readonly name = "uv";
  readonly #context: Context;
  readonly #tool: UvTool;

  /** Makes the installer of a uv. */
  constructor(context: Context, tool: UvTool) {
    this.#context = context;
    this.#tool = tool;
  }

  async createVenv(
    runtime: PythonRuntime,
    path: string,
    options: {
      readonly pip: boolean;
      readonly index: IndexSettings;
      readonly signal?: AbortSignal | undefined;
    },
  ): Promise<void> {
    const args = ["venv", "--no-project", `--python=${runtime.executable}`, ...this.#offline(), "--", path];
    await this.#run(`create the venv "${path}"`, args, options);
    if (!options.pip) return;
    const python = venvInterpreter(this.#context.os, path);
    try {
      await this.install({
        runtime,
        environment: path,
        python,
        requirements: ["pip"],
        ...options,
        offline: this.#context.offline,
      });
    } catch (error) {
      if (!(error instanceof CommandError) || !runtime.ensurepip) throw error;
      this.#context.logger.debug("Taking the pip that Python brings along", path, error);
      await this.#ensurepip(runtime, path, python, options.signal);
    }
  }

  async #ensurepip(
    runtime: PythonRuntime,
    path: string,
    python: string,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { io, os, environment } = this.#context;
    const args = ["-I", "-m", "ensurepip", "--default-pip"];
    const env = childEnvironment(environment);
    const result = await runChild(io, os, python, { args, env, signal, lifeline: runtime.executable });
    expectSuccess(`put pip into "${path}"`, [python, ...args], result);
  }

  async install(request: InstallRequest): Promise<void> {
    if (request.requirements.length === 0) return;
    await withRequirementFiles(this.#context, request, async (files) => {
      const args = [
        "pip",
        "install",
        `--python=${request.python}`,
        ...this.#common(request),
        ...(request.requireHashes === true ? ["--require-hashes"] : []),
        ...(files.constraints === undefined ? [] : ["-c", files.constraints]),
        "-r",
        files.requirements,
      ];
      await this.#run("install packages", args, { ...request, lifeline: request.runtime.executable });
    });
  }

  async lock(request: LockRequest): Promise<string> {
    return await withRequirementFiles(this.#context, request, async (files) => {
      const args = [
        "pip",
        "compile",
        `--python=${request.runtime.executable}`,
        "--generate-hashes",
        "--no-header",
        "--no-annotate",
        "--quiet",
        ...this.#common(request),
        ...(files.constraints === undefined ? [] : ["-c", files.constraints]),
        files.requirements,
      ];
      return (await this.#run("lock packages", args, request)).stdout;
    });
  }

  async check(python: string, _runtime: PythonRuntime, signal?: AbortSignal): Promise<string[]> {
    try {
      await this.#run("check packages", ["pip", "check", `--python=${python}`], {
        index: {},
        signal,
        decisive: (result) => result.stderr,
      });
      return [];
    } catch (error) {
      if (!(error instanceof CommandError) || error.exitCode !== 1) throw error;
      return error.output.split("\n").filter((line) => /^The package |requires|is not installed/.test(line));
    }
  }

  #offline(): string[] {
    return this.#context.offline ? ["--offline"] : [];
  }

  #common(request: LockRequest): string[] {
    return [
      ...(request.sourceBuilds === true ? [] : ["--only-binary=:all:"]),
      ...(request.withoutDependencies === true ? ["--no-deps"] : []),
      ...(request.offline === true ? ["--offline"] : []),
      ...(request.index.noIndex === true ? ["--no-index"] : []),
    ];
  }

  async #run(action: string, args: readonly string[], options: RunOptions): Promise<ChildResult> {
    const { io, os, environment, home } = this.#context;
    const all = ["--color=never", "--no-progress", ...args];
    const cache = this.#tool.managed ? { UV_CACHE_DIR: join(home, "cache", "uv") } : {};
    const result = await runChild(io, os, this.#tool.path, {
      args: all,
      env: childEnvironment(environment, { ...cache, ...uvVariables(options.index, this.#context) }),
      signal: options.signal,
      onLine: options.onLine,
      lifeline: options.lifeline,
    });
    return expectSuccess(action, [this.#tool.path, ...all], result, options.decisive ?? decisiveUvLines);
  }
}
