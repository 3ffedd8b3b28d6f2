/**
 * Exceptions of user code: as data, and as the error that carries them.
 *
 * @module
 */

import { PythonHostError, type PythonHostErrorOptions } from "./host_error.ts";

/** One frame of a Python traceback, outermost first. */
export interface PythonFrame {
  /** The file name as Python knows it; evaluated code is named `<evaluate N>`-like. */
  readonly file: string;
  /** 1-based line number. */
  readonly line: number;
  /** The function's qualified name, or `<module>`. */
  readonly name: string;
  /** The source line without indentation, when Python could find it. */
  readonly source?: string;
}

/** A Python exception as data: what {@linkcode PythonError} is built from. */
export interface PythonExceptionInfo {
  /** The class's qualified name: `ValueError`, `Outer.Inner`. */
  readonly type: string;
  /** The class's module: `builtins`, `numpy.linalg`. */
  readonly module: string;
  /** Names of the class and its bases, most derived first, as `module.qualname`. */
  readonly bases: readonly string[];
  /** `str(exception)`, guarded and bounded. */
  readonly message: string;
  /** `exception.args`, each as its value where it has a plain image, else its `repr`. */
  readonly arguments: readonly unknown[];
  /** Frames, outermost first; frames of the server itself are left out. */
  readonly frames: readonly PythonFrame[];
  /** What `add_note()` added. */
  readonly notes: readonly string[];
  /** The traceback as Python would print it, bounded. */
  readonly traceback: string;
  /** The explicit cause (`raise … from cause`). */
  readonly cause?: PythonExceptionInfo;
  /** The exception that was being handled, unless suppressed. */
  readonly context?: PythonExceptionInfo;
  /** The members of an exception group. */
  readonly exceptions?: readonly PythonExceptionInfo[];
  /** Python's number of the exception, while it may come back and be raised there again as the same object. */
  readonly id?: number;
  /** For an error of one of the client's functions: the client's number of the error. */
  readonly javascript?: number;
  /** For a `SyntaxError`: where it is. `line` and `column` are 1-based. */
  readonly syntax?: { readonly line: number; readonly column: number; readonly text: string };
}

/** Python code raised an exception. */
export class PythonError extends PythonHostError {
  /** The exception class's qualified name, such as `ValueError`. */
  readonly pythonType: string;
  /** The exception class's module, such as `builtins`. */
  readonly pythonModule: string;
  /** Everything that is known about the exception, as plain data. */
  readonly exception: PythonExceptionInfo;

  /** Makes the error from the exception's description. */
  constructor(exception: PythonExceptionInfo, options: PythonHostErrorOptions = {}) {
    const inner = exception.cause ?? exception.context;
    super("python", `${exception.type}: ${exception.message}`, {
      ...(inner === undefined ? {} : { cause: new PythonError(inner) }),
      ...options,
    });
    this.pythonType = exception.type;
    this.pythonModule = exception.module;
    this.exception = exception;
  }

  /** `str(exception)` of the Python exception, without its type. */
  get pythonMessage(): string {
    return this.exception.message;
  }

  /** The frames of the traceback, outermost first. */
  get frames(): readonly PythonFrame[] {
    return this.exception.frames;
  }

  /** The traceback as Python would print it. */
  get traceback(): string {
    return this.exception.traceback;
  }

  /** What Python's `add_note()` added to the exception. */
  get notes(): readonly string[] {
    return this.exception.notes;
  }

  /** The members of an exception group; empty when it is none. */
  get exceptions(): readonly PythonError[] {
    return (this.exception.exceptions ?? []).map((member) => new PythonError(member));
  }

  /**
   * Whether the Python exception is an instance of the named class.
   *
   * @param name `module.qualname`, such as `builtins.ValueError`; a bare name means `builtins`.
   */
  isInstance(name: string): boolean {
    return this.exception.bases.includes(name.includes(".") ? name : `builtins.${name}`);
  }
}
