/**
 * What Python's syntax and built-in functions do, for proxies and paths.
 *
 * Those that give a path can be gone on from, and run together with the rest in one call; those that give a promise run
 * at once.
 *
 * @module
 */

import type { PythonObjectHandle } from "../core/handles.ts";
import { BUILTINS, isPythonName, type WriteCode } from "./expression.ts";
import { proxyOf, toExpression } from "./proxy.ts";
import type { Described, PythonPath, PythonProxy } from "./proxy_types.ts";

/** Anything that stands for a Python object, or leads to one. */
export type PythonOperand<T = unknown> = PythonProxy<T> | PythonPath<T> | PythonObjectHandle;

/** `object[key]`; several keys are one tuple, as in `object[1:3, 0]`. */
export function item<T = unknown>(object: PythonOperand, ...keys: readonly unknown[]): PythonPath<T> {
  return proxyOf(
    toExpression(object, "take item").applied("[…]", (code, writer) => `${code}[${writer.keys(keys)}]`),
  );
}

/** `object[key] = value`; several keys are given as a `PythonTuple`. */
export async function setItem(object: PythonOperand, key: unknown, value: unknown): Promise<void> {
  await toExpression(object, "set item").runIn((code, writer) =>
    `${code}[${writer.keys([key])}] = ${writer.value(value)}`
  );
}

/** `del object[key]`; several keys are given as a `PythonTuple`. */
export async function deleteItem(object: PythonOperand, key: unknown): Promise<void> {
  await toExpression(object, "delete item").runIn((code, writer) => `del ${code}[${writer.keys([key])}]`);
}

/** `object.name`, for the one name that a path cannot have as a member of its own, `then`, and for computed names. */
export function attribute<T = unknown>(object: PythonOperand, name: string): PythonPath<T> {
  return proxyOf(toExpression(object, `get attribute "${name}"`).attribute(name));
}

/** `object.name = value`. */
export async function setAttribute(object: PythonOperand, name: string, value: unknown): Promise<void> {
  await toExpression(object, `set attribute "${name}"`).runIn((code, writer) =>
    isPythonName(name)
      ? `${code}.${name} = ${writer.value(value)}`
      : `${BUILTINS}.setattr(${code},${writer.local(name)},${writer.value(value)})`
  );
}

/** `del object.name`. */
export async function deleteAttribute(object: PythonOperand, name: string): Promise<void> {
  await toExpression(object, `delete attribute "${name}"`).runIn((code, writer) =>
    isPythonName(name) ? `del ${code}.${name}` : `${BUILTINS}.delattr(${code},${writer.local(name)})`
  );
}

/** `await object`, in the middle of a path: `awaited(client.get(url)).status`. */
export function awaited<P>(object: P): PythonPath<Awaited<Described<P>>> {
  return suffix(object, "await", (code) => `(await ${code})`);
}

/** `len(object)`. */
export async function len(object: PythonOperand): Promise<number> {
  return await evaluated(object, "len", (code) => `${BUILTINS}.len(${code})`) as number;
}

/** `value in object`. */
export async function contains(object: PythonOperand, value: unknown): Promise<boolean> {
  return await evaluated(object, "in", (code, writer) => `(${writer.value(value)} in ${code})`) as boolean;
}

/** `bool(object)`. */
export async function truth(object: PythonOperand): Promise<boolean> {
  return await evaluated(object, "bool", (code) => `(not not ${code})`) as boolean;
}

/** `repr(object)`. */
export async function repr(object: PythonOperand): Promise<string> {
  return await evaluated(object, "repr", (code) => `("%r" % (${code},))`) as string;
}

/** `str(object)`. */
export async function str(object: PythonOperand): Promise<string> {
  return await evaluated(object, "str", (code) => `("%s" % (${code},))`) as string;
}

/** `dir(object)`: the names of its attributes. */
export async function dir(object: PythonOperand): Promise<string[]> {
  return await evaluated(object, "dir", (code) => `${BUILTINS}.dir(${code})`) as string[];
}

/** Python's operators. Each gives a path: `op.add(op.mul(a, 2), b)` is one call. */
export interface PythonOperators {
  /** `a + b` */
  add<T = unknown>(a: PythonOperand<T>, b: unknown): PythonPath<T>;
  /** `a - b` */
  sub<T = unknown>(a: PythonOperand<T>, b: unknown): PythonPath<T>;
  /** `a * b` */
  mul<T = unknown>(a: PythonOperand<T>, b: unknown): PythonPath<T>;
  /** `a / b` */
  truediv<T = unknown>(a: PythonOperand<T>, b: unknown): PythonPath<T>;
  /** `a // b` */
  floordiv<T = unknown>(a: PythonOperand<T>, b: unknown): PythonPath<T>;
  /** `a % b` */
  mod<T = unknown>(a: PythonOperand<T>, b: unknown): PythonPath<T>;
  /** `a ** b` */
  pow<T = unknown>(a: PythonOperand<T>, b: unknown): PythonPath<T>;
  /** `a @ b` */
  matmul<T = unknown>(a: PythonOperand<T>, b: unknown): PythonPath<T>;
  /** `a & b` */
  and<T = unknown>(a: PythonOperand<T>, b: unknown): PythonPath<T>;
  /** `a | b` */
  or<T = unknown>(a: PythonOperand<T>, b: unknown): PythonPath<T>;
  /** `a ^ b` */
  xor<T = unknown>(a: PythonOperand<T>, b: unknown): PythonPath<T>;
  /** `a << b` */
  lshift<T = unknown>(a: PythonOperand<T>, b: unknown): PythonPath<T>;
  /** `a >> b` */
  rshift<T = unknown>(a: PythonOperand<T>, b: unknown): PythonPath<T>;
  /** `a == b` */
  eq(a: PythonOperand, b: unknown): PythonPath;
  /** `a != b` */
  ne(a: PythonOperand, b: unknown): PythonPath;
  /** `a < b` */
  lt(a: PythonOperand, b: unknown): PythonPath;
  /** `a <= b` */
  le(a: PythonOperand, b: unknown): PythonPath;
  /** `a > b` */
  gt(a: PythonOperand, b: unknown): PythonPath;
  /** `a >= b` */
  ge(a: PythonOperand, b: unknown): PythonPath;
  /** `a is b` */
  is(a: PythonOperand, b: unknown): PythonPath<boolean>;
  /** `not a` */
  not(a: PythonOperand): PythonPath<boolean>;
  /** `-a` */
  neg<T = unknown>(a: PythonOperand<T>): PythonPath<T>;
  /** `+a` */
  pos<T = unknown>(a: PythonOperand<T>): PythonPath<T>;
  /** `~a` */
  invert<T = unknown>(a: PythonOperand<T>): PythonPath<T>;
}

/** Python's operators, by the names of its module `operator`. */
export const op: PythonOperators = {
  add: (a, b) => binary(a, "+", b),
  sub: (a, b) => binary(a, "-", b),
  mul: (a, b) => binary(a, "*", b),
  truediv: (a, b) => binary(a, "/", b),
  floordiv: (a, b) => binary(a, "//", b),
  mod: (a, b) => binary(a, "%", b),
  pow: (a, b) => binary(a, "**", b),
  matmul: (a, b) => binary(a, "@", b),
  and: (a, b) => binary(a, "&", b),
  or: (a, b) => binary(a, "|", b),
  xor: (a, b) => binary(a, "^", b),
  lshift: (a, b) => binary(a, "<<", b),
  rshift: (a, b) => binary(a, ">>", b),
  eq: (a, b) => binary(a, "==", b),
  ne: (a, b) => binary(a, "!=", b),
  lt: (a, b) => binary(a, "<", b),
  le: (a, b) => binary(a, "<=", b),
  gt: (a, b) => binary(a, ">", b),
  ge: (a, b) => binary(a, ">=", b),
  is: (a, b) => binary(a, "is", b),
  not: (a) => suffix(a, "not", (code) => `(not ${code})`),
  neg: (a) => suffix(a, "-", (code) => `(-${code})`),
  pos: (a) => suffix(a, "+", (code) => `(+${code})`),
  invert: (a) => suffix(a, "~", (code) => `(~${code})`),
};

function binary<T>(a: PythonOperand, operator: string, b: unknown): PythonPath<T> {
  return suffix(a, operator, (code, writer) => `(${code} ${operator} ${writer.value(b)})`);
}

function suffix<T>(object: unknown, name: string, around: WriteCode): PythonPath<T> {
  return proxyOf(toExpression(object, `use "${name}"`).applied(name, around));
}

async function evaluated(object: PythonOperand, name: string, around: WriteCode): Promise<unknown> {
  return await toExpression(object, `use "${name}"`).runIn(around);
}
