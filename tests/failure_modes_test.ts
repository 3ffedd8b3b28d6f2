// Every case of docs/FAILURE_MODES.md is named by a test, and every case that a test names stands there.

import { assertEquals } from "@std/assert";
import { walk } from "@std/fs";

const ROOT = new URL("..", import.meta.url);
/** The start of a title. */
const NAMED = /["`]case ((?:S?\d+)(?:, (?:S?\d+))*): /g;

Deno.test("every failure mode that is documented is named by a test, and the other way round", async () => {
  const document = await Deno.readTextFile(new URL("docs/FAILURE_MODES.md", ROOT));
  const documented = new Set([...document.matchAll(/^\| (S?\d+) \|/gm)].map(([, number]) => number!));
  const named = new Set<string>();
  for (const directory of ["tests", "testing", "servers/python/tests"]) {
    const options = { exts: [".ts", ".py"], includeDirs: false };
    for await (const { path } of walk(new URL(directory, ROOT).pathname, options)) {
      for (const [, numbers] of (await Deno.readTextFile(path)).matchAll(NAMED)) {
        for (const number of numbers!.split(", ")) named.add(number);
      }
    }
  }
  assertEquals(
    [...documented].filter((number) => !named.has(number)),
    [],
    "documented, and named by no test",
  );
  assertEquals([...named].filter((number) => !documented.has(number)), [], "named, and not documented");
});
