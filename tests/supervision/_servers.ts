/** What the tests of this folder share: a home with a venv, hosts in it, and counts that the environment sets. */

import { PythonHost, type PythonHostOptions } from "../../host/mod.ts";
import { makeHome, makeVenv } from "../host/_home.ts";

/** A home of its own, and the venv in which all hosts of a test run. */
export interface Place extends AsyncDisposable {
  readonly path: string;
  readonly venv: string;
  /** Starts a host there. */
  start(options?: PythonHostOptions): Promise<PythonHost>;
}

/** Makes a place. */
export async function makePlace(): Promise<Place> {
  const home = await makeHome();
  try {
    const venv = await makeVenv(home.path);
    return {
      path: home.path,
      venv,
      start: (options = {}) => PythonHost.start({ environment: { path: venv }, ...options }),
      [Symbol.asyncDispose]: () => home[Symbol.asyncDispose](),
    };
  } catch (error) {
    await home[Symbol.asyncDispose]();
    throw error;
  }
}

/** On a machine that is busy with other work too, Python may be late to stop; how late is another test's matter. */
export const PATIENT = { interruptGraceMs: 30_000 } as const;

/** How often something is done: `name` in the environment, as the soak sets it, else the gate's count. */
export function countOf(name: string, gate: number): number {
  const text = Deno.env.get(name);
  if (text === undefined) return gate;
  const count = Number(text);
  if (Number.isInteger(count) && count > 0) return count;
  throw new RangeError(`Cannot use ${name}: it must be an integer above 0, current value is "${text}"`);
}

/** Runs `work` for each number from 0, so many at once. */
export async function inBatches(
  count: number,
  width: number,
  work: (index: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  await Promise.all(Array.from({ length: Math.min(width, count) }, async () => {
    while (next < count) await work(next++);
  }));
}

/** Waits until `isTrue`, which no event tells; fails after the deadline. */
export async function until(
  what: string,
  isTrue: () => boolean | Promise<boolean>,
  deadlineMs = 30_000,
): Promise<void> {
  const end = performance.now() + deadlineMs;
  while (!await isTrue()) {
    if (performance.now() > end) throw new Error(`Not within ${deadlineMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** What a call rejects with; fails when it does not. */
export function rejection(call: Promise<unknown>): Promise<unknown> {
  return call.then((value) => {
    throw new Error(`The call was to reject and gave ${String(value)}`);
  }, (error) => error);
}
