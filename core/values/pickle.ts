/**
 * Reads a packed stream: pickle protocol 5, of which only what builds plain data is known (`docs/PROTOCOL.md` §5).
 *
 * Nothing is executed: a name in the stream is looked up in the closed table of `images.ts`, and whatever else is met
 * ends the reading. The reader is a loop, so that depth costs no stack, and what it holds is bounded by the stream.
 *
 * @module
 */

import type { DecodeContext } from "./context.ts";
import { addMember, fillObject, makeImage, MalformedValueError, setEntry, setProperty } from "./images.ts";
import { decodeText } from "./text.ts";
import { PythonTuple } from "./types.ts";

const MODULE = "beep_host.values";

/** A name of the table, on the stack until it is called. */
class Global {
  readonly name: string;
  constructor(name: string) {
    this.name = name;
  }
}

type Plain = Record<string, unknown>;

/** Reads the value of a stream; `buffers` are the parts that travel beside it, in order. */
export function readPickle(
  stream: Uint8Array,
  buffers: readonly Uint8Array[],
  context: DecodeContext,
): unknown {
  const reader = new PickleReader(stream, buffers, context);
  const value = reader.read();
  // A dict turned out to need a Map after something referred to it as an object: now that is known.
  return reader.mapOrdinals.size === 0 ? value : reader.read();
}

class PickleReader {
  /** The dicts, by their number in the stream, that have to be Maps from the start. */
  readonly mapOrdinals: Set<number> = new Set();
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #buffers: readonly Uint8Array[];
  readonly #context: DecodeContext;
  readonly #handles = new Map<number, unknown>();

  constructor(stream: Uint8Array, buffers: readonly Uint8Array[], context: DecodeContext) {
    this.#bytes = stream;
    this.#view = new DataView(stream.buffer, stream.byteOffset, stream.byteLength);
    this.#buffers = buffers;
    this.#context = {
      // Reading twice must not make a handle twice.
      handle: (id, typeName) => {
        let handle = this.#handles.get(id) as ReturnType<DecodeContext["handle"]> | undefined;
        if (handle === undefined) this.#handles.set(id, handle = context.handle(id, typeName));
        return handle;
      },
    };
  }

  read(): unknown {
    const bytes = this.#bytes;
    const view = this.#view;
    const end = bytes.length;
    const stack: unknown[] = [];
    const marks: number[] = [];
    const memo: unknown[] = [];
    const shared = new Set<unknown>();
    // For the dict at each position of the stack: its number in the stream, and its place in the memo.
    const dictOrdinals: number[] = [];
    const dictMemos: number[] = [];
    let dicts = 0;
    let nextBuffer = 0;
    let at = 0;

    const take = (length: number): number => {
      const start = at;
      if (length > end - at) throw new MalformedValueError("the stream ends in the middle of a value");
      at += length;
      return start;
    };
    const pop = (): unknown => {
      if (stack.length === 0) throw new MalformedValueError("the stream takes from an empty stack");
      return stack.pop();
    };
    const mark = (): number => {
      const start = marks.pop();
      if (start === undefined || start > stack.length) {
        throw new MalformedValueError("the stream misses a mark");
      }
      return start;
    };
    const long = (length: number): number => {
      const value = Number(view.getBigUint64(take(length), true));
      if (value > end) throw new MalformedValueError("the stream ends in the middle of a value");
      return value;
    };
    const tuple = (start: number): void => {
      if (start < 0) throw new MalformedValueError("the stream takes from an empty stack");
      const made = new PythonTuple();
      for (let i = start; i < stack.length; i++) made.push(stack[i]);
      stack.length = start;
      stack.push(made);
    };
    const setItems = (start: number): void => {
      const count = stack.length;
      let target = stack[start - 1];
      if (start < 1 || (count - start) % 2 !== 0) {
        throw new MalformedValueError("a dict has a key without a value");
      }
      if (!(target instanceof Map)) {
        let isText = true;
        for (let i = start; i < count; i += 2) isText &&= typeof stack[i] === "string";
        if (isText) {
          for (let i = start; i < count; i += 2) {
            setProperty(target as Plain, stack[i] as string, stack[i + 1]);
          }
          stack.length = start;
          return;
        }
        const place = dictMemos[start - 1]!;
        if (memo[place] !== target) throw new MalformedValueError("items are set on what is no dict");
        if (shared.has(target) || Object.keys(target as Plain).length > 0) {
          this.mapOrdinals.add(dictOrdinals[start - 1]!);
          stack.length = start;
          return;
        }
        target = stack[start - 1] = memo[place] = new Map();
      }
      for (let i = start; i < count; i += 2) {
        setEntry(target as Map<unknown, unknown>, stack[i], stack[i + 1]);
      }
      stack.length = start;
    };
    const text = (length: number): void => {
      const start = take(length);
      if (length < 40) {
        let made = "";
        let i = start;
        for (; i < at; i++) {
          const byte = bytes[i]!;
          if (byte > 127) break;
          made += String.fromCharCode(byte);
        }
        if (i === at) {
          stack.push(made);
          return;
        }
      }
      stack.push(decodeText(bytes.subarray(start, at)));
    };

    for (;;) {
      const opcode = bytes[at++];
      switch (opcode) {
        case 0x8c: // SHORT_BINUNICODE
          text(bytes[take(1)]!);
          break;
        case 0x94: // MEMOIZE
          if (stack.length === 0) throw new MalformedValueError("the stream takes from an empty stack");
          memo.push(stack[stack.length - 1]);
          break;
        case 0x68: // BINGET
        case 0x6a: { // LONG_BINGET
          const place = opcode === 0x68 ? bytes[take(1)]! : view.getUint32(take(4), true);
          if (place >= memo.length) {
            throw new MalformedValueError("the stream refers to what it does not hold");
          }
          const value = memo[place];
          if (typeof value === "object") shared.add(value);
          stack.push(value);
          break;
        }
        case 0x4b: // BININT1
          stack.push(bytes[take(1)]!);
          break;
        case 0x4d: // BININT2
          stack.push(view.getUint16(take(2), true));
          break;
        case 0x4a: // BININT
          stack.push(view.getInt32(take(4), true));
          break;
        case 0x47: // BINFLOAT
          stack.push(view.getFloat64(take(8)));
          break;
        case 0x8a: { // LONG1
          const length = bytes[take(1)]!;
          stack.push(integer(bytes, take(length), length));
          break;
        }
        case 0x8b: { // LONG4
          const length = view.getUint32(take(4), true);
          stack.push(integer(bytes, take(length), length));
          break;
        }
        case 0x4e: // NONE
          stack.push(null);
          break;
        case 0x88: // NEWTRUE
          stack.push(true);
          break;
        case 0x89: // NEWFALSE
          stack.push(false);
          break;
        case 0x28: // MARK
          marks.push(stack.length);
          break;
        case 0x7d: // EMPTY_DICT
          dictOrdinals[stack.length] = dicts;
          dictMemos[stack.length] = memo.length;
          stack.push(this.mapOrdinals.has(dicts++) ? new Map() : {});
          break;
        case 0x75: // SETITEMS
          setItems(mark());
          break;
        case 0x73: // SETITEM
          setItems(stack.length - 2);
          break;
        case 0x5d: // EMPTY_LIST
          stack.push([]);
          break;
        case 0x65: { // APPENDS
          const start = mark();
          const target = stack[start - 1];
          if (!isList(target)) throw new MalformedValueError("items are appended to what is no list");
          for (let i = start; i < stack.length; i++) target.push(stack[i]);
          stack.length = start;
          break;
        }
        case 0x61: { // APPEND
          const value = pop();
          const target = stack[stack.length - 1];
          if (!isList(target)) throw new MalformedValueError("an item is appended to what is no list");
          target.push(value);
          break;
        }
        case 0x29: // EMPTY_TUPLE
          stack.push(new PythonTuple());
          break;
        case 0x85: // TUPLE1
        case 0x86: // TUPLE2
        case 0x87: // TUPLE3
          tuple(stack.length - (opcode - 0x84));
          break;
        case 0x74: // TUPLE
          tuple(mark());
          break;
        case 0x58: // BINUNICODE
          text(view.getUint32(take(4), true));
          break;
        case 0x8d: // BINUNICODE8
          text(long(8));
          break;
        case 0x43: { // SHORT_BINBYTES
          const length = bytes[take(1)]!;
          stack.push(bytes.slice(take(length), at));
          break;
        }
        case 0x42: { // BINBYTES
          const length = view.getUint32(take(4), true);
          stack.push(bytes.slice(take(length), at));
          break;
        }
        case 0x8e: // BINBYTES8
        case 0x96: { // BYTEARRAY8
          const length = long(8);
          stack.push(bytes.slice(take(length), at));
          break;
        }
        case 0x8f: // EMPTY_SET
          stack.push(new Set());
          break;
        case 0x90: { // ADDITEMS
          const start = mark();
          const target = stack[start - 1];
          if (!(target instanceof Set)) throw new MalformedValueError("members are added to what is no set");
          for (let i = start; i < stack.length; i++) addMember(target, stack[i]);
          stack.length = start;
          break;
        }
        case 0x91: { // FROZENSET
          const start = mark();
          const made = new Set();
          for (let i = start; i < stack.length; i++) addMember(made, stack[i]);
          stack.length = start;
          stack.push(made);
          break;
        }
        case 0x93: { // STACK_GLOBAL
          const name = pop();
          const module = pop();
          if (module !== MODULE || typeof name !== "string") {
            throw new MalformedValueError("the stream names something outside the table");
          }
          stack.push(new Global(name));
          break;
        }
        case 0x52: { // REDUCE
          const args = pop();
          const callee = pop();
          if (!(callee instanceof Global) || !(args instanceof PythonTuple)) {
            throw new MalformedValueError("the stream calls something outside the table");
          }
          stack.push(this.#call(callee.name, args));
          break;
        }
        case 0x62: { // BUILD
          const state = pop();
          fillObject(stack[stack.length - 1], state);
          break;
        }
        case 0x51: { // BINPERSID: a string that cannot be told apart from another; its handle
          const args = pop();
          if (!(args instanceof PythonTuple)) throw new MalformedValueError("a handle is not a tuple");
          stack.push(this.#call("handle", args));
          break;
        }
        case 0x97: // NEXT_BUFFER
          if (nextBuffer >= this.#buffers.length) throw new MalformedValueError("a buffer did not come");
          stack.push(this.#buffers[nextBuffer++]);
          break;
        case 0x98: // READONLY_BUFFER: JavaScript has no such bytes
          break;
        case 0x30: // POP
          pop();
          break;
        case 0x31: // POP_MARK
          stack.length = mark();
          break;
        case 0x95: // FRAME: a hint for readers of files
          take(8);
          break;
        case 0x80: // PROTO
          if (bytes[take(1)] !== 5) throw new MalformedValueError("the stream is of another protocol");
          break;
        case 0x2e: // STOP
          if (stack.length !== 1 || marks.length !== 0 || stack[0] instanceof Global) {
            throw new MalformedValueError("the stream does not leave one value");
          }
          return stack[0];
        case undefined:
          throw new MalformedValueError("the stream ends before its end");
        default:
          throw new MalformedValueError(`opcode 0x${opcode.toString(16)} is not known`);
      }
    }
  }

  #call(name: string, args: PythonTuple): unknown {
    if (name === "scalar" && args.length === 1) return args[0];
    if (name === "map" && args.length === 0) return new Map();
    return makeImage(name, args, this.#context);
  }
}

function isList(value: unknown): value is unknown[] {
  return Array.isArray(value) && !(value instanceof PythonTuple);
}

/** A little-endian two's complement integer: a number when that is exact, else a bigint. */
function integer(bytes: Uint8Array, start: number, length: number): number | bigint {
  if (length === 0) return 0;
  const isNegative = bytes[start + length - 1]! > 127;
  if (length <= 6) {
    let value = 0;
    for (let i = start + length - 1; i >= start; i--) value = value * 256 + bytes[i]!;
    return isNegative ? value - 2 ** (8 * length) : value;
  }
  let hex = "0x";
  const digits: string[] = [];
  for (let i = start + length - 1; i >= start; i--) digits.push(HEX[bytes[i]!]!);
  hex += digits.join("");
  const value = isNegative ? BigInt(hex) - (1n << BigInt(8 * length)) : BigInt(hex);
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

const HEX: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));
