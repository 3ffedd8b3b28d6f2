/**
 * For those who write a backend or use one: the contract as a suite, and a backend in memory.
 *
 * {@linkcode testBackendContract} runs what every backend promises over yours. {@linkcode MemoryBackend} answers from
 * what your test registers, so that code which uses a backend is tested without a Python.
 *
 * @module
 */

export { type Clause, type ClauseContext, type ClauseMark, QUICK_CODE, SLOW_CODE } from "./clause.ts";
export {
  type ContractException,
  type ContractOptions,
  type ContractSubject,
  testBackendContract,
} from "./contract.ts";
export { CLAUSES } from "./clauses/mod.ts";
export { type MemoryAnswer, MemoryBackend, type MemoryCall } from "./memory_backend.ts";
