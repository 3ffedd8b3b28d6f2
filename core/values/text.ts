/**
 * Text of the wire: strings as bytes that may hold lone surrogates (WTF-8), as Python writes them, and
 * numbers as JSON.
 *
 * @module
 */

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Reads UTF-8 in which surrogates may stand alone. Throws a `RangeError` for bytes that are neither. */
export function decodeText(bytes: Uint8Array): string {
  try {
    return strict.decode(bytes);
  } catch {
    // Not UTF-8: what is left is text with surrogates, or something broken, which the slow reader tells
    // apart.
    return decodeSurrogates(bytes);
  }
}

function decodeSurrogates(bytes: Uint8Array): string {
  let text = "";
  let from = 0;
  for (let at = bytes.indexOf(0xed); at >= 0; at = bytes.indexOf(0xed, at + 1)) {
    const second = bytes[at + 1]!;
    const third = bytes[at + 2]!;
    if (!(second >= 0xa0 && second <= 0xbf && third >= 0x80 && third <= 0xbf)) continue;
    text += decodePiece(bytes, from, at) +
      String.fromCharCode(0xd000 | ((second & 0x3f) << 6) | (third & 0x3f));
    from = at + 3;
  }
  return text + decodePiece(bytes, from, bytes.length);
}

function decodePiece(bytes: Uint8Array, from: number, to: number): string {
  try {
    return strict.decode(bytes.subarray(from, to));
  } catch (cause) {
    throw new RangeError("a string is not UTF-8", { cause });
  }
}

/** Whether JSON spells the number so that Python reads the same type and value. */
export function isPlainNumber(value: number): boolean {
  // A float that JSON would spell like an integer, and what JSON cannot spell.
  return Number.isInteger(value)
    ? Number.isSafeInteger(value) && !Object.is(value, -0)
    : Number.isFinite(value);
}

/** A number as Python reads a float, whatever it is. */
export function floatText(value: number): string {
  if (Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  return Object.is(value, -0) ? "-0" : String(value);
}

/** Whether a number holds the integer exactly. */
export function isSafeInteger(value: bigint): boolean {
  return value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER;
}

/** The engine's longest text is shorter than a list of more items would be, holes included. */
export const MOST_ITEMS: number = 2 ** 28;
/** A text that grows item by item takes many times its own memory: beyond this many, {@linkcode listText} makes it. */
export const LONG_LIST: number = 2 ** 20;
const ITEMS_OF_A_RUN = 4096;

/** A list in JSON, from the texts of its items, which are joined in runs. */
export function listText(count: number, textOf: (index: number) => string): string {
  let text = "[";
  for (let start = 0; start < count; start += ITEMS_OF_A_RUN) {
    const run: string[] = [];
    const end = Math.min(start + ITEMS_OF_A_RUN, count);
    for (let index = start; index < end; index++) run.push(textOf(index));
    text += start === 0 ? run.join(",") : `,${run.join(",")}`;
  }
  return `${text}]`;
}
