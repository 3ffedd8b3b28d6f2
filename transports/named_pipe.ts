/**
 * A Windows named pipe as a {@linkcode ByteStream}. Loaded only where an address is one: Deno opens named pipes by
 * `node:net` alone, and only with all permissions. Written from the documentation; not run on Windows yet.
 *
 * @module
 */

import { ConnectError } from "../core/errors.ts";
import type { ByteStream } from "./frame_stream.ts";

/** Connects to `\\.\pipe\…`. */
export async function connectNamedPipe(path: string): Promise<ByteStream> {
  const { connect } = await import("node:net");
  const socket = connect(path);
  await new Promise<void>((resolve, reject) => {
    socket.once("connect", resolve);
    socket.once("error", (cause: Error) => {
      reject(new ConnectError(`Cannot connect to pipe "${path}": nobody listens there`, { cause }));
    });
  });
  socket.pause();
  let failure: Error | undefined;
  let hasEnded = false;
  let wake: (() => void) | undefined;
  const signal = () => wake?.();
  socket.on("readable", signal);
  socket.on("end", () => {
    hasEnded = true;
    signal();
  });
  socket.on("close", () => {
    hasEnded = true;
    signal();
  });
  socket.on("error", (error: Error) => {
    failure = error;
    signal();
  });
  let rest = new Uint8Array(0);

  async function read(target: Uint8Array): Promise<number | null> {
    while (rest.byteLength === 0) {
      const chunk: Uint8Array | null = socket.read();
      if (chunk !== null) {
        rest = new Uint8Array(chunk);
      } else if (failure !== undefined) {
        throw failure;
      } else if (hasEnded) {
        return null;
      } else {
        await new Promise<void>((resolve) => wake = resolve);
      }
    }
    const count = Math.min(rest.byteLength, target.byteLength);
    target.set(rest.subarray(0, count));
    rest = rest.subarray(count);
    return count;
  }

  function write(bytes: Uint8Array): Promise<number> {
    return new Promise((resolve, reject) => {
      socket.write(bytes, (error) => error ? reject(error) : resolve(bytes.byteLength));
    });
  }

  return {
    read,
    write,
    close: () => void socket.destroy(),
    ref: () => void socket.ref(),
    unref: () => void socket.unref(),
  };
}
