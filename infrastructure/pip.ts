/**
 * Packages by pip, which every Python brings along in one way or another.
 *
 * @module
 */

import { dirname, join } from "@std/path";
import { CommandError, EnvironmentError } from "../core/errors.ts";
import { childEnvironment, type ChildResult, expectSuccess, lastLines, runChild } from "./child.ts";
import type { Context } from "./context.ts";
import { venvInterpreter } from "./discovery.ts";
import { statIfThere } from "./files.ts";
import { type IndexSettings, pipVariables } from "./index_settings.ts";
import type { InstallRequest, LockRequest, PackageInstaller } from "./packages.ts";
import { withRequirementFiles } from "./requirement_files.ts";
import type { PythonRuntime } from "./runtime.ts";
import { compareVersions, parseVersion } from "./versions.ts";

/** From this version on, a pip can work for another interpreter (`--python`) and write reports. */
const ABLE_PIP = { release: [22, 3], pre: "" };

function isAble(runtime: PythonRuntime): boolean {
  const version = parseVersion(runtime.pip.split(".").slice(0, 3).join("."));
  return version !== undefined && compareVersions(version, ABLE_PIP) >= 0;
}

/** What pip says before it tries an index for the last time; of an index that does not answer it says nothing else. */
const LAST_RETRY_REGEXP = /^WARNING: Retrying \(Retry\(total=0,.*\)\) after (connection broken by .*)$/;

/** The lines of pip's output that say what is wrong. */
export function decisivePipLines(result: Pick<ChildResult, "stdout" | "stderr">): string {
  const lines = `${result.stdout}\n${result.stderr}`.split("\n")
    .map((line) =>
      line.replace(LAST_RETRY_REGEXP, "WARNING: $1").replace(/<\S+ object at 0x[0-9a-f]+>(: )?/g, "")
    )
    .filter((line) =>
      /^\s*(error|ERROR|WARNING: connection broken by |The conflict is|The user requested|Could not|No matching|\S*Error:)/
        .test(line) ||
      // What follows the mark: who depends on what, and which file has which hash.
      /^\s+(\S+ \S+ depends on |\S+ from (file|https?):|\S+==\S+ --hash=|Expected sha256 |Got\s+[0-9a-f]{64})/
        .test(line)
    );
  if (lines.length === 0) return lastLines(result);
  // pip lists every version there is, which for an old project is a page.
  const short = lines.map((line) => line.replace(/(\(from versions: )(.{200}).*\)/, "$1$2 …)"));
  return [...new Set(short)].slice(-20).join("\n");
}

/** Packages by pip. */
export class PipInstaller implements PackageInstaller {
  readonly name = "pip";
  readonly #context: Context;
  readonly #otherRuntimes: () => AsyncIterable<PythonRuntime>;

  /** Makes the installer; `otherRuntimes` are asked for a pip when a runtime has none of its own. */
  constructor(context: Context, otherRuntimes: () => AsyncIterable<PythonRuntime>) {
    this.#context = context;
    this.#otherRuntimes = otherRuntimes;
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
    // Without pip first: a Python that cannot bring pip along would leave a half-made venv behind.
    await this.#run(
      `create the venv "${path}"`,
      runtime,
      [
        runtime.executable,
        "-I",
        "-m",
        "venv",
        "--without-pip",
        path,
      ],
      {},
      options,
    );
    if (!options.pip) return;
    const python = venvInterpreter(this.#context.os, path);
    await this.#seed(runtime, path, python, options);
  }

  /** Puts pip into a venv: from the wheel that Python brings along where it can, so that no network is needed. */
  async #seed(
    runtime: PythonRuntime,
    path: string,
    python: string,
    options: { readonly index: IndexSettings; readonly signal?: AbortSignal | undefined },
  ): Promise<void> {
    const action = `put pip into "${path}"`;
    const wheel = runtime.ensurepip ? await this.#bundledWheel(runtime, options.signal) : undefined;
    if (wheel !== undefined && isAble(runtime)) {
      // A third of the time that ensurepip takes, which runs pip from inside its wheel.
      const pip = [runtime.executable, "-I", "-m", "pip", `--python=${python}`];
      const command = [
        ...pip,
        "install",
        "--no-index",
        "--no-deps",
        "--no-compile",
        "--progress-bar=off",
        `--find-links=${dirname(wheel)}`,
        "pip",
      ];
      await this.#run(action, runtime, command, pipVariables({}, this.#context.os), options);
    } else if (runtime.ensurepip) {
      await this.#run(action, runtime, [python, "-I", "-m", "ensurepip", "--default-pip"], {}, options);
    } else {
      await this.install({ runtime, environment: path, python, requirements: ["pip"], ...options });
    }
  }

  async install(request: InstallRequest): Promise<void> {
    if (request.requirements.length === 0) return;
    const pip = await this.#command(request.runtime, request.python, request.environment, request.signal);
    await this.#withFiles(request, async (files) => {
      const command = [
        ...pip,
        "install",
        "--require-virtualenv",
        "--no-warn-script-location",
        "--progress-bar=off",
        ...this.#common(request),
        ...files,
      ];
      await this.#run(
        "install packages",
        request.runtime,
        command,
        pipVariables(request.index, this.#context.os),
        request,
      );
    });
  }

  async lock(request: LockRequest): Promise<string> {
    const pip = await this.#command(request.runtime, undefined, undefined, request.signal);
    return await this.#withFiles(request, async (files) => {
      const command = [
        ...pip,
        "install",
        "--dry-run",
        "--ignore-installed",
        "--quiet",
        "--report=-",
        ...this.#common(request),
        ...files,
      ];
      const variables = pipVariables(request.index, this.#context.os);
      const { stdout } = await this.#run("lock packages", request.runtime, command, variables, request);
      return formatReport(stdout);
    });
  }

  /** Installs into a bare directory instead of a venv, as private tools are. */
  async installInto(target: string, request: LockRequest): Promise<void> {
    const pip = await this.#command(request.runtime, undefined, undefined, request.signal);
    await this.#withFiles(request, async (files) => {
      const command = [
        ...pip,
        "install",
        "--progress-bar=off",
        `--target=${target}`,
        "--require-hashes",
        "--no-deps",
        ...this.#common(request),
        ...files,
      ];
      const variables = pipVariables(request.index, this.#context.os);
      await this.#run("install a private tool", request.runtime, command, variables, request);
    });
  }

  /** Downloads the wheels of a lock into a directory. */
  async download(request: LockRequest, directory: string): Promise<void> {
    const pip = await this.#command(request.runtime, undefined, undefined, request.signal);
    await this.#withFiles(request, async (files) => {
      const command = [
        ...pip,
        "download",
        "--progress-bar=off",
        `--dest=${directory}`,
        ...this.#common(request),
        ...files,
      ];
      const variables = pipVariables(request.index, this.#context.os);
      await this.#run("download packages", request.runtime, command, variables, request);
    });
  }

  async check(python: string, runtime: PythonRuntime, signal?: AbortSignal): Promise<string[]> {
    const pip = await this.#command(runtime, python, undefined, signal);
    const variables = pipVariables({}, this.#context.os);
    try {
      await this.#run(
        "check packages",
        runtime,
        [...pip, "check"],
        variables,
        { signal },
        (result) => result.stdout,
      );
      return [];
    } catch (error) {
      // pip tells of what is missing or does not fit by its exit code 1 and lines on its output.
      if (!(error instanceof CommandError) || error.exitCode !== 1) throw error;
      return error.output.split("\n").filter((line) => line.trim() !== "");
    }
  }

  #common(
    request: Pick<InstallRequest, "sourceBuilds" | "withoutDependencies" | "requireHashes" | "offline">,
  ): string[] {
    return [
      ...(request.sourceBuilds === true ? [] : ["--only-binary=:all:"]),
      ...(request.withoutDependencies === true ? ["--no-deps"] : []),
      ...(request.requireHashes === true ? ["--require-hashes"] : []),
      ...(request.offline === true ? ["--no-index"] : []),
    ];
  }

  async #withFiles<T>(
    request: { readonly requirements: readonly string[]; readonly constraints?: readonly string[] },
    use: (files: readonly string[]) => Promise<T>,
  ): Promise<T> {
    return await withRequirementFiles(
      this.#context,
      request,
      async ({ requirements, constraints }) =>
        await use(["-r", requirements, ...(constraints === undefined ? [] : ["-c", constraints])]),
    );
  }

  /** How pip is called for an interpreter: its own, its base's, the one bundled with it, or another Python's. */
  async #command(
    runtime: PythonRuntime,
    python: string | undefined,
    environment: string | undefined,
    signal: AbortSignal | undefined,
  ): Promise<string[]> {
    const target = python === undefined ? [] : [`--python=${python}`];
    if (isAble(runtime)) return [runtime.executable, "-I", "-m", "pip", ...target];
    if (environment !== undefined && python !== undefined && await this.#hasPip(environment, runtime)) {
      return [python, "-I", "-m", "pip"];
    }
    const wheel = runtime.ensurepip ? await this.#bundledWheel(runtime, signal) : undefined;
    if (wheel !== undefined) return [python ?? runtime.executable, "-I", join(wheel, "pip")];
    for await (const other of this.#otherRuntimes()) {
      if (isAble(other)) {
        return [other.executable, "-I", "-m", "pip", `--python=${python ?? runtime.executable}`];
      }
    }
    throw new EnvironmentError(
      `Cannot install packages: Python ${runtime.version} at "${runtime.executable}" has no pip`,
      {
        hint: "Install its pip and venv packages (python3-pip, python3-venv), or use the installer uv.",
      },
    );
  }

  async #hasPip(environment: string, runtime: PythonRuntime): Promise<boolean> {
    const library = this.#context.os === "windows"
      ? join(environment, "Lib")
      : join(environment, "lib", `python${runtime.version.split(".").slice(0, 2).join(".")}`);
    return await statIfThere(this.#context.io, join(library, "site-packages", "pip", "__main__.py")) !==
      undefined;
  }

  async #bundledWheel(runtime: PythonRuntime, signal: AbortSignal | undefined): Promise<string | undefined> {
    const source =
      "import ensurepip,os,glob;d=[getattr(ensurepip,'_WHEEL_PKG_DIR',None),os.path.join(os.path.dirname" +
      "(ensurepip.__file__),'_bundled')];print(next((f for p in d if p for f in glob.glob(os.path.join(p,'pip-*.whl'))),''))";
    const result = await this.#run(
      "find the bundled pip",
      runtime,
      [runtime.executable, "-I", "-c", source],
      {},
      { signal },
    );
    return result.stdout.trim() || undefined;
  }

  async #run(
    action: string,
    runtime: PythonRuntime,
    command: readonly string[],
    variables: Readonly<Record<string, string>>,
    options: {
      readonly signal?: AbortSignal | undefined;
      readonly onLine?: ((line: string) => void) | undefined;
    },
    decisive: (result: ChildResult) => string = decisivePipLines,
  ): Promise<ChildResult> {
    const { io, os, environment } = this.#context;
    const result = await runChild(io, os, command[0]!, {
      args: command.slice(1),
      env: childEnvironment(environment, variables),
      signal: options.signal,
      lifeline: runtime.executable,
      onLine: options.onLine,
    });
    return expectSuccess(action, command, result, decisive);
  }
}

/** The lines of a lock, from the report that pip writes. */
export function formatReport(text: string): string {
  const report = JSON.parse(text) as {
    install: {
      metadata: { name: string; version: string };
      download_info: { url: string; archive_info?: { hash?: string; hashes?: Record<string, string> } };
      is_direct: boolean;
    }[];
  };
  const lines = report.install.map((item) => {
    const info = item.download_info.archive_info;
    const sha256 = info?.hashes?.sha256 ?? info?.hash?.replace(/^sha256=/, "");
    const what = item.is_direct
      ? `${item.metadata.name} @ ${item.download_info.url}`
      : `${item.metadata.name}==${item.metadata.version}`;
    return sha256 === undefined ? what : `${what} \\\n    --hash=sha256:${sha256}`;
  });
  return lines.sort().map((line) => `${line}\n`).join("");
}
