/**
 * JavaScript's iterables as Python iterators: two functions that Python calls for the next few items.
 *
 * @module
 */

import { PythonArray } from "./array.ts";
import { pythonDropped } from "./context.ts";

/** The class in Python that calls the functions. */
export const ITERATOR_CLASS = "beep_host.host_iterators.HostIterator";

// A batch of a synchronous iterable that takes longer than this goes to Python as it is.
const BATCH_MS = 5;
// And one that has become so large: many large items fit into no message, and Python may not want them all.
const BATCH_BYTES = 1024 * 1024;
// Of an item that is a container, so many parts are weighed.
const WEIGHED_PARTS = 16;
const DEFAULT_BATCH_SIZE = 64;

/** Options of {@linkcode pythonIterator}. */
export interface PythonIteratorOptions {
  /**
   * The most items that are taken from a synchronous iterable at once. With 1 none is taken before Python asks for it.
   * An asynchronous iterable is never read ahead.
   *
   * @default {64}
   */
  batchSize?: number | undefined;
}

/** An iterable that is sent as a Python iterator; made by {@linkcode pythonIterator}. */
export class PythonIterator {
  /** What is iterated over. */
  readonly source: Iterable<unknown> | AsyncIterable<unknown>;
  /** See {@linkcode PythonIteratorOptions.batchSize}. */
  readonly batchSize: number;

  /** See {@linkcode pythonIterator}. */
  constructor(source: Iterable<unknown> | AsyncIterable<unknown>, options: PythonIteratorOptions = {}) {
    const { batchSize = DEFAULT_BATCH_SIZE } = options;
    if (!Number.isInteger(batchSize) || batchSize < 1) {
      throw new RangeError(
        `Cannot make a Python iterator: batchSize must be an integer of at least 1, current value is ${batchSize}`,
      );
    }
    this.source = source;
    this.batchSize = batchSize;
  }
}

/**
 * Sends an iterable to Python as an iterator, item by item as Python asks for them.
 *
 * Iterators, generators and their asynchronous kin are sent so anyway; this is for what would else be copied as a whole
 * (an array, a Set, a Map), and for options. In Python it is an iterator and an asynchronous iterator both: `for`
 * waits for each item, `async for` lets other coroutines run meanwhile.
 */
export function pythonIterator(
  source: Iterable<unknown> | AsyncIterable<unknown>,
  options: PythonIteratorOptions = {},
): PythonIterator {
  return new PythonIterator(source, options);
}

/** What Python calls for the next items: `[is the end, item, …]`; with 0 it ends the iteration. */
export interface IteratorFunctions {
  /** Waited for by a thread. */
  take(most: number): unknown;
  /** Waited for by a coroutine. */
  takeAsync(most: number): Promise<unknown>;
}

/** The functions of a value that can be iterated over; undefined for any other. */
export function iteratorOf(value: object): IteratorFunctions | undefined {
  const marked = value instanceof PythonIterator ? value : undefined;
  const source = (marked?.source ?? value) as Partial<Iterable<unknown> & AsyncIterable<unknown>>;
  const batchSize = marked?.batchSize ?? DEFAULT_BATCH_SIZE;
  if (typeof source[Symbol.asyncIterator] === "function") {
    return functionsOf(new AsyncReader(source[Symbol.asyncIterator]!()));
  }
  if (typeof source[Symbol.iterator] === "function") {
    return functionsOf(new SyncReader(source[Symbol.iterator]!(), batchSize));
  }
  return undefined;
}

interface Reader {
  take(most: number): unknown[] | Promise<unknown[]>;
}

function functionsOf(reader: Reader): IteratorFunctions {
  // Python has let go of the iterator when it has let go of both.
  let held = 2;
  const dropped = () => {
    if (--held === 0) return reader.take(0);
  };
  const take = (most: number) => reader.take(most);
  const takeAsync = async (most: number) => await reader.take(most);
  return {
    take: Object.assign(take, { [pythonDropped]: dropped }),
    takeAsync: Object.assign(takeAsync, { [pythonDropped]: dropped }),
  };
}

class SyncReader implements Reader {
  readonly #iterator: Iterator<unknown>;
  readonly #batchSize: number;
  #isEnded = false;
  #failure: { readonly error: unknown } | undefined;

  constructor(iterator: Iterator<unknown>, batchSize: number) {
    this.#iterator = iterator;
    this.#batchSize = batchSize;
  }

  take(most: number): unknown[] {
    if (most === 0) return this.#end();
    if (this.#failure !== undefined) {
      const { error } = this.#failure;
      this.#failure = undefined;
      throw error;
    }
    const batch: unknown[] = [this.#isEnded];
    const wanted = Math.min(most, this.#batchSize);
    const deadline = performance.now() + BATCH_MS;
    let size = 0;
    try {
      while (batch.length <= wanted && !this.#isEnded) {
        const { done, value } = resultOf(this.#iterator.next());
        if (done) batch[0] = this.#isEnded = true;
        else batch.push(value);
        size += bytesOf(value);
        if (size >= BATCH_BYTES || performance.now() > deadline) break;
      }
    } catch (error) {
      this.#isEnded = true;
      if (batch.length === 1) throw error;
      // The items before it arrive first.
      this.#failure = { error };
    }
    return batch;
  }

  #end(): unknown[] {
    if (!this.#isEnded) {
      this.#isEnded = true;
      this.#iterator.return?.();
    }
    return [true];
  }
}

class AsyncReader implements Reader {
  readonly #iterator: AsyncIterator<unknown>;
  #isBusy = false;
  #isEnded = false;

  constructor(iterator: AsyncIterator<unknown>) {
    this.#iterator = iterator;
  }

  async take(most: number): Promise<unknown[]> {
    if (most === 0) return await this.#end();
    if (this.#isEnded) return [true];
    // An async generator would queue the request behind itself; asked by its own body, both would wait for ever.
    if (this.#isBusy) throw new TypeError("Cannot take the next item: the iterator is already running");
    this.#isBusy = true;
    try {
      const { done, value } = resultOf(await this.#iterator.next());
      if (!done) return [false, value];
      this.#isEnded = true;
      return [true];
    } catch (error) {
      this.#isEnded = true;
      throw error;
    } finally {
      this.#isBusy = false;
    }
  }

  async #end(): Promise<unknown[]> {
    if (!this.#isEnded) {
      this.#isEnded = true;
      await this.#iterator.return?.();
    }
    return [true];
  }
}

/** The result of an iterator, which must be an object, as for `for … of`: what is none would never be done. */
function resultOf(result: IteratorResult<unknown>): IteratorResult<unknown> {
  if (typeof result === "object" && result !== null || typeof result === "function") return result;
  throw new TypeError(
    `Cannot take the next item: the iterator gave ${String(result)}, which is not an object`,
  );
}

/** About how large the large things of an item are: texts and buffers, itself or directly inside. */
function bytesOf(item: unknown, parts = WEIGHED_PARTS): number {
  if (typeof item === "string") return item.length;
  if (typeof item !== "object" || item === null) return 0;
  if (ArrayBuffer.isView(item) || item instanceof ArrayBuffer) return item.byteLength;
  if (item instanceof PythonArray) return item.data.byteLength;
  if (Array.isArray(item) && item.length > parts) return 0;
  const keys = Object.keys(item);
  if (keys.length > parts) return 0;
  // Not by reading the properties: what a getter gives is for Python alone.
  return keys.reduce((sum, key) => sum + bytesOf(Object.getOwnPropertyDescriptor(item, key)?.value, -1), 0);
}
