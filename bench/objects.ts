/**
 * What a path through a proxy costs beside the one evaluate that it becomes.
 *
 * `deno run -A bench/objects.ts [python]`; pinned to one processor where `taskset` is there (`bench/mod.ts` does that).
 *
 * @module
 */

import { PythonHostPipe, servers } from "@beep/python-host";
import { handleOf, iterate, proxy, type Untyped } from "../objects/mod.ts";
import { type Case, measure, report } from "./measure.ts";
import { chosenPython } from "./python.ts";

const ROUNDS = 15;
const COUNT = 400;
const ITEMS = 10_000;

/** Work that is done again and again, one after the other. */
function repeated(work: () => PromiseLike<unknown>): (count: number) => Promise<void> {
  return async (count) => {
    for (let i = 0; i < count; i++) await work();
  };
}

/** Measures and reports. */
export async function benchObjects(python: string): Promise<void> {
  await using server = await servers.startServer({ python, transport: "pipe" });
  await using pipe = new PythonHostPipe(server.endpoint);
  const builtins = proxy(await pipe.importModule("builtins")) as Untyped;
  const handle = handleOf(builtins);
  const code = "b.str(text).upper().split(sep).index(word)";
  const cases: Case[] = [
    {
      name: "one evaluate of the same object and values",
      run: repeated(() => pipe.evaluate(code, { b: handle, text: "a,b", sep: ",", word: "B" })),
    },
    {
      name: "a path of four links",
      floor: "one evaluate of the same object and values",
      goal: 1.3,
      run: repeated(() => builtins.str("a,b").upper().split(",").index("B")),
    },
    {
      name: "a method of a proxy",
      floor: "one evaluate of the same object and values",
      goal: 1.3,
      run: repeated(() => builtins.abs(-1)),
    },
    {
      name: "evaluate of a constant text",
      floor: "one evaluate of the same object and values",
      run: repeated(() => pipe.evaluate("str('a,b').upper().split(',').index('B')")),
    },
    {
      name: "a function called back",
      floor: "one evaluate of the same object and values",
      run: repeated(() => pipe.evaluate("f(1)", { f: increment })),
    },
  ];
  report("Objects, over the pipe", await measure(cases, ROUNDS, COUNT));
  const iteration: Case[] = [
    { name: `a list of ${ITEMS} items`, run: repeated(() => pipe.evaluate("list(range(n))", { n: ITEMS })) },
    {
      name: `for await over ${ITEMS} items`,
      floor: `a list of ${ITEMS} items`,
      async run(count) {
        for (let i = 0; i < count; i++) {
          for await (const _ of iterate(builtins.range(ITEMS))) { /* taking them is the work */ }
        }
      },
    },
  ];
  report("Iteration, over the pipe", await measure(iteration, 5, 5));
}

function increment(x: number): number {
  return x + 1;
}

if (import.meta.main) await benchObjects(await chosenPython());
