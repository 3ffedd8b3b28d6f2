/**
 * The check of the Python sources sees what it promises to see, on the oldest CPython and on the newest.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { join } from "@std/path";
import { findPythons, type FoundPython } from "../../tools/pythons.ts";

const CHECK = join(import.meta.dirname!, "..", "..", "tools", "check_python.py");

/** Sources, and what must be said of each after its path. */
const SOURCES: readonly [source: string, problems: readonly string[]][] = [
  ["import os, _socket, itertools, posix, _json\nfrom beep_host import protocol\nfrom . import frames\n", []],
  ["import numpy\n", ["1: imports numpy, which is not in the standard library"]],
  ["if True:\n    from yaml.x import load\n", ["2: imports yaml, which is not in the standard library"]],
  ["try:\n    import numpy\nexcept ImportError:\n    numpy = None\n", []],
  ["def f() -> None:\n    import numpy\n", []],
  ["class A:\n    def f(self, a: int) -> None: ...\n", []],
  ["def f(a, *b, c: int, **d): ...\n", ["1: f: no annotation for a, b, d, return"]],
  ["async def f() -> None: ...\n", []],
  ['pattern = "\\d"\n', ["1: does not compile: invalid escape sequence"]],
  ["def f(:\n", ["1: does not compile: invalid syntax"]],
];

const pythons = await findPythons();

for (const python of new Set([pythons.at(0), pythons.at(-1)])) {
  if (python === undefined) continue;
  Deno.test(`check_python.py - on CPython ${python.version}`, async () => {
    for (const [source, problems] of SOURCES) {
      const { code, lines } = await check(python, source);
      // The compilers of different versions finish their sentences differently.
      const seen = lines.map((line, index) => line.slice(0, problems[index]?.length));
      assertEquals({ seen, code }, { seen: [...problems], code: problems.length === 0 ? 0 : 1 }, source);
    }
  });
}

async function check(python: FoundPython, source: string): Promise<{ code: number; lines: string[] }> {
  const root = await Deno.makeTempDir();
  try {
    const path = join(root, "a.py");
    await Deno.writeTextFile(path, source);
    const { code, stdout } = await new Deno.Command(python.path, { args: ["-I", "-B", CHECK, root] })
      .output();
    const lines = new TextDecoder().decode(stdout).split(/\r?\n/).filter((line) => line !== "");
    return { code, lines: lines.map((line) => line.replace(`${path}:`, "")) };
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}
