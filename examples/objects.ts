/**
 * Python objects as if they were at home: paths, iteration, functions that Python calls, `with`, and a scope that cleans up.
 *
 * Run with: deno run -A examples/objects.ts
 */

import { iterate, kw, op, PythonHost, type PythonObject, scope, withContext } from "@beep/python-host";
import { assertEquals } from "@std/assert";

// What is used of two modules of Python. Without such interfaces everything works too, untyped.
interface Collections {
  Counter(text: string): Counter;
}
interface Counter extends PythonObject {
  most_common(n: number): Counter;
  items(): [string, number][];
  total(): number;
}
interface Builtins {
  sorted<T>(items: T[], options?: unknown): T[];
  open(path: string, mode?: string): TextFile;
}
interface TextFile extends PythonObject {
  write(text: string): number;
  __enter__(): TextFile;
}

await using host = await PythonHost.start();

const total = await scope(host.backend, async (s) => {
  const collections = s.proxy<Collections>(await s.importModule("collections"));
  const builtins = s.proxy<Builtins>(await s.importModule("builtins"));

  // A path is one call, however long it is. What has no image in JavaScript is a proxy again.
  const letters = await collections.Counter("abracadabra");
  const others = collections.Counter("alakazam");
  console.log(await op.add(letters, others).most_common(2));

  // Keyword arguments, and a JavaScript function that Python calls.
  const byLength = await builtins.sorted(["ccc", "a", "bb"], kw({ key: (word: string) => word.length }));
  assertEquals(byLength, ["a", "bb", "ccc"]);

  // Items come a few at a time; leaving the loop ends the iterator in Python.
  for await (const [letter, count] of iterate(letters.items())) {
    console.log(letter, count);
    if (count === 2) break;
  }

  // Python's `with`, around a body in JavaScript.
  const path = await Deno.makeTempFile();
  await withContext(builtins.open(path, "w"), async (file) => {
    await file.write("written by Python\n");
  });
  assertEquals(await Deno.readTextFile(path), "written by Python\n");
  await Deno.remove(path);

  return await op.add(letters, others).total();
});
// Everything that was made in the scope is released here.
console.log(total);
assertEquals(total, 19);
