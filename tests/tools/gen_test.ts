/**
 * The generated files: stale ones are seen, and the Python sources travel whole and alone.
 *
 * @module
 */

import { assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import { ensureDir } from "@std/fs";
import { dirname, join } from "@std/path";
import { findStale } from "../../tools/gen.ts";
import { generate, hashSources, readSources } from "../../tools/gen_python.ts";

Deno.test("findStale - names what differs and what is missing", async () => {
  await inScratch(async (root) => {
    await writeTree(root, { "same.ts": "a\n", "sub/changed.ts": "old\n" });
    const stale = await findStale([
      { path: "same.ts", text: "a\n" },
      { path: "sub/changed.ts", text: "new\n" },
      { path: "missing.ts", text: "" },
    ], root);
    assertEquals(stale, ["sub/changed.ts", "missing.ts"]);
  });
});

Deno.test("generate - carries every source exactly, whatever is in it", async () => {
  await inScratch(async (root) => {
    const tricky = 'text = "\\u2028 ${x} `\u2028\u{1f40d}"\r\nlast = 1';
    await writeTree(root, {
      "__main__.py": "",
      "beep_host/sub/a.py": tricky,
      "beep_host/__init__.py": "#\n",
    });
    const { path, text } = await generate(root);
    assertEquals(path, "servers/_python.gen.ts");
    const module = await import(`data:text/typescript;charset=utf-8,${encodeURIComponent(text)}`);
    assertEquals(module.PYTHON_SOURCES, {
      "__main__.py": "",
      "beep_host/__init__.py": "#\n",
      "beep_host/sub/a.py": tricky.replace("\r\n", "\n"),
    });
    assertMatch(module.PYTHON_SOURCES_HASH, /^[0-9a-f]{64}$/);
  });
});

Deno.test("readSources - leaves out tests, compiled files and what is beside the package", async () => {
  await inScratch(async (root) => {
    await writeTree(root, {
      "beep_host/b.py": "",
      "beep_host/a.py": "",
      "beep_host/notes.txt": "",
      "beep_host/__pycache__/a.py": "",
      "beep_host/tests/test_a.py": "",
      "tests/test_b.py": "",
      "setup.py": "",
    });
    assertEquals([...(await readSources(root)).keys()], ["beep_host/a.py", "beep_host/b.py"]);
  });
});

Deno.test("hashSources - tells a path from a content", async () => {
  const hash = await hashSources(new Map([["a", "bc"]]));
  assertEquals(hash, await hashSources(new Map([["a", "bc"]])));
  assertNotEquals(hash, await hashSources(new Map([["ab", "c"]])));
  assertNotEquals(hash, await hashSources(new Map([["a", "bd"]])));
});

async function inScratch(run: (root: string) => Promise<void>): Promise<void> {
  const root = await Deno.makeTempDir();
  try {
    await run(root);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

async function writeTree(root: string, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    await ensureDir(dirname(join(root, path)));
    await Deno.writeTextFile(join(root, path), text);
  }
}
