/**
 * Arguments that are the same in JSON as they are in JavaScript, which most are.
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

/**
 * The arguments as `JSON.stringify` says them exactly; undefined for what only the encoder can tell.
 *
 * Arrays and objects are copies: each property is read once, whatever its getter or a proxy says next, no `toJSON` has a
 * word in it, and what the caller changes later changes nothing.
 */
export function plainRow(args: readonly unknown[]): readonly unknown[] | undefined {
  try {
    return copyOf(args);
  } catch {
    // A getter or a proxy that throws: the encoder meets it again, and says where.
    return undefined;
  }
}

function copyOf(args: readonly unknown[]): readonly unknown[] | undefined {
  const row: unknown[] = [];
  for (let i = 0; i < args.length; i++) {
    const arg = args[i];
    const plain = isPlainScalar(arg) ? arg : typeof arg === "object" ? plainContainer(arg!) : undefined;
    if (plain === undefined) return undefined;
    row.push(plain);
  }
  return row;
}

function plainContainer(value: object): object | undefined {
  if (Array.isArray(value)) return plainArray(value);
  return Object.getPrototypeOf(value) === Object.prototype ? plainRecord(value) : undefined;
}

function plainArray(value: readonly unknown[]): unknown[] | undefined {
  if (Object.getPrototypeOf(value) !== Array.prototype || value.length > MOST_MEMBERS) return undefined;
  const copy: unknown[] = [];
  for (let i = 0; i < value.length; i++) {
    const item = value[i];
    if (!isPlainScalar(item)) return undefined;
    copy.push(item);
  }
  return copy;
}

function plainRecord(value: object): object | undefined {
  const names = Object.keys(value);
  if (names.length > MOST_MEMBERS || Object.getOwnPropertySymbols(value).length > 0) return undefined;
  const copy: Record<string, unknown> = {};
  for (const name of names) {
    // The key `$` alone would be a tag, and `__proto__` is for the encoder.
    if (name === "$" || name === "__proto__") return undefined;
    const item = (value as Record<string, unknown>)[name];
    if (!isPlainScalar(item)) return undefined;
    copy[name] = item;
  }
  return copy;
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
