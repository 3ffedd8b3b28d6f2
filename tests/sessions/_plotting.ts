/** An environment with matplotlib and pandas, made once on this machine and kept for later runs. */

import { join } from "@std/path";
import { testPython } from "../output/_server.ts";
import { cacheDirectory, openCache } from "../rpc/_grpc.ts";

/** Far more than an installation takes; it only keeps the gate from hanging on a network that swallows packets. */
const INSTALL_TIMEOUT_MS = 4 * 60_000;

/** The environment's directory, or why there is none. */
export async function plottingEnvironment(): Promise<{ path: string } | { reason: string }> {
  const python = await testPython();
  const version = await outputOf(python, "import sys; print('%d.%d' % sys.version_info[:2])");
  using _cache = await openCache();
  const path = join(cacheDirectory(), `plotting-${version}`);
  const isComplete = async () =>
    await outputOf(join(path, "bin", "python"), "import matplotlib, pandas") === "";
  if (await isComplete()) return { path };
  try {
    await run(python, "-I", "-m", "venv", "--clear", path);
    await run(join(path, "bin", "python"), "-I", "-m", "pip", "install", "-q", "matplotlib", "pandas");
  } catch (error) {
    await Deno.remove(path, { recursive: true }).catch(() => {}); // there may be nothing to remove
    return { reason: `matplotlib cannot be installed here: ${String(error).slice(0, 200)}` };
  }
  return await isComplete() ? { path } : { reason: "matplotlib was installed and cannot be imported" };
}

/** What an interpreter prints for code, trimmed; null when there is no such interpreter or it fails. */
async function outputOf(python: string, code: string): Promise<string | null> {
  try {
    const { success, stdout } = await new Deno.Command(python, { args: ["-I", "-c", code], stderr: "null" })
      .output();
    return success ? new TextDecoder().decode(stdout).trim() : null;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

async function run(command: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(command, {
    args,
    stdin: "null",
    stdout: "null",
    stderr: "piped",
    signal: AbortSignal.timeout(INSTALL_TIMEOUT_MS),
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr).trim().split("\n").at(-1));
}
