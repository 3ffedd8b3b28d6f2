/** What the tests of the command line share: running verbs, and a home with an environment that was made quickly. */

import { makeHome } from "../host/_home.ts";

export const CLI = new URL("../../cli/mod.ts", import.meta.url).pathname;
export const CONFIG = new URL("../../deno.json", import.meta.url).pathname;
export const ARGS = ["run", "-A", "--no-check", "--no-lock", "-c", CONFIG, CLI];

/** What a verb that has ended said. */
export interface Finished {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a verb to its end. */
export async function run(...args: string[]): Promise<Finished> {
  const output = await new Deno.Command(Deno.execPath(), { args: [...ARGS, ...args], env: { NO_COLOR: "1" } })
    .output();
  const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
  return { code: output.code, stdout: text(output.stdout), stderr: text(output.stderr) };
}

/** Runs `start` and waits for the endpoint that it prints. */
export async function serve(
  ...args: string[]
): Promise<{ endpoint: string; end: () => Promise<Finished> } & { process: Deno.ChildProcess }> {
  const process = new Deno.Command(Deno.execPath(), {
    args: [...ARGS, "start", ...args],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const stderr = new Response(process.stderr).text();
  const reader = process.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let stdout = "";
  while (!stdout.includes("\n")) {
    const { value, done } = await reader.read();
    if (done) throw new Error(`It ended early: ${await stderr}`);
    stdout += value;
  }
  const end = async (): Promise<Finished> => {
    const { code } = await process.status;
    await reader.cancel();
    return { code, stdout, stderr: await stderr };
  };
  return { endpoint: stdout.trim(), end, process };
}

/** Makes the environment that the verbs use by a quick one, so that no test waits for pip. */
export async function homeWithEnvironment(): Promise<{ path: string } & AsyncDisposable> {
  const home = await makeHome();
  const { VenvManager } = await import("../../infrastructure/mod.ts");
  await new VenvManager().ensure({ name: "admin", pip: false });
  return home;
}
