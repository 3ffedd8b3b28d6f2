/**
 * Sessions: namespaces of their own, each with its handles and its thread, on one backend.
 *
 * @module
 */

import { checkSignal } from "../core/argument.ts";
import type { CallOptions, CloseOptions, KeywordArguments, PythonHostBackend } from "../core/backend.ts";
import type { MimeBundle } from "../core/call_events.ts";
import { showAs } from "../core/inspection.ts";
import { ConnectionClosedError, PythonHostError } from "../core/errors.ts";
import { BackendFacade } from "./facade.ts";

/** Options of {@linkcode openSession}. */
export interface SessionOptions {
  /** How many entries of {@linkcode PythonSession.history} are kept. @default {1000} */
  historyLimit?: number | undefined;
  /** Gives up opening when it aborts. */
  signal?: AbortSignal | undefined;
}

/** Code that was run in a session. */
export interface HistoryEntry {
  /** The code, as it was given. */
  readonly code: string;
  /** When it was sent, in milliseconds since 1970. */
  readonly time: number;
  /** How it ended, or that it has not. */
  readonly outcome: "running" | "ok" | "error";
}

/** One of Python's names, and what it means. */
export type NameKind = "keyword" | "variable" | "function" | "class" | "module" | "property";

/** What may stand at a position in code. */
export interface Completions {
  /** Where in the code the name begins that the matches replace. */
  readonly start: number;
  /** Where it ends: the cursor. */
  readonly end: number;
  /** The names, those with a leading underscore last. */
  readonly matches: readonly { readonly text: string; readonly kind: NameKind }[];
}

/** A name of the session and what is known of its value. */
export interface VariableInfo {
  /** The name. */
  readonly name: string;
  /** What it means. */
  readonly kind: NameKind;
  /** The value's type, with its module unless that is `builtins`. */
  readonly typeName: string;
  /** The beginning of the value's `repr`. */
  readonly summary: string;
}

/** What is known of an object. */
export interface Inspection extends VariableInfo {
  /** How it is called, such as `(x, *, y=1)`; null when it is not, or does not say. */
  readonly signature: string | null;
  /** Its documentation. */
  readonly doc: string | null;
  /** Its source text. */
  readonly source: string | null;
  /** The file of its source. */
  readonly file: string | null;
  /** The line in that file at which it begins. */
  readonly line: number | null;
}

/** Options of {@linkcode PythonSession.show}. */
export interface ShowOptions extends CallOptions {
  /** The MIME types that are wanted. @default {all that the value has; of a matplotlib figure PNG} */
  include?: readonly string[] | undefined;
}

const DEFAULT_HISTORY_LIMIT = 1000;
const TOOLS = "__import__('beep_host.session_tools', None, None, ['_'])";

/**
 * Opens a further session on a backend.
 *
 * @param id What the session is called within this backend; never a way into another's. By default a random name.
 * @throws {PythonHostError} with code `argument` when a session of that id is open, or the backend has no sessions.
 *
 * @example Two namespaces
 * ```ts ignore
 * await using a = await openSession(backend, "a");
 * await using b = await openSession(backend, "b");
 * await a.evaluate("x = 1");
 * assertEquals(await b.evaluate("'x' in globals()"), false);
 * ```
 */
export async function openSession(
  backend: PythonHostBackend,
  id: string = crypto.randomUUID(),
  options: SessionOptions = {},
): Promise<PythonSession> {
  if (backend.openSession === undefined || backend.closeSession === undefined) {
    throw new PythonHostError(
      "argument",
      `Cannot open session "${id}": the backend (transport "${backend.transport}") has no further sessions`,
      {
        hint:
          "Open the session on the backend itself, or connect another backend: each has a session of its own.",
      },
    );
  }
  await backend.openSession(id, { signal: options.signal });
  return new PythonSession(backend, id, options);
}

/**
 * A namespace, its handles and a thread of its own, on a backend that others use too. It is a backend itself, whose calls
 * run in the session: give it wherever one is asked for.
 */
export class PythonSession extends BackendFacade {
  /** What the session is called within its backend. */
  readonly id: string;
  readonly #history: { code: string; time: number; outcome: HistoryEntry["outcome"] }[] = [];
  readonly #historyLimit: number;
  #interrupt = new AbortController();
  #closing: Promise<void> | null = null;

  static {
    showAs(this.prototype, "PythonSession", ({ id, transport }) => ({ id, transport }));
  }

  /** Called by {@linkcode openSession}. */
  constructor(backend: PythonHostBackend, id: string, options: SessionOptions = {}) {
    super(backend);
    this.id = id;
    this.#historyLimit = options.historyLimit ?? DEFAULT_HISTORY_LIMIT;
  }

  /** The code that was run by {@linkcode evaluate} and {@linkcode show}, the oldest first. */
  get history(): readonly HistoryEntry[] {
    return this.#history.map((entry) => ({ ...entry }));
  }

  /** Runs code in the session and gives the value of its last expression. */
  override evaluate<T = unknown>(code: string, locals?: KeywordArguments, options?: CallOptions): Promise<T> {
    return this.#recorded(code, () => super.evaluate<T>(code, locals, options));
  }

  /**
   * Runs code and gives its value as something to look at, by MIME type: a matplotlib figure as PNG or SVG, a data frame
   * as HTML, whatever else as the class says; null when the value is None.
   */
  show(code: string, locals: KeywordArguments = {}, options: ShowOptions = {}): Promise<MimeBundle | null> {
    const { include, ...rest } = options;
    const values = { code, values: locals, include: include === undefined ? null : [...include] };
    return this.#recorded(
      code,
      () => super.evaluate<MimeBundle | null>(`${TOOLS}.show(code, values, include)`, values, rest),
    );
  }

  /** The names that may stand at `cursor`. Runs no code of the user's, and does not wait for what is running. */
  complete(code: string, cursor: number = code.length, options?: CallOptions): Promise<Completions> {
    return this.#ask("complete(code, cursor)", { code, cursor: codePoints(code, cursor) }, options)
      .then((found) => inUtf16(code, found as Completions));
  }

  /** What is known of a dotted name: signature, documentation, source; null when it is not known. */
  inspect(expression: string, options?: CallOptions): Promise<Inspection | null> {
    return this.#ask("inspect(expression)", { expression }, options) as Promise<Inspection | null>;
  }

  /** The session's own names and what is known of their values. */
  variables(options?: CallOptions): Promise<VariableInfo[]> {
    return this.#ask("variables()", {}, options) as Promise<VariableInfo[]>;
  }

  /** Forgets all names, after the calls that were made before; handles stay valid. */
  async reset(options?: CallOptions): Promise<void> {
    await super.evaluate(`${TOOLS}.reset()`, undefined, options);
  }

  /** Stops the calls that are running or waiting in the session; they reject with an `AbortError`. */
  interrupt(): void {
    const running = this.#interrupt;
    this.#interrupt = new AbortController();
    running.abort(new DOMException(`Session "${this.id}" was interrupted`, "AbortError"));
  }

  /** Ends the session: its calls reject, its handles and names go. The backend stays open. Again gives the same promise. */
  close(options: CloseOptions = {}): Promise<void> {
    return this.#closing ??= this.#close(options);
  }

  async #close({ timeoutMs }: CloseOptions): Promise<void> {
    this.interrupt();
    // With its connection the session has ended by itself.
    if (!this.inner.isInitialized) return;
    try {
      await this.inner.closeSession!(this.id, { timeoutMs });
    } catch (error) {
      if (this.inner.isInitialized) throw error;
    }
  }

  /** See {@linkcode BackendFacade.options}. */
  protected override options(options: CallOptions = {}): CallOptions {
    if (this.#closing !== null) {
      throw new ConnectionClosedError(`Cannot use session "${this.id}": it was closed`);
    }
    checkSignal(options.signal);
    const own = this.#interrupt.signal;
    const signal = options.signal === undefined ? own : AbortSignal.any([options.signal, own]);
    return { ...options, session: this.id, signal };
  }

  /** Asks `session_tools.py`, beside the session's own thread, so that a running call delays no answer. */
  #ask(question: string, locals: KeywordArguments, options: CallOptions = {}): Promise<unknown> {
    return super.evaluate(`${TOOLS}.${question}`, locals, { ...options, concurrent: true });
  }

  async #recorded<T>(code: string, run: () => Promise<T>): Promise<T> {
    const entry = { code, time: Date.now(), outcome: "running" as HistoryEntry["outcome"] };
    this.#history.push(entry);
    if (this.#history.length > this.#historyLimit) this.#history.shift();
    try {
      const value = await run();
      entry.outcome = "ok";
      return value;
    } catch (error) {
      entry.outcome = "error";
      throw error;
    }
  }
}

/** A position in Python's characters, which are code points. What is out of range stays so, for Python to refuse. */
function codePoints(code: string, cursor: number): number {
  return cursor > 0 && cursor <= code.length ? [...code.slice(0, cursor)].length : cursor;
}

function inUtf16(code: string, { start, end, matches }: Completions): Completions {
  const characters = [...code];
  const at = (position: number) => characters.slice(0, position).join("").length;
  return { start: at(start), end: at(end), matches };
}
