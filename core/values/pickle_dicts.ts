/**
 * The dicts of a packed stream: which become objects and which Maps is known only when their keys have come.
 *
 * @module
 */

import { MalformedValueError, setEntry, setProperty } from "./images.ts";

type Plain = Record<string, unknown>;

/**
 * The dicts of a stream. Each begins as an object; one with a key that is no string becomes a Map. While it
 * is empty and nothing else refers to it, it is replaced on the spot; else its number is kept for a second
 * reading.
 */
export class DictTable {
  readonly #mapOrdinals: Set<number>;
  readonly #shared = new Set<unknown>();
  // For the dict at each place of the stack: its number in the stream, its place in the memo, whether it has
  // items.
  readonly #ordinals: number[] = [];
  readonly #memoPlaces: number[] = [];
  readonly #hasItems: boolean[] = [];
  #count = 0;

  /**
   * `mapOrdinals` are the numbers of the dicts that a first reading found to need a Map; more are added to
   * it.
   */
  constructor(mapOrdinals: Set<number>) {
    this.#mapOrdinals = mapOrdinals;
  }

  /**
   * A dict that will lie at a place of the stack, and, as the writer does with each, at the next place of the
   * memo.
   */
  open(stackPlace: number, memoPlace: number): Map<unknown, unknown> | Plain {
    const ordinal = this.#count++;
    this.#ordinals[stackPlace] = ordinal;
    this.#memoPlaces[stackPlace] = memoPlace;
    this.#hasItems[stackPlace] = false;
    return this.#mapOrdinals.size > 0 && this.#mapOrdinals.has(ordinal) ? new Map() : {};
  }

  /** Says that something has referred to `value`. */
  share(value: unknown): void {
    this.#shared.add(value);
  }

  /** Sets the items that lie on the stack from `start`, in the dict below them. */
  setItems(stack: unknown[], start: number, memo: unknown[]): void {
    const count = stack.length;
    if (start < 1 || (count - start) % 2 !== 0) {
      throw new MalformedValueError("a dict has a key without a value");
    }
    const target = stack[start - 1];
    if (target instanceof Map) {
      for (let i = start; i < count; i += 2) setEntry(target, stack[i], stack[i + 1]);
    } else {
      if (memo[this.#memoPlaces[start - 1]!] !== target) {
        throw new MalformedValueError("items are set on what is no dict");
      }
      for (let i = start; i < count; i += 2) {
        const key = stack[i];
        if (typeof key !== "string") {
          this.#toMap(stack, start, memo);
          break;
        }
        setProperty(target as Plain, key, stack[i + 1]);
      }
      this.#hasItems[start - 1] = true;
    }
    stack.length = start;
  }

  #toMap(stack: unknown[], start: number, memo: unknown[]): void {
    if (this.#hasItems[start - 1]! || this.#shared.has(stack[start - 1])) {
      this.#mapOrdinals.add(this.#ordinals[start - 1]!);
      return;
    }
    const made = new Map();
    for (let i = start; i < stack.length; i += 2) setEntry(made, stack[i], stack[i + 1]);
    stack[start - 1] = memo[this.#memoPlaces[start - 1]!] = made;
  }
}
