/**
 * Reads JSON with tags (`docs/PROTOCOL.md` §4), as Python writes it.
 *
 * @module
 */

import type { DecodeContext } from "./context.ts";
import {
  addMember,
  fillObject,
  makeImage,
  MalformedValueError,
  parseHex,
  setEntry,
  setProperty,
} from "./images.ts";
import { decodeText } from "./text.ts";
import { PythonTuple } from "./types.ts";

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** Python writes at most 200 levels, each at most three of JSON; this bounds what others write. */
const MAX_JSON_DEPTH = 1000;

/** Reads one tagged value. */
export class TagReader {
  readonly #parts: readonly Uint8Array[];
  readonly #context: DecodeContext;
  /** The containers in the order in which they opened, which is what `ref` counts. */
  readonly #opened: unknown[] = [];
  #depth = 0;

  /** `parts` are the binary parts that tags name. */
  constructor(parts: readonly Uint8Array[], context: DecodeContext) {
    this.#parts = parts;
    const handles = new Map<number, ReturnType<DecodeContext["handle"]>>();
    this.#context = {
      // An object that is reached in two ways is one handle.
      handle: (id, typeName) => {
        let handle = handles.get(id);
        if (handle === undefined) handles.set(id, handle = context.handle(id, typeName));
        return handle;
      },
    };
  }

  /** The value of a piece of JSON. */
  read(json: Json): unknown {
    if (typeof json !== "object" || json === null) return json;
    if (++this.#depth > MAX_JSON_DEPTH) throw new MalformedValueError("it is nested too deep");
    const value = Array.isArray(json) ? this.#fill(this.#open([]), json) : this.#readObject(json);
    this.#depth--;
    return value;
  }

  #readObject(json: { [key: string]: Json }): unknown {
    const keys = Object.keys(json);
    if (keys.length === 1 && keys[0] === "$") return this.#readTag(list(json.$));
    const made = this.#open<Record<string, unknown>>({});
    for (const key of keys) setProperty(made, key, this.read(json[key]!));
    return made;
  }

  #open<T>(container: T): T {
    this.#opened.push(container);
    return container;
  }

  #fill<T extends unknown[]>(made: T, items: Json[]): T {
    for (const item of items) made.push(this.read(item));
    return made;
  }

  #readTag(tag: Json[]): unknown {
    const [name, first, second, third] = tag;
    switch (name) {
      case "int": {
        const value = parseHex(string(first));
        return value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER ? Number(value) : value;
      }
      case "float":
        return float(string(first));
      case "str":
        return decodeText(this.#part(first));
      case "bytes":
      case "bytearray":
        return this.#part(first);
      case "tuple":
        return this.#fill(this.#open(new PythonTuple()), list(first));
      case "set":
      case "frozenset": {
        const made = this.#open(new Set());
        for (const item of list(first)) addMember(made, this.read(item));
        return made;
      }
      case "dict":
        return this.#readDict(list(first));
      case "map":
        return this.#readMap(list(first));
      case "ref":
        if (typeof first !== "number" || !(first in this.#opened)) {
          throw new MalformedValueError("a reference points to nothing before it");
        }
        return this.#opened[first];
      case "array":
        return this.#open(makeImage("array", [first, second, null, this.#part(third)], this.#context));
      case "object":
        return this.#readInstance(string(first), list(second));
    }
    return makeImage(string(name), tag.slice(1).map((arg) => this.read(arg)), this.#context);
  }

  /** A dict of keys of any kind: a Map, unless all keys are strings and only how they look made it a tag. */
  #readDict(pairs: Json[]): unknown {
    if (pairs.length > 0 && pairs.every((pair) => Array.isArray(pair) && typeof pair[0] === "string")) {
      const made = this.#open<Record<string, unknown>>({});
      for (const pair of pairs as [string, Json][]) setProperty(made, pair[0], this.read(pair[1]));
      return made;
    }
    return this.#readMap(pairs);
  }

  #readMap(pairs: Json[]): Map<unknown, unknown> {
    const made = this.#open(new Map());
    for (const pair of pairs) {
      const [key, value] = list(pair);
      setEntry(made, this.read(key ?? null), this.read(value ?? null));
    }
    return made;
  }

  #readInstance(kind: string, fields: Json[]): unknown {
    if (kind === "dataclass") {
      const made = this.#open(makeImage("object", [kind, fields.slice(0, 2)], this.#context));
      const state = fields[2];
      if (typeof state !== "object" || state === null) {
        throw new MalformedValueError("a dataclass has no fields");
      }
      for (const [name, value] of Object.entries(state)) {
        fillObject(made, { [name]: this.read(value as Json) });
      }
      return made;
    }
    // What is inside opens after it, as Python counts, although it is made before.
    const place = this.#opened.push(undefined) - 1;
    const read = fields.map((field) =>
      Array.isArray(field) ? field.map((item) => this.read(item)) : this.read(field)
    );
    return this.#opened[place] = makeImage("object", [kind, read], this.#context);
  }

  #part(part: Json | undefined): Uint8Array {
    // Where a wire has no parts, base64 stands in their place.
    if (typeof part === "string") return base64(part);
    const bytes = typeof part === "number" ? this.#parts[part] : undefined;
    if (bytes === undefined) throw new MalformedValueError("it names a part that did not come");
    return bytes;
  }
}

function base64(text: string): Uint8Array {
  try {
    return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  } catch (cause) {
    throw new MalformedValueError("a part is not base64", { cause });
  }
}

function float(text: string): number {
  if (text === "nan") return NaN;
  if (text === "inf") return Infinity;
  if (text === "-inf") return -Infinity;
  if (!/^-?[0-9]/.test(text)) throw new MalformedValueError("a float is not a number");
  return Number(text);
}

function list(value: Json | undefined): Json[] {
  if (!Array.isArray(value)) throw new MalformedValueError("something else stands where a list belongs");
  return value;
}

function string(value: Json | undefined): string {
  if (typeof value !== "string") {
    throw new MalformedValueError("something else stands where a string belongs");
  }
  return value;
}
