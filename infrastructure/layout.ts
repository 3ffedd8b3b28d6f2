/**
 * Where things are in the data directory.
 *
 * ```text
 * .lock                       flock target of the whole directory, never deleted
 * .staging/<uuid>/ + .own     what is being made; the same file system as its target, so that a rename is atomic
 * .trash/<uuid>/              what is being deleted
 * archives/<sha256>.tar.gz    what was downloaded, + .part and .part.json of what was not finished
 * cache/                      what can be lost
 * pythons/<key>/              runtimes, immutable, marker last
 * tools/                      a private uv
 * envs/<name>/<hash>-<random>/  environments at their final path, marker last; + .own until they are published
 *                               or while they are removed, + .use-<uuid> for each who uses them
 * envs/<name>/<hash>.json       pointer from a specification to its directory, replaced atomically
 * envs/<name>/current.json      pointer to the one that the name means now
 * run/                        entries of running servers (not ours)
 * ```
 *
 * @module
 */

import { join } from "@std/path";
import { EnvironmentError } from "../core/errors.ts";
import type { Context } from "./context.ts";
import { removeIfThere } from "./files.ts";
import type { Io } from "./io.ts";
import { isNotFound, mapIoError } from "./io_errors.ts";
import { checkName } from "./names.ts";

/** The paths of a data directory. */
export class Layout {
  /** The data directory itself. */
  readonly home: string;

  /** Makes the paths below `home`. */
  constructor(home: string) {
    this.home = home;
  }

  /** The lock of the whole directory. */
  get lock(): string {
    return join(this.home, ".lock");
  }

  /** Where things are made. */
  get staging(): string {
    return join(this.home, ".staging");
  }

  /** Where things are moved to be deleted. */
  get trash(): string {
    return join(this.home, ".trash");
  }

  /** Downloaded archives. */
  get archives(): string {
    return join(this.home, "archives");
  }

  /** Installed runtimes. */
  get pythons(): string {
    return join(this.home, "pythons");
  }

  /** Private tools. */
  get tools(): string {
    return join(this.home, "tools");
  }

  /** Environments. */
  get environments(): string {
    return join(this.home, "envs");
  }

  /** What can be lost. */
  get cache(): string {
    return join(this.home, "cache");
  }

  /** The directory of all environments of one name; the name is checked first. */
  environment(name: string): string {
    return join(this.environments, checkName(name));
  }
}

const preparedHomes = new Set<string>();

/**
 * Makes the data directory, private to its user, and refuses one that belongs to somebody else: whoever owns the
 * directory decides what is executed from it.
 */
export async function prepareHome(context: Context): Promise<Layout> {
  const layout = new Layout(context.home);
  try {
    await checkHome(context, layout);
  } catch (error) {
    // Callers name all permissions that their action needs, at once.
    if (error instanceof Deno.errors.NotCapable) throw error;
    throw mapIoError(`use data directory "${layout.home}"`, error);
  }
  return layout;
}

async function checkHome({ io, os }: Context, layout: Layout): Promise<void> {
  await io.mkdir(layout.home, { recursive: true, mode: 0o700 });
  if (os !== "windows" && !preparedHomes.has(layout.home)) {
    const real = await io.realPath(layout.home);
    const info = await io.lstat(real);
    const mine = await ownUser(io, real);
    if (info.uid !== mine && mine !== 0) throw foreignHome(layout.home, info.uid);
    if (info.uid !== mine && ((info.mode ?? 0) & 0o022) !== 0) throw foreignHome(layout.home, info.uid);
    if (((info.mode ?? 0) & 0o002) !== 0) {
      throw new EnvironmentError(`Cannot use data directory "${layout.home}": everybody may write to it`, {
        hint: "Take that right away (chmod o-w), or set BEEP_PYTHON_HOME to a directory that you own.",
      });
    }
    preparedHomes.add(layout.home);
  }
}

const OWNER_ATTEMPTS = 3;

/** Our user id, which a file of our own tells without `--allow-sys`. */
async function ownUser(io: Io, directory: string): Promise<number | null> {
  for (let attempt = 1;; attempt++) {
    const scratch = join(directory, `.owner-${crypto.randomUUID()}`);
    try {
      await io.writeFile(scratch, new Uint8Array(), { mode: 0o600, createNew: true });
      return (await io.lstat(scratch)).uid;
    } catch (error) {
      // A sweep may have taken the file for one that a dead process left.
      if (!isNotFound(error) || attempt === OWNER_ATTEMPTS) throw error;
    } finally {
      await removeIfThere(io, scratch);
    }
  }
}

function foreignHome(home: string, uid: number | null): EnvironmentError {
  return new EnvironmentError(`Cannot use data directory "${home}": it belongs to user ${uid}`, {
    hint: "Set BEEP_PYTHON_HOME to a directory that you own.",
  });
}
