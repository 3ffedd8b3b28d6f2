/**
 * The seam: what every transport implements, and what everything richer is built on.
 *
 * A backend makes calls on one running Python. It is created cheap and silent by its constructor, connects in
 * {@linkcode PythonHostBackend.initialize}, and ends in {@linkcode PythonHostBackend.close}. Every promise of a
 * backend settles: with the value, with a typed error, or with the abort reason of the caller's signal.
 *
 * @module
 */

import type { InputHandler, MimeBundle, ProgressReport, PythonLogRecord } from "./call_events.ts";
import type { PythonModuleHandle, PythonObjectHandle } from "./handles.ts";

/** Options that every call takes. */
export interface CallOptions {
  /**
   * Stops the call in Python when it aborts; the call then rejects with `signal.reason`. It settles when Python has
   * stopped it, at the latest after the backend's `interruptGraceMs`.
   */
  signal?: AbortSignal | undefined;
  /** Stops the call after so many milliseconds; it then rejects with `CallTimeoutError`. @default {no deadline} */
  timeoutMs?: number | undefined;
  /** The session, by the label given to `openSession`; without one, the backend's own. */
  session?: string | undefined;
  /** Runs the call on a pool of threads, beside the session's own thread, in no stated order. @default {false} */
  concurrent?: boolean | undefined;
  /** Told what the call writes to `sys.stdout`, as text, in order. */
  onStdout?: ((text: string) => void) | undefined;
  /** Told what the call writes to `sys.stderr`, as text, in order. */
  onStderr?: ((text: string) => void) | undefined;
  /** Told what the call logs by Python's `logging`, as far as the loggers' levels let it through. */
  onLog?: ((record: PythonLogRecord) => void) | undefined;
  /** Told what the call reports by `beep_host.progress(done, total, message)`. */
  onProgress?: ((report: ProgressReport) => void) | undefined;
  /** Told what the call shows by `beep_host.display(value)` and, with matplotlib, by `plt.show()`. */
  onDisplay?: ((bundle: MimeBundle) => void) | undefined;
  /** Asked by the call's `input()` and `sys.stdin.readline()`; without it they find the end of the input. */
  onInput?: InputHandler | undefined;
  /**
   * How the result travels: `"value"` rejects what has no faithful image, `"handle"` always gives a handle,
   * `"auto"` gives a handle where there is no faithful image, `"arrow"` gives a table as an Arrow IPC stream.
   *
   * @default {"auto"}
   */
  result?: ResultMode | undefined;
}

/** See {@linkcode CallOptions.result}. */
export type ResultMode = "auto" | "value" | "handle" | "arrow";

/** Options of {@linkcode PythonHostBackend.initialize}. */
export interface InitializeOptions {
  /** Gives up connecting when it aborts. */
  signal?: AbortSignal | undefined;
  /** Gives up connecting after so many milliseconds. @default {30000} */
  timeoutMs?: number | undefined;
}

/** Options of {@linkcode PythonHostBackend.close}. */
export interface CloseOptions {
  /** Waits so many milliseconds for the peer to acknowledge before closing anyway. @default {2000} */
  timeoutMs?: number | undefined;
}

/** What a server says about itself when a backend connects. */
export interface ServerInfo {
  /** Version of the wire protocol that both sides speak. */
  readonly protocol: number;
  /** Version of the server program. */
  readonly serverVersion: string;
  /** `platform.python_version()`, such as `3.12.4`. */
  readonly pythonVersion: string;
  /** `sys.implementation.name`, such as `cpython`. */
  readonly implementation: string;
  /** `sys.executable`. */
  readonly executable: string;
  /** The server's process id. */
  readonly pid: number;
  /** Names of optional abilities, such as `interrupt` or `numpy`. */
  readonly features: readonly string[];
}

/** Arguments by position. */
export type PositionalArguments = readonly unknown[];
/** Arguments by keyword. */
export type KeywordArguments = Readonly<Record<string, unknown>>;

/** One running Python, as every transport shows it. */
export interface PythonHostBackend extends AsyncDisposable {
  /** The kind of wire. */
  readonly transport: "pipe" | "http" | "rpc" | (string & Record<never, never>);
  /** Whether `initialize` has succeeded and `close` has not begun. */
  readonly isInitialized: boolean;

  /**
   * Connects, proves both sides' identity and compares protocol versions. Calling it again gives the same promise.
   * Every other operation calls it first when the caller has not.
   */
  initialize(options?: InitializeOptions): Promise<ServerInfo>;
  /** Imports a module (`import name`, dotted names give the leaf) and gives a handle to it. */
  importModule(name: string, options?: CallOptions): Promise<PythonModuleHandle>;
  /** Makes an object: `module.className(*args, **kwargs)`. */
  createObject(
    module: PythonModuleHandle | string,
    className: string,
    args?: PositionalArguments,
    kwargs?: KeywordArguments,
    options?: CallOptions,
  ): Promise<PythonObjectHandle>;
  /** Calls `handle.name(*args, **kwargs)`; a result that is awaitable is awaited. */
  callMethod<T = unknown>(
    handle: PythonObjectHandle,
    name: string,
    args?: PositionalArguments,
    kwargs?: KeywordArguments,
    options?: CallOptions,
  ): Promise<T>;
  /** Gives `handle.name`. */
  getAttribute<T = unknown>(handle: PythonObjectHandle, name: string, options?: CallOptions): Promise<T>;
  /** Does `handle.name = value`. */
  setAttribute(
    handle: PythonObjectHandle,
    name: string,
    value: unknown,
    options?: CallOptions,
  ): Promise<void>;
  /** Releases the handle; releasing it again does nothing. */
  disposeHandle(handle: PythonObjectHandle, options?: CallOptions): Promise<void>;
  /**
   * Runs Python code: any number of statements, dedented first; the value is that of the last statement when it is
   * an expression, else `null`. `locals` are visible everywhere in the code and belong to this call alone; names
   * that the code assigns persist in the session. Top-level `await` works.
   */
  evaluate<T = unknown>(code: string, locals?: KeywordArguments, options?: CallOptions): Promise<T>;
  /** Gives anything array-like as one flat row of 32-bit floats, C order. */
  toFloatArray(handle: PythonObjectHandle, options?: CallOptions): Promise<Float32Array>;
  /** Gives anything array-like of two dimensions as rows of 32-bit floats. */
  toFloatArray2D(handle: PythonObjectHandle, options?: CallOptions): Promise<Float32Array[]>;
  /** Whether `import name` would find the module; the module itself is not imported. */
  isModuleAvailable(name: string, options?: CallOptions): Promise<boolean>;
  /** Gives a handle to the Python image of `value`; a handle is given back as it is. */
  createObjectHandleFromResult(value: unknown, options?: CallOptions): Promise<PythonObjectHandle>;
  /**
   * Makes a further session, named `label` in {@linkcode CallOptions.session}: a namespace, handles and a thread of its
   * own. Optional: a backend without it has one session; `openSession()` of this library then says so.
   */
  openSession?(label: string, options?: CallOptions): Promise<void>;
  /** Ends a further session, its calls and its handles; one that is not open is passed over. */
  closeSession?(label: string, options?: CallOptions): Promise<void>;
  /** Ends the session and the connection, in order. Pending calls reject; calling it again gives the same promise. */
  close(options?: CloseOptions): Promise<void>;
}
