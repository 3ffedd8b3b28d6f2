/**
 * Python's context managers around a JavaScript body.
 *
 * @module
 */

import type { CallOptions } from "../core/backend.ts";
import type { PythonObjectHandle } from "../core/handles.ts";
import { describeThrown } from "../core/thrown.ts";
import { toExpression, wrapResult } from "./proxy.ts";
import type { Described, PythonResult, Untyped } from "./proxy_types.ts";

const CONTEXTS = '__import__("beep_host.contexts").contexts';

/** What entering a `T` gives: what its `__enter__` is declared to return. */
export type EnteredValue<T> = T extends { __enter__(): infer V } ? PythonResult<V>
  : T extends { __aenter__(): infer V } ? PythonResult<V>
  : Untyped;

/**
 * Python's `with`: enters a context manager, runs the body with what `__enter__` gave, and leaves it however the body ended.
 *
 * What the body throws reaches `__exit__`: an error that Python raised as that very exception, any other as a
 * `beep_host.JavaScriptError`. If `__exit__` suppresses it the result is undefined, else the same error is thrown on.
 * An asynchronous context manager is entered by `async with`.
 *
 * ```ts ignore
 * await withContext(io.open("notes.txt"), async (file) => await file.read());
 * ```
 */
export async function withContext<M, R>(
  manager: M,
  body: (value: EnteredValue<Described<M>>) => R,
  options: CallOptions = {},
): Promise<Awaited<R> | undefined> {
  const expression = toExpression(manager, "enter context");
  const { backend, options: inherited } = expression.root;
  const all = { ...inherited, ...options };
  const { signal: _signal, timeoutMs: _timeoutMs, result: _result, ...lasting } = all;
  const entering = expression.applied("", (code) => `${CONTEXTS}.enter(${code})`);
  const entered = await entering.run({ ...all, result: "auto" });
  const [context, value] = entered as [PythonObjectHandle, unknown];
  // Leaving is never aborted: what was entered has to be left.
  const leave = (error: unknown) =>
    backend.callMethod<boolean>(context, "leave", [error], undefined, lasting);
  try {
    let result: Awaited<R>;
    try {
      result = await body(wrapResult(expression, value) as EnteredValue<Described<M>>);
    } catch (error) {
      // When the server has gone there is nothing to leave, and the body's error says why.
      if (!backend.isInitialized) throw error;
      if (await leave(describeThrown(error))) return undefined;
      throw error;
    }
    await leave(null);
    return result;
  } finally {
    context[Symbol.dispose]();
  }
}
