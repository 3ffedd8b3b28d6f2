/**
 * Prepares a server for Python.NET: the package, the assemblies, the runtime, and a look whether `import clr` works.
 *
 * The look is a process of its own, since a runtime that is not whole does not raise but ends its process.
 *
 * @module
 */

import { dirname, join, resolve } from "@std/path";
import { ServerStartError } from "../core/errors.ts";
import type { VenvManager } from "../infrastructure/mod.ts";
import { childEnvironment } from "../servers/child_environment.ts";
import type { ServerOptions } from "../servers/mod.ts";
import { refuseAssembly } from "./dotnet_assembly.ts";

/** What of .NET a server is to have. */
export interface DotnetOptions {
  /** Paths of assemblies; their folders are where `clr.AddReference` finds them and what they need. */
  readonly assemblies: readonly string[];
  /** The kind of runtime. @default {"netfx" on Windows, "coreclr" where a `dotnet` is found, else "mono"} */
  readonly runtime?: "coreclr" | "mono" | "netfx" | undefined;
}

/** The package of Python.NET. */
export const PYTHONNET = "pythonnet";

/** Variables by which users tell .NET and Python.NET where things are. */
const PASSED = ["DOTNET_*", "MONO_*", "PYTHONNET_*"];
const CHECK_TIMEOUT_MS = 60_000;
const MAX_OUTPUT = 4_000;

/** Where a `dotnet` is installed when nothing says so. */
const DOTNET_ROOTS = [
  "/usr/share/dotnet",
  "/usr/lib/dotnet",
  "/usr/local/share/dotnet",
  "/opt/dotnet",
];

type Prepared = Pick<ServerOptions, "modulePaths" | "env" | "inheritEnv">;

/** The interpreter of an environment that has Python.NET; installed when it is not there. */
export async function ensurePythonnet(
  environments: VenvManager,
  name: string,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  const { environment, packages } = await environments.status(name);
  if (environment === undefined || packages?.some((one) => one.name.toLowerCase() === PYTHONNET)) {
    return environment?.python;
  }
  return (await environments.install(name, [PYTHONNET], signal === undefined ? {} : { signal })).python;
}

/** The options with what .NET adds to them. */
export async function withDotnet<
  T extends Prepared & Pick<ServerOptions, "signal"> & { dotnet?: DotnetOptions | undefined },
>(
  options: T,
  python: string,
): Promise<T> {
  if (options.dotnet === undefined) return options;
  return { ...options, ...await prepareDotnet(options.dotnet, python, options) };
}

/** Checks the assemblies and the runtime, and gives what the server is to be started with. */
export async function prepareDotnet(
  dotnet: DotnetOptions,
  python: string,
  given: Prepared & Pick<ServerOptions, "signal">,
): Promise<Prepared> {
  const paths = dotnet.assemblies.map((path) => resolve(path));
  for (const path of paths) await checkAssembly(path);
  const folders = [...new Set(paths.map((path) => dirname(path)))];
  const inheritEnv = [...given.inheritEnv ?? [], ...PASSED];
  const env = { ...await runtimeVariables(dotnet, paths, folders), ...given.env };
  const prepared = { modulePaths: [...given.modulePaths ?? [], ...folders], env, inheritEnv };
  await checkImport(python, prepared, given.signal);
  return prepared;
}

async function checkAssembly(path: string): Promise<void> {
  let file: Uint8Array;
  try {
    file = await Deno.readFile(path);
  } catch (cause) {
    if (!(cause instanceof Deno.errors.NotFound)) throw cause;
    throw new ServerStartError(`Cannot use assembly "${path}": there is no such file`, "", { cause });
  }
  const reason = refuseAssembly(file, Deno.build.arch);
  if (reason !== undefined) throw new ServerStartError(`Cannot use assembly "${path}": ${reason}`);
}

async function runtimeVariables(
  { runtime }: DotnetOptions,
  paths: readonly string[],
  folders: readonly string[],
): Promise<Record<string, string>> {
  const root = await dotnetRoot();
  const kind = runtime ?? (Deno.build.os === "windows" ? "netfx" : root === undefined ? "mono" : "coreclr");
  const variables: Record<string, string> = { PYTHONNET_RUNTIME: kind };
  if (kind === "mono") variables.MONO_PATH = folders.join(Deno.build.os === "windows" ? ";" : ":");
  if (kind !== "coreclr") return variables;
  if (root !== undefined) variables.DOTNET_ROOT = root;
  for (const path of paths) {
    const config = path.replace(/\.dll$/i, ".runtimeconfig.json");
    if (await exists(config)) variables.PYTHONNET_CORECLR_RUNTIME_CONFIG ??= config;
  }
  return variables;
}

async function dotnetRoot(): Promise<string | undefined> {
  const mayRead = (name: string) =>
    Deno.permissions.querySync({ name: "env", variable: name }).state === "granted";
  const given = mayRead("DOTNET_ROOT") ? Deno.env.get("DOTNET_ROOT") : undefined;
  for (const root of given === undefined ? DOTNET_ROOTS : [given]) {
    if (await exists(join(root, "host", "fxr"))) return root;
  }
  return undefined;
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotCapable) return false;
    throw error;
  }
}

async function checkImport(
  python: string,
  prepared: Prepared,
  signal: AbortSignal | undefined,
): Promise<void> {
  const deadline = AbortSignal.timeout(CHECK_TIMEOUT_MS);
  const { success, stderr } = await new Deno.Command(python, {
    args: ["-I", "-B", "-X", "utf8", "-c", "import pythonnet, clr"],
    clearEnv: true,
    env: childEnvironment({ env: prepared.env, inheritEnv: prepared.inheritEnv }),
    stdin: "null",
    stdout: "null",
    stderr: "piped",
    signal: signal === undefined ? deadline : AbortSignal.any([signal, deadline]),
  }).output();
  signal?.throwIfAborted();
  if (success) return;
  const output = new TextDecoder().decode(stderr);
  const [what, hint] = explain(output, prepared.env?.PYTHONNET_RUNTIME ?? "");
  throw new ServerStartError(`Cannot start a Python server with .NET: ${what}`, decisive(output), { hint });
}

/** What is missing, and what helps. */
function explain(output: string, runtime: string): [what: string, hint: string] {
  if (/No module named 'pythonnet'/.test(output)) {
    return ["Python.NET is not installed in its environment", `Install the package "${PYTHONNET}" into it.`];
  }
  const file = /Could not load file or assembly '([^',]+)/.exec(output)?.[1];
  if (file !== undefined) {
    return [
      `the runtime "${runtime}" has no assembly "${file}"`,
      "Install the runtime as a whole (on Debian: mono-devel).",
    ];
  }
  if (
    /wrong ELF class|incompatible architecture|not a valid Win32 application|BadImageFormat/i.test(output)
  ) {
    return [
      `the runtime "${runtime}" is for another processor than Python`,
      "Install the one for this processor.",
    ];
  }
  if (/libmono|dotnet root|hostfxr|No suitable|find.*(mono|dotnet|runtime)/i.test(output)) {
    return [`no .NET runtime of kind "${runtime}" was found`, "Install .NET or Mono, or set DOTNET_ROOT."];
  }
  return [`importing clr failed with the runtime "${runtime}"`, "The lines of stderr tell more."];
}

/** The end of a traceback, or the beginning of what a crashing runtime tells. */
function decisive(output: string): string {
  const crash = output.search(/^\* Assertion|Native Crash/m);
  return crash >= 0 ? output.slice(crash, crash + MAX_OUTPUT / 4) : output.slice(-MAX_OUTPUT);
}
