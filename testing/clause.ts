/**
 * What a clause of the contract is: the type that the files in `clauses/` fill, and the code that they share.
 *
 * @module
 */

import type { PythonHostBackend } from "../core/backend.ts";

/**
 * What a clause needs of the backend: `lifecycle` only its life, `python` a real Python behind it, `host` a server whose
 * Python can ask its host for Infrastructure (`HostServers` starts such servers).
 */
export type ClauseMark = "lifecycle" | "python" | "host";

/** What a clause's body is given. */
export interface ClauseContext {
  /** A backend of its own, not yet initialized; closed after the clause. */
  readonly backend: PythonHostBackend;
  /** Makes a further backend on the same server; closed after the clause. */
  connect(): Promise<PythonHostBackend>;
}

/** One promise of the contract. */
export interface Clause {
  /** Its name, `area/what`, by which exceptions refer to it. */
  readonly id: string;
  /** What must hold, as a sentence. */
  readonly sentence: string;
  /** What it needs. */
  readonly marks: readonly ClauseMark[];
  /** It ends or damages the server, so it gets one of its own. @default {false} */
  readonly isolated?: boolean;
  /** Fails when the sentence does not hold. */
  readonly body: (context: ClauseContext) => Promise<void>;
}

/** How long is waited for what happens soon, but not before the reply that a clause has. */
export const PATIENCE_MS = 15_000;
/** Code that must give 2; a fake must answer it for the clauses marked `lifecycle` alone. */
export const QUICK_CODE = "1 + 1";
/** Code that does not end by itself, but can be interrupted on every thread; see {@linkcode QUICK_CODE}. */
export const SLOW_CODE = "import time\nwhile True:\n  time.sleep(0.01)";
