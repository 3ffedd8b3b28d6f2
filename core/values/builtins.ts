/**
 * Which built-in class an object is of: exactly, or by a class that extends it, which may hold more than the built-in shows.
 *
 * What an object is made of tells, not what it says: a class may answer any name, and an object of another realm (a
 * worker's, a test runner's context) has prototypes of its own.
 *
 * @module
 */

/** The classes that have an image in Python, or whose instances would pass for something that has one. */
const CLASSES = [
  "Map",
  "Set",
  "Date",
  "ArrayBuffer",
  "SharedArrayBuffer",
  "String",
  "Number",
  "Boolean",
  "BigInt",
  "Symbol",
] as const;
const NAMES: ReadonlySet<string> = new Set(CLASSES);

const typedArrayName = Object.getOwnPropertyDescriptor(
  Object.getPrototypeOf(Uint8Array.prototype),
  Symbol.toStringTag,
)!.get!;

/** A built-in class, and whether the object is of exactly that. */
export interface Builtin {
  /** Its name, such as `Map`, `Float64Array` or `DataView`. */
  readonly name: string;
  /** Whether no class of the program's own stands between. */
  readonly isExact: boolean;
}

/** The built-in class that the object is of, or that its class extends; undefined when it is none of those that matter. */
export function builtinOf(value: object): Builtin | undefined {
  if (ArrayBuffer.isView(value)) {
    const name: string = typedArrayName.call(value) ?? "DataView";
    return { name, isExact: isExactly(value, name) || name === "Uint8Array" && isNodeBuffer(value) };
  }
  for (const name of CLASSES) {
    if (value instanceof globalThis[name]) return { name, isExact: isExactly(value, name) };
  }
  const name = shown(value);
  return NAMES.has(name) ? { name, isExact: isExactly(value, name) } : undefined;
}

/** Whether a class that the runtime itself has under this name is the very class of the object. */
export function isExactly(value: object, name: string): boolean {
  const prototype = Object.getPrototypeOf(value);
  if (prototype === null) return false;
  const own = (globalThis as unknown as Record<string, { prototype?: object } | undefined>)[name]?.prototype;
  if (prototype === own) return true;
  // That of another realm; a class that is written in JavaScript shows its source.
  const maker = Object.getOwnPropertyDescriptor(prototype, "constructor")?.value;
  return typeof maker === "function" && maker.name === name && maker.prototype === prototype &&
    /\{\s*\[native code\]\s*\}$/.test(Function.prototype.toString.call(maker));
}

/** Node's `Buffer`, which the platform makes where others make a `Uint8Array`: it holds bytes and nothing else. */
function isNodeBuffer(value: object): boolean {
  const { Buffer } = globalThis as { Buffer?: { prototype?: object } };
  return Buffer !== undefined && Object.getPrototypeOf(value) === Buffer.prototype;
}

/** Whether the object is the `arguments` of a function. */
export function isArguments(value: object): boolean {
  return shown(value) === "Arguments";
}

/** Whether the buffer of a view has become too short for it, or was moved elsewhere. */
export function isOutOfBounds(view: ArrayBufferView): boolean {
  try {
    if (view instanceof DataView) return view.byteLength < 0;
    // Of all that an array can be asked, this alone fails where its length just shows as 0.
    Uint8Array.prototype.keys.call(view as Uint8Array);
    return false;
  } catch {
    return true;
  }
}

/** Whether objects of this prototype are records: what a literal makes, in any realm, or `Object.create(null)`. */
export function isPlainPrototype(prototype: object | null): boolean {
  if (prototype === null || prototype === Object.prototype) return true;
  // Object.prototype of another realm, such as that of a worker's or a test runner's context.
  return Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, "isPrototypeOf");
}

/** Whether nothing can change the length of the bytes, or the bytes while another thread runs; other buffers are copied. */
export function isFixed(buffer: ArrayBufferLike): boolean {
  return "detached" in buffer && !buffer.resizable;
}

function shown(value: object): string {
  return Object.prototype.toString.call(value).slice("[object ".length, -1);
}
