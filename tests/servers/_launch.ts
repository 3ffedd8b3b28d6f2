/** What the tests of this folder share: a stand-in server in directories of its own, and looks at processes. */

import { launch, type LaunchContext } from "../../servers/start.ts";
import type { PythonServer, ServerOptions } from "../../servers/mod.ts";

/** Any CPython will do for the stand-in; the real server is tested through its backends. */
export const PYTHON = await findPython();

/** A deadline for waiting on things that take milliseconds, unless the machine is busy. */
export const DEADLINE_MS = 30_000;

/** For a server that is to end by itself when it is told to, however busy the machine is. */
export const PATIENTLY = { graceMs: DEADLINE_MS };

export interface Workbench extends AsyncDisposable {
  readonly context: LaunchContext;
  readonly home: string;
  start(options?: Partial<ServerOptions>): Promise<PythonServer>;
}

/** A fresh home with the stand-in's sources; removed when disposed. */
export async function makeWorkbench(files?: Readonly<Record<string, string>>): Promise<Workbench> {
  const home = await Deno.makeTempDir({ prefix: "beep-" });
  const main = await Deno.readTextFile(new URL("./testdata/server/__main__.py", import.meta.url));
  const sources = {
    load: () => Promise.resolve(files ?? { "__main__.py": main }),
    hash: await hashOf(files ?? main),
    version: "0.0.0",
  };
  const context = { sources, sourcesRoot: `${home}/servers`, runDirectory: `${home}/run` };
  return {
    context,
    home,
    start: (options = {}) => launch({ python: PYTHON, ...options }, context),
    [Symbol.asyncDispose]: () => Deno.remove(home, { recursive: true }),
  };
}

async function hashOf(value: unknown): Promise<string> {
  const bytes = new TextEncoder().encode(JSON.stringify(value));
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}

async function findPython(): Promise<string> {
  const { stdout } = await new Deno.Command("python3", {
    args: ["-I", "-c", "import sys; print(sys.executable)"],
  }).output();
  return new TextDecoder().decode(stdout).trim();
}

/** Whether a process runs: zombies, which only wait for their parent to look at them, do not. */
export async function isAlive(pid: number): Promise<boolean> {
  const { stdout } = await new Deno.Command("ps", { args: ["-o", "stat=", "-p", String(pid)] }).output();
  const state = new TextDecoder().decode(stdout).trim();
  return state !== "" && !state.startsWith("Z");
}

/** Waits until the processes are gone; fails after the deadline. There is no event for the end of somebody else's child. */
export async function waitUntilGone(...pids: number[]): Promise<void> {
  const end = performance.now() + DEADLINE_MS;
  for (const pid of pids) {
    while (await isAlive(pid)) {
      if (performance.now() > end) throw new Error(`Process ${pid} is still alive after ${DEADLINE_MS} ms`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}

/** Waits for text that the server writes. */
export async function waitForOutput(read: () => string, wanted: RegExp): Promise<RegExpMatchArray> {
  const end = performance.now() + DEADLINE_MS;
  for (;;) {
    const match = read().match(wanted);
    if (match !== null) return match;
    if (performance.now() > end) {
      throw new Error(`No ${wanted} in output within ${DEADLINE_MS} ms:\n${read()}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** The names of the files in the run directory, or none when there is no directory. */
export async function runFiles(context: LaunchContext): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of Deno.readDir(context.runDirectory)) names.push(name);
  return names.sort();
}
