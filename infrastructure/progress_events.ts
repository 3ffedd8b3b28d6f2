/**
 * What provisioning tells while it works.
 *
 * @module
 */

/** What is being done. */
export type ProgressStage =
  | "discover" // looking for a Python
  | "lock" // waiting for another process
  | "download" // fetching an archive
  | "extract" // unpacking it
  | "verify" // comparing and trying what was unpacked
  | "create" // making an environment
  | "install" // installing packages
  | "publish" // making it visible
  | "done"; // finished

/** One report of progress. */
export interface ProgressEvent {
  /** What is being done. */
  readonly stage: ProgressStage;
  /** What it is done to: a file's name, an environment's, a package's. */
  readonly subject: string;
  /** Bytes (or files, see `unit`) so far. */
  readonly done?: number;
  /** All of them, where it is known. */
  readonly total?: number;
  /** What `done` and `total` count. @default {"bytes"} */
  readonly unit?: "bytes" | "files";
  /** Bytes per second, where it is known. */
  readonly bytesPerSecond?: number;
  /** What the installer says just now. */
  readonly message?: string;
}

/** Told of progress. */
export type ProgressListener = (event: ProgressEvent) => void;
