/**
 * Python environments with packages, for tests that need more than the standard library.
 *
 * They are made once and kept in the system's temporary directory, under a name that says their content, so
 * that the next run finds them; what cannot be installed is a reason to skip.
 *
 * @module
 */

import { testPython } from "./codec.ts";

/** The Python of an environment, or why there is none. */
export type TestEnvironment = { readonly python: string } | { readonly reason: string };

/** An environment that has the packages. */
export async function environmentWith(packages: readonly string[]): Promise<TestEnvironment> {
  const probe = await run(testPython(), ["-c", "import sys; print(sys.executable, sys.version)"]);
  if (!probe.success) return { reason: `no Python: ${probe.text}` };
  const base = probe.text.split(" ")[0]!;
  const digest = await crypto.subtle.digest(
    "SHA-256",
    new TextEncoder().encode([probe.text, ...packages].join("\n")),
  );
  const temporary = Deno.env.get("TMPDIR") ?? Deno.env.get("TEMP") ?? "/tmp";
  const directory = `${temporary}/beep-test-environment-${new Uint8Array(digest).toHex().slice(0, 16)}`;
  const python = Deno.build.os === "windows" ? "Scripts\\python.exe" : "bin/python";
  if (await isFile(`${directory}/${python}`)) return { python: `${directory}/${python}` };
  // Made aside and renamed, so that a run that is stopped halfway leaves nothing that looks finished.
  const aside = await Deno.makeTempDir({ prefix: "beep-test-environment-" });
  try {
    for (const args of [["-m", "venv", aside]]) {
      const made = await run(base, args);
      if (!made.success) return { reason: `venv failed: ${made.text}` };
    }
    const installed = await run(`${aside}/${python}`, [
      "-m",
      "pip",
      "install",
      "-q",
      "--only-binary",
      ":all:",
      ...packages,
    ]);
    if (!installed.success) return { reason: `pip failed: ${installed.text.slice(-300)}` };
    await Deno.rename(aside, directory).catch(async (error) => {
      // Another run was first.
      if (!await isFile(`${directory}/${python}`)) throw error;
    });
    return { python: `${directory}/${python}` };
  } finally {
    await Deno.remove(aside, { recursive: true }).catch(() => {}); // renamed, mostly
  }
}

async function run(program: string, args: readonly string[]): Promise<{ success: boolean; text: string }> {
  const { success, stdout, stderr } = await new Deno.Command(program, { args: [...args] }).output();
  const decoder = new TextDecoder();
  return { success, text: decoder.decode(success ? stdout : stderr).trim() };
}

async function isFile(path: string): Promise<boolean> {
  try {
    return (await Deno.stat(path)).isFile;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
