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
export type {
  Image,
  PythonArguments,
  PythonCallable,
  PythonItem,
  PythonMembers,
  PythonObject,
  PythonPath,
  PythonProxy,
  PythonResult,
  Untyped,
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
