/** The bounds and the order of a map, without any Python. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { mapItems } from "../../host/pool_map.ts";
import { until } from "./_servers.ts";

/** Work whose pieces end when the test says so. */
class Manual {
  readonly begun: number[] = [];
  readonly aborted: number[] = [];
  readonly #pieces = new Map<number, PromiseWithResolvers<string>>();

  readonly work = (item: number, signal: AbortSignal): Promise<string> => {
    this.begun.push(item);
    const piece = Promise.withResolvers<string>();
    this.#pieces.set(item, piece);
    signal.addEventListener("abort", () => {
      this.aborted.push(item);
      piece.reject(signal.reason);
    });
    return piece.promise;
  };

  finish(item: number): void {
    this.#pieces.get(item)!.resolve(`r${item}`);
  }

  fail(item: number, error: Error): void {
    this.#pieces.get(item)!.reject(error);
  }
}

const ALL = {
  ordered: true,
  maxInFlight: 3,
  signal: undefined,
  inputEnd: new AbortController().signal,
};

Deno.test("mapItems() gives results in order, and reads no more than there is room for", async () => {
  const manual = new Manual();
  let read = 0;
  function* items(): Generator<number> {
    for (read = 1; read <= 6; read++) yield read;
  }
  const results = mapItems(items(), manual.work, ALL);
  const first = results.next();
  await until("three have begun", () => manual.begun.length === 3);
  manual.finish(2);
  manual.finish(3);
  await new Promise((resolve) => setTimeout(resolve, 5));
  assertEquals([manual.begun, read], [[1, 2, 3], 3]); // finished ones that were not taken hold their room
  manual.finish(1);
  assertEquals(await first, { done: false, value: "r1" });
  assertEquals((await results.next()).value, "r2");
  await until("the room is used", () => manual.begun.length === 5);
  for (const item of [4, 5]) manual.finish(item);
  assertEquals((await results.next()).value, "r3");
  await until("the last has begun", () => manual.begun.length === 6);
  manual.finish(6);
  assertEquals(await Array.fromAsync(results), ["r4", "r5", "r6"]);
});

Deno.test("mapItems() gives results as they come when no order is asked for", async () => {
  const manual = new Manual();
  const results = mapItems([1, 2, 3], manual.work, { ...ALL, ordered: false });
  const first = results.next();
  await until("three have begun", () => manual.begun.length === 3);
  manual.finish(3);
  assertEquals((await first).value, "r3");
  manual.finish(1);
  assertEquals((await results.next()).value, "r1");
  manual.finish(2);
  assertEquals(await Array.fromAsync(results), ["r2"]);
});

Deno.test("mapItems() takes nothing, promises, and async input that is slow", async () => {
  const echo = (item: number): Promise<number> => Promise.resolve(item);
  assertEquals(await Array.fromAsync(mapItems([], echo, ALL)), []);
  assertEquals(await Array.fromAsync(mapItems([Promise.resolve(1)], echo, ALL)), [1]);
  async function* slow(): AsyncGenerator<number> {
    for (const item of [1, 2, 3]) {
      await new Promise((resolve) => setTimeout(resolve, 2));
      yield item;
    }
  }
  assertEquals(await Array.fromAsync(mapItems(slow(), echo, { ...ALL, maxInFlight: 1 })), [1, 2, 3]);
});

Deno.test("mapItems() ends with the first failure, and stops what is under way", async () => {
  const manual = new Manual();
  let closed = false;
  function* items(): Generator<number> {
    try {
      for (let i = 1;; i++) yield i;
    } finally {
      closed = true;
    }
  }
  const next = mapItems(items(), manual.work, ALL).next();
  await until("three have begun", () => manual.begun.length === 3);
  manual.fail(1, new Error("no"));
  await assertRejects(() => next, Error, "no");
  assertEquals([manual.aborted, closed], [[1, 2, 3], true]);
});

Deno.test("mapItems() stops what is under way when it is left early", async () => {
  const manual = new Manual();
  const results = mapItems([1, 2, 3, 4], manual.work, ALL);
  const first = results.next();
  await until("three have begun", () => manual.begun.length === 3);
  manual.finish(1);
  await first;
  await results.return();
  assert(manual.aborted.includes(2) && manual.aborted.includes(3));
});

Deno.test("mapItems() stops at its signal, also while the input gives nothing", async () => {
  const never = Promise.withResolvers<IteratorResult<number>>();
  const items = { [Symbol.asyncIterator]: () => ({ next: () => never.promise }) };
  const controller = new AbortController();
  const next = mapItems(items, () => Promise.resolve(1), { ...ALL, signal: controller.signal }).next();
  controller.abort("enough");
  assertEquals(await next.catch((error) => error), "enough");
  never.resolve({ done: true, value: undefined });
});

Deno.test("mapItems() gives what came before an input that throws, then its error", async () => {
  function* items(): Generator<number> {
    yield 1;
    yield 2;
    throw new Error("the input broke");
  }
  const seen: number[] = [];
  await assertRejects(
    async () => {
      for await (const item of mapItems(items(), (item) => Promise.resolve(item), ALL)) seen.push(item);
    },
    Error,
    "the input broke",
  );
  assertEquals(seen, [1, 2]);
});

Deno.test("mapItems() gives what is under way when its input may not be read on, though the input never comes", async () => {
  const manual = new Manual();
  const inputEnd = new AbortController();
  let returned = 0;
  const input: AsyncIterableIterator<number> = {
    next: () => manual.begun.length === 0 ? Promise.resolve({ value: 1 }) : new Promise(() => {}),
    return: () => (returned++, Promise.resolve({ value: undefined, done: true })),
    [Symbol.asyncIterator]: () => input,
  };
  const results = mapItems(input, manual.work, { ...ALL, inputEnd: inputEnd.signal });
  const first = results.next();
  await until("the item is begun", () => manual.begun.length === 1);
  inputEnd.abort(new RangeError("no more"));
  manual.finish(1);
  assertEquals((await first).value, "r1");
  await assertRejects(() => results.next(), RangeError, "no more");
  assertEquals(returned, 1);
});

Deno.test("mapItems() reads nothing of an input that may not be read", async () => {
  const read = mapItems([1], new Manual().work, {
    ...ALL,
    inputEnd: AbortSignal.abort(new RangeError("over")),
  });
  await assertRejects(() => read.next(), RangeError, "over");
});
