/**
 * Users' own types, by the name of their Python class.
 *
 * @module
 */

/** The arguments with which Python's class is called. */
export interface ConstructorArguments {
  /** By position. */
  readonly args?: readonly unknown[];
  /** By keyword. */
  readonly kwargs?: Readonly<Record<string, unknown>>;
}

/** How one Python class and one JavaScript class become each other. Either direction may be left out. */
export interface PythonConverter<T = unknown> {
  /** Python to JavaScript: the attributes that make up the value, read from each instance. */
  readonly attributes?: readonly string[];
  /** Python to JavaScript: makes the value from the attributes. Required with `attributes`. */
  readonly fromPython?: (attributes: Record<string, unknown>) => T;
  /** JavaScript to Python: the class whose instances are converted. */
  readonly javascriptType?: abstract new (...args: never[]) => T;
  /** JavaScript to Python: the arguments for Python's class. Required with `javascriptType`. */
  readonly toPython?: (value: T) => ConstructorArguments;
}

/** A converter with the class that it is for. */
export interface RegisteredConverter extends PythonConverter {
  /** `module.qualname` of the Python class. */
  readonly pythonType: string;
}

const byPythonType = new Map<string, RegisteredConverter>();
const byPrototype = new Map<object, RegisteredConverter>();
let revision = 0;

/**
 * Converts instances of a Python class to a JavaScript type and back, on every backend of this program.
 *
 * Dispose what it gives to end that. Registering a class again replaces its converter.
 *
 * @param pythonType `module.qualname`, such as `fractions.Fraction`; only instances of exactly this class are
 * converted.
 */
export function registerConverter<T>(pythonType: string, converter: PythonConverter<T>): Disposable {
  if (!/^[\p{ID_Start}_][\p{ID_Continue}]*(\.[\p{ID_Start}_][\p{ID_Continue}]*)+$/u.test(pythonType)) {
    throw new TypeError(
      `Cannot register converter for "${pythonType}": it is not of the form "module.Class"`,
    );
  }
  if ((converter.attributes === undefined) !== (converter.fromPython === undefined)) {
    throw new TypeError(
      `Cannot register converter for "${pythonType}": attributes and fromPython go together`,
    );
  }
  if ((converter.javascriptType === undefined) !== (converter.toPython === undefined)) {
    throw new TypeError(
      `Cannot register converter for "${pythonType}": javascriptType and toPython go together`,
    );
  }
  const registered = { ...converter, pythonType } as RegisteredConverter;
  remove(byPythonType.get(pythonType));
  byPythonType.set(pythonType, registered);
  if (registered.javascriptType !== undefined) {
    byPrototype.set(registered.javascriptType.prototype, registered);
  }
  revision++;
  return { [Symbol.dispose]: () => remove(registered) };
}

function remove(converter: RegisteredConverter | undefined): void {
  if (converter === undefined || byPythonType.get(converter.pythonType) !== converter) return;
  byPythonType.delete(converter.pythonType);
  const prototype = converter.javascriptType?.prototype;
  if (prototype !== undefined && byPrototype.get(prototype) === converter) byPrototype.delete(prototype);
  revision++;
}

/** Counts up with every change, so that a backend knows when to tell its server anew. */
export function converterRevision(): number {
  return revision;
}

/** What a server has to know: for each class that is converted towards JavaScript, the attributes to read. */
export function converterAttributes(): Record<string, readonly string[]> {
  const told: [string, readonly string[]][] = [];
  for (const { pythonType, attributes } of byPythonType.values()) {
    if (attributes !== undefined) told.push([pythonType, attributes]);
  }
  return Object.fromEntries(told);
}

/** The converter for instances of a Python class. */
export function converterFromPython(pythonType: string): RegisteredConverter | undefined {
  return byPythonType.get(pythonType);
}

/** The converter for a JavaScript value, by its class or the nearest class that it extends. */
export function converterToPython(value: object): RegisteredConverter | undefined {
  if (byPrototype.size === 0) return undefined;
  for (
    let prototype = Object.getPrototypeOf(value);
    prototype !== null;
    prototype = Object.getPrototypeOf(prototype)
  ) {
    const converter = byPrototype.get(prototype);
    if (converter !== undefined) return converter;
  }
  return undefined;
}
