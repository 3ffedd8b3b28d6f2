/** What the tests with Go share: its program, and programs that it installs, kept in the cache directory of the tests. */

import { cacheDirectory, openCache } from "../rpc/_grpc.ts";

/** Go's program, or null when it is not there. */
export async function findGo(): Promise<string | null> {
  for (const path of ["go", "/usr/local/go/bin/go"]) {
    try {
      if ((await new Deno.Command(path, { args: ["version"], stdout: "null" }).output()).success) return path;
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  console.log("skipped: there is no Go here");
  return null;
}

/** A program of a Go module, at a version; null, with the reason on the console, when it cannot be had. */
export async function installed(go: string, module: string, version: string): Promise<string | null> {
  using _cache = await openCache();
  const directory = `${cacheDirectory()}/go/${version}`;
  const name = module.slice(module.lastIndexOf("/") + 1);
  const program = `${directory}/${name}`;
  try {
    if ((await Deno.stat(program)).isFile) return program;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  // Into its place only as a whole.
  const made = `${directory}.making`;
  const { success, stderr } = await new Deno.Command(go, {
    args: ["install", `${module}@${version}`],
    env: { GOBIN: made },
    stdout: "null",
  }).output();
  if (success) {
    await Deno.mkdir(directory, { recursive: true });
    await Deno.rename(`${made}/${name}`, program);
    await Deno.remove(made, { recursive: true });
    return program;
  }
  console.log(`skipped: ${module} cannot be had: ${new TextDecoder().decode(stderr).trim()}`);
  return null;
}
