/**
 * The contract of a backend, as a suite that runs over any of them.
 *
 * A clause is data: an id, a sentence, marks, and a body that fails when the sentence does not hold. A backend that
 * cannot keep a clause says so in data too, with a reason; such a clause is still run, and turns red once it holds.
 *
 * @module
 */

import type { PythonHostBackend } from "../core/backend.ts";
import type { Clause, ClauseMark } from "./clause.ts";
import { CLAUSES } from "./clauses/mod.ts";

/** A clause that a backend does not keep. */
export interface ContractException {
  /** The id of the clause. */
  readonly clause: string;
  /** Why not; shown beside the clause. */
  readonly reason: string;
}

/** A server, or what stands for one, on which backends can be made. */
export interface ContractSubject extends AsyncDisposable {
  /** Makes a backend that is not yet initialized. */
  connect(): PythonHostBackend | Promise<PythonHostBackend>;
}

/** Options of {@linkcode testBackendContract}. */
export interface ContractOptions {
  /** What is tested, for the name of the test. */
  readonly name: string;
  /** Starts a server; called once, and once more for each isolated clause. */
  readonly start: () => Promise<ContractSubject>;
  /** Which clauses apply. @default {["lifecycle", "python"]} */
  readonly marks?: readonly ClauseMark[];
  /** The clauses that are known not to hold. */
  readonly exceptions?: readonly ContractException[];
  /** The clauses to run. @default {all} */
  readonly clauses?: readonly Clause[];
  /** How long one clause may take, in milliseconds. @default {120000} */
  readonly clauseTimeoutMs?: number;
}

const DEFAULT_CLAUSE_TIMEOUT_MS = 120_000;

/**
 * Registers one test that runs the contract, a step for each clause.
 *
 * @example Test a backend of your own
 * ```ts ignore
 * import { testBackendContract } from "jsr:@beep/python-host/testing";
 *
 * testBackendContract({
 *   name: "MyBackend",
 *   start: async () => {
 *     const server = await startMyServer();
 *     return { connect: () => new MyBackend(server.address), [Symbol.asyncDispose]: () => server.stop() };
 *   },
 *   exceptions: [{ clause: "values/lone-surrogate", reason: "the wire carries UTF-8 only" }],
 * });
 * ```
 */
export function testBackendContract(options: ContractOptions): void {
  const marks = options.marks ?? ["lifecycle", "python"];
  const clauses = (options.clauses ?? CLAUSES).filter((clause) =>
    clause.marks.every((mark) => marks.includes(mark))
  );
  const reasons = exceptionReasons(options.exceptions ?? [], options.clauses ?? CLAUSES);
  Deno.test(`${options.name} keeps the backend contract`, async (t) => {
    const shared = await options.start();
    try {
      for (const clause of clauses) {
        const reason = reasons.get(clause.id);
        const name = `${clause.id}: ${clause.sentence}${
          reason === undefined ? "" : ` [exception: ${reason}]`
        }`;
        await t.step(name, async () => {
          const run = () => runClause(clause, options, shared);
          await (reason === undefined ? run() : expectFailure(clause, run));
        });
      }
    } finally {
      await shared[Symbol.asyncDispose]();
    }
  });
}

function exceptionReasons(
  exceptions: readonly ContractException[],
  clauses: readonly Clause[],
): Map<string, string> {
  const ids = new Set(clauses.map(({ id }) => id));
  for (const { clause } of exceptions) {
    if (!ids.has(clause)) throw new TypeError(`Cannot except clause "${clause}": there is none of that id`);
  }
  return new Map(exceptions.map(({ clause, reason }) => [clause, reason]));
}

async function expectFailure(clause: Clause, run: () => Promise<void>): Promise<void> {
  try {
    await run();
  } catch {
    return; // as the exception says
  }
  throw new Error(`Clause "${clause.id}" holds now: remove its exception`);
}

async function runClause(clause: Clause, options: ContractOptions, shared: ContractSubject): Promise<void> {
  const subject = clause.isolated ? await options.start() : shared;
  const opened: PythonHostBackend[] = [];
  async function connect(): Promise<PythonHostBackend> {
    const backend = await subject.connect();
    opened.push(backend);
    return backend;
  }
  const timeoutMs = options.clauseTimeoutMs ?? DEFAULT_CLAUSE_TIMEOUT_MS;
  let timer: ReturnType<typeof setTimeout> | undefined;
  try {
    const tooLate = new Promise<never>((_, reject) => {
      const error = new Error(`Clause "${clause.id}" did not end within ${timeoutMs} ms`);
      timer = setTimeout(() => reject(error), timeoutMs);
    });
    await Promise.race([clause.body({ backend: await connect(), connect }), tooLate]);
  } finally {
    clearTimeout(timer);
    for (const backend of opened) await backend.close();
    if (subject !== shared) await subject[Symbol.asyncDispose]();
  }
}
