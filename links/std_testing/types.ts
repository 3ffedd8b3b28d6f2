/**
 * Stand-in for `@std/testing/types`: assertions that the type checker makes.
 *
 * @module
 */

/** Does nothing when run; the call compiles only when the type argument has the value given. */
export function assertType<T extends boolean>(_expectTrue: T): void {}

/** Whether two types are exactly the same. */
export type IsExact<T, U> = (<V>() => V extends T ? 1 : 2) extends (<V>() => V extends U ? 1 : 2) ? true
  : false;

/** Whether `T` extends `U`. */
export type Has<T, U> = IsAny<T> extends true ? true
  : IsAny<U> extends true ? false
  : Extract<T, U> extends never ? false
  : true;

/** Whether a type is `any`. */
export type IsAny<T> = 0 extends (1 & T) ? true : false;

/** Whether a type is `never`. */
export type IsNever<T> = [T] extends [never] ? true : false;
