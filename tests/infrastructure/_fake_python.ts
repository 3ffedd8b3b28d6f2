/**
 * Interpreters that are shell scripts: they print what a test wants, so that dozens of layouts need no Python at all.
 *
 * @module
 */

import { dirname, join } from "@std/path";
import { type PythonArchive, sha256, tarGz } from "./_archive.ts";

/** What a fake interpreter says of itself. */
export function description(version: string, extra: Readonly<Record<string, unknown>> = {}): string {
  return JSON.stringify({
    version,
    implementation: "cpython",
    freeThreaded: false,
    prefix: "/nowhere",
    baseExecutable: "",
    machine: "x86_64",
    ensurepip: false,
    pip: "",
    ...extra,
  });
}

/**
 * A script that answers the probe, makes venvs, and starts what runs under a lifeline: all that provisioning asks of an
 * interpreter when no package is wanted.
 */
export function fakePython(version: string, extra: Readonly<Record<string, unknown>> = {}): string {
  return `#!/bin/sh
case "$4" in
  *F_SETOWN*) shift 4; exec "$@" ;;
  *baseExecutable*) echo '${description(version, extra)}'; exit 0 ;;
esac
if [ "$2 $3" = "-m venv" ]; then
  mkdir -p "$5/bin" "$5/lib/python${version.split(".").slice(0, 2).join(".")}/site-packages" || exit 1
  echo "home = $(dirname "$0")" > "$5/pyvenv.cfg" || exit 1
  cp "$0" "$5/bin/python" || exit 1
fi
exit 0
`;
}

/** Writes an executable file, and the directories above it. */
export async function writeExecutable(path: string, text: string): Promise<string> {
  await Deno.mkdir(dirname(path), { recursive: true });
  await Deno.writeTextFile(path, text, { mode: 0o755 });
  return path;
}

/** Writes a fake installation and gives its interpreter. */
export async function fakeInstallation(
  prefix: string,
  version: string,
  text = fakePython(version),
): Promise<string> {
  const minor = version.split(".").slice(0, 2).join(".");
  const real = await writeExecutable(join(prefix, "bin", `python${minor}`), text);
  await Deno.symlink(`python${minor}`, join(prefix, "bin", "python3"));
  await Deno.symlink("python3", join(prefix, "bin", "python"));
  return real;
}

/** A small archive of the real shape whose interpreter is a fake one. */
export function fakeArchive(version = "3.12.1", files = 12): PythonArchive {
  const library = `python/lib/python${version.split(".").slice(0, 2).join(".")}`;
  const entries = [
    { path: "python/bin/python", type: "2", target: "python3" },
    { path: "python/bin/python3", type: "2", target: "python3.12" },
    { path: "python/bin/python3.12", content: fakePython(version), mode: 0o755 },
    {
      path: `${library}/_sysconfigdata__linux_.py`,
      content: "build_time_vars = {'prefix': '/install', 'CC': 'clang -pthread'}\n",
    },
    ...Array.from({ length: files }, (_, index) => ({
      path: `${library}/module_${index}.py`,
      content: `value = ${index}\n`.repeat(50),
    })),
  ];
  const bytes = tarGz(entries);
  return { bytes, sha256: sha256(bytes), version };
}
