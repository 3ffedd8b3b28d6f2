/**
 * Locks by the file system (`flock`): freed by the kernel when a process ends in any way, so there are no stale ones,
 * no process ids and no clocks.
 *
 * Correctness never depends on a lock, only efficiency does: where the file system has none, work goes on without.
 *
 * @module
 */

import { EnvironmentError } from "../core/errors.ts";
import type { Context } from "./context.ts";
import type { IoFile } from "./io.ts";
import { isLockUnsupported, isNotFound, mapIoError } from "./io_errors.ts";
import { removeIfThere, statIfThere } from "./files.ts";

/** A lock that is held, or the permission to go on where there are none. */
export interface HeldLock extends Disposable {
  /** Whether it is really held; false where the file system has no locks. */
  readonly exclusive: boolean;
}

/** How long a lock is waited for, as uv does. */
export const LOCK_DEADLINE_MS = 300_000;

/** How a lock is waited for. */
export interface LockOptions {
  /** Ends the waiting, and rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** How long it is waited for. @default {300000} */
  readonly deadlineMs?: number | undefined;
  /** Asked at each turn of waiting; true ends it, since what was waited for is there. */
  readonly until?: () => Promise<boolean>;
  /** Makes the directory of the file, which may be removed with it while it is waited for. */
  readonly prepare?: () => Promise<void>;
}

class FileLock implements HeldLock {
  readonly exclusive: boolean;
  readonly #file: IoFile | undefined;

  constructor(file: IoFile | undefined) {
    this.#file = file;
    this.exclusive = file !== undefined;
  }

  [Symbol.dispose](): void {
    this.#file?.close();
  }
}

async function openLock(context: Context, path: string): Promise<IoFile> {
  try {
    return await context.io.open(path, { read: true, write: true, create: true, mode: 0o600 });
  } catch (error) {
    throw mapIoError(`open lock file "${path}"`, error);
  }
}

/** So often is a directory made again that others remove at the same moment. */
const PREPARE_ATTEMPTS = 100;

async function openPrepared(context: Context, path: string, options: LockOptions): Promise<IoFile> {
  for (let attempt = 1;; attempt++) {
    await options.prepare?.();
    try {
      return await openLock(context, path);
    } catch (error) {
      const gone = error instanceof EnvironmentError && isNotFound(error.cause);
      if (options.prepare === undefined || !gone || attempt === PREPARE_ATTEMPTS) throw error;
    }
  }
}

/**
 * Takes the lock of a file, waiting for its holder. Gives undefined when `until` came true. Only its holder may remove
 * the file; who waited for it then waits for the one in its place.
 */
export async function lock(
  context: Context,
  path: string,
  options: LockOptions = {},
): Promise<HeldLock | undefined> {
  const deadlineMs = options.deadlineMs ?? LOCK_DEADLINE_MS;
  const start = performance.now();
  let file = await openPrepared(context, path, options);
  try {
    while (true) {
      options.signal?.throwIfAborted();
      if (await file.tryLock()) {
        if (await file.isAt(path)) return new FileLock(file);
        const next = await openPrepared(context, path, options);
        file.close();
        file = next;
        continue;
      }
      if (await options.until?.() === true) break;
      if (performance.now() - start > deadlineMs) {
        throw lockedTooLong(path, deadlineMs);
      }
      await pause(20 + Math.random() * 30, options.signal);
    }
  } catch (error) {
    file.close();
    if (!isLockUnsupported(error)) throw error;
    context.logger.warn("The file system has no locks: going on without", path);
    return new FileLock(undefined);
  }
  file.close();
  return undefined;
}

/** Waits; rejects with the signal's reason as soon as it is aborted. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const abort = (): void => {
      clearTimeout(timer);
      reject(signal!.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", abort);
      resolve();
    }, ms);
    signal?.addEventListener("abort", abort, { once: true });
  });
}

/** Says "somebody works on this" to those who clean up, for as long as it is held. */
export async function own(context: Context, path: string): Promise<HeldLock> {
  while (true) {
    const file = await openLock(context, path);
    try {
      // A cleaner may hold it for a moment, or have removed the file between our opening and our locking.
      if (await file.tryLock() && await statIfThere(context.io, path) !== undefined) {
        return new FileLock(file);
      }
    } catch (error) {
      file.close();
      if (!isLockUnsupported(error)) throw error;
      return new FileLock(undefined);
    }
    file.close();
    await pause(5);
  }
}

/** Who holds a file: somebody, nobody (as where it is not there), or that cannot be known. */
type Holder = "somebody" | "nobody" | "unknown";

/** Finds out who holds `path`; `whenFree` is called while this process holds it. */
async function holderOf(
  context: Context,
  path: string,
  whenFree: () => Promise<void> = () => Promise.resolve(),
): Promise<Holder> {
  let file: IoFile;
  try {
    file = await context.io.open(path, { read: true, write: true });
  } catch (error) {
    // Its owner makes this file first, so without it there is no owner.
    if (isNotFound(error)) return "nobody";
    throw error;
  }
  try {
    let free: boolean;
    try {
      free = await file.tryLock();
    } catch (error) {
      if (isLockUnsupported(error)) return "unknown";
      throw error;
    }
    if (!free) return "somebody";
    await whenFree();
    return "nobody";
  } finally {
    file.close();
  }
}

/** Whether nobody holds `path` any more. False where that cannot be known. */
export async function isAbandoned(context: Context, path: string): Promise<boolean> {
  return await holderOf(context, path) === "nobody";
}

/**
 * Removes `path` when nobody holds it any more, so that nobody can take hold of it in between. Gives whether it is gone.
 */
export async function removeIfAbandoned(context: Context, path: string): Promise<boolean> {
  return await holderOf(context, path, () => removeIfThere(context.io, path)) === "nobody";
}

/** Waits while somebody holds `path`; where that cannot be known, goes on. */
export async function untilFree(
  context: Context,
  path: string,
  deadlineMs: number = LOCK_DEADLINE_MS,
): Promise<void> {
  const start = performance.now();
  while (await holderOf(context, path) === "somebody") {
    if (performance.now() - start > deadlineMs) throw lockedTooLong(path, deadlineMs);
    await pause(5);
  }
}

function lockedTooLong(path: string, deadlineMs: number): EnvironmentError {
  return new EnvironmentError(
    `Cannot lock "${path}": another process has held it for ${deadlineMs} ms`,
    { hint: "It may be downloading or installing: wait for it, or end it." },
  );
}
