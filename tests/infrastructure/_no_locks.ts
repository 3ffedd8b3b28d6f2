/**
 * A file system that has no locks, as some network file systems have none.
 *
 * @module
 */

import type { Io } from "../../infrastructure/mod.ts";

/** The same world, but that every lock is refused as unknown to the system. */
export function withoutLocks(io: Io): Io {
  return {
    ...io,
    async open(path, options) {
      const file = await io.open(path, options);
      return {
        read: (buffer) => file.read(buffer),
        write: (bytes) => file.write(bytes),
        seek: (offset) => file.seek(offset),
        truncate: (size) => file.truncate(size),
        sync: () => file.sync(),
        isAt: (path) => file.isAt(path),
        close: () => file.close(),
        tryLock: () =>
          Promise.reject(Object.assign(new Error("Function not implemented"), { code: "ENOSYS" })),
      };
    },
  };
}
