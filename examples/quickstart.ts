/**
 * The whole chain in one program: a Python, its environment, its server, and calls on it.
 *
 * Run with: deno run -A examples/quickstart.ts
 */

import { PythonError, PythonHost } from "@beep/python-host";
import { assert, assertAlmostEquals, assertEquals } from "@std/assert";

// Finds a Python, makes the environment `admin` if it is not there yet, starts a server and connects to it.
await using host = await PythonHost.start();

// Any Python; the value of the last expression comes back as a JavaScript value.
const words = await host.evaluate<[string, number][]>(
  `
  from collections import Counter
  Counter(text.split()).most_common(2)
  `,
  { text: "the cat and the dog and the bird" },
);
console.log(words);
assertEquals(words.map(([word, count]) => `${word}: ${count}`), ["the: 3", "and: 2"]);

// Objects stay in Python, and are used through handles.
await using scores = await host.createObject("statistics", "NormalDist", [100, 15]);
const share = await host.callMethod<number>(scores, "cdf", [130]);
console.log(share);
assertAlmostEquals(share, 0.977, 0.001);

// An exception in Python is an error here, with its type, message and traceback.
const error = await host.evaluate("1 / 0").catch((error: unknown) => error);
assert(error instanceof PythonError);
assertEquals(error.pythonType, "ZeroDivisionError");
console.log(error.message);
// The host is disposed here: its server ends, and nothing is left.
