/**
 * Stand-in for `@std/testing/time`: a clock that tests move by hand.
 *
 * @module
 */

import { type Clock, install } from "./_clock.ts";

/** Replaces `Date`, timers and `performance.now` until restored; one at a time. */
export class FakeTime {
  readonly #clock: Clock;

  /** Takes the clock over; `start` is the first time shown, the present one when left out. */
  constructor(start?: number | string | Date | null) {
    this.#clock = install(start === undefined || start === null ? Date.now() : new Date(start).getTime());
  }

  /** The time shown, in milliseconds since the epoch. */
  get now(): number {
    return this.#clock.now;
  }

  /** Moves the time on by `ms`, running the timers on the way. */
  tick(ms = 0): void {
    this.#clock.tick(ms);
  }

  /** Moves the time on by `ms`, letting promises settle between timers. */
  async tickAsync(ms = 0): Promise<void> {
    await this.#clock.tickAsync(ms);
  }

  /** Runs the next timer; `false` when there is none. */
  next(): boolean {
    const any = this.#clock.countTimers() > 0;
    this.#clock.next();
    return any;
  }

  /** Runs the next timer, letting promises settle before and after; `false` when there is none. */
  async nextAsync(): Promise<boolean> {
    const any = this.#clock.countTimers() > 0;
    await this.#clock.nextAsync();
    return any;
  }

  /** Lets promises settle. */
  async runMicrotasks(): Promise<void> {
    await this.#clock.tickAsync(0);
  }

  /** Runs all timers, and those that they set. */
  async runAllAsync(): Promise<void> {
    await this.#clock.runAllAsync();
  }

  /** Gives the real clock back. */
  restore(): void {
    this.#clock.uninstall();
  }

  /** Gives the real clock back. */
  [Symbol.dispose](): void {
    this.restore();
  }
}
