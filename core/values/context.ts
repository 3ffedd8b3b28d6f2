/**
 * What the codecs ask of whoever calls them, and what they give.
 *
 * @module
 */

import type { PythonObjectHandle } from "../handles.ts";

/** What {@linkcode encodeValue} asks of a backend. */
export interface EncodeContext {
  /** The id of a handle that can be used on this backend; throws a `StaleHandleError` for any other. */
  handleId(handle: PythonObjectHandle): number;
  /** The number under which Python can call the function. */
  functionId(fn: (...args: never[]) => unknown): number;
}

/** What {@linkcode encodeValue} gives. */
export interface EncodedValue {
  /** JSON text. */
  readonly json: string;
  /** The binary parts that the text names, by index. */
  readonly parts: readonly Uint8Array<ArrayBuffer>[];
  /** Whether the text contains tags; without them it is the value itself. */
  readonly tagged: boolean;
}

/** What the decoders ask of a backend. */
export interface DecodeContext {
  /** The handle for an object that Python holds under `id`. */
  handle(id: number, typeName: string): PythonObjectHandle;
}

/** A function with a method of this name is told by it when Python has let go of it. */
export const pythonDropped: unique symbol = Symbol.for("beep.python-host.dropped");

/**
 * An object with a property of this name is sent as the value of that property. A proxy answers it with its
 * handle, so that proxies travel as arguments.
 */
export const pythonValue: unique symbol = Symbol.for("beep.python-host.value");
