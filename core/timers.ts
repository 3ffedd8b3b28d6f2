/**
 * Waiting for a time: without the overflow of `setTimeout`, and without missing what came while the program stood still.
 *
 * @module
 */

/** `setTimeout` fires at once for a delay beyond this: 24.8 days. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;
/** How many looks are taken until the time is over. */
const LOOKS = 10;
/** Below this apart they would tell nothing new. */
const LEAST_MS_BETWEEN = 10;

/** Does the work after so many milliseconds, or after the longest time there is; `clearTimeout` takes what it gives. */
export function startTimer(work: () => void, ms: number): ReturnType<typeof setTimeout> {
  return setTimeout(work, Math.min(ms, LONGEST_TIMER_MS));
}

/**
 * Does the work after so many milliseconds, cut into parts; gives what stops it.
 *
 * After a program has stood still, timers fire before what has arrived meanwhile is read: a single timer would call late what
 * was there long ago, and here that costs one part.
 */
export function startPatientTimer(work: () => void, ms: number): () => void {
  const looks = Math.max(1, Math.min(LOOKS, Math.floor(ms / LEAST_MS_BETWEEN)));
  let timer: ReturnType<typeof setTimeout>;
  const wait = (left: number): void => {
    timer = startTimer(() => left === 1 ? work() : wait(left - 1), ms / looks);
  };
  wait(looks);
  return () => clearTimeout(timer);
}

/** Whether the promise settles within so many milliseconds, of which `Infinity` sets no end; it may reject. Waits patiently. */
export async function settlesWithin(promise: Promise<unknown>, ms: number): Promise<boolean> {
  const settled = promise.then(() => true, () => true);
  if (ms === Infinity) return await settled;
  const late = Promise.withResolvers<boolean>();
  const stop = startPatientTimer(() => late.resolve(false), ms);
  try {
    return await Promise.race([settled, late.promise]);
  } finally {
    stop();
  }
}
