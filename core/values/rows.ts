/**
 * Lists of records towards Python, as columns: half of what the same rows cost as JSON. Twin of `rows.py`.
 *
 * @module
 */

import { bytesOf } from "./array.ts";
import { isPlainNumber } from "./text.ts";

/** From here on, columns pay for taking the records apart and putting them together. */
export const MIN_ROWS = 50;
/** What Python's counterpart makes at most. */
const MAX_COLUMNS = 64;

/** A frame may have 65,536 parts; what comes beyond this stays in the JSON. */
export const MAX_PARTS = 60_000;

/** The objects that were met already, and so may be shared; rows are added. */
export interface Seen {
  /** Whether the object was met. */
  has(value: object): boolean;
  /** Says that it is now. */
  add(value: object): unknown;
  /** Takes that back. */
  delete(value: object): unknown;
}

/**
 * The tag of a list of plain records with the same keys in the same order, none met before, and nothing but
 * scalars in them; undefined for any other list. Its columns of numbers are added to `parts`.
 */
export function rowsTag(
  rows: readonly unknown[],
  seen: Seen,
  parts: Uint8Array<ArrayBuffer>[],
): { readonly $: readonly unknown[] } | undefined {
  const first = rows[0];
  if (typeof first !== "object" || first === null || Array.isArray(first)) return undefined;
  const keys = Object.keys(first);
  if (keys.length === 0 || keys.length > MAX_COLUMNS || keys.includes("__proto__")) return undefined;
  if (parts.length + keys.length > MAX_PARTS) return undefined;
  let count = 0;
  while (count < rows.length && addRow(rows[count], keys, seen)) count++;
  const columns = count < rows.length ? undefined : columnsOf(rows as Record<string, unknown>[], keys);
  if (columns === undefined) {
    // They will be looked at one by one; one that was met before this list still counts as such.
    for (let i = count - 1; i >= 0; i--) seen.delete(rows[i] as object);
    return undefined;
  }
  return { $: ["rows", keys, columns.map((column) => column.encode(parts))] };
}

/** Whether the row has exactly these keys and was not met before; then it is now. */
function addRow(row: unknown, keys: readonly string[], seen: Seen): boolean {
  if (typeof row !== "object" || row === null || Object.getPrototypeOf(row) !== Object.prototype) {
    return false;
  }
  const names = Object.keys(row);
  if (names.length !== keys.length || seen.has(row)) return false;
  for (let i = 0; i < names.length; i++) if (names[i] !== keys[i]) return false;
  if (Object.getOwnPropertySymbols(row).length > 0) return false;
  seen.add(row);
  return true;
}

/** One column of a list of records, and what is known of its cells. */
interface Column {
  /** The column as JSON; numbers go into a part. */
  encode(parts: Uint8Array<ArrayBuffer>[]): unknown;
}

function columnsOf(rows: readonly Record<string, unknown>[], keys: readonly string[]): Column[] | undefined {
  const columns: Column[] = [];
  for (const key of keys) {
    const column = columnOf(rows, key);
    if (column === undefined) return undefined;
    columns.push(column);
  }
  return columns;
}

/**
 * The cells of one key; undefined when one is no scalar, or none that JSON can spell beside others that are
 * no numbers.
 */
function columnOf(rows: readonly Record<string, unknown>[], key: string): Column | undefined {
  const cells: unknown[] = new Array(rows.length);
  const integers: number[] = [];
  let hasOthers = false;
  let hasFloats = false;
  let hasSpecials = false;
  let isShort = true;
  for (let i = 0; i < rows.length; i++) {
    const cell = cells[i] = rows[i]![key];
    if (typeof cell === "number") {
      if (Number.isSafeInteger(cell) && !Object.is(cell, -0)) {
        integers.push(i);
        isShort &&= cell === (cell | 0);
      } else {
        hasFloats = true;
        hasSpecials ||= !isPlainNumber(cell);
      }
    } else if (typeof cell === "string" || typeof cell === "boolean" || cell === null) {
      hasOthers = true;
    } else {
      return undefined;
    }
  }
  if (hasOthers) return hasSpecials ? undefined : { encode: () => cells };
  if (hasFloats) {
    return {
      encode: (parts) => {
        const part = parts.push(bytesOf(new Float64Array(cells as number[]))) - 1;
        return integers.length === 0 ? { f8: part } : { f8: part, int: integers };
      },
    };
  }
  if (!isShort) return { encode: () => cells };
  return { encode: (parts) => ({ i4: parts.push(bytesOf(new Int32Array(cells as number[]))) - 1 }) };
}
