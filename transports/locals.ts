/**
 * The arguments of `evaluate`: handles travel as numbers beside the values, which then mostly need no tags.
 *
 * ```text
 * { _0: <handle 7>, _1: 2 }  ──►  [code, { _1: 2 }, { _0: 7 }]
 * ```
 *
 * @module
 */

import type { KeywordArguments } from "../core/backend.ts";
import { PythonHostError } from "../core/errors.ts";
import { PythonObjectHandle } from "../core/handles.ts";

/** The arguments of one `evaluate`. */
export interface EvaluateArguments {
  /** The row of them. */
  readonly args: readonly unknown[];
  /** The handles that are locals by themselves; undefined when there are none. */
  readonly handles: readonly number[] | undefined;
}

/** Takes the handles out of the locals. `idOf` throws for a handle that cannot be used. */
export function evaluateArguments(
  code: string,
  locals: KeywordArguments | undefined,
  idOf: (handle: PythonObjectHandle) => number,
): EvaluateArguments {
  if (locals === undefined) return { args: [code], handles: undefined };
  const held: Record<string, number> = {};
  const handles: number[] = [];
  const values: Record<string, unknown> = {};
  try {
    for (const name in locals) {
      const value = locals[name];
      if (value instanceof PythonObjectHandle) {
        const id = idOf(value);
        held[name] = id;
        handles.push(id);
      } else if (name === "__proto__") {
        Object.defineProperty(values, name, { value, enumerable: true });
      } else {
        values[name] = value;
      }
    }
  } catch (error) {
    if (error instanceof PythonHostError) throw error;
    // A getter or a proxy that throws: the encoder meets it again, and says where.
    return { args: [code, locals], handles: undefined };
  }
  // Without handles the locals go as they are: what they are is for the encoder to say.
  return handles.length === 0
    ? { args: [code, locals], handles: undefined }
    : { args: [code, values, held], handles };
}
