/**
 * Waits until a spawned process is a server, and says in one typed error why it did not become one.
 *
 * @module
 */

import { AddressInUseError, ServerStartError } from "../core/errors.ts";
import { settlesWithin, startTimer } from "../core/timers.ts";
import type { ServerOptions, ServerReady } from "./options.ts";
import type { ServerProcess } from "./server_process.ts";

/** How long a server is waited for by default: an import of large packages from a cold disk takes its time. */
const DEFAULT_START_TIMEOUT_MS = 30_000;
/** How long a server that was too slow may take to write down where it hangs: milliseconds, unless the machine is busy. */
const ABORT_GRACE_MS = 5_000;
/** How long a process whose stdout has ended may take to end itself. */
const END_GRACE_MS = 500;

/** Waits for the ready line, the end of the process, the deadline or the abort, whichever is first. */
export async function becomeReady(
  child: ServerProcess,
  options: ServerOptions,
  where: string,
): Promise<ServerReady> {
  const timeoutMs = options.startTimeoutMs ?? DEFAULT_START_TIMEOUT_MS;
  const line = await waitForReady(child, timeoutMs, options.signal);
  if (line === "late") {
    await child.abort(ABORT_GRACE_MS);
    const { stderrTail } = await child.exited;
    throw new ServerStartError(
      `Cannot start a Python server ${where} within startTimeoutMs: ${timeoutMs} ms passed and it was not ready`,
      stderrTail,
      {
        hint:
          "The lines of stderr show where it was. A module that is imported at start may be slow; raise startTimeoutMs.",
      },
    );
  }
  if (line === null) {
    // Most often the process is gone too, or goes now; else it must go, and not by itself.
    const hasEnded = await settlesWithin(child.exited, END_GRACE_MS);
    await child.kill();
    const { code, signal, stderrTail } = await child.exited;
    const end = signal === null ? `Python exited with code ${code}` : `Python was ended by ${signal}`;
    const how = hasEnded ? end : "Python closed its stdout";
    throw new ServerStartError(
      `Cannot start a Python server ${where}: ${how} before it was ready`,
      stderrTail,
    );
  }
  return await checkReady(line, child, options, where);
}

async function waitForReady(
  child: ServerProcess,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<string | null | "late"> {
  const end = Promise.withResolvers<"late">();
  const timer = startTimer(() => end.resolve("late"), timeoutMs);
  const onAbort = (): void => end.reject(signal?.reason);
  signal?.addEventListener("abort", onAbort);
  try {
    signal?.throwIfAborted();
    return await Promise.race([child.ready, end.promise]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
  }
}

async function checkReady(
  line: string,
  child: ServerProcess,
  options: ServerOptions,
  where: string,
): Promise<ServerReady> {
  let ready: Partial<ServerReady> & { error?: { code?: unknown; message?: unknown; hint?: unknown } };
  try {
    ready = JSON.parse(line);
  } catch (cause) {
    throw new ServerStartError(
      `Cannot start a Python server ${where}: its ready line is not JSON`,
      child.stderr.tail(),
      {
        cause,
      },
    );
  }
  if (ready.error !== undefined) {
    await child.kill();
    if (ready.error.code === "address-in-use") {
      const address = options.name ?? String(options.port ?? "");
      throw new AddressInUseError(address, `Cannot start a Python server ${where}: ${ready.error.message}`, {
        hint: "Choose another one (port 0 lets the system choose), or stop the program that has it.",
      });
    }
    const { stderrTail } = await child.exited;
    const { message, hint } = ready.error;
    const details = typeof hint === "string" ? { hint } : {};
    throw new ServerStartError(`Cannot start a Python server ${where}: ${message}`, stderrTail, details);
  }
  const { address, pid, pythonVersion, connectAddress } = ready;
  if (typeof address !== "string" || typeof pid !== "number" || typeof pythonVersion !== "string") {
    throw new ServerStartError(
      `Cannot start a Python server ${where}: its ready line lacks address, pid or pythonVersion`,
      child.stderr.tail(),
    );
  }
  return { address, pid, pythonVersion, connectAddress };
}
