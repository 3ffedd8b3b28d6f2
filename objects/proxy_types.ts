/**
 * How proxies are typed: from an interface that says what a Python object has.
 *
 * @module
 */

import type { Keywords } from "./expression.ts";

/** Exists for the compiler alone: what awaiting a path to an object gives. */
export const awaitedType: unique symbol = Symbol("awaited type");
/** Exists for the compiler alone: what a proxy or path is one of. */
export const describedType: unique symbol = Symbol("described type");

/** What is known at compile time of the object behind a proxy, path or handle. */
export type Described<P> = P extends { readonly [describedType]?: infer T } ? T : unknown;

/**
 * Extended by an interface that describes a Python object, to say what awaiting a path to such an object gives: a proxy
 * of it, or `Value` where the object has an image in JavaScript.
 *
 * ```ts
 * import type { PythonArray, PythonObject } from "@beep/python-host";
 *
 * interface Connection extends PythonObject {
 *   execute(sql: string): Cursor;
 * }
 * interface Cursor extends PythonObject {
 *   fetchall(): unknown[][];
 * }
 * interface NdArray extends PythonObject<PythonArray> {
 *   reshape(...shape: number[]): NdArray;
 *   sum(): number;
 * }
 * ```
 */
export interface PythonObject<Value = unknown> {
  /** Exists for the compiler alone. */
  readonly [awaitedType]?: Value;
}

/** What awaiting a path to a `T` gives. */
export type PythonResult<T> = T extends PythonObject<infer Value>
  ? typeof awaitedType extends keyof T ? unknown extends Value ? PythonProxy<T> : Value : Awaited<T>
  : Awaited<T>;

/**
 * A Python object, seen from JavaScript: its members are paths, which do nothing until they are awaited.
 *
 * It is not thenable itself, so an async function can return it. `using` and `await using` release the object.
 */
export type PythonProxy<T = unknown> = unknown extends T ? Untyped
  :
    & { readonly [describedType]?: T }
    & PythonMembers<T>
    & PythonCallable<T>
    & Disposable
    & AsyncDisposable
    & AsyncIterable<PythonItem<T>>;

/**
 * The way to something in a Python object, not yet gone: an attribute, a call, an item, any row of them. Awaiting it goes
 * there in one call and gives the result; awaiting it again does it again.
 */
export type PythonPath<T = unknown> = unknown extends T ? Untyped
  :
    & { readonly [describedType]?: T }
    & PythonMembers<T>
    & PythonCallable<T>
    & PromiseLike<PythonResult<T>>
    & AsyncIterable<PythonItem<T>>;

/**
 * Of an object without an interface nothing is known. An index signature would say so too, but under
 * `noUncheckedIndexedAccess` every step of a path would then be possibly undefined.
 */
// deno-lint-ignore no-explicit-any -- see above
export type Untyped = any;

/** What has an image in JavaScript, whose JavaScript members are not those of the Python object. */
export type Image =
  | null
  | undefined
  | boolean
  | number
  | bigint
  | string
  | readonly unknown[]
  | ArrayBufferView
  | ReadonlyMap<unknown, unknown>
  | ReadonlySet<unknown>
  | Promise<unknown>;

/** The members of a `T`, each a path. */
export type PythonMembers<T> = T extends Image ? unknown : {
  readonly [K in Exclude<keyof T, symbol | "then">]: PythonPath<T[K]>;
};

/** A `T` that is a function, called with values, paths and, as the last argument, `kw()`. */
export type PythonCallable<T> = T extends (...args: infer A) => infer R ? {
    (...args: PythonArguments<A>): PythonPath<R>;
    (...args: [...PythonArguments<A>, Keywords]): PythonPath<R>;
  }
  : unknown;

/** Arguments, each of which may also be a proxy or path to such a value; `kw()` takes the place of what it names. */
export type PythonArguments<A extends readonly unknown[]> = {
  [I in keyof A]: A[I] | PythonPath<A[I]> | PythonProxy<A[I]> | Keywords;
};

/** What iterating over a `T` gives. */
export type PythonItem<T> = T extends Iterable<infer Item> ? Item
  : T extends AsyncIterable<infer Item> ? Item
  : unknown;
