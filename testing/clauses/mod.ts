/**
 * All clauses of the backend contract, in the order in which they are run. A file for each area.
 *
 * @module
 */

import type { Clause } from "../clause.ts";
import { CALLBACKS } from "./callbacks.ts";
import { CANCELLATION } from "./cancellation.ts";
import { CONCURRENCY } from "./concurrency.ts";
import { CONTEXTS } from "./contexts.ts";
import { COROUTINES } from "./coroutines.ts";
import { ERRORS } from "./errors.ts";
import { EVALUATION } from "./evaluation.ts";
import { EXCEPTIONS } from "./exceptions.ts";
import { HOSTILE_CODE } from "./hostile_code.ts";
import { INFRASTRUCTURE } from "./infrastructure.ts";
import { ITERATION } from "./iteration.ts";
import { LIFECYCLE } from "./lifecycle.ts";
import { OPERATIONS } from "./operations.ts";
import { OUTPUT } from "./output.ts";
import { PROXIES } from "./proxies.ts";
import { SESSIONS } from "./sessions.ts";
import { VALUES } from "./values.ts";

/** The whole contract. */
export const CLAUSES: readonly Clause[] = [
  ...LIFECYCLE,
  ...EVALUATION,
  ...ERRORS,
  ...EXCEPTIONS,
  ...OPERATIONS,
  ...VALUES,
  ...OUTPUT,
  ...SESSIONS,
  ...CONCURRENCY,
  ...CANCELLATION,
  ...CALLBACKS,
  ...COROUTINES,
  ...PROXIES,
  ...ITERATION,
  ...CONTEXTS,
  ...HOSTILE_CODE,
  ...INFRASTRUCTURE,
];
