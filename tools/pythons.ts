/**
 * Which CPythons this machine has, for the gate: the server must run on each of them.
 *
 * Apart from the library's own discovery, which is itself under test.
 *
 * @module
 */

import { join } from "@std/path";

/** An interpreter that was found and asked. */
export interface FoundPython {
  /** Path that starts it. */
  readonly path: string;
  /** `3.11.7`. */
  readonly version: string;
}

/** The oldest and the newest minor version of CPython 3 that the server supports. */
export const SUPPORTED_MINORS: { readonly oldest: number; readonly newest: number } = {
  oldest: 9,
  newest: 14,
};

const PROBE =
  "import sys; print(sys.implementation.name, '%d.%d.%d' % sys.version_info[:3], sys.version_info[1])";

/** The supported CPythons among pyenv's, the system's and those on PATH, oldest first, one for each version. */
export async function findPythons(): Promise<FoundPython[]> {
  const found = new Map<string, FoundPython & { minor: number }>();
  for (const path of candidates()) {
    const answer = await ask(path);
    if (answer === undefined || found.has(answer.version)) continue;
    if (answer.minor < SUPPORTED_MINORS.oldest || answer.minor > SUPPORTED_MINORS.newest) continue;
    found.set(answer.version, { path, ...answer });
  }
  const byAge = [...found.values()].sort((a, b) =>
    a.version.localeCompare(b.version, "en", { numeric: true })
  );
  return byAge.map(({ path, version }) => ({ path, version }));
}

function candidates(): string[] {
  const pyenv = Deno.env.get("PYENV_ROOT") ?? join(Deno.env.get("HOME") ?? "", ".pyenv");
  const separator = Deno.build.os === "windows" ? ";" : ":";
  const onPath = ["/usr/bin", ...(Deno.env.get("PATH") ?? "").split(separator)].filter((dir) => dir !== "");
  return [
    ...namesIn(join(pyenv, "versions"), /^3\./).map((name) =>
      join(pyenv, "versions", name, "bin", "python3")
    ),
    ...[...new Set(onPath)].flatMap((dir) =>
      namesIn(dir, /^python3(\.\d+)?(\.exe)?$/).map((name) => join(dir, name))
    ),
  ];
}

function namesIn(directory: string, pattern: RegExp): string[] {
  try {
    return [...Deno.readDirSync(directory)].map((entry) => entry.name).filter((name) => pattern.test(name))
      .sort();
  } catch {
    // A directory of PATH that is not there, or not ours to read, has no interpreter for us.
    return [];
  }
}

async function ask(path: string): Promise<{ version: string; minor: number } | undefined> {
  try {
    const command = new Deno.Command(path, {
      args: ["-I", "-S", "-c", PROBE],
      stdin: "null",
      signal: AbortSignal.timeout(10_000),
    });
    const { success, stdout } = await command.output();
    const [name, version, minor] = new TextDecoder().decode(stdout).trim().split(" ");
    if (!success || name !== "cpython" || version === undefined) return undefined;
    return { version, minor: Number(minor) };
  } catch {
    // A shim or a broken link that cannot be started is no interpreter.
    return undefined;
  }
}
