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

import type { CallOptions } from "../core/backend.ts";
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
  const { backend } = expression.root;
  const { batchSize, call, wrap } = settings;
  const beginning = expression.applied("", (code) => `${ITERATION}.begin(${code})`);
  const iteration = await beginning.run({ ...call, result: "handle" }) as PythonObjectHandle;
  const take = (most: number): Promise<Batch> =>
    backend.callMethod<Batch>(iteration, "take", [most], undefined, call);
  let next: Promise<Batch> | undefined;
  let isEnd = false;
  try {
    let size = 1;
    while (!isEnd) {
      const batch = await (next ?? take(size));
      isEnd = batch[0];
      size = Math.min(2 * size, batchSize);
      next = isEnd || batchSize === 1 ? undefined : take(size);
      // Its failure is looked at when its turn comes, after the items before it.
      next?.catch(() => {});
      for (let i = 1; i < batch.length; i++) yield wrap(batch[i]) as T;
    }
    next = undefined;
  } finally {
    await end(iteration, { isEnd, next, call });
  }
}

/** Closes the Python side. What it raises on closing is what the loop throws, as in Python. */
async function end(
  iteration: PythonObjectHandle,
  state: { isEnd: boolean; next: Promise<Batch> | undefined; call: CallOptions },
): Promise<void> {
  const { backend } = iteration;
  const { signal: _signal, timeoutMs: _timeoutMs, ...call } = state.call;
  if (!backend.isInitialized) return;
  try {
    if (state.isEnd) return;
    const closed = backend.callMethod(iteration, "close", [], undefined, call);
    // What was read ahead and nobody will see may hold handles. Its error belongs to items that nobody asked for.
    state.next?.then((batch) => batch.forEach(dispose), () => {});
    await closed;
  } finally {
    iteration[Symbol.dispose]();
  }
}

function dispose(item: unknown): void {
  if (item instanceof PythonObjectHandle) item[Symbol.dispose]();
}
