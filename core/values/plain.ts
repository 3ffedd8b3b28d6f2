/**
 * The fast way to Python: values that JSON carries as they are, and long lists of records as columns.
 *
 * A look at each member decides; what is met that JSON would change sends the whole value to the writer of
 * `encode.ts`.
 *
 * @module
 */

import { setProperty } from "./images.ts";
import { MIN_ROWS, rowsTag } from "./rows.ts";
import { isPlainNumber } from "./text.ts";

/** What {@linkcode PlainEncoder.encode} gives for a value that is not plain. */
export const NOT_PLAIN: unique symbol = Symbol("not plain");

/** Encodes one plain value. */
export class PlainEncoder {
  /**
   * The columns of numbers that {@linkcode encode} took out; when there are none and no rows, the JSON has no
   * tags.
   */
  readonly parts: Uint8Array<ArrayBuffer>[] = [];
  /** Whether what was given contains tags. */
  hasRows = false;
  readonly #seen = new Set<object>();

  /**
   * What to give to `JSON.stringify`: a copy of the value in which lists of records are tags. {@linkcode NOT_PLAIN} when
   * JSON would lose something.
   */
  encode(value: unknown, depth: number): unknown {
    switch (typeof value) {
      case "string":
      case "boolean":
        return value;
      case "number":
        return isPlainNumber(value) ? value : NOT_PLAIN;
      case "object":
        break;
      default:
        return NOT_PLAIN;
    }
    if (value === null) return value;
    // Shared references and cycles are for the writer.
    if (depth === 0 || this.#seen.has(value)) return NOT_PLAIN;
    this.#seen.add(value);
    if (Array.isArray(value)) return this.#encodeArray(value, depth);
    if (Object.getPrototypeOf(value) !== Object.prototype) return NOT_PLAIN;
    // A copy: each property is read once, so that what was looked at is what is written, whatever its getter or a
    // proxy says next, and no `toJSON` has a word in it. It costs what looking alone does.
    const encoded: Record<string, unknown> = {};
    for (const key of Object.keys(value)) {
      if (key === "$") return NOT_PLAIN;
      const made = this.encode((value as Record<string, unknown>)[key], depth - 1);
      if (made === NOT_PLAIN) return NOT_PLAIN;
      setProperty(encoded, key, made);
    }
    return Object.getOwnPropertySymbols(value).length === 0 ? encoded : NOT_PLAIN;
  }

  #encodeArray(value: unknown[], depth: number): unknown {
    if (Object.getPrototypeOf(value) !== Array.prototype) return NOT_PLAIN;
    if (value.length >= MIN_ROWS && depth > 1) {
      const rows = rowsTag(value, this.#seen, this.parts);
      if (rows !== undefined) {
        this.hasRows = true;
        return rows;
      }
    }
    const encoded: unknown[] = [];
    for (let i = 0; i < value.length; i++) {
      const made = this.encode(value[i], depth - 1);
      if (made === NOT_PLAIN) return NOT_PLAIN;
      encoded.push(made);
    }
    return encoded;
  }
}
