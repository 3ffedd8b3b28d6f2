/**
 * Stand-in for `@std/assert`: its real sources from npm, with the documented types.
 *
 * @module
 */

// The npm package is JavaScript without types: everything that comes from it is `any`.
import * as std from "npm:deno-std@^1.4.0/assert/mod.js";

// The types below name any constructor, as the real package's do.
// deno-lint-ignore no-explicit-any
type AnyConstructor = abstract new (...args: any[]) => any;

/** The values that count as false. */
export type Falsy = false | 0 | 0n | "" | null | undefined;

/** What a failed assertion throws. */
export interface AssertionError extends Error {}

/** What a failed assertion throws. */
export const AssertionError: new (message: string, options?: ErrorOptions) => AssertionError =
  std.AssertionError;

/** Throws unless `expr` is truthy. */
export function assert(expr: unknown, msg?: string): asserts expr {
  std.assert(expr, msg);
}

/** Throws unless `expr` is falsy. */
export function assertFalse(expr: unknown, msg?: string): asserts expr is Falsy {
  std.assertFalse(expr, msg);
}

/** Throws unless the two are deeply equal. */
export function assertEquals<T>(actual: T, expected: T, msg?: string): void {
  std.assertEquals(actual, expected, msg);
}

/** Throws if the two are deeply equal. */
export function assertNotEquals<T>(actual: T, expected: T, msg?: string): void {
  std.assertNotEquals(actual, expected, msg);
}

/** Throws unless the two are the same by `Object.is`. */
export function assertStrictEquals<T>(actual: unknown, expected: T, msg?: string): asserts actual is T {
  std.assertStrictEquals(actual, expected, msg);
}

/** Throws if the two are the same by `Object.is`. */
export function assertNotStrictEquals<T>(actual: T, expected: T, msg?: string): void {
  std.assertNotStrictEquals(actual, expected, msg);
}

/** Throws unless the two numbers are within `tolerance` of each other. */
export function assertAlmostEquals(actual: number, expected: number, tolerance?: number, msg?: string): void {
  std.assertAlmostEquals(actual, expected, tolerance, msg);
}

/** Throws if `actual` is null or undefined. */
export function assertExists<T>(actual: T, msg?: string): asserts actual is NonNullable<T> {
  std.assertExists(actual, msg);
}

/** Throws unless `actual > expected`. */
export function assertGreater<T>(actual: T, expected: T, msg?: string): void {
  std.assertGreater(actual, expected, msg);
}

/** Throws unless `actual >= expected`. */
export function assertGreaterOrEqual<T>(actual: T, expected: T, msg?: string): void {
  std.assertGreaterOrEqual(actual, expected, msg);
}

/** Throws unless `actual < expected`. */
export function assertLess<T>(actual: T, expected: T, msg?: string): void {
  std.assertLess(actual, expected, msg);
}

/** Throws unless `actual <= expected`. */
export function assertLessOrEqual<T>(actual: T, expected: T, msg?: string): void {
  std.assertLessOrEqual(actual, expected, msg);
}

/** Throws unless `actual` is an instance of `expectedType`. */
export function assertInstanceOf<T extends AnyConstructor>(
  actual: unknown,
  expectedType: T,
  msg?: string,
): asserts actual is InstanceType<T> {
  std.assertInstanceOf(actual, expectedType, msg);
}

/** Throws unless `error` is an error, of the class and with the text that are given. */
export function assertIsError<E extends Error = Error>(
  error: unknown,
  // deno-lint-ignore no-explicit-any
  ErrorClass?: abstract new (...args: any[]) => E,
  msgMatches?: string | RegExp,
  msg?: string,
): asserts error is E {
  std.assertIsError(error, ErrorClass, msgMatches, msg);
}

/** Throws unless `actual` matches. */
export function assertMatch(actual: string, expected: RegExp, msg?: string): void {
  std.assertMatch(actual, expected, msg);
}

/** Throws if `actual` matches. */
export function assertNotMatch(actual: string, expected: RegExp, msg?: string): void {
  std.assertNotMatch(actual, expected, msg);
}

/** Throws unless `expected` is a part of `actual`. */
export function assertObjectMatch(
  // deno-lint-ignore no-explicit-any
  actual: Record<PropertyKey, any>,
  expected: Record<PropertyKey, unknown>,
  msg?: string,
): void {
  std.assertObjectMatch(actual, expected, msg);
}

/** Throws unless `actual` has all of `expected` in it. */
export function assertArrayIncludes<T>(actual: ArrayLike<T>, expected: ArrayLike<T>, msg?: string): void {
  std.assertArrayIncludes(actual, expected, msg);
}

/** Throws unless `actual` has `expected` in it. */
export function assertStringIncludes(actual: string, expected: string, msg?: string): void {
  std.assertStringIncludes(actual, expected, msg);
}

/** Throws unless `fn` throws; returns what it threw. */
export function assertThrows(fn: () => unknown, msg?: string): unknown;
/** Throws unless `fn` throws an error of the class, with the text; returns the error. */
export function assertThrows<E extends Error = Error>(
  fn: () => unknown,
  // deno-lint-ignore no-explicit-any
  ErrorClass: abstract new (...args: any[]) => E,
  msgIncludes?: string,
  msg?: string,
): E;
export function assertThrows(fn: () => unknown, ...rest: unknown[]): unknown {
  return std.assertThrows(fn, ...rest);
}

/** Rejects unless the promise of `fn` rejects; resolves to what it rejected with. */
export function assertRejects(fn: () => PromiseLike<unknown>, msg?: string): Promise<unknown>;
/** Rejects unless the promise of `fn` rejects with an error of the class, with the text; resolves to the error. */
export function assertRejects<E extends Error = Error>(
  fn: () => PromiseLike<unknown>,
  // deno-lint-ignore no-explicit-any
  ErrorClass: abstract new (...args: any[]) => E,
  msgIncludes?: string,
  msg?: string,
): Promise<E>;
export function assertRejects(fn: () => PromiseLike<unknown>, ...rest: unknown[]): Promise<unknown> {
  return std.assertRejects(fn, ...rest);
}

/** Whether the two are deeply equal. */
export function equal(a: unknown, b: unknown): boolean {
  return std.equal(a, b);
}

/** Throws always. */
export function fail(msg?: string): never {
  throw std.fail(msg);
}

/** Throws always: the place cannot be reached. */
export function unreachable(reason?: string): never {
  throw std.unreachable(reason);
}
