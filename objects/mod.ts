/**
 * Python objects as JavaScript sees them: proxies, iteration, context managers, scopes. Functions over any backend.
 *
 * @module
 */

export { type EnteredValue, withContext } from "./context_manager.ts";
export { ellipsis, Keywords, kw, PythonSlice, slice } from "./expression.ts";
export { BackendFacade } from "./facade.ts";
export { iterate } from "./iterate.ts";
export type { IterateOptions } from "./iteration.ts";
export {
  attribute,
  awaited,
  contains,
  deleteAttribute,
  deleteItem,
  dir,
  item,
  len,
  op,
  type PythonOperand,
  type PythonOperators,
  repr,
  setAttribute,
  setItem,
  str,
  truth,
} from "./operators.ts";
export { handleOf, hold, isProxy, proxy, type ProxyOptions, run } from "./proxy.ts";
export {
  awaitedType,
  type Described,
  describedType,
  type Image,
  type PythonArguments,
  type PythonCallable,
  type PythonItem,
  type PythonMembers,
  type PythonObject,
  type PythonPath,
  type PythonProxy,
  type PythonResult,
  type Untyped,
} from "./proxy_types.ts";
export { forNotebook } from "./notebook.ts";
export { type HeldHandle, type LeakReport, PythonScope, scope, type ScopeOptions } from "./scope.ts";
export {
  type Completions,
  type HistoryEntry,
  type Inspection,
  type NameKind,
  openSession,
  PythonSession,
  type SessionOptions,
  type ShowOptions,
  type VariableInfo,
} from "./sessions.ts";
