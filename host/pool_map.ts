/**
 * Maps a row of items, many at once, with bounds: items are read no faster than results are taken.
 *
 * ```text
 * items ── read while there is room ──► under way ──► finished ── in order, or as completed ──► the reader
 *              └───────────────── maxInFlight ─────────────────┘
 * ```
 *
 * @module
 */

import { PythonHostError } from "../core/errors.ts";

/** A row of items, or of promises of them. */
export type PoolItems<Item> = Iterable<Item | PromiseLike<Item>> | AsyncIterable<Item>;

/** How {@linkcode mapItems} goes about it. */
export interface MapItemsOptions {
  /** Whether results come in the order of the items. */
  readonly ordered: boolean;
  /** The most items that are under way or finished and not taken. */
  readonly maxInFlight: number;
  /** Stops everything. */
  readonly signal: AbortSignal | undefined;
  /** Lets no more of the input be read: what is under way comes still, then the signal's reason is thrown. */
  readonly inputEnd: AbortSignal;
}

/** How work on an item ended. */
type Settled<Result> = { readonly value: Result } | { readonly error: unknown };

/**
 * Gives the results of `work` on each item. The first failure ends it, and so does leaving it early: what is under way is
 * then stopped by the signal that `work` is given, and has ended when this has.
 */
export async function* mapItems<Item, Result>(
  items: PoolItems<Item>,
  work: (item: Item, signal: AbortSignal) => Promise<Result>,
  options: MapItemsOptions,
): AsyncGenerator<Result, void, void> {
  const run = new MapRun(items, work, options);
  const onAbort = (): void => run.wake();
  run.signal.addEventListener("abort", onAbort);
  options.inputEnd.addEventListener("abort", onAbort);
  try {
    run.read();
    for (;;) {
      run.signal.throwIfAborted();
      const settled = run.take();
      if (settled !== undefined) {
        if ("error" in settled) throw settled.error;
        yield settled.value;
      } else if (run.isOver()) {
        return;
      } else {
        await run.changed();
      }
    }
  } finally {
    run.signal.removeEventListener("abort", onAbort);
    options.inputEnd.removeEventListener("abort", onAbort);
    await run.stop();
  }
}

/** The state of one map. */
class MapRun<Item, Result> {
  /** Aborts when the caller's does, and when the map ends. */
  readonly signal: AbortSignal;
  readonly #work: (item: Item, signal: AbortSignal) => Promise<Result>;
  readonly #options: MapItemsOptions;
  readonly #source: AsyncIterator<Item>;
  readonly #end = new AbortController();
  readonly #running = new Set<Promise<void>>();
  /** By the number of the item when ordered, else by that of completion. */
  readonly #finished = new Map<number, Settled<Result>>();
  #begun = 0;
  #completed = 0;
  #taken = 0;
  #isReading = false;
  #isAtEnd = false;
  #inputError: { readonly error: unknown } | undefined;
  #change = Promise.withResolvers<void>();

  constructor(
    items: PoolItems<Item>,
    work: (item: Item, signal: AbortSignal) => Promise<Result>,
    options: MapItemsOptions,
  ) {
    this.#work = work;
    this.#options = options;
    this.#source = iteratorOf(items);
    const { signal } = options;
    this.signal = signal === undefined ? this.#end.signal : AbortSignal.any([signal, this.#end.signal]);
  }

  /** Reads the next item if there is room for it; then the next. */
  read(): void {
    const isFull = this.#begun - this.#taken >= this.#options.maxInFlight;
    if (this.#isReading || this.#isAtEnd || isFull || this.#mayNotBegin) return;
    this.#isReading = true;
    this.#source.next().then(
      (next) => {
        this.#isReading = false;
        if (next.done === true) this.#isAtEnd = true;
        else if (!this.#mayNotBegin) this.#begin(next.value);
        this.read();
        this.wake();
      },
      (error) => {
        this.#isReading = false;
        this.#isAtEnd = true;
        this.#inputError = { error };
        this.wake();
      },
    );
  }

  /** The next result, if it is there. */
  take(): Settled<Result> | undefined {
    const settled = this.#finished.get(this.#taken);
    if (settled === undefined) return undefined;
    this.#finished.delete(this.#taken++);
    this.read();
    return settled;
  }

  /** Whether all results were taken; throws what the input threw. */
  isOver(): boolean {
    if (this.#taken < this.#begun) return false;
    if (!this.#isAtEnd) {
      this.#options.inputEnd.throwIfAborted();
      return false;
    }
    if (this.#inputError !== undefined) throw this.#inputError.error;
    return true;
  }

  /** Waits until there may be something new. */
  async changed(): Promise<void> {
    await this.#change.promise;
    this.#change = Promise.withResolvers();
  }

  /** Lets {@linkcode changed} go on. */
  wake(): void {
    this.#change.resolve();
  }

  /** Stops what is under way, and lets go of the input. */
  async stop(): Promise<void> {
    this.#end.abort(new DOMException("The map has ended", "AbortError"));
    await Promise.all(this.#running);
    if (this.#isAtEnd) return;
    const returned = this.#source.return?.();
    // An input that is just being read takes the request when it comes back from that, which may be never.
    if (this.#isReading) returned?.catch(() => {});
    else await returned;
  }

  get #mayNotBegin(): boolean {
    return this.signal.aborted || this.#options.inputEnd.aborted;
  }

  #begin(item: Item): void {
    const index = this.#begun++;
    const running = this.#workOn(item, index).finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  /** Never rejects. */
  async #workOn(item: Item, index: number): Promise<void> {
    try {
      this.#finish(index, { value: await this.#work(item, this.signal) });
    } catch (error) {
      this.#finish(index, { error });
    }
  }

  #finish(index: number, settled: Settled<Result>): void {
    const completed = this.#completed++;
    this.#finished.set(this.#options.ordered ? index : completed, settled);
    this.wake();
  }
}

/** Throws what makes a map impossible, before anything of the input is read. */
export function checkMap(items: unknown, work: unknown): void {
  const object = Object(items ?? {});
  if (!(Symbol.asyncIterator in object || Symbol.iterator in object)) {
    throw new PythonHostError("argument", "Cannot map items: they must be an iterable or async iterable");
  }
  if (typeof work === "string" || typeof work === "function") return;
  throw new PythonHostError("argument", "Cannot map items: the work must be code or a function");
}

/** One iterator for both kinds of input; promises among the items are awaited. */
function iteratorOf<Item>(items: PoolItems<Item>): AsyncIterator<Item> {
  if (Symbol.asyncIterator in Object(items)) return (items as AsyncIterable<Item>)[Symbol.asyncIterator]();
  async function* each(): AsyncGenerator<Item> {
    yield* items as Iterable<Item>;
  }
  return each();
}
