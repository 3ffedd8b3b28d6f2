/**
 * Tells whether arguments are the same in JSON as they are in JavaScript, which most are.
 *
 * For those the encoder of values need not run. It looks one array or object deep: that is where the arguments of a
 * method and the locals of code are.
 *
 * @module
 */

// A longer string is left to the encoder, which may send it as a part.
const LONG_STRING = 4_096;
// More members are looked at by the encoder, once.
const MOST_MEMBERS = 16;

/** Whether `JSON.stringify` says exactly what these arguments are. False also for what only the encoder can tell. */
export function isPlain(args: readonly unknown[]): boolean {
  for (let i = 0; i < args.length; i++) {
    const arg = args[i];
    if (isPlainScalar(arg)) continue;
    if (typeof arg !== "object") return false;
    if (Array.isArray(arg) ? !isPlainArray(arg) : !isPlainRecord(arg!)) return false;
  }
  return true;
}

function isPlainArray(value: readonly unknown[]): boolean {
  if (Object.getPrototypeOf(value) !== Array.prototype || value.length > MOST_MEMBERS) return false;
  for (let i = 0; i < value.length; i++) if (!isPlainScalar(value[i])) return false;
  return true;
}

function isPlainRecord(value: object): boolean {
  if (Object.getPrototypeOf(value) !== Object.prototype) return false;
  const names = Object.keys(value);
  if (names.length > MOST_MEMBERS || Object.getOwnPropertySymbols(value).length > 0) return false;
  for (const name of names) {
    // The key `$` alone would be a tag; a `toJSON` is no scalar.
    if (name === "$" || !isPlainScalar((value as Record<string, unknown>)[name])) return false;
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
