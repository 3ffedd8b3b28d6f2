/**
 * Python expressions that are not run yet: what a proxy gathers, and how it becomes one line of code.
 *
 * An expression is written as code whose names are `_0`, `_1` …, with handles and arguments as the call's locals:
 *
 * ```text
 * proxy(np).arange(6).reshape(2, 3).sum()
 *   code    _0.arange(_1).reshape(_2,_3).sum()
 *   locals  { _0: handle of np, _1: 6, _2: 2, _3: 3 }
 * ```
 *
 * The code depends on the shape alone, so Python compiles it once however often it is run with other values.
 *
 * @module
 */

import type { CallOptions, PythonHostBackend } from "../core/backend.ts";
import { PythonHostError } from "../core/errors.ts";
import type { PythonObjectHandle } from "../core/handles.ts";
import { PythonTuple } from "../core/values.ts";

/** The property by which a proxy gives its expression. */
export const EXPRESSION: unique symbol = Symbol("expression");
/** Python's own functions, reached so that a session which names something `len` or `getattr` cannot get in between. */
export const BUILTINS = '__import__("builtins")';

// Python's compiler is recursive: some thousand links would overflow its stack, and no reader follows a hundred.
const MAX_STEPS = 200;
// Beyond it arguments travel as one list, so that the number of different shapes stays small.
const MAX_SPELLED_ARGUMENTS = 8;

/** Writes the code of an expression; nested expressions are written by the same writer. */
export type WriteCode = (writer: Writer) => string;

/** What an expression does when it can be done by an operation of its own, without any code. */
export type Shortcut =
  | { readonly kind: "get"; readonly handle: PythonObjectHandle; readonly name: string }
  | {
    readonly kind: "call";
    readonly handle: PythonObjectHandle;
    readonly name: string;
    readonly args: Arguments;
  };

/** A Python expression that is not run yet. */
export class Expression {
  /** Where it is run. */
  readonly backend: PythonHostBackend;
  /** The options with which it is run. */
  readonly options: CallOptions;
  /** Its code. */
  readonly write: WriteCode;
  /** For people: `numpy.arange(…).sum`. */
  readonly label: string;
  /** How many expressions it is made of. */
  readonly steps: number;
  /** The object that the expression is, when it is nothing but that. */
  readonly handle: PythonObjectHandle | undefined;
  /** A cheaper way to run it. */
  readonly shortcut: Shortcut | undefined;

  private constructor(fields: Omit<Expression, "run" | "extend" | "code">) {
    this.backend = fields.backend;
    this.options = fields.options;
    this.write = fields.write;
    this.label = fields.label;
    this.steps = fields.steps;
    this.handle = fields.handle;
    this.shortcut = fields.shortcut;
  }

  /** The expression that is an object. */
  static root(backend: PythonHostBackend, handle: PythonObjectHandle, options: CallOptions): Expression {
    const label = "moduleName" in handle ? String(handle.moduleName) : handle.typeName;
    const write = (writer: Writer) => writer.local(handle);
    return new Expression({ backend, options, write, label, steps: 0, handle, shortcut: undefined });
  }

  /** The expression that comes behind this one; throws when it is longer than any should be. */
  extend(label: string, write: WriteCode, shortcut?: Shortcut): Expression {
    const { backend, options, steps } = this;
    if (steps >= MAX_STEPS) {
      throw new PythonHostError("limit", `Cannot add to a path of ${MAX_STEPS} steps`, {
        hint: "Take the object halfway by hold(), and go on from there.",
      });
    }
    return new Expression({ backend, options, write, label, steps: steps + 1, handle: undefined, shortcut });
  }

  /** Runs it, in one call. */
  run(options: CallOptions = {}): Promise<unknown> {
    const all = { ...this.options, ...options };
    const { backend, shortcut } = this;
    if (shortcut?.kind === "get") return backend.getAttribute(shortcut.handle, shortcut.name, all);
    if (shortcut?.kind === "call") {
      const { handle, name, args: { positional, keywords } } = shortcut;
      return backend.callMethod(handle, name, positional, keywords, all);
    }
    const { code, locals } = this.code();
    return backend.evaluate(code, locals, all);
  }

  /** Its code and locals. `statement` is put around the code, and may name further values. */
  code(statement: (code: string, writer: Writer) => string = (code) => code): {
    code: string;
    locals: Record<string, unknown>;
  } {
    const writer = new Writer();
    const code = statement(this.write(writer), writer);
    return { code, locals: writer.locals };
  }
}

/** The expression of a proxy; undefined for any other value. */
export function expressionOf(value: unknown): Expression | undefined {
  if (typeof value !== "function") return undefined;
  return (value as unknown as Record<symbol, Expression | undefined>)[EXPRESSION];
}

/** Arguments by keyword, made by {@linkcode kw}. */
export class Keywords {
  /** The arguments by name. */
  readonly values: Readonly<Record<string, unknown>>;

  /** See {@linkcode kw}. */
  constructor(values: Readonly<Record<string, unknown>>) {
    this.values = values;
  }
}

/**
 * Marks the last argument of a call through a proxy as Python's keyword arguments.
 *
 * ```ts ignore
 * await np.linalg.norm(matrix, kw({ axis: 0 }));
 * ```
 */
export function kw(values: Readonly<Record<string, unknown>>): Keywords {
  return new Keywords(values);
}

/** A Python `slice`, made by {@linkcode slice}. */
export class PythonSlice {
  /** Start, stop and step; null where Python's has `None`. */
  readonly bounds: readonly [start: unknown, stop: unknown, step: unknown];

  /** See {@linkcode slice}. */
  constructor(bounds: readonly [start: unknown, stop: unknown, step: unknown]) {
    this.bounds = bounds;
  }
}

/** Python's `start:stop:step`, as a key for `item` and as an argument of calls through a proxy; null leaves a bound out. */
export function slice(
  start: number | bigint | null = null,
  stop: number | bigint | null = null,
  step: number | bigint | null = null,
): PythonSlice {
  return new PythonSlice([start, stop, step]);
}

/** Python's `...`, as a key for `item` and as an argument of calls through a proxy. */
export const ellipsis: unique symbol = Symbol("python.Ellipsis");

/** The arguments of one call. */
export interface Arguments {
  /** By position. */
  readonly positional: readonly unknown[];
  /** By keyword. */
  readonly keywords: Readonly<Record<string, unknown>> | undefined;
}

/** Takes the keywords off the end of what a function was called with. */
export function splitArguments(given: readonly unknown[]): Arguments {
  const last = given.at(-1);
  const positional = last instanceof Keywords ? given.slice(0, -1) : given;
  const misplaced = positional.findIndex((argument) => argument instanceof Keywords);
  if (misplaced !== -1) {
    throw new PythonHostError(
      "argument",
      `Cannot call with kw() as argument ${misplaced + 1} of ${given.length}: it must be the last`,
    );
  }
  return { positional, keywords: last instanceof Keywords ? last.values : undefined };
}

/** Whether all arguments are values: none is an expression to be written into the code. */
export function areValues({ positional, keywords }: Arguments): boolean {
  return !positional.some(isCode) && (keywords === undefined || !Object.values(keywords).some(isCode));
}

function isCode(value: unknown): boolean {
  return value instanceof PythonSlice || value === ellipsis || (expressionOf(value)?.steps ?? 0) > 0;
}

/** Collects the locals while code is written. */
export class Writer {
  /** The values by the names under which the code knows them. */
  readonly locals: Record<string, unknown> = {};
  #count = 0;

  /** A name for a value. */
  local(value: unknown): string {
    const name = `_${this.#count++}`;
    this.locals[name] = value;
    return name;
  }

  /** The code of a value: an expression is written out, so that it runs in the same call. */
  value(value: unknown): string {
    if (value === ellipsis) return "...";
    if (value instanceof PythonSlice) {
      return `${BUILTINS}.slice(${value.bounds.map((bound) => this.value(bound)).join(",")})`;
    }
    const expression = expressionOf(value);
    return expression === undefined ? this.local(value) : expression.write(this);
  }

  /** The code between the brackets: `1:2`, `0,1:2`. A tuple of keys is spelled out, so that it may hold slices. */
  keys(keys: readonly unknown[]): string {
    const only = keys.length === 1 ? keys[0] : undefined;
    if (only instanceof PythonTuple) {
      return only.length === 1 ? `${this.#key(only[0])},` : this.keys([...only]);
    }
    return keys.length === 0 ? "()" : keys.map((key) => this.#key(key)).join(",");
  }

  #key(key: unknown): string {
    if (!(key instanceof PythonSlice)) return this.value(key);
    const [start, stop, step] = key.bounds.map((bound) => bound === null ? "" : this.value(bound));
    return step === "" ? `${start}:${stop}` : `${start}:${stop}:${step}`;
  }

  /** The code of arguments, without the parentheses. */
  arguments({ positional, keywords }: Arguments): string {
    const pieces = positional.length > MAX_SPELLED_ARGUMENTS && !positional.some(isCode)
      ? [`*${this.local(positional)}`]
      : positional.map((value) => this.value(value));
    if (keywords !== undefined) pieces.push(...this.#keywords(keywords));
    return pieces.join(",");
  }

  #keywords(keywords: Readonly<Record<string, unknown>>): string[] {
    const values: Record<string, unknown> = {};
    const pieces: string[] = [];
    for (const [name, value] of Object.entries(keywords)) {
      // A name goes into the code only where it must: beside an expression, and when it is a name indeed.
      if (!isCode(value)) values[name] = value;
      else if (isPythonName(name)) pieces.push(`${name}=${this.value(value)}`);
      else pieces.push(`**{${this.local(name)}:${this.value(value)}}`);
    }
    if (Object.keys(values).length > 0) pieces.push(`**${this.local(values)}`);
    return pieces;
  }
}

const PYTHON_KEYWORDS: ReadonlySet<string> = new Set(
  ("False None True and as assert async await break class continue def del elif else except finally for from global " +
    "if import in is lambda nonlocal not or pass raise return try while with yield __debug__").split(" "),
);

/**
 * Whether a name may stand in code. Names beyond ASCII may not: the compiler normalizes them, and an attribute of that
 * very spelling would not be found.
 */
export function isPythonName(name: string): boolean {
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(name) && !PYTHON_KEYWORDS.has(name);
}
