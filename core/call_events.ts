/**
 * What Python says while a call runs, besides text: log records, progress, things to look at, questions.
 *
 * Each kind is asked for by a callback in `CallOptions`; what no callback asks for does not travel.
 *
 * @module
 */

/** One record of Python's `logging`, as data. */
export interface PythonLogRecord {
  /** `record.levelno`: 10 debug, 20 info, 30 warning, 40 error, 50 critical, or any number between. */
  readonly level: number;
  /** `record.levelname`, such as `WARNING`. */
  readonly levelName: string;
  /** The logger's name; `root` for the root logger. */
  readonly name: string;
  /** The message with its arguments filled in. */
  readonly message: string;
  /** When the record was made, in milliseconds since 1970 with a fraction. */
  readonly time: number;
  /** The file whose code made it. */
  readonly file: string;
  /** The line in that file. */
  readonly line: number;
  /** The function in that file. */
  readonly function: string;
  /** The name of the thread that made it. */
  readonly thread: string;
  /** The traceback of the exception that was logged with it, as text. */
  readonly traceback: string | null;
}

/** One report of `beep_host.progress(done, total, message)`. */
export interface ProgressReport {
  /** How much is done: a finite number of at least 0, at most `total`. */
  readonly done: number;
  /** How much there is to do; null when that is not known. */
  readonly total: number | null;
  /** What is being done. */
  readonly message: string | null;
}

/**
 * One thing to look at in several forms, by MIME type; the reader takes the richest that it can show.
 *
 * Text forms (`text/html`, `image/svg+xml`) are strings, binary ones (`image/png`) a `Uint8Array`, JSON ones data.
 */
export type MimeBundle = Readonly<Record<string, unknown>>;

/** Answers `input(prompt)`: the line without its end, or null for the end of the input (`EOFError`). */
export type InputHandler = (prompt: string) => string | null | Promise<string | null>;
