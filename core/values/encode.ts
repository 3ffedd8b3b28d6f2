/**
 * JavaScript values towards Python: JSON, with tags for whatever JSON would lose (`docs/PROTOCOL.md` §4).
 *
 * Most values are plain, and for these a look at each member and `JSON.stringify` is the fastest there is.
 * Whatever else is met sends the whole value to the writer, which spells every member out and knows the path
 * to it.
 *
 * @module
 */

import { PythonHostError, ValueConversionError } from "../errors.ts";
import { PythonObjectHandle } from "../handles.ts";
import { bytesOf, PythonArray } from "./array.ts";
import {
  type Builtin,
  builtinOf,
  isArguments,
  isExactly,
  isFixed,
  isOutOfBounds,
  isPlainPrototype,
} from "./builtins.ts";
import { type EncodeContext, type EncodedValue, pythonValue } from "./context.ts";
import { converterToPython } from "./converters.ts";
import { ITERATOR_CLASS, iteratorOf } from "./iterators.ts";
import { NOT_PLAIN, PlainEncoder } from "./plain.ts";
import { MAX_PARTS, MIN_ROWS, rowsTag, type Seen } from "./rows.ts";
import { TemporalRangeError, temporalTag } from "./temporal.ts";
import { className, describeNoImage, describeThrown, keyStep, propertyStep, tooLong } from "./paths.ts";
import { floatText, isPlainNumber, isSafeInteger, listText, LONG_LIST, MOST_ITEMS } from "./text.ts";
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
  try {
    const plain = new PlainEncoder();
    const encoded = plain.encode(value, MAX_DEPTH + skip);
    if (encoded !== NOT_PLAIN) {
      return { json: JSON.stringify(encoded), parts: plain.parts, tagged: plain.hasRows };
    }
  } catch {
    // A getter or a proxy that throws, or a text longer than a string can be: the writer meets it again, and says where.
  }
  const writer = new Writer(context, skip);
  const json = writer.writeRoot(value);
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

  /** The text of the whole value. What code of the value's own throws while it is read, such as a getter, gets the path. */
  writeRoot(value: unknown): string {
    try {
      return this.write(value);
    } catch (cause) {
      if (cause instanceof PythonHostError) throw cause;
      throw this.#error(
        `Cannot send the value to Python: reading it failed with ${describeThrown(cause)}`,
        cause,
      );
    }
  }

  write(value: unknown): string {
    switch (typeof value) {
      case "string":
        return JSON.stringify(value);
      case "boolean":
        return value ? "true" : "false";
      case "number":
        return isPlainNumber(value) ? String(value) : this.#tag("float", floatText(value));
      case "undefined":
        return "null";
      case "bigint":
        return isSafeInteger(value) ? String(value) : this.#tag("int", value.toString(16));
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
    return this.#writeOwnType(value, prototype) ?? this.#writeConverted(value) ?? this.#writeInstance(value);
  }

  #writeArray(value: unknown[]): string {
    const prototype = Object.getPrototypeOf(value);
    if (prototype === Array.prototype) {
      this.#open(value);
      return this.#rows(value) ?? this.#items(value);
    }
    if (prototype === PythonNamedTuple.prototype) {
      this.#open(value);
      const { type, fields } = value as PythonNamedTuple;
      const names = JSON.stringify([type.module, type.name, fields]).slice(0, -1);
      return this.#tagged(`"object","namedtuple",${names},${this.#items(value)}]`);
    }
    if (prototype === PythonTuple.prototype) {
      this.#open(value);
      return this.#tagged(`"tuple",${this.#items(value)}`);
    }
    const converted = this.#writeConverted(value);
    if (converted !== undefined) return converted;
    if (!isExactly(value, "Array")) throw this.#noImage(value, { name: "Array", isExact: false });
    this.#open(value);
    return this.#items(value);
  }

  #rows(value: readonly unknown[]): string | undefined {
    if (value.length < MIN_ROWS || this.#steps.length + 1 >= MAX_DEPTH + this.#skip) return undefined;
    const tag = rowsTag(value, this.#seen, this.parts);
    if (tag !== undefined) this.tagged = true;
    return tag && JSON.stringify(tag);
  }

  #items(items: readonly unknown[]): string {
    if (items.length > MOST_ITEMS) throw this.#error(...tooLong(items.length));
    if (items.length > LONG_LIST) return listText(items.length, (i) => this.#step(`[${i}]`, items[i]));
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

  /** A property, which is read here and once: the getter that fails has its path. */
  #property(record: Readonly<Record<string, unknown>>, key: string): string {
    this.#steps.push(propertyStep(key));
    const text = this.write(record[key]);
    this.#steps.pop();
    return text;
  }

  #writeRecord(value: Record<string, unknown>): string {
    if (Object.getOwnPropertySymbols(value).length > 0) {
      if (isArguments(value)) {
        this.#open(value);
        return this.#items(Array.from(value as unknown as ArrayLike<unknown>));
      }
      // An iterable that was written as a literal.
      if (Symbol.iterator in value || Symbol.asyncIterator in value) return this.#writeInstance(value);
      throw this.#error("Cannot send an object with symbols as keys to Python: a symbol has no image there");
    }
    this.#open(value);
    const keys = Object.keys(value);
    if (keys.includes("$")) {
      const pairs = keys.map((key) => `[${JSON.stringify(key)},${this.#property(value, key)}]`);
      return this.#tagged(`"dict",[${pairs.join(",")}]`);
    }
    let text = "";
    for (const key of keys) {
      text += `${text === "" ? "{" : ","}${JSON.stringify(key)}:${this.#property(value, key)}`;
    }
    return text === "" ? "{}" : `${text}}`;
  }

  #writeBuiltin(value: object, { name }: Builtin): string | undefined {
    switch (name) {
      case "Map":
        // Its own entries, whatever it says of itself; one that only looks like a Map has none, and this throws.
        return this.#writeMap(value, [...Map.prototype.entries.call(value as Map<unknown, unknown>)]);
      case "Set": {
        const members = [...Set.prototype.values.call(value as Set<unknown>)];
        this.#open(value);
        return this.#tagged(`"set",${this.#items(members)}`);
      }
      case "ArrayBuffer":
      case "SharedArrayBuffer":
        this.#refuseDetached(value as ArrayBuffer);
        return this.#tag("bytes", this.#part(value, new Uint8Array(value as ArrayBuffer)));
      case "Uint8Array":
      case "DataView":
        return this.#tag("bytes", this.#part(value, value as Uint8Array));
    }
    if (!ArrayBuffer.isView(value)) return undefined;
    this.#refuseOutOfBounds(value);
    return this.#writePythonArray(value, new PythonArray(value as Float64Array));
  }

  #writeMap(identity: object, entries: readonly (readonly [unknown, unknown])[]): string {
    this.#open(identity);
    let number = 0;
    const pairs: string[] = [];
    for (const [key, item] of entries) {
      const keyText = this.#step(`.keys()[${number++}]`, key);
      pairs.push(`[${keyText},${this.#step(keyStep(key), item)}]`);
    }
    return this.#tagged(`"dict",[${pairs.join(",")}]`);
  }

  #writePythonArray(identity: object, value: PythonArray): string {
    this.#open(identity);
    const { dtype, shape, data } = value.toContiguous();
    return this.#tagged(
      `"array",${JSON.stringify(dtype)},${JSON.stringify(shape)},${JSON.stringify(this.#part(data, data))}`,
    );
  }

  /** A value of one of our own classes; what extends them may hold more, and is an instance like any other. */
  #writeOwnType(value: object, prototype: object): string | undefined {
    switch (prototype) {
      case PythonArray.prototype:
        return this.#writePythonArray(value, value as PythonArray);
      case PythonFloat.prototype:
        return this.#tag("float", floatText((value as PythonFloat).value));
      case PythonDecimal.prototype:
        return this.#tag("decimal", (value as PythonDecimal).text);
      case PythonUuid.prototype:
        return this.#tag("uuid", (value as PythonUuid).hex);
      case PythonComplex.prototype: {
        // As floats, whatever they look like.
        const { real, imaginary } = value as PythonComplex;
        return this.#tagged(
          `"complex",${this.#tag("float", floatText(real))},${this.#tag("float", floatText(imaginary))}`,
        );
      }
      case PythonEnum.prototype: {
        this.#open(value);
        const { type, name, value: inner } = value as PythonEnum;
        const member = JSON.stringify([type.module, type.name, name]).slice(0, -1);
        return this.#tagged(`"object","enum",${member},${this.#step(".value", inner)}]`);
      }
      case PythonDataclass.prototype:
        return this.#writeDataclass(value as PythonDataclass);
    }
    return undefined;
  }

  #writeConverted(value: object): string | undefined {
    const converter = converterToPython(value);
    if (converter?.toPython === undefined) return undefined;
    this.#open(value);
    const { args, kwargs } = converter.toPython(value);
    const fields = `[${JSON.stringify(converter.pythonType)},${this.#items(args ?? [])},${
      this.#keywords(kwargs ?? {})
    }]`;
    return this.#tagged(`"object","converted",${fields}`);
  }

  #writeInstance(value: object): string {
    if (pythonValue in value) return this.write(value[pythonValue]);
    const builtin = builtinOf(value);
    // Before anything asks what it can do: a class that extends Map is iterable too.
    if (builtin?.isExact === false) throw this.#noImage(value, builtin);
    const written = builtin && this.#writeBuiltin(value, builtin);
    if (written !== undefined) return written;
    try {
      const temporal = temporalTag(value);
      if (temporal !== undefined) return this.#tagged(JSON.stringify(temporal).slice(1, -1));
    } catch (cause) {
      if (!(cause instanceof TemporalRangeError)) throw cause;
      throw this.#error(`Cannot send ${cause.message} to Python`, cause);
    }
    const iterator = builtin === undefined ? iteratorOf(value) : undefined;
    if (iterator !== undefined) {
      this.#open(value);
      return this.#tagged(
        `"object","converted",["${ITERATOR_CLASS}",${this.#items([iterator.take, iterator.takeAsync])},{}]`,
      );
    }
    throw this.#noImage(value, builtin);
  }

  #writeDataclass(value: PythonDataclass): string {
    this.#open(value);
    const type = JSON.stringify([value.type.module, value.type.name]).slice(0, -1);
    return this.#tagged(`"object","dataclass",${type},${this.#keywords(value.fields)}]`);
  }

  /** An object that is part of a tag and no container of its own. */
  #keywords(fields: Readonly<Record<string, unknown>>): string {
    const members = Object.keys(fields).map((name) =>
      `${JSON.stringify(name)}:${this.#property(fields, name)}`
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
    this.#refuseOutOfBounds(view);
    const bytes = bytesOf(view);
    if (this.parts.length >= MAX_PARTS) return bytes.toBase64();
    this.parts.push(isFixed(view.buffer) ? bytes : new Uint8Array(bytes));
    this.#partNumbers.set(identity, this.parts.length - 1);
    return this.parts.length - 1;
  }

  #refuseDetached(buffer: ArrayBufferLike): void {
    if ("detached" in buffer && buffer.detached) {
      throw this.#error("Cannot send a detached buffer to Python: its bytes were moved elsewhere");
    }
  }

  #refuseOutOfBounds(view: ArrayBufferView): void {
    this.#refuseDetached(view.buffer);
    if (!isFixed(view.buffer) && isOutOfBounds(view)) {
      throw this.#error("Cannot send a view to Python: its buffer has become too short for it");
    }
  }

  #tag(name: string, ...args: readonly (string | number | boolean)[]): string {
    return this.#tagged(`${JSON.stringify(name)},${JSON.stringify(args).slice(1, -1)}`);
  }

  #tagged(body: string): string {
    this.tagged = true;
    return `{"$":[${body}]}`;
  }

  #noImage(value: object, builtin?: Builtin): ValueConversionError {
    const { problem, hint } = describeNoImage(value, builtin);
    return this.#error(`Cannot send an instance of ${className(value)} to Python: ${problem}`, undefined, {
      hint,
    });
  }

  #error(message: string, cause?: unknown, options: { hint?: string } = {}): ValueConversionError {
    const path = `$${this.#steps.slice(this.#skip).join("")}`;
    return new ValueConversionError(message, path, cause === undefined ? options : { cause, ...options });
  }
}
