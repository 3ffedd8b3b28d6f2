/**
 * The directories that a server lives in, made so that only their owner can look into them.
 *
 * @module
 */

import {
  dataDirectory,
  DIRECTORY_VARIABLES,
  type DirectoryEnvironment,
  runDirectory,
} from "../core/endpoint.ts";
import { PermissionNeededError, ServerStartError } from "../core/errors.ts";
import { mayReadEnv } from "./child_environment.ts";

/** The host's own environment, as far as it may be read. */
export function hostDirectoryEnvironment(): DirectoryEnvironment {
  return {
    os: Deno.build.os,
    get: (name: string): string | undefined => mayReadEnv(name) ? Deno.env.get(name) : undefined,
  };
}

/** Where the Python sources are written. */
export function sourcesDirectory(): string {
  return joinPath(chosen(dataDirectory), "servers");
}

/** Where sockets and run entries are; the caller makes it with {@linkcode ensurePrivateDirectory}. */
export function hostRunDirectory(): string {
  return chosen(runDirectory);
}

/** What a rule chooses by the variables that may be read; when those do not suffice, the missing flag is told. */
function chosen(rule: (environment: DirectoryEnvironment) => string): string {
  try {
    return rule(hostDirectoryEnvironment());
  } catch (cause) {
    if (DIRECTORY_VARIABLES.every((name) => mayReadEnv(name))) throw cause;
    throw new PermissionNeededError("choose the data directory", ["--allow-env"], { cause });
  }
}

/** Joins with the separator of this system. */
export function joinPath(...segments: string[]): string {
  return segments.join(Deno.build.os === "windows" ? "\\" : "/");
}

const ASKING_WHO = { name: "sys", kind: "uid" } as const;
const OWN_HINT = "Set XDG_RUNTIME_DIR or BEEP_PYTHON_HOME to a directory that you own.";

/** Makes a directory of mode 0700, or checks that the one that is there is a real one, ours, and closed to others. */
export async function ensurePrivateDirectory(path: string): Promise<void> {
  await Deno.mkdir(path, { recursive: true, mode: 0o700 });
  const info = await Deno.lstat(path);
  if (!info.isDirectory) {
    throw new ServerStartError(
      `Cannot use directory "${path}": it is not a directory of its own but a link or a file`,
    );
  }
  if (Deno.build.os === "windows" || info.mode === null) return;
  // For root alone: everybody else cannot enter what is closed and another's. Its owner could replace what is put there.
  if (
    info.uid !== null && Deno.permissions.querySync(ASKING_WHO).state === "granted" && info.uid !== Deno.uid()
  ) {
    throw new ServerStartError(`Cannot use directory "${path}": it belongs to user ${info.uid}`, "", {
      hint: OWN_HINT,
    });
  }
  if ((info.mode & 0o077) === 0) return;
  // Only the owner can do this, so it is at the same time the check that the directory is ours.
  try {
    await Deno.chmod(path, 0o700);
  } catch (cause) {
    throw new ServerStartError(
      `Cannot use directory "${path}": others can enter it and it belongs to another user`,
      "",
      {
        cause,
        hint: OWN_HINT,
      },
    );
  }
}
