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
import { PythonModuleHandle, type PythonObjectHandle } from "../core/handles.ts";
import { PythonTuple } from "../core/values.ts";

/** The property by which a proxy gives its expression. */
export const EXPRESSION: unique symbol = Symbol("expression");
/** Python's own functions, reached so that a session which names something `len` or `getattr` cannot get in between. */
export const BUILTINS = '__import__("builtins")';

// Python's compiler is recursive: some thousand links would overflow its stack, and no reader follows a hundred.
const MAX_STEPS = 200;
// Beyond it arguments travel as one list, so that the number of different shapes stays small.
const MAX_SPELLED_ARGUMENTS = 8;

/** Writes the code of something, given the code of what it is done to. */
export type WriteCode = (code: string, writer: Writer) => string;

/** Where expressions begin: an object, and how calls on it are made. */
export interface Root {
  /** Where they are run. */
  readonly backend: PythonHostBackend;
  /** The object. */
  readonly handle: PythonObjectHandle;
  /** The options with which they are run; undefined when all have their usual values, as mostly. */
  readonly options: CallOptions | undefined;
}

/** The last step of an expression. A path is made anew for every use, so that a step is kept as small as it can be. */
type Step =
  | null
  | string // an attribute
  | readonly unknown[] // the arguments of a call
  | { readonly name: string; readonly write: WriteCode };

/** A Python expression that is not run yet. */
export class Expression {
  /** Where it begins. */
  readonly root: Root;
  readonly #before: Expression | null;
  readonly #step: Step;
  readonly #steps: number;

  private constructor(root: Root, before: Expression | null, step: Step, steps: number) {
    this.root = root;
    this.#before = before;
    this.#step = step;
    this.#steps = steps;
  }

  /** The expression that is an object. */
  static of(root: Root): Expression {
    return new Expression(root, null, null, 0);
  }

  /** The object that the expression is, when it is nothing but that. */
  get handle(): PythonObjectHandle | undefined {
    return this.#before === null ? this.root.handle : undefined;
  }

  /** For people: `numpy.arange(…).sum`. */
  get label(): string {
    if (this.#before === null) {
      const { handle } = this.root;
      return handle instanceof PythonModuleHandle ? handle.moduleName : handle.typeName;
    }
    const { label } = this.#before;
    if (typeof this.#step === "string") return `${label}.${this.#step}`;
    if (this.#step instanceof Array) return this.#step.length === 0 ? `${label}()` : `${label}(…)`;
    return `${label} ${this.#step!.name}`;
  }

  /** Its attribute of that name. */
  attribute(name: string): Expression {
    return this.#extend(name);
  }

  /** What calling it gives. */
  call(given: readonly unknown[]): Expression {
    return this.#extend(given);
  }

  /** What something done to it gives; `name` is for people. */
  applied(name: string, write: WriteCode): Expression {
    return this.#extend({ name, write });
  }

  #extend(step: Step): Expression {
    if (this.#steps >= MAX_STEPS) {
      throw new PythonHostError("limit", `Cannot add to a path of ${MAX_STEPS} steps`, {
        hint: "Take the object halfway by hold(), and go on from there.",
      });
    }
    return new Expression(this.root, this, step, this.#steps + 1);
  }

  /** Runs it, in one call. */
  run(given?: CallOptions): Promise<unknown> {
    const { backend, handle } = this.root;
    const options = given === undefined ? this.root.options : { ...this.root.options, ...given };
    const step = this.#step;
    // One attribute, or one call of one, is an operation of its own, which needs no code.
    if (this.#steps === 1 && typeof step === "string") return backend.getAttribute(handle, step, options);
    if (this.#steps === 2 && step instanceof Array && typeof this.#before!.#step === "string") {
      const { positional, keywords, hasCode } = splitArguments(step);
      if (!hasCode) return backend.callMethod(handle, this.#before!.#step, positional, keywords, options);
    }
    const writer = new Writer();
    return backend.evaluate(this.write(writer), writer.locals, options);
  }

  /** Runs code that is put around it. The result travels by value if it can. */
  async runIn(around: WriteCode): Promise<unknown> {
    const writer = new Writer();
    const code = around(this.write(writer), writer);
    return await this.root.backend.evaluate(code, writer.locals, { ...this.root.options, result: "auto" });
  }

  /** Its code. */
  write(writer: Writer): string {
    if (this.#before === null) return writer.local(this.root.handle);
    const code = this.#before.write(writer);
    const step = this.#step;
    if (typeof step === "string") {
      return isPythonName(step) ? code + "." + step : `${BUILTINS}.getattr(${code},${writer.local(step)})`;
    }
    return step instanceof Array
      ? `${code}(${writer.arguments(splitArguments(step))})`
      : step!.write(code, writer);
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
  /** Whether one of them is written as code: a path, a slice, an ellipsis. */
  readonly hasCode: boolean;
}

/** Tells the kinds of what a function was called with apart. */
export function splitArguments(given: readonly unknown[]): Arguments {
  let keywords: Readonly<Record<string, unknown>> | undefined;
  let hasCode = false;
  const last = given.length - 1;
  for (let i = 0; i <= last; i++) {
    const argument = given[i];
    if (argument instanceof Keywords) {
      if (i < last) {
        throw new PythonHostError(
          "argument",
          `Cannot call with kw() as argument ${i + 1} of ${given.length}: it must be the last`,
        );
      }
      keywords = argument.values;
      for (const name in keywords) hasCode ||= isCode(keywords[name]);
    } else {
      hasCode ||= isCode(argument);
    }
  }
  return { positional: keywords === undefined ? given : given.slice(0, last), keywords, hasCode };
}

function isCode(value: unknown): boolean {
  switch (typeof value) {
    case "function": {
      const expression = expressionOf(value);
      return expression !== undefined && expression.handle === undefined;
    }
    case "symbol":
      return value === ellipsis;
    case "object":
      return value instanceof PythonSlice;
    default:
      return false;
  }
}

const LOCAL_NAMES: readonly string[] = Array.from({ length: 32 }, (_, i) => `_${i}`);

/** Collects the locals while code is written. */
export class Writer {
  /** The values by the names under which the code knows them. */
  readonly locals: Record<string, unknown> = {};
  #count = 0;

  /** A name for a value. */
  local(value: unknown): string {
    const count = this.#count++;
    const name = LOCAL_NAMES[count] ?? `_${count}`;
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
  arguments({ positional, keywords, hasCode }: Arguments): string {
    let code = "";
    if (positional.length > MAX_SPELLED_ARGUMENTS && !hasCode) {
      code = `*${this.local(positional)}`;
    } else {
      for (const value of positional) code += code === "" ? this.value(value) : `,${this.value(value)}`;
    }
    if (keywords === undefined) return code;
    return [...(code === "" ? [] : [code]), ...this.#keywords(keywords)].join(",");
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
  let known = knownNames.get(name);
  if (known === undefined) {
    known = /^[A-Za-z_][A-Za-z0-9_]*$/.test(name) && !PYTHON_KEYWORDS.has(name);
    if (knownNames.size < MAX_KNOWN_NAMES) knownNames.set(name, known);
  }
  return known;
}

// A program uses few names, and each many times.
const MAX_KNOWN_NAMES = 4096;
const knownNames = new Map<string, boolean>();
