/**
 * The part of `@sinonjs/fake-timers` that {@linkcode FakeTime} stands on, with its types: the package has none.
 *
 * @module
 */

import fakeTimers from "npm:@sinonjs/fake-timers@^15.5.0";

/** A clock that stands in for the global one. */
export interface Clock {
  readonly now: number;
  tick(ms: number): number;
  tickAsync(ms: number): Promise<number>;
  next(): number;
  nextAsync(): Promise<number>;
  runAllAsync(): Promise<number>;
  countTimers(): number;
  uninstall(): void;
}

/** Puts a clock in place of the global one. */
export function install(now: number): Clock {
  return fakeTimers.install({
    now,
    // Node's own queues stay real: `tickAsync` lets promises settle through them.
    toFake: ["Date", "performance", "setTimeout", "clearTimeout", "setInterval", "clearInterval"],
  });
}
