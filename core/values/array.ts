/**
 * Arrays of numbers: numpy's, `array.array` and `memoryview` of items, as typed arrays with a shape.
 *
 * @module
 */

/** Every typed array that can be the data of a {@linkcode PythonArray}. */
export type PythonArrayData =
  | Int8Array
  | Uint8Array
  | Uint8ClampedArray
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array
  | Float16Array
  | Float32Array
  | Float64Array;

interface ItemKind {
  readonly bytes: number;
  /** Elements of the typed array for one item: a complex has two. */
  readonly elements: number;
  readonly view: (buffer: ArrayBufferLike, offset: number, length: number) => PythonArrayData;
}

function kind<T extends PythonArrayData>(
  bytes: number,
  Type: new (buffer: ArrayBufferLike, offset: number, length: number) => T,
  elements = 1,
): ItemKind {
  return { bytes, elements, view: (buffer, offset, length) => new Type(buffer, offset, length * elements) };
}

const ITEMS: ReadonlyMap<string, ItemKind> = new Map([
  ["b1", kind(1, Uint8Array)],
  ["i1", kind(1, Int8Array)],
  ["u1", kind(1, Uint8Array)],
  ["i2", kind(2, Int16Array)],
  ["u2", kind(2, Uint16Array)],
  ["i4", kind(4, Int32Array)],
  ["u4", kind(4, Uint32Array)],
  ["i8", kind(8, BigInt64Array)],
  ["u8", kind(8, BigUint64Array)],
  // A runtime without Float16Array still has the bits.
  ["f2", typeof Float16Array === "undefined" ? kind(2, Uint16Array) : kind(2, Float16Array)],
  ["f4", kind(4, Float32Array)],
  ["f8", kind(8, Float64Array)],
  ["c8", kind(8, Float32Array, 2)],
  ["c16", kind(16, Float64Array, 2)],
]);
const DATES = kind(8, BigInt64Array);
const DTYPE_REGEXP = /^[<|](?:([biufc]\d{1,2})|[Mm]8(?:\[[0-9A-Za-z]{1,16}\])?)$/;
/** The most dimensions that numpy has. */
const MAX_DIMENSIONS = 64;

function itemKind(dtype: string): ItemKind | undefined {
  const match = DTYPE_REGEXP.exec(dtype);
  if (match === null) return undefined;
  return match[1] === undefined ? DATES : ITEMS.get(match[1]);
}

const DTYPES: ReadonlyMap<string, string> = new Map([
  ["Int8Array", "|i1"],
  ["Uint8Array", "|u1"],
  ["Uint8ClampedArray", "|u1"],
  ["Int16Array", "<i2"],
  ["Uint16Array", "<u2"],
  ["Int32Array", "<i4"],
  ["Uint32Array", "<u4"],
  ["BigInt64Array", "<i8"],
  ["BigUint64Array", "<u8"],
  ["Float16Array", "<f2"],
  ["Float32Array", "<f4"],
  ["Float64Array", "<f8"],
]);

/** The dtype of a typed array; undefined for what is none. */
export function dtypeOf(data: ArrayBufferView): string | undefined {
  return DTYPES.get((data as { [Symbol.toStringTag]?: string })[Symbol.toStringTag] ?? "");
}

/**
 * An array of numbers with a shape, as numpy describes it.
 *
 * `data` holds the items in memory order; `strides` says, in items and per dimension, how far the next one is, so that
 * item `[i, j]` is `data[i * strides[0] + j * strides[1]]`. A complex item is two elements of `data`, real
 * part first.
 */
export class PythonArray<T extends PythonArrayData = PythonArrayData> {
  /** numpy's `dtype.str` of `data`, such as `<f8`, `|b1`, `<M8[ns]`; always little-endian. */
  readonly dtype: string;
  /** The length of each dimension; empty for a zero-dimensional array. */
  readonly shape: readonly number[];
  /** Per dimension, the distance of neighbours in items. */
  readonly strides: readonly number[];
  /** The items. */
  readonly data: T;

  /**
   * Makes an array of a typed array. Without `shape` it has one dimension, without `strides` C order, without
   * `dtype` that of `data`. Throws a `RangeError` when they do not fit together.
   */
  constructor(
    data: T,
    options: { shape?: readonly number[]; strides?: readonly number[]; dtype?: string } = {},
  ) {
    const dtype = options.dtype ?? dtypeOf(data);
    const item = dtype === undefined ? undefined : itemKind(dtype);
    if (dtype === undefined || item === undefined) {
      throw new RangeError(`Cannot make a PythonArray: dtype "${dtype}" is none of those that it can hold`);
    }
    const items = data.byteLength / item.bytes;
    const shape = options.shape ?? [items];
    const strides = options.strides ?? cStrides(shape);
    if (!Number.isInteger(items) || data.length !== items * item.elements) {
      throw new RangeError(
        `Cannot make a PythonArray: a ${data.constructor.name} does not hold items of ${dtype}`,
      );
    }
    checkShape(shape, strides, items);
    this.dtype = dtype;
    this.shape = shape;
    this.strides = strides;
    this.data = data;
  }

  /** The number of items. */
  get size(): number {
    return product(this.shape);
  }

  /** Whether the items lie in C order without gaps. */
  get isContiguous(): boolean {
    const expected = cStrides(this.shape);
    return this.size === this.#items &&
      this.strides.every((stride, dimension) =>
        this.shape[dimension]! <= 1 || stride === expected[dimension]
      );
  }

  /** This array when its items lie in C order, else a copy in which they do. */
  toContiguous(): PythonArray<T> {
    if (this.isContiguous) return this;
    const elements = this.data.length / Math.max(this.#items, 1);
    const size = this.size;
    const data = this.data.slice(0, 0);
    const made = new (data.constructor as new (length: number) => T)(size * elements);
    const index = this.shape.map(() => 0);
    for (let to = 0, from = 0; to < size; to++) {
      for (let e = 0; e < elements; e++) made[to * elements + e] = this.data[from * elements + e]!;
      for (let dimension = index.length - 1; dimension >= 0; dimension--) {
        from += this.strides[dimension]!;
        if (++index[dimension]! < this.shape[dimension]!) break;
        from -= this.strides[dimension]! * this.shape[dimension]!;
        index[dimension] = 0;
      }
    }
    return new PythonArray(made, { shape: this.shape, dtype: this.dtype });
  }

  get #items(): number {
    return this.data.byteLength / itemKind(this.dtype)!.bytes;
  }
}

/**
 * The array of a tag, on the very bytes that came. Throws a `RangeError` when the parts do not fit together.
 */
export function arrayOf(
  dtype: string,
  shape: readonly number[],
  strides: readonly number[] | null,
  bytes: Uint8Array,
): PythonArray {
  const item = itemKind(dtype);
  if (item === undefined) throw new RangeError(`dtype "${dtype.slice(0, 40)}" is none of the wire`);
  if (bytes.byteLength % item.bytes !== 0) {
    throw new RangeError(`${bytes.byteLength} bytes are not items of ${dtype}`);
  }
  // A typed array begins at a multiple of its element's size; a part that does not is copied.
  const aligned = bytes.byteOffset % item.bytes === 0 ? bytes : bytes.slice();
  const data = item.view(aligned.buffer, aligned.byteOffset, aligned.byteLength / item.bytes);
  return new PythonArray(data, strides === null ? { shape, dtype } : { shape, strides, dtype });
}

/** The bytes of a view, without copying. */
export function bytesOf(view: ArrayBufferView): Uint8Array<ArrayBuffer> {
  return new Uint8Array(view.buffer as ArrayBuffer, view.byteOffset, view.byteLength);
}

function product(shape: readonly number[]): number {
  return shape.reduce((size, length) => size * length, 1);
}

function cStrides(shape: readonly number[]): number[] {
  const strides: number[] = new Array(shape.length);
  let step = 1;
  for (let dimension = shape.length - 1; dimension >= 0; dimension--) {
    strides[dimension] = step;
    step *= Math.max(shape[dimension]!, 1);
  }
  return strides;
}

function checkShape(shape: readonly number[], strides: readonly number[], items: number): void {
  const fits = shape.length <= MAX_DIMENSIONS && strides.length === shape.length &&
    shape.every((length) => Number.isSafeInteger(length) && length >= 0) &&
    strides.every(Number.isSafeInteger);
  if (!fits) {
    throw new RangeError(`Cannot make a PythonArray: shape [${shape}] and strides [${strides}] do not fit`);
  }
  let first = 0;
  let last = 0;
  shape.forEach((length, dimension) => {
    const reach = (length - 1) * strides[dimension]!;
    if (reach < 0) first += reach;
    else last += reach;
  });
  if (product(shape) !== 0 && (first < 0 || last >= items)) {
    throw new RangeError(
      `Cannot make a PythonArray: shape [${shape}] needs more than the ${items} items of its data`,
    );
  }
}
