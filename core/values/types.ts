/**
 * Python's values that JavaScript has no type for. Each goes back to Python as what it came from.
 *
 * @module
 */

/**
 * A Python `tuple`: an array that goes back as a tuple. Make one by `PythonTuple.of(1, 2)` or
 * `PythonTuple.from(items)`.
 */
export class PythonTuple<T = unknown> extends Array<T> {
  /** `map`, `filter` and their like give plain arrays. */
  static override get [Symbol.species](): ArrayConstructor {
    return Array;
  }
}

/** A number that is sent as a Python `float` even when it is an integer. Made by {@linkcode pyFloat}. */
export class PythonFloat {
  /** The number. */
  readonly value: number;

  /** See {@linkcode pyFloat}. */
  constructor(value: number) {
    this.value = value;
  }

  /** The number. */
  valueOf(): number {
    return this.value;
  }
}

/**
 * Marks a number to be sent as a Python `float`: `pyFloat(2)` arrives as `2.0`, where `2` would arrive as the
 * int `2`.
 */
export function pyFloat(value: number): PythonFloat {
  return new PythonFloat(value);
}

/** A Python `decimal.Decimal`, as the exact text that Python gives for it. */
export class PythonDecimal {
  /** Such as `"1.10"`, `"1E+3"`, `"NaN"`, `"-Infinity"`. */
  readonly text: string;

  /** Makes a decimal of the text that Python's `Decimal` would take. */
  constructor(text: string) {
    this.text = text;
  }

  /** The nearest number, which may lose digits. */
  toNumber(): number {
    const infinity = /^([+-]?)inf/i.exec(this.text);
    return infinity === null ? Number(this.text) : infinity[1] === "-" ? -Infinity : Infinity;
  }

  /** The text. */
  toString(): string {
    return this.text;
  }

  /** The text, so that JSON keeps every digit. */
  toJSON(): string {
    return this.text;
  }
}

/** A Python `uuid.UUID`. */
export class PythonUuid {
  /** 32 lower-case hex digits, without dashes. */
  readonly hex: string;

  /** Takes any of the usual spellings: with dashes, braces or `urn:uuid:`, or without. */
  constructor(text: string) {
    const hex = text.replace(/^urn:uuid:|[{}-]/gi, "").toLowerCase();
    if (!/^[0-9a-f]{32}$/.test(hex)) {
      throw new TypeError(`Cannot make a PythonUuid of "${text}": it is not 32 hex digits`);
    }
    this.hex = hex;
  }

  /** With dashes: `12345678-1234-1234-1234-123456789abc`. */
  toString(): string {
    return this.hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
  }

  /** As {@linkcode PythonUuid.toString}. */
  toJSON(): string {
    return this.toString();
  }
}

/** A Python `complex`. */
export class PythonComplex {
  /** The real part. */
  readonly real: number;
  /** The imaginary part. */
  readonly imaginary: number;

  /** Makes `real + imaginary·i`. */
  constructor(real: number, imaginary: number) {
    this.real = real;
    this.imaginary = imaginary;
  }
}

/** A class in Python, by the names that find it there. */
export interface PythonClassName {
  /** The module, such as `http`. */
  readonly module: string;
  /** The qualified name, such as `HTTPStatus` or `Outer.Inner`. */
  readonly name: string;
}

/** A member of a Python `Enum`, `IntEnum`, `StrEnum` or `Flag`. It goes back as the same member. */
export class PythonEnum<T = unknown> {
  /** The enum's class. */
  readonly type: PythonClassName;
  /** The member's name; null for a combination of flags that has none. */
  readonly name: string | null;
  /** The member's value. */
  readonly value: T;

  /** Makes a reference to a member of a class that exists in Python. */
  constructor(type: PythonClassName, name: string | null, value: T) {
    this.type = type;
    this.name = name;
    this.value = value;
  }

  /** `HTTPStatus.OK`. */
  toString(): string {
    return `${this.type.name}.${this.name ?? String(this.value)}`;
  }
}

/** A Python named tuple: a {@linkcode PythonTuple} that knows its class and the names of its fields. */
export class PythonNamedTuple<T = unknown> extends PythonTuple<T> {
  // Not enumerable and set by `makeNamedTuple`: an Array subclass's constructor is called by Array's own
  // methods.
  #type: PythonClassName = { module: "builtins", name: "tuple" };
  #fields: readonly string[] = [];

  /** Makes a named tuple of a class that exists in Python. */
  static create<T>(
    type: PythonClassName,
    fields: readonly string[],
    items: Iterable<T>,
  ): PythonNamedTuple<T> {
    const made = new PythonNamedTuple<T>();
    for (const item of items) made.push(item);
    made.#type = type;
    made.#fields = fields;
    return made;
  }

  /** The class. */
  get type(): PythonClassName {
    return this.#type;
  }

  /** The names of the fields, in order. */
  get fields(): readonly string[] {
    return this.#fields;
  }

  /** The item of that name. */
  get(field: string): T | undefined {
    const index = this.#fields.indexOf(field);
    return index < 0 ? undefined : this[index];
  }

  /** The items by name. */
  toObject(): Record<string, T> {
    return Object.fromEntries(this.#fields.map((field, index) => [field, this[index] as T]));
  }
}

/**
 * An instance of a Python dataclass. It goes back as a new instance with these fields; no constructor runs.
 */
export class PythonDataclass<T extends Record<string, unknown> = Record<string, unknown>> {
  /** The class. */
  readonly type: PythonClassName;
  /** The fields by name. */
  readonly fields: T;

  /** Makes an instance of a class that exists in Python. */
  constructor(type: PythonClassName, fields: T) {
    this.type = type;
    this.fields = fields;
  }
}
