/**
 * `for await` over Python's iterators, iterables and asynchronous generators.
 *
 * @module
 */

import type { PythonObjectHandle } from "../core/handles.ts";
import { expressionOf } from "./expression.ts";
import { iterateExpression, type IterateOptions } from "./iteration.ts";
import { toExpression, wrapResult } from "./proxy.ts";
import type { Described, PythonItem } from "./proxy_types.ts";

/**
 * Iterates over a Python object: anything that `for` or `async for` takes.
 *
 * Leaving the loop early closes a generator, whose `finally` then runs. An exception arrives after the items before it.
 * Items without an image in JavaScript are handles, and proxies where the object was given by a proxy.
 *
 * ```ts ignore
 * for await (const line of iterate<string>(file)) console.log(line);
 * ```
 */
export function iterate<T = unknown>(
  object: PythonObjectHandle,
  options?: IterateOptions,
): AsyncGenerator<T, void, void>;
/** Iterates over what a proxy stands for or a path leads to. */
export function iterate<P>(
  object: P,
  options?: IterateOptions,
): AsyncGenerator<PythonItem<Described<P>>, void, void>;
export function iterate(object: unknown, options: IterateOptions = {}): AsyncGenerator<unknown, void, void> {
  const expression = toExpression(object, "iterate");
  const isProxied = expressionOf(object) !== undefined;
  return iterateExpression(expression, options, (item) => isProxied ? wrapResult(expression, item) : item);
}
