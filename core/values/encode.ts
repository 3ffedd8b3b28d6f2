/**
 * JavaScript values towards Python: JSON, with tags for whatever JSON would lose (`docs/PROTOCOL.md` §4).
 *
 * Most values are plain, and for these a look at each member and `JSON.stringify` is the fastest there is.
 * Whatever else is met sends the whole value to the writer, which spells every member out and knows the path
 * to it.
 *
 * @module
 */

import { ValueConversionError } from "../errors.ts";
import { PythonObjectHandle } from "../handles.ts";
import { bytesOf, PythonArray } from "./array.ts";
import { type EncodeContext, type EncodedValue, pythonValue } from "./context.ts";
import { converterToPython } from "./converters.ts";
import { ITERATOR_CLASS, iteratorOf } from "./iterators.ts";
import { NOT_PLAIN, PlainEncoder } from "./plain.ts";
import { MAX_PARTS, MIN_ROWS, rowsTag, type Seen } from "./rows.ts";
import { TemporalRangeError, temporalTag } from "./temporal.ts";
import { isPlainNumber } from "./text.ts";
import {
  PythonComplex,
  PythonDataclass,
  PythonDecimal,
  PythonEnum,
  PythonFloat,
  PythonNamedTuple,
  PythonTuple,
  PythonUuid,
} from "./types.ts";

/** The most levels of containers that a value may have; Python's own recursion limit leaves room for more. */
export const MAX_DEPTH = 200;

/**
 * A value as JSON and parts.
 *
 * @param options.skip How many leading steps of a path are the message's own: with 1, the value at
 * `[2][0].when` of an array of arguments is at `$[0].when`.
 */
export function encodeValue(
  value: unknown,
  context: EncodeContext,
  options: { readonly skip?: number } = {},
): EncodedValue {
  const skip = options.skip ?? 0;
  const plain = new PlainEncoder();
  const encoded = plain.encode(value, MAX_DEPTH + skip);
  if (encoded !== NOT_PLAIN) {
    return { json: JSON.stringify(encoded), parts: plain.parts, tagged: plain.hasRows };
  }
  const writer = new Writer(context, skip);
  const json = writer.write(value);
  return { json, parts: writer.parts, tagged: writer.tagged };
}

class Writer {
  tagged = false;
  readonly parts: Uint8Array<ArrayBuffer>[] = [];
  readonly #context: EncodeContext;
  readonly #skip: number;
  /** The containers that have opened, with their numbers. */
  readonly #opened = new Map<object, number>();
  readonly #seen: Seen = {
    has: (value) => this.#opened.has(value),
    add: (value) => this.#opened.set(value, this.#opened.size),
    delete: (value) => this.#opened.delete(value),
  };
  readonly #partNumbers = new Map<object, number>();
  readonly #steps: string[] = [];

  constructor(context: EncodeContext, skip: number) {
    this.#context = context;
    this.#skip = skip;
  }

  write(value: unknown): string {
    switch (typeof value) {
      case "string":
        return JSON.stringify(value);
      case "boolean":
        return value ? "true" : "false";
      case "number":
        return isPlainNumber(value) ? String(value) : this.#tag("float", float(value));
      case "undefined":
        return "null";
      case "bigint":
        return isSafe(value) ? String(value) : this.#tag("int", value.toString(16));
      case "function":
        return this.#writeFunction(value as (...args: never[]) => unknown);
      case "symbol":
        throw this.#error(`Cannot send ${String(value)} to Python: a symbol has no image there`);
    }
    return value === null ? "null" : this.#writeObject(value as object);
  }

  #writeObject(value: object): string {
    const number = this.#opened.get(value);
    if (number !== undefined) return this.#tag("ref", number);
    if (Array.isArray(value)) return this.#writeArray(value);
    const prototype = Object.getPrototypeOf(value);
    if (isPlainPrototype(prototype)) return this.#writeRecord(value as Record<string, unknown>);
    if (value instanceof PythonObjectHandle) return this.#tag("handle", this.#context.handleId(value));
    if (value instanceof Map) return this.#writeMap(value);
    if (value instanceof Set) {
      this.#open(value);
      return this.#tagged(`"set",${this.#items([...value])}`);
    }
    if (ArrayBuffer.isView(value)) return this.#writeView(value);
    if (value instanceof ArrayBuffer || value instanceof SharedArrayBuffer) {
      this.#refuseDetached(value);
      return this.#tag("bytes", this.#part(value, new Uint8Array(value)));
    }
    return this.#writeInstance(value);
  }

  #writeArray(value: unknown[]): string {
    const prototype = Object.getPrototypeOf(value);
    this.#open(value);
    if (prototype === Array.prototype) return this.#rows(value) ?? this.#items(value);
    if (value instanceof PythonNamedTuple) {
      const { module, name } = value.type;
      const fields = JSON.stringify([module, name, value.fields]).slice(0, -1);
      return this.#tagged(`"object","namedtuple",${fields},${this.#items(value)}]`);
    }
    if (value instanceof PythonTuple) return this.#tagged(`"tuple",${this.#items(value)}`);
    if (isForeignArrayPrototype(prototype)) return this.#items(value);
    throw this.#noImage(value);
  }

  #rows(value: readonly unknown[]): string | undefined {
    if (value.length < MIN_ROWS || this.#steps.length + 1 >= MAX_DEPTH + this.#skip) return undefined;
    const tag = rowsTag(value, this.#seen, this.parts);
    if (tag !== undefined) this.tagged = true;
    return tag && JSON.stringify(tag);
  }

  #items(items: readonly unknown[]): string {
    let text = "";
    for (let i = 0; i < items.length; i++) text += `${i === 0 ? "[" : ","}${this.#step(`[${i}]`, items[i])}`;
    return text === "" ? "[]" : `${text}]`;
  }

  #step(step: string, value: unknown): string {
    if (typeof value === "string") return JSON.stringify(value);
    this.#steps.push(step);
    const text = this.write(value);
    // Not in a finally: the steps that are left when it throws are the path of the failure.
    this.#steps.pop();
    return text;
  }

  #writeRecord(value: Record<string, unknown>): string {
    if (Object.getOwnPropertySymbols(value).length > 0) {
      // An iterable that was written as a literal.
      if (Symbol.iterator in value || Symbol.asyncIterator in value) return this.#writeInstance(value);
      throw this.#error("Cannot send an object with symbols as keys to Python: a symbol has no image there");
    }
    this.#open(value);
    const keys = Object.keys(value);
    if (keys.includes("$")) {
      const pairs = keys.map((key) =>
        `[${JSON.stringify(key)},${this.#step(propertyStep(key), value[key])}]`
      );
      return this.#tagged(`"dict",[${pairs.join(",")}]`);
    }
    let text = "";
    for (const key of keys) {
      text += `${text === "" ? "{" : ","}${JSON.stringify(key)}:${this.#step(propertyStep(key), value[key])}`;
    }
    return text === "" ? "{}" : `${text}}`;
  }

  #writeMap(value: Map<unknown, unknown>): string {
    this.#open(value);
    let number = 0;
    const pairs: string[] = [];
    for (const [key, item] of value) {
      const keyText = this.#step(`.keys()[${number++}]`, key);
      pairs.push(`[${keyText},${this.#step(keyStep(key), item)}]`);
    }
    return this.#tagged(`"dict",[${pairs.join(",")}]`);
  }

  #writeView(value: ArrayBufferView): string {
    if (value instanceof Uint8Array || value instanceof DataView) {
      return this.#tag("bytes", this.#part(value, value));
    }
    return this.#writePythonArray(value, new PythonArray(value as Float64Array));
  }

  #writePythonArray(identity: object, value: PythonArray): string {
    this.#open(identity);
    const { dtype, shape, data } = value.toContiguous();
    return this.#tagged(
      `"array",${JSON.stringify(dtype)},${JSON.stringify(shape)},${JSON.stringify(this.#part(data, data))}`,
    );
  }

  #writeInstance(value: object): string {
    if (value instanceof PythonArray) return this.#writePythonArray(value, value);
    if (value instanceof PythonFloat) return this.#tag("float", float(value.value));
    if (value instanceof PythonDecimal) return this.#tag("decimal", value.text);
    if (value instanceof PythonUuid) return this.#tag("uuid", value.hex);
    if (value instanceof PythonComplex) {
      // As floats, whatever they look like.
      return this.#tagged(
        `"complex",${this.#tag("float", float(value.real))},${this.#tag("float", float(value.imaginary))}`,
      );
    }
    if (value instanceof PythonEnum) {
      this.#open(value);
      const member = JSON.stringify([value.type.module, value.type.name, value.name]).slice(0, -1);
      return this.#tagged(`"object","enum",${member},${this.#step(".value", value.value)}]`);
    }
    if (value instanceof PythonDataclass) return this.#writeDataclass(value);
    const converter = converterToPython(value);
    if (converter?.toPython !== undefined) {
      this.#open(value);
      const { args, kwargs } = converter.toPython(value);
      const fields = `[${JSON.stringify(converter.pythonType)},${this.#items(args ?? [])},${
        this.#keywords(kwargs ?? {})
      }]`;
      return this.#tagged(`"object","converted",${fields}`);
    }
    try {
      const temporal = temporalTag(value);
      if (temporal !== undefined) return this.#tagged(JSON.stringify(temporal).slice(1, -1));
    } catch (cause) {
      if (!(cause instanceof TemporalRangeError)) throw cause;
      throw this.#error(`Cannot send ${cause.message} to Python`, cause);
    }
    if (pythonValue in value) return this.write(value[pythonValue]);
    const iterator = iteratorOf(value);
    if (iterator !== undefined) {
      this.#open(value);
      return this.#tagged(
        `"object","converted",["${ITERATOR_CLASS}",${this.#items([iterator.take, iterator.takeAsync])},{}]`,
      );
    }
    throw this.#noImage(value);
  }

  #writeDataclass(value: PythonDataclass): string {
    this.#open(value);
    const type = JSON.stringify([value.type.module, value.type.name]).slice(0, -1);
    return this.#tagged(`"object","dataclass",${type},${this.#keywords(value.fields)}]`);
  }

  /** An object that is part of a tag and no container of its own. */
  #keywords(fields: Readonly<Record<string, unknown>>): string {
    const members = Object.keys(fields).map((name) =>
      `${JSON.stringify(name)}:${this.#step(propertyStep(name), fields[name])}`
    );
    return `{${members.join(",")}}`;
  }

  #writeFunction(value: (...args: never[]) => unknown): string {
    if (pythonValue in value) return this.write(value[pythonValue]);
    if (/^class\b/.test(Function.prototype.toString.call(value))) {
      throw this.#error(
        `Cannot send class ${value.name} to Python: a class cannot be called without new`,
        undefined,
        {
          hint: "Pass a function that makes the instance.",
        },
      );
    }
    const isAsync = Object.prototype.toString.call(value) === "[object AsyncFunction]";
    return this.#tag("function", this.#context.functionId(value), isAsync);
  }

  #open(value: object): void {
    if (this.#steps.length >= MAX_DEPTH + this.#skip) {
      throw this.#error(`Cannot send the value to Python: it is nested more than ${MAX_DEPTH} deep`);
    }
    this.#opened.set(value, this.#opened.size);
  }

  /** The number of a part, or base64 where a frame has no room for more parts. */
  #part(identity: object, view: ArrayBufferView): number | string {
    const known = this.#partNumbers.get(identity);
    if (known !== undefined) return known;
    this.#refuseDetached(view.buffer);
    const bytes = bytesOf(view);
    if (this.parts.length >= MAX_PARTS) return bytes.toBase64();
    // What other threads can change is taken as it is now; no socket takes it as it is.
    this.parts.push(view.buffer instanceof ArrayBuffer ? bytes : new Uint8Array(bytes));
    this.#partNumbers.set(identity, this.parts.length - 1);
    return this.parts.length - 1;
  }

  #refuseDetached(buffer: ArrayBufferLike): void {
    if (buffer instanceof ArrayBuffer && buffer.detached) {
      throw this.#error("Cannot send a detached buffer to Python: its bytes were moved elsewhere");
    }
  }

  #tag(name: string, ...args: readonly (string | number | boolean)[]): string {
    return this.#tagged(`${JSON.stringify(name)},${JSON.stringify(args).slice(1, -1)}`);
  }

  #tagged(body: string): string {
    this.tagged = true;
    return `{"$":[${body}]}`;
  }

  #noImage(value: object): ValueConversionError {
    const name = value.constructor?.name || "an unnamed class";
    const isThenable = typeof (value as { then?: unknown }).then === "function";
    return this.#error(`Cannot send an instance of ${name} to Python: it has no image there`, undefined, {
      hint: isThenable
        ? "Await the promise and send its value."
        : "Send a plain object, or register a converter for its class by registerConverter().",
    });
  }

  #error(message: string, cause?: unknown, options: { hint?: string } = {}): ValueConversionError {
    const path = `$${this.#steps.slice(this.#skip).join("")}`;
    return new ValueConversionError(message, path, cause === undefined ? options : { cause, ...options });
  }
}

function isSafe(value: bigint): boolean {
  return value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER;
}

function float(value: number): string {
  if (Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  return Object.is(value, -0) ? "-0" : String(value);
}

function isPlainPrototype(prototype: object | null): boolean {
  if (prototype === null || prototype === Object.prototype) return true;
  // Object.prototype of another realm, such as that of a worker's or a test runner's context.
  return Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, "isPrototypeOf");
}

function isForeignArrayPrototype(prototype: object): boolean {
  return Object.hasOwn(prototype, "copyWithin") && isPlainPrototype(Object.getPrototypeOf(prototype));
}

function propertyStep(key: string): string {
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(key) ? `.${key}` : `[${JSON.stringify(key.slice(0, 40))}]`;
}

function keyStep(key: unknown): string {
  if (typeof key === "string") return propertyStep(key);
  return typeof key === "object" && key !== null ? `[<${key.constructor?.name}>]` : `[${String(key)}]`;
}
