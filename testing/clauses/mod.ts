/**
 * All clauses of the backend contract, in the order in which they are run. A file for each area.
 *
 * @module
 */

import type { Clause } from "../clause.ts";
import { CANCELLATION } from "./cancellation.ts";
import { CONCURRENCY } from "./concurrency.ts";
import { ERRORS } from "./errors.ts";
import { EVALUATION } from "./evaluation.ts";
import { LIFECYCLE } from "./lifecycle.ts";
import { OPERATIONS } from "./operations.ts";
import { OUTPUT } from "./output.ts";
import { SESSIONS } from "./sessions.ts";
import { VALUES } from "./values.ts";

/** The whole contract. */
export const CLAUSES: readonly Clause[] = [
  ...LIFECYCLE,
  ...EVALUATION,
  ...ERRORS,
  ...OPERATIONS,
  ...VALUES,
  ...OUTPUT,
  ...SESSIONS,
  ...CONCURRENCY,
  ...CANCELLATION,
];
