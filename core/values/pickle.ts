/**
 * Reads a packed stream: pickle protocol 5, of which only what builds plain data is known (`docs/PROTOCOL.md`
 * §5).
 *
 * Nothing is executed: a name in the stream is looked up in the closed table of `images.ts`, and whatever
 * else is met ends the reading. The reader is a loop, so that depth costs no stack, and what it holds is
 * bounded by the stream.
 *
 * @module
 */

import { ValueConversionError } from "../errors.ts";
import type { DecodeContext } from "./context.ts";
import { addMember, fillObject, makeImage, MalformedValueError } from "./images.ts";
import { DictTable } from "./pickle_dicts.ts";
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
    // The loop is hot: what it changes is in variables that no closure shares, so that they live in
    // registers.
    const bytes = this.#bytes;
    const view = this.#view;
    const stack: unknown[] = [];
    const marks: number[] = [];
    const memo: unknown[] = [];
    const dicts = new DictTable(this.mapOrdinals);
    let nextBuffer = 0;
    let at = 0;

    let length = 0;
    for (;;) {
      const opcode = bytes[at++];
      switch (opcode) {
        case 0x8c: // SHORT_BINUNICODE
          length = bytes[at]!;
          stack.push(text(bytes, at += 1, at += length));
          break;
        case 0x94: // MEMOIZE
          if (stack.length === 0) throw new MalformedValueError("the stream takes from an empty stack");
          memo.push(stack[stack.length - 1]);
          break;
        case 0x68: // BINGET
        case 0x6a: { // LONG_BINGET
          const place = opcode === 0x68 ? bytes[at]! : view.getUint32(at, true);
          at += opcode === 0x68 ? 1 : 4;
          if (!(place < memo.length)) {
            throw new MalformedValueError("the stream refers to what it does not hold");
          }
          const value = memo[place];
          if (typeof value === "object") dicts.share(value);
          stack.push(value);
          break;
        }
        case 0x4b: // BININT1
          stack.push(bytes[at++]);
          break;
        case 0x4d: // BININT2
          stack.push(view.getUint16(at, true));
          at += 2;
          break;
        case 0x4a: // BININT
          stack.push(view.getInt32(at, true));
          at += 4;
          break;
        case 0x47: // BINFLOAT
          stack.push(view.getFloat64(at));
          at += 8;
          break;
        case 0x8a: // LONG1
          length = bytes[at]!;
          stack.push(integer(bytes, at += 1, at += length));
          break;
        case 0x8b: // LONG4
          length = view.getUint32(at, true);
          stack.push(integer(bytes, at += 4, at += length));
          break;
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
          stack.push(dicts.open(stack.length, memo.length));
          break;
        case 0x75: // SETITEMS
          dicts.setItems(stack, takeMark(marks, stack), memo);
          break;
        case 0x73: // SETITEM
          dicts.setItems(stack, stack.length - 2, memo);
          break;
        case 0x5d: // EMPTY_LIST
          stack.push([]);
          break;
        case 0x65: { // APPENDS
          const start = takeMark(marks, stack);
          const target = stack[start - 1];
          if (!isList(target)) throw new MalformedValueError("items are appended to what is no list");
          for (let i = start; i < stack.length; i++) target.push(stack[i]);
          stack.length = start;
          break;
        }
        case 0x61: { // APPEND
          const value = pop(stack);
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
          tuple(stack, stack.length - (opcode - 0x84));
          break;
        case 0x74: // TUPLE
          tuple(stack, takeMark(marks, stack));
          break;
        case 0x58: // BINUNICODE
          length = view.getUint32(at, true);
          stack.push(text(bytes, at += 4, at += length));
          break;
        case 0x8d: // BINUNICODE8
          length = long(view, at);
          stack.push(text(bytes, at += 8, at += length));
          break;
        case 0x43: // SHORT_BINBYTES
          length = bytes[at]!;
          stack.push(slice(bytes, at += 1, at += length));
          break;
        case 0x42: // BINBYTES
          length = view.getUint32(at, true);
          stack.push(slice(bytes, at += 4, at += length));
          break;
        case 0x8e: // BINBYTES8
        case 0x96: // BYTEARRAY8
          length = long(view, at);
          stack.push(slice(bytes, at += 8, at += length));
          break;
        case 0x8f: // EMPTY_SET
          stack.push(new Set());
          break;
        case 0x90: { // ADDITEMS
          const start = takeMark(marks, stack);
          const target = stack[start - 1];
          if (!(target instanceof Set)) throw new MalformedValueError("members are added to what is no set");
          for (let i = start; i < stack.length; i++) addMember(target, stack[i]);
          stack.length = start;
          break;
        }
        case 0x91: { // FROZENSET
          const start = takeMark(marks, stack);
          const made = new Set();
          for (let i = start; i < stack.length; i++) addMember(made, stack[i]);
          stack.length = start;
          stack.push(made);
          break;
        }
        case 0x93: { // STACK_GLOBAL
          const name = pop(stack);
          const module = pop(stack);
          if (module !== MODULE || typeof name !== "string") {
            throw new MalformedValueError("the stream names something outside the table");
          }
          stack.push(new Global(name));
          break;
        }
        case 0x52: { // REDUCE
          const args = pop(stack);
          const callee = pop(stack);
          if (!(callee instanceof Global) || !(args instanceof PythonTuple)) {
            throw new MalformedValueError("the stream calls something outside the table");
          }
          stack.push(this.#call(callee.name, args));
          break;
        }
        case 0x62: { // BUILD
          const state = pop(stack);
          fillObject(stack[stack.length - 1], state);
          break;
        }
        case 0x51: { // BINPERSID: a string that cannot be told apart from another; its handle
          const args = pop(stack);
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
          pop(stack);
          break;
        case 0x31: // POP_MARK
          stack.length = takeMark(marks, stack);
          break;
        case 0x95: // FRAME: a hint for readers of files
          at += 8;
          break;
        case 0x80: // PROTO
          if (bytes[at++] !== 5) throw new MalformedValueError("the stream is of another protocol");
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

function pop(stack: unknown[]): unknown {
  if (stack.length === 0) throw new MalformedValueError("the stream takes from an empty stack");
  return stack.pop();
}

function takeMark(marks: number[], stack: unknown[]): number {
  const start = marks.pop();
  if (start === undefined || start > stack.length) throw new MalformedValueError("the stream misses a mark");
  return start;
}

function tuple(stack: unknown[], start: number): void {
  if (start < 0) throw new MalformedValueError("the stream takes from an empty stack");
  const made = new PythonTuple();
  for (let i = start; i < stack.length; i++) made.push(stack[i]);
  stack.length = start;
  stack.push(made);
}

function slice(bytes: Uint8Array, start: number, end: number): Uint8Array {
  if (!(end <= bytes.length)) throw new MalformedValueError("the stream ends in the middle of a value");
  return bytes.slice(start, end);
}

function text(bytes: Uint8Array, start: number, end: number): string {
  if (!(end <= bytes.length)) throw new MalformedValueError("the stream ends in the middle of a value");
  if (end - start > SHORT_TEXT) return decodeText(bytes.subarray(start, end));
  let made = "";
  for (let i = start; i < end; i++) {
    const byte = bytes[i]!;
    if (byte > 127) return decodeText(bytes.subarray(start, end));
    made += String.fromCharCode(byte);
  }
  return made;
}

// Up to here, putting a text together by hand is faster than calling the decoder.
const SHORT_TEXT = 40;

function long(view: DataView, at: number): number {
  const value = view.getBigUint64(at, true);
  if (value > BigInt(view.byteLength)) {
    throw new MalformedValueError("the stream ends in the middle of a value");
  }
  return Number(value);
}

function isList(value: unknown): value is unknown[] {
  return Array.isArray(value) && !(value instanceof PythonTuple);
}

// V8's own limit, 2^30 bits, less the sign.
const MAX_INTEGER_BYTES = 2 ** 27 - 1;

/** A little-endian two's complement integer: a number when that is exact, else a bigint. */
function integer(bytes: Uint8Array, start: number, end: number): number | bigint {
  if (!(end <= bytes.length)) throw new MalformedValueError("the stream ends in the middle of a value");
  const length = end - start;
  if (length === 0) return 0;
  const isNegative = bytes[end - 1]! > 127;
  if (length <= 6) {
    let value = 0;
    for (let i = end - 1; i >= start; i--) value = value * 256 + bytes[i]!;
    return isNegative ? value - 2 ** (8 * length) : value;
  }
  if (length > MAX_INTEGER_BYTES) {
    throw new ValueConversionError(
      `Cannot make a bigint of ${length} bytes: the most is ${MAX_INTEGER_BYTES}`,
      "$",
    );
  }
  const hex = `0x${bytes.slice(start, end).reverse().toHex()}`;
  const value = isNegative ? BigInt(hex) - (1n << BigInt(8 * length)) : BigInt(hex);
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}
