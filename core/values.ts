/**
 * Values to the wire and back. Twin of `values.py`; both read `tests/golden/values.json`.
 *
 * Towards Python values travel as JSON, with tags where JSON would lose something; towards JavaScript as
 * plain JSON, as a packed stream, or as JSON with tags. `docs/VALUES.md` is the table of what becomes what.
 *
 * @module
 */

import { ProtocolError } from "./errors.ts";
import type { DecodeContext } from "./values/context.ts";
import { readPickle } from "./values/pickle.ts";
import { TagReader } from "./values/tags.ts";

export { PythonArray, type PythonArrayData } from "./values/array.ts";
export {
  type DecodeContext,
  type EncodeContext,
  type EncodedValue,
  pythonDropped,
  pythonValue,
} from "./values/context.ts";
export {
  type ConstructorArguments,
  converterAttributes,
  converterRevision,
  type PythonConverter,
  registerConverter,
} from "./values/converters.ts";
export { encodeValue } from "./values/encode.ts";
export { PythonIterator, pythonIterator, type PythonIteratorOptions } from "./values/iterators.ts";
export {
  pyFloat,
  type PythonClassName,
  PythonComplex,
  PythonDataclass,
  PythonDecimal,
  PythonEnum,
  PythonFloat,
  PythonNamedTuple,
  PythonTuple,
  PythonUuid,
} from "./values/types.ts";

/** The value of JSON with tags, already parsed; `parts` are the binary parts of its message. */
export function decodeTagged(value: unknown, parts: readonly Uint8Array[], context: DecodeContext): unknown {
  return guarded(() => new TagReader(parts, context).read(value as Parameters<TagReader["read"]>[0]));
}

/** The value of a packed stream: `parts[0]`, with its buffers in the parts after it. */
export function decodePacked(parts: readonly Uint8Array[], context: DecodeContext): unknown {
  const stream = parts[0];
  if (stream === undefined) {
    throw new ProtocolError("remote", "Cannot read packed value: its stream did not come");
  }
  return guarded(() => readPickle(stream, parts.slice(1), context));
}

function guarded<T>(read: () => T): T {
  try {
    return read();
  } catch (cause) {
    // What the bytes cannot mean shows as one of these two; an error that has a type of its own passes.
    if (cause instanceof RangeError || cause instanceof SyntaxError) {
      throw new ProtocolError("remote", `Cannot read value: ${cause.message}`, { cause });
    }
    throw cause;
  }
}
