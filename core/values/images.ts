/**
 * From a tag's name and arguments to the value: the closed table that both decoders share.
 *
 * @module
 */

import { ValueConversionError } from "../errors.ts";
import { arrayOf } from "./array.ts";
import type { DecodeContext } from "./context.ts";
import { converterFromPython } from "./converters.ts";
import { fromTemporalTag } from "./temporal.ts";
import {
  PythonComplex,
  PythonDataclass,
  PythonDecimal,
  PythonEnum,
  PythonNamedTuple,
  PythonUuid,
} from "./types.ts";

/** A tag that is malformed; the decoders turn it into a `ProtocolError`. */
export class MalformedValueError extends RangeError {}

/** The value of a tag that cannot contain itself. */
export function makeImage(name: string, args: readonly unknown[], context: DecodeContext): unknown {
  switch (name) {
    case "handle":
      return context.handle(integer(args[0]), string(args[1]));
    case "decimal":
      return new PythonDecimal(string(args[0]));
    case "uuid":
      return uuid(string(args[0]));
    case "complex":
      return new PythonComplex(number(args[0]), number(args[1]));
    case "array":
      return arrayOf(
        string(args[0]),
        numbers(args[1]),
        args[2] === null ? null : numbers(args[2]),
        bytes(args[3]),
      );
    case "object":
      return makeObject(string(args[0]), list(args[1]));
    case "datetime":
    case "datetime_tz":
    case "date":
    case "time":
    case "timedelta":
      return makeTemporal(name, args);
  }
  throw new MalformedValueError(`"${name.slice(0, 40)}" is not in the table`);
}

function makeTemporal(name: string, args: readonly unknown[]): unknown {
  if (typeof Temporal === "undefined") {
    throw new ValueConversionError(`Cannot make a ${name}: this runtime has no Temporal`, "$", {
      hint: "Use a runtime with Temporal (Deno 2.7 or later), or convert dates to text in Python.",
    });
  }
  try {
    return fromTemporalTag(name, args);
  } catch (cause) {
    const shown = args.map((arg) => typeof arg === "string" ? arg.slice(0, 80) : typeof arg).join(", ");
    throw new ValueConversionError(`Cannot make a ${name} of ${shown}`, "$", { cause });
  }
}

/** Makes an enum member, a named tuple, a dataclass instance without its fields, or a user's own type. */
function makeObject(kind: string, fields: readonly unknown[]): unknown {
  switch (kind) {
    case "enum": {
      const member = fields[2] === null ? null : string(fields[2]);
      return new PythonEnum({ module: string(fields[0]), name: string(fields[1]) }, member, fields[3]);
    }
    case "namedtuple": {
      const names = list(fields[2]).map(string);
      const type = { module: string(fields[0]), name: string(fields[1]) };
      return PythonNamedTuple.create(type, names, list(fields[3]));
    }
    case "dataclass":
      return new PythonDataclass({ module: string(fields[0]), name: string(fields[1]) }, {});
    case "converted":
      return convert(string(fields[0]), list(fields[1]));
  }
  throw new MalformedValueError(`an object of kind "${kind.slice(0, 40)}" is not known`);
}

function convert(pythonType: string, values: readonly unknown[]): unknown {
  const converter = converterFromPython(pythonType);
  const attributes = converter?.attributes;
  if (
    converter?.fromPython === undefined || attributes === undefined || attributes.length !== values.length
  ) {
    throw new ValueConversionError(
      `Cannot convert a ${pythonType}: its converter is not registered any more`,
      "$",
    );
  }
  return converter.fromPython(Object.fromEntries(attributes.map((name, index) => [name, values[index]])));
}

/** Sets the contents of an object that was made without them. */
export function fillObject(made: unknown, state: unknown): void {
  if (
    !(made instanceof PythonDataclass) || typeof state !== "object" || state === null || state instanceof Map
  ) {
    throw new MalformedValueError("only a dataclass has contents of its own");
  }
  for (const [name, value] of Object.entries(state)) setProperty(made.fields, name, value);
}

/** Sets an own property whatever its name, `__proto__` included. */
export function setProperty(object: Record<string, unknown>, name: string, value: unknown): void {
  if (name === "__proto__") {
    Object.defineProperty(object, name, { value, enumerable: true, configurable: true, writable: true });
  } else {
    object[name] = value;
  }
}

/** Sets an entry of a Map; refuses keys that JavaScript would change or could not keep apart. */
export function setEntry(map: Map<unknown, unknown>, key: unknown, value: unknown): void {
  const { size } = map;
  if (!Object.is(key, -0)) map.set(key, value);
  if (map.size === size) {
    throw new ValueConversionError(`Cannot keep key ${describe(key)} of a dict apart`, "$");
  }
}

/** Adds a member of a Set; as {@linkcode setEntry}. */
export function addMember(set: Set<unknown>, member: unknown): void {
  const { size } = set;
  if (!Object.is(member, -0)) set.add(member);
  if (set.size === size) {
    throw new ValueConversionError(`Cannot keep member ${describe(member)} of a set apart`, "$");
  }
}

function describe(key: unknown): string {
  return Object.is(key, -0) ? "-0 (JavaScript makes it 0)" : `${String(key)} (JavaScript has it already)`;
}

/** The integer of hex digits, with an optional sign. */
export function parseHex(text: string): bigint {
  if (!/^-?[0-9a-f]+$/.test(text)) throw new MalformedValueError("an integer is not hex digits");
  return text.startsWith("-") ? -BigInt(`0x${text.slice(1)}`) : BigInt(`0x${text}`);
}

function uuid(hex: string): PythonUuid {
  if (!/^[0-9a-f]{32}$/.test(hex)) throw new MalformedValueError("a UUID is not 32 hex digits");
  return new PythonUuid(hex);
}

function string(value: unknown): string {
  if (typeof value !== "string") {
    throw new MalformedValueError("something else stands where a string belongs");
  }
  return value;
}

function integer(value: unknown): number {
  if (!Number.isSafeInteger(value)) {
    throw new MalformedValueError("something else stands where an integer belongs");
  }
  return value as number;
}

function number(value: unknown): number {
  if (typeof value !== "number") {
    throw new MalformedValueError("something else stands where a number belongs");
  }
  return value;
}

function list(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw new MalformedValueError("something else stands where a list belongs");
  return value;
}

function numbers(value: unknown): readonly number[] {
  return Array.from(list(value), integer);
}

function bytes(value: unknown): Uint8Array {
  if (!(value instanceof Uint8Array)) {
    throw new MalformedValueError("something else stands where bytes belong");
  }
  return value;
}
