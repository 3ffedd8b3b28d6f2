/**
 * What a host tells about itself and its server.
 *
 * @module
 */

import type { CallOptions, PythonHostBackend } from "../core/backend.ts";
import type { CallStatistics } from "../core/call_counters.ts";
import { PythonHostError } from "../core/errors.ts";

/** What a server counts. */
export interface ServerStatistics {
  /** Clients that are connected, the one that all requests without a session share included. */
  readonly clients: number;
  /** Calls that run or wait, those of all clients. */
  readonly running: number;
  /** Objects that handles hold. */
  readonly handles: number;
  /** Python threads. */
  readonly threads: number;
  /** Memory that the process occupies, in bytes; null where the system does not tell. */
  readonly memoryBytes: number | null;
}

/** What `PythonHost.stats` gives. */
export interface HostStatistics extends CallStatistics {
  /** The number of the server that runs: 1, and one more for each that took another's place. */
  readonly generation: number;
  /** How often another server took the place of one that ended or was replaced. */
  readonly restarts: number;
  /** What the server itself counts; null while none runs, or when the transport cannot ask it. */
  readonly server: ServerStatistics | null;
}

/** What a backend need not be able to do; those of this library are. */
interface OptionalOperations {
  ping(options?: CallOptions): Promise<readonly number[]>;
  stats(options?: CallOptions): Promise<Readonly<Record<string, unknown>>>;
  openSession(label: string, options?: CallOptions): Promise<void>;
  closeSession(label: string, options?: CallOptions): Promise<void>;
}

/** Gives the backend as one that can do `operation`; throws when it cannot. */
export function withOperation<K extends keyof OptionalOperations>(
  backend: PythonHostBackend,
  operation: K,
): Pick<OptionalOperations, K> {
  if (hasOperation(backend, operation)) return backend;
  throw new PythonHostError(
    "argument",
    `Cannot use operation "${operation}": the backend of transport "${backend.transport}" has none`,
  );
}

/** Asks the server what it counts; null when the backend cannot. */
export async function serverStatistics(
  backend: PythonHostBackend,
  options?: CallOptions,
): Promise<ServerStatistics | null> {
  if (!hasOperation(backend, "stats")) return null;
  return await backend.stats(options) as unknown as ServerStatistics;
}

function hasOperation<K extends keyof OptionalOperations>(
  backend: PythonHostBackend,
  operation: K,
): backend is PythonHostBackend & Pick<OptionalOperations, K> {
  return operation in backend && typeof (backend as unknown as Record<K, unknown>)[operation] === "function";
}
