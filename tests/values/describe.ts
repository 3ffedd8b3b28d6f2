/**
 * What a JavaScript value must become in Python, as text with types. Twin of `describe` in `codec.py`, and
 * written from the table of `docs/VALUES.md`, not from the encoder.
 *
 * @module
 */

import { PythonFloat, PythonTuple } from "../../core/values.ts";

/**
 * Type and value of the Python image of `value`. With `back`, of the image of what `value` is after it came
 * back.
 */
export function describe(value: unknown, back = false, above: readonly unknown[] = []): string {
  if (value === null || value === undefined) return "n";
  if (typeof value === "boolean") return value ? "T" : "F";
  if (typeof value === "bigint") return `i${value.toString(16)}`;
  if (typeof value === "number") {
    return Number.isSafeInteger(value) && !Object.is(value, -0) ? `i${value.toString(16)}` : float(value);
  }
  // A float without a fraction comes back as a number like any other.
  if (value instanceof PythonFloat) return back ? describe(value.value) : float(value.value);
  if (typeof value === "string") return text(value);
  if (value instanceof Uint8Array) return `b${value.toHex()}`;
  const at = above.indexOf(value);
  if (at >= 0) return `^${above.length - at}`;
  const inner = [...above, value];
  const item = (member: unknown) => describe(member, back, inner);
  if (value instanceof PythonTuple) return `(${Array.from(value, item).join(",")})`;
  if (Array.isArray(value)) return `[${Array.from(value, item).join(",")}]`;
  if (value instanceof Set) return `S{${[...value].map(item).sort(byCodePoint).join(",")}}`;
  const entries = value instanceof Map ? [...value] : Object.entries(value as object);
  return `{${entries.map(([key, member]) => `${item(key)}:${item(member)}`).sort(byCodePoint).join(",")}}`;
}

function float(value: number): string {
  if (Number.isNaN(value)) return "fnan";
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  return `f${new Uint8Array(view.buffer).toHex()}`;
}

/**
 * As Python's `json.dumps` writes it: ASCII. The descriptions are ASCII then, and sort alike in both
 * languages.
 */
function text(value: string): string {
  return JSON.stringify(value).replace(
    /[\u007f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

function byCodePoint(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
