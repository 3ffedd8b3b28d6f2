/**
 * Tells whether arguments are the same in JSON as they are in JavaScript, which most are.
 *
 * For those the encoder of values need not run. It looks one array deep: that is where the arguments of a method are.
 *
 * @module
 */

// A longer string is left to the encoder, which may send it as a part.
const LONG_STRING = 4_096;

/** Whether `JSON.stringify` says exactly what these arguments are. False also for what only the encoder can tell. */
export function isPlain(args: readonly unknown[]): boolean {
  for (let i = 0; i < args.length; i++) {
    const arg = args[i];
    if (isPlainScalar(arg)) continue;
    if (!Array.isArray(arg) || Object.getPrototypeOf(arg) !== Array.prototype || arg.length > 16) {
      return false;
    }
    for (let j = 0; j < arg.length; j++) if (!isPlainScalar(arg[j])) return false;
  }
  return true;
}

function isPlainScalar(value: unknown): boolean {
  switch (typeof value) {
    case "string":
      // JSON.stringify escapes lone surrogates, and Python's decoder gives them back: nothing is lost.
      return value.length <= LONG_STRING;
    case "boolean":
      return true;
    case "number":
      // An integer beyond the safe ones is a float in Python, and JSON would make it an int; -0 would lose its sign.
      return Number.isInteger(value)
        ? Number.isSafeInteger(value) && !Object.is(value, -0)
        : Number.isFinite(value);
    default:
      return value === null;
  }
}
