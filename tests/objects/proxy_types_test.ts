// The types of proxies: what an interface says is what awaiting gives.

import { assertType, type IsAny, type IsExact } from "@std/testing/types";
import type { PythonArray } from "../../core/values.ts";
import {
  handleOf,
  hold,
  item,
  iterate,
  kw,
  len,
  proxy,
  type PythonObject,
  type PythonProxy,
} from "../../objects/mod.ts";

interface Numpy {
  readonly pi: number;
  readonly linalg: { norm(x: NdArray | number[], axis?: number): number };
  arange(stop: number, options?: { dtype: string }): NdArray;
  fetch(url: string): Promise<string>;
  names(): string[];
  connect(): Connection;
}

interface NdArray extends PythonObject<PythonArray> {
  reshape(...shape: number[]): NdArray;
  sum(): number;
}

interface Connection extends PythonObject {
  execute(sql: string): Connection;
  readonly size: number;
}

// Never called: only the compiler looks at it.
async function types(np: PythonProxy<Numpy>): Promise<void> {
  const pi = await np.pi;
  assertType<IsExact<typeof pi, number>>(true);
  const norm = await np.linalg.norm(np.arange(3), kw({ axis: 0 }));
  assertType<IsExact<typeof norm, number>>(true);
  const array = await np.arange(6).reshape(2, 3);
  assertType<IsExact<typeof array, PythonArray>>(true);
  const sum = await np.arange(6).reshape(2, 3).sum();
  assertType<IsExact<typeof sum, number>>(true);
  const text = await np.fetch("…");
  assertType<IsExact<typeof text, string>>(true);
  const names = await np.names();
  assertType<IsExact<typeof names, string[]>>(true);
  const connection = await np.connect();
  assertType<IsExact<typeof connection, PythonProxy<Connection>>>(true);
  const size = await connection.execute("…").size;
  assertType<IsExact<typeof size, number>>(true);
  using held = await hold(np.arange(3));
  const again = await held.sum();
  assertType<IsExact<typeof again, number>>(true);
  const count = await len(np.names());
  assertType<IsExact<typeof count, number>>(true);
  for await (const name of np.names()) {
    assertType<IsExact<typeof name, string>>(true);
  }
  for await (const name of iterate(np.names(), { batchSize: 1 })) {
    assertType<IsExact<typeof name, string>>(true);
  }
  const first = await item<number>(np.arange(3), 0);
  assertType<IsExact<typeof first, number>>(true);
  // @ts-expect-error -- there is no such member
  np.arrange(3);
  // @ts-expect-error -- a string is no number
  np.arange("3");
  // @ts-expect-error -- a root is not thenable
  np.then;
  const anything = await proxy(handleOf(held)).whatever.it[0](1).is;
  assertType<IsAny<typeof anything>>(true);
}

Deno.test("the types of proxies are those of the interface", () => {
  assertType<IsExact<Parameters<typeof types>, [PythonProxy<Numpy>]>>(true);
});
