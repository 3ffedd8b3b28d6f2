/**
 * Why a backend has ended, as far as somebody knows more than that its connection did.
 *
 * @module
 */

import type { PythonHostError } from "../core/errors.ts";
import type { Logger } from "../core/logger.ts";
import { settlesWithin } from "../core/timers.ts";

/** Says how the server ended, when its owner knows. */
export type ExplainEnd = (action: string) => Promise<PythonHostError | undefined>;

// How long the owner of the server may take to say how it ended. The exit code of a dead process is there within
// milliseconds; pending calls must not wait much for one that is not.
const EXPLAIN_TIMEOUT_MS = 1_000;

/** The owner's explanation of the end, or the given reason when there is none in time. */
export async function explained(
  reason: PythonHostError,
  explainEnd: ExplainEnd | undefined,
  logger: Logger,
): Promise<PythonHostError> {
  if (explainEnd === undefined) return reason;
  try {
    const known = explainEnd("complete call");
    return await settlesWithin(known, EXPLAIN_TIMEOUT_MS) ? await known ?? reason : reason;
  } catch (error) {
    logger.error("Cannot find out how the server ended", error);
    return reason;
  }
}
