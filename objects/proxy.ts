/**
 * Proxies: Python objects whose members are written as JavaScript members.
 *
 * ```text
 * proxy(handle)         a root: stands for the object; never thenable
 *   .linalg.norm(x)     a path: does nothing until it is awaited, then one call
 * ```
 *
 * What a proxy offers beyond Python's own names it offers by symbols and by functions that take it, so that no attribute
 * of a Python object is out of reach.
 *
 * @module
 */

import type { CallOptions, PythonHostBackend } from "../core/backend.ts";
import { PythonHostError } from "../core/errors.ts";
import { PythonObjectHandle } from "../core/handles.ts";
import { pythonValue } from "../core/values.ts";
import { EXPRESSION, Expression, expressionOf } from "./expression.ts";
import { iterateExpression } from "./iteration.ts";
import type { Described, PythonPath, PythonProxy } from "./proxy_types.ts";

/** Options of {@linkcode proxy}: those of every call that is made through it, and where they are made. */
export interface ProxyOptions extends CallOptions {
  /** The backend that makes the calls, such as a scope. @default {the handle's own} */
  backend?: PythonHostBackend | undefined;
}

/**
 * A proxy of a Python object.
 *
 * ```ts ignore
 * const np = proxy<Numpy>(await backend.importModule("numpy"));
 * await np.arange(6).reshape(2, 3).sum(); // 15, in one call
 * ```
 *
 * @typeParam T An interface that says what the object has; see {@linkcode PythonObject}. Without one, anything goes.
 */
export function proxy<T = unknown>(
  handle: PythonObjectHandle | PythonProxy<T>,
  options: ProxyOptions = {},
): PythonProxy<T> {
  const { backend = undefined, ...callOptions } = options;
  const known = expressionOf(handle);
  const object = known === undefined ? handle as PythonObjectHandle : known.handle;
  if (!(object instanceof PythonObjectHandle)) {
    throw new PythonHostError("argument", "Cannot make a proxy: the value is not a handle", {
      hint: known === undefined
        ? 'Values have no members in Python; evaluate with result: "handle".'
        : HOLD_HINT,
    });
  }
  const inherited = known?.root.options;
  return proxyOf(Expression.of({
    backend: backend ?? known?.root.backend ?? object.backend,
    handle: object,
    options: Object.keys(callOptions).length === 0 ? inherited : { ...inherited, ...callOptions },
  }));
}

const HOLD_HINT = "It is a path that was not run yet: await it, or keep its result in Python by hold().";

/** The handle of a proxy, to be given to a backend or disposed. Throws for a path, which stands for no object yet. */
export function handleOf(proxied: PythonProxy): PythonObjectHandle {
  const expression = expressionOf(proxied);
  if (expression?.handle !== undefined) return expression.handle;
  if (expression === undefined && proxied instanceof PythonObjectHandle) return proxied;
  throw new PythonHostError("argument", "Cannot give handle: the value is not the proxy of an object", {
    ...(expression === undefined ? {} : { hint: HOLD_HINT }),
  });
}

/** Whether a value is a proxy or a path. */
export function isProxy(value: unknown): value is PythonProxy | PythonPath {
  return expressionOf(value) !== undefined;
}

/** Goes a path with options of its own: `run(model.fit(data), { signal })`. */
export async function run<P>(path: P, options?: CallOptions): Promise<Awaited<P>> {
  return await runExpression(toExpression(path, "run"), options) as Awaited<P>;
}

/** Goes a path, keeps the result in Python whatever it is, and gives a proxy of it. Dispose it, or use a scope. */
export async function hold<P>(path: P, options: CallOptions = {}): Promise<PythonProxy<Described<P>>> {
  const expression = toExpression(path, "hold");
  const result = await runExpression(expression, { ...options, result: "handle" });
  return result as PythonProxy<Described<P>>;
}

/** The expression of a proxy or path; throws for any other value. */
export function toExpression(value: unknown, action: string): Expression {
  if (value instanceof PythonObjectHandle) {
    return Expression.of({ backend: value.backend, handle: value, options: undefined });
  }
  const expression = expressionOf(value);
  if (expression !== undefined) return expression;
  throw new PythonHostError("argument", `Cannot ${action}: the value is neither a proxy nor a path`);
}

/** A proxy or path of an expression. */
export function proxyOf<T>(expression: Expression): T {
  return new Proxy(
    expression.handle === undefined ? PATH : targetOf(expression),
    new Handler(expression),
  ) as T;
}

/** Runs an expression; a result that is a handle is given as a proxy. */
export async function runExpression(expression: Expression, options?: CallOptions): Promise<unknown> {
  return wrapResult(expression, await expression.run(options));
}

/** A handle as a proxy that is used as the expression is, any other result as it is. */
export function wrapResult({ root: { backend, options } }: Expression, result: unknown): unknown {
  if (!(result instanceof PythonObjectHandle)) return result;
  return proxyOf(Expression.of({ backend, handle: result, options }));
}

const CUSTOM_INSPECT: unique symbol = Symbol.for("Deno.customInspect") as never;

// What stands behind a proxy is a function, so that it can be called. A console looks at it, past the handler.
interface Target {
  (): void;
  [CUSTOM_INSPECT]: () => string;
}

// All paths share one: they are many and short-lived, and one that reaches a console was not awaited.
const PATH: Target = makeTarget(() => "[PythonPath, not awaited]");

function targetOf(expression: Expression): Target {
  return makeTarget(() => describe(expression));
}

function makeTarget(inspect: () => string): Target {
  return Object.assign(() => {}, { [CUSTOM_INSPECT]: inspect });
}

function describe({ handle, label }: Expression): string {
  return handle === undefined ? `[PythonPath ${label}]` : `[PythonProxy ${handle.id}: ${label}]`;
}

class Handler implements ProxyHandler<Target> {
  readonly #expression: Expression;

  constructor(expression: Expression) {
    this.#expression = expression;
  }

  get(_target: Target, key: string | symbol): unknown {
    const expression = this.#expression;
    if (typeof key === "symbol") return this.#symbol(key);
    if (key !== "then") return proxyOf(expression.attribute(key));
    if (expression.handle !== undefined) return undefined;
    // Handed on as they are: by the engine's own functions an error's stack finds who awaits the path.
    return (resolve?: (value: unknown) => unknown, reject?: (reason: unknown) => unknown) =>
      runExpression(expression).then(resolve, reject);
  }

  apply(_target: Target, _self: unknown, given: unknown[]): unknown {
    return proxyOf(this.#expression.call(given));
  }

  has(target: Target, key: string | symbol): boolean {
    return typeof key === "symbol" ? this.#symbol(key) !== undefined : key in target;
  }

  set(_target: Target, key: string | symbol): boolean {
    throw new PythonHostError(
      "argument",
      `Cannot assign to ${this.#expression.label}.${String(key)} in JavaScript`,
      {
        hint:
          "An assignment cannot be awaited. Call setAttribute(object, name, value) or setItem(object, key, value).",
      },
    );
  }

  deleteProperty(_target: Target, key: string | symbol): boolean {
    throw new PythonHostError(
      "argument",
      `Cannot delete ${this.#expression.label}.${String(key)} in JavaScript`,
      {
        hint: "Call deleteAttribute(object, name) or deleteItem(object, key).",
      },
    );
  }

  // All paths share one target: what were done to it would be done to all, and a frozen one has to tell the truth.
  defineProperty(target: Target, key: string | symbol): boolean {
    return this.set(target, key);
  }

  preventExtensions(): boolean {
    return false;
  }

  setPrototypeOf(): boolean {
    return false;
  }

  #symbol(key: symbol): unknown {
    const expression = this.#expression;
    switch (key) {
      case EXPRESSION:
        return expression;
      case pythonValue:
        return this.#value();
      case Symbol.asyncIterator:
        return () => iterateExpression(expression, {}, (item) => wrapResult(expression, item));
      case Symbol.dispose:
        return expression.handle === undefined ? undefined : () => expression.handle![Symbol.dispose]();
      case Symbol.asyncDispose:
        return expression.handle === undefined ? undefined : () => expression.handle!.dispose();
      case Symbol.toPrimitive:
        return (hint: string) => this.#primitive(hint);
      default:
        return undefined;
    }
  }

  /** What a proxy is sent as, where it is an argument or inside of one. */
  #value(): PythonObjectHandle {
    const { handle, label } = this.#expression;
    if (handle !== undefined) return handle;
    throw new PythonHostError("conversion", `Cannot send path ${label} to Python inside another value`, {
      hint: HOLD_HINT,
    });
  }

  #primitive(hint: string): string {
    const text = describe(this.#expression);
    if (hint === "string") return text;
    throw new TypeError(`Cannot compute with ${text} in JavaScript: await it, or use op.add() and its like`);
  }
}
