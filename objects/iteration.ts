/**
 * Python's iterators as JavaScript's async iterators.
 *
 * ```text
 * for await ──► buffer of one batch ──► the next batch, asked for when this one begins to be used
 * ```
 *
 * Items come in batches that grow from one item to `batchSize`, and Python ends a batch as soon as it has taken some
 * milliseconds, so that a slow iterator gives its items one by one. No more than one batch is ever ahead of the loop.
 *
 * @module
 */

import type { CallOptions, PythonHostBackend } from "../core/backend.ts";
import { PythonHostError } from "../core/errors.ts";
import { PythonObjectHandle } from "../core/handles.ts";
import type { Expression } from "./expression.ts";

/** Options of {@linkcode iterate}: those of its calls, and how far it may run ahead. */
export interface IterateOptions extends Omit<CallOptions, "result"> {
  /**
   * The most items that one call brings. With 1 nothing is taken before the loop asks for it, which an iterator needs that
   * waits for something that the loop's own body does.
   *
   * @default {256}
   */
  batchSize?: number | undefined;
}

const DEFAULT_BATCH_SIZE = 256;
// A batch that was asked for ahead ends within milliseconds, unless the iterator itself waits for something.
const CLOSE_GRACE_MS = 100;
const ITERATION = '__import__("beep_host.iteration").iteration';

/** What Python gives for one batch: whether that was the end, then the items. */
type Batch = readonly [isEnd: boolean, ...items: unknown[]];

/** Iterates over what an expression gives; `wrap` is applied to each item. */
export function iterateExpression<T>(
  expression: Expression,
  options: IterateOptions,
  wrap: (item: unknown) => unknown,
): AsyncGenerator<T, void, void> {
  const { batchSize = DEFAULT_BATCH_SIZE, ...callOptions } = options;
  if (!Number.isInteger(batchSize) || batchSize < 1) {
    throw new PythonHostError(
      "argument",
      `Cannot iterate: batchSize must be an integer of at least 1, current value is ${batchSize}`,
    );
  }
  const { result: _result, ...inherited } = expression.root.options ?? {};
  return iterateInBatches(expression, { batchSize, call: { ...inherited, ...callOptions }, wrap });
}

interface Settings {
  readonly batchSize: number;
  readonly call: CallOptions;
  readonly wrap: (item: unknown) => unknown;
}

async function* iterateInBatches<T>(
  expression: Expression,
  settings: Settings,
): AsyncGenerator<T, void, void> {
  const { batchSize, call, wrap } = settings;
  const beginning = expression.applied("", (code) => `${ITERATION}.begin(${code})`);
  const iteration = await beginning.run({ ...call, result: "handle" }) as PythonObjectHandle;
  const reader = new Reader(expression, iteration, call);
  let ahead: Promise<Batch> | undefined;
  let isEnd = false;
  try {
    let size = 1;
    while (!isEnd) {
      const batch = await (ahead ?? reader.take(size));
      isEnd = batch[0];
      size = Math.min(2 * size, batchSize);
      ahead = isEnd || batchSize === 1 ? undefined : reader.takeAhead(size);
      for (let i = 1; i < batch.length; i++) yield wrap(batch[i]) as T;
    }
  } finally {
    await reader.close(isEnd, ahead);
  }
}

/** One iteration in Python. */
class Reader {
  readonly #backend: PythonHostBackend;
  readonly #iteration: PythonObjectHandle;
  readonly #call: CallOptions;
  readonly #stop = new AbortController();
  readonly #aheadCall: CallOptions;

  constructor(expression: Expression, iteration: PythonObjectHandle, call: CallOptions) {
    this.#backend = expression.root.backend;
    this.#iteration = iteration;
    this.#call = call;
    const { signal } = this.#stop;
    this.#aheadCall = {
      ...call,
      signal: call.signal === undefined ? signal : AbortSignal.any([call.signal, signal]),
    };
  }

  take(most: number): Promise<Batch> {
    return this.#backend.callMethod<Batch>(this.#iteration, "take", [most], undefined, this.#call);
  }

  /** Takes items that nobody has asked for yet. */
  takeAhead(most: number): Promise<Batch> {
    const ahead = this.#backend.callMethod<Batch>(
      this.#iteration,
      "take",
      [most],
      undefined,
      this.#aheadCall,
    );
    // Its failure is looked at when its turn comes, after the items before it.
    ahead.catch(() => {});
    return ahead;
  }

  /** Ends the Python side. What it raises on closing is what the loop throws, as in Python. */
  async close(isEnd: boolean, ahead: Promise<Batch> | undefined): Promise<void> {
    const { signal: _signal, timeoutMs: _timeoutMs, ...lasting } = this.#call;
    if (!this.#backend.isInitialized) return;
    // An iterator that waits would keep its thread from being told the end: it is stopped where it waits.
    const timer = setTimeout(() => this.#stop.abort(), CLOSE_GRACE_MS);
    try {
      if (isEnd) return;
      const closed = this.#backend.callMethod(this.#iteration, "close", [], undefined, lasting);
      // What was read ahead and nobody will see may hold handles. Its error belongs to items that nobody asked for.
      ahead?.then((batch) => batch.forEach(dispose), () => {});
      await closed;
    } finally {
      clearTimeout(timer);
      this.#iteration[Symbol.dispose]();
    }
  }
}

function dispose(item: unknown): void {
  if (item instanceof PythonObjectHandle) item[Symbol.dispose]();
}
