/**
 * Stand-in for `@std/testing/mock`: functions that remember how they were called.
 *
 * @module
 */

import { AssertionError } from "@std/assert";

/** What is known of one call. */
// The defaults are those of the real package.
// deno-lint-ignore no-explicit-any
export interface SpyCall<Self = any, Args extends unknown[] = any[], Return = any> {
  /** The arguments. */
  args: Args;
  /** What was returned. */
  returned?: Return;
  /** What was thrown. */
  error?: Error;
  /** The `this` of the call. */
  self?: Self;
}

/** A function that remembers its calls. */
// deno-lint-ignore no-explicit-any
export interface Spy<Self = any, Args extends unknown[] = any[], Return = any> {
  (this: Self, ...args: Args): Return;
  /** The function that is called. */
  original: (this: Self, ...args: Args) => Return;
  /** The calls so far. */
  calls: SpyCall<Self, Args, Return>[];
  /** Whether the original is back in its place. */
  restored: boolean;
  /** Puts the original back. */
  restore(): void;
}

/** A spy in the place of an object's method. */
// deno-lint-ignore no-explicit-any
export interface MethodSpy<Self = any, Args extends unknown[] = any[], Return = any>
  extends Spy<Self, Args, Return>, Disposable {}

/** A replacement in the place of an object's method. */
// deno-lint-ignore no-explicit-any
export interface Stub<Self = any, Args extends unknown[] = any[], Return = any>
  extends MethodSpy<Self, Args, Return> {
  /** The replacement. */
  fake: (this: Self, ...args: Args) => Return;
}

type MethodArgs<Self, Name extends keyof Self> = Self[Name] extends (...args: infer Args) => unknown ? Args
  : never;
type MethodReturn<Self, Name extends keyof Self> = Self[Name] extends // deno-lint-ignore no-explicit-any
(...args: any[]) => infer Return ? Return
  : never;

/** Makes a function that does nothing but remember its calls. */
// deno-lint-ignore no-explicit-any
export function spy<Self = any, Args extends unknown[] = any[], Return = undefined>(): Spy<
  Self,
  Args,
  Return
>;
/** Makes a function that calls `func` and remembers its calls. */
export function spy<Self, Args extends unknown[], Return>(
  func: (this: Self, ...args: Args) => Return,
): Spy<Self, Args, Return>;
/** Puts a spy in the place of a method, which it calls. */
export function spy<Self, Name extends keyof Self>(
  self: Self,
  property: Name,
): MethodSpy<Self, MethodArgs<Self, Name>, MethodReturn<Self, Name>>;
export function spy(selfOrFunc?: unknown, property?: PropertyKey): unknown {
  if (property !== undefined) return replaceMethod(selfOrFunc as object, property, undefined);
  const original = (selfOrFunc ?? (() => undefined)) as Spy["original"];
  return remember(original, original, () => {
    throw new Error("Cannot restore: function is not a method");
  });
}

/** Puts a function in the place of a method: `func`, or one that does nothing. */
export function stub<Self, Name extends keyof Self>(
  self: Self,
  property: Name,
  func?: (this: Self, ...args: MethodArgs<Self, Name>) => MethodReturn<Self, Name>,
): Stub<Self, MethodArgs<Self, Name>, MethodReturn<Self, Name>> {
  const fake = func ?? (() => undefined);
  return replaceMethod(self as object, property, fake as Stub["fake"]) as Stub<
    Self,
    MethodArgs<Self, Name>,
    MethodReturn<Self, Name>
  >;
}

/** Throws unless the spy was called this many times. */
export function assertSpyCalls(spy: Spy, expectedCalls: number): void {
  if (spy.calls.length === expectedCalls) return;
  throw new AssertionError(
    `Expected ${expectedCalls} calls of the spy, got ${spy.calls.length}`,
    spy.calls.at(-1)?.error === undefined ? undefined : { cause: spy.calls.at(-1)?.error },
  );
}

function replaceMethod(self: object, property: PropertyKey, fake: Stub["fake"] | undefined): Stub {
  const own = Object.getOwnPropertyDescriptor(self, property);
  const original = Reflect.get(self, property);
  if (typeof original !== "function") throw new Error("Cannot spy: property is not an instance method");
  const made = remember(original, fake ?? original, () => {
    if (own === undefined) Reflect.deleteProperty(self, property);
    else Object.defineProperty(self, property, own);
  });
  Object.defineProperty(self, property, {
    configurable: true,
    enumerable: own?.enumerable ?? false,
    writable: true,
    value: made,
  });
  return made;
}

function remember(original: Spy["original"], fake: Stub["fake"], restore: () => void): Stub {
  const calls: SpyCall[] = [];
  const made = function (this: unknown, ...args: unknown[]): unknown {
    const call: SpyCall = { args, self: this };
    calls.push(call);
    try {
      call.returned = fake.apply(this, args);
      return call.returned;
    } catch (error) {
      call.error = error as Error;
      throw error;
    }
  };
  const restoreOnce = () => {
    if (result.restored) throw new Error("Cannot restore: instance method already restored");
    restore();
    result.restored = true;
  };
  const result: Stub = Object.assign(made, {
    original,
    fake,
    calls,
    restored: false,
    restore: restoreOnce,
    [Symbol.dispose]: () => {
      if (!result.restored) restoreOnce();
    },
  });
  return result;
}
