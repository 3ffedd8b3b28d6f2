/**
 * What an unpacked Python needs before it is used: its links, the note that it is managed, its own paths.
 *
 * @module
 */

import { join } from "@std/path";
import { EnvironmentError } from "../core/errors.ts";
import type { Context } from "./context.ts";
import type { Distribution } from "./distributions.ts";
import type { Io } from "./io.ts";

const MANAGED_NOTE = `[externally-managed]
Error=This Python belongs to @beep/python-host, which never changes it.
 Make an environment from it, and install packages there.
`;

/** Finishes an unpacked Python in staging. Gives the path of its interpreter, from its directory. */
export async function fixUp(
  context: Context,
  options: {
    readonly distribution: Distribution;
    readonly staged: string;
    readonly final: string;
    readonly files: readonly string[];
  },
): Promise<string> {
  const { io } = context;
  const { distribution, staged, final } = options;
  const files = new Set(options.files);
  const [major, minor] = distribution.version.split(".");
  const suffix = distribution.freeThreaded ? "t" : "";
  const windows = distribution.triple.includes("-windows-");
  const library = windows ? "Lib" : `lib/python${major}.${minor}${suffix}`;
  const names = windows
    ? ["python.exe"]
    : [`bin/python${major}.${minor}${suffix}`, `bin/python${major}.${minor}`];
  const executable = names.find((name) => files.has(name));
  if (executable === undefined) {
    throw new EnvironmentError(`Cannot use Python ${distribution.version}: its archive has no "${names[0]}"`);
  }
  if (!windows) {
    for (const name of ["bin/python3", "bin/python"]) {
      if (!files.has(name)) await io.link(join(staged, executable), join(staged, name));
    }
  }
  await io.mkdir(join(staged, library), { recursive: true });
  await io.writeFile(join(staged, library, "EXTERNALLY-MANAGED"), new TextEncoder().encode(MANAGED_NOTE));
  for (const file of files) {
    if (/\/_sysconfigdata_[^/]*\.py$/.test(file)) await patchBuildPaths(io, join(staged, file), final);
  }
  await io.writeFile(join(staged, "BUILD"), new TextEncoder().encode(`${distribution.tag}\n`));
  return executable;
}

/** Replaces the directory that the Python was built in, so that builds of packages find its headers and libraries. */
async function patchBuildPaths(io: Io, path: string, final: string): Promise<void> {
  // Such a path cannot stand in the file's string literals as it is, and building from source is rare.
  if (/['"\\\n]/.test(final)) return;
  const text = await io.readTextFile(path);
  const patched = text.replace(/\/install(?=[/'"\s:])/g, () => final).replace(
    /'clang( -pthread)?'/g,
    "'cc$1'",
  );
  if (patched === text) return;
  // A new file, since the unpacked one may have a second name.
  await io.remove(path);
  await io.writeFile(path, new TextEncoder().encode(patched), { createNew: true, mode: 0o644 });
}

const SYNC_AT_ONCE = 32;

/** Forces files to the disk, so that a marker is never there before what it speaks of. */
export async function forceToDisk(io: Io, root: string, files: readonly string[]): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < files.length) {
      const file = await io.open(join(root, files[next++]!), { read: true });
      try {
        await file.sync();
      } finally {
        file.close();
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(SYNC_AT_ONCE, files.length) }, worker));
}
