/** The sources are written once, whole, and compiled once for each interpreter. */

import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { SILENT_LOGGER } from "../../core/logger.ts";
import { ensureBytecode, ensureSources, type PythonSources } from "../../servers/sources.ts";
import { PYTHON } from "./_launch.ts";

const SOURCES: PythonSources = {
  version: "1.2.3",
  hash: "0123456789abcdef0123",
  load: () =>
    Promise.resolve({
      "__main__.py": "import package.part\n",
      "package/__init__.py": "",
      "package/part.py": "x = 1\n",
    }),
};

Deno.test("ensureSources() writes to a directory that is named by version and content", async () => {
  await using home = await temporary();
  const directory = await ensureSources(home.path, SOURCES);
  assertEquals(directory, `${home.path}/1.2.3-0123456789abcdef`);
  assertEquals(await Deno.readTextFile(`${directory}/package/part.py`), "x = 1\n");
  assertEquals(await namesIn(home.path), ["1.2.3-0123456789abcdef"]);
});

Deno.test("ensureSources() leaves what is whole as it is", async () => {
  await using home = await temporary();
  const directory = await ensureSources(home.path, SOURCES);
  const before = (await Deno.stat(`${directory}/__main__.py`)).ino;
  await ensureSources(home.path, {
    ...SOURCES,
    load: () => Promise.reject(new Error("they are not needed")),
  });
  assertEquals((await Deno.stat(`${directory}/__main__.py`)).ino, before);
});

Deno.test("ensureSources() replaces a directory that lost its mark", async () => {
  await using home = await temporary();
  const directory = await ensureSources(home.path, SOURCES);
  await Deno.remove(`${directory}/.complete`);
  await Deno.remove(`${directory}/package`, { recursive: true });
  assertEquals(await ensureSources(home.path, SOURCES), directory);
  assertEquals(await Deno.readTextFile(`${directory}/package/part.py`), "x = 1\n");
  assertEquals(await namesIn(home.path), ["1.2.3-0123456789abcdef"]);
});

Deno.test("ensureSources() removes what a killed start left, but not what another one is writing", async () => {
  await using home = await temporary();
  for (const name of [".staging-old", ".staging-new"]) await Deno.mkdir(`${home.path}/${name}`);
  const longAgo = new Date(Date.now() - 2 * 60 * 60 * 1000);
  await Deno.utime(`${home.path}/.staging-old`, longAgo, longAgo);
  await ensureSources(home.path, SOURCES);
  assertEquals(await namesIn(home.path), [".staging-new", "1.2.3-0123456789abcdef"]);
});

Deno.test("ensureSources() can be raced", async () => {
  await using home = await temporary();
  const directories = await Promise.all(Array.from({ length: 8 }, () => ensureSources(home.path, SOURCES)));
  assertEquals(new Set(directories).size, 1);
  assertEquals(await namesIn(home.path), ["1.2.3-0123456789abcdef"]);
});

Deno.test("ensureBytecode() compiles once, and Python reads what was compiled", async () => {
  await using home = await temporary();
  const directory = await ensureSources(home.path, SOURCES);
  await Promise.all([compile(directory), compile(directory)]);
  const [file] = await namesIn(`${directory}/package/__pycache__`);
  assert(file!.endsWith(".pyc"));
  const before = await Deno.stat(`${directory}/package/__pycache__/${file}`);
  await compile(directory);
  const after = await Deno.stat(`${directory}/package/__pycache__/${file}`);
  assertEquals(after.mtime, before.mtime);
  // Unchecked: Python takes the bytecode even when the source has changed, which nothing ever does.
  await Deno.writeTextFile(`${directory}/package/part.py`, "raise SystemExit(9)\n");
  const { code } = await new Deno.Command(PYTHON, { args: ["-I", "-B", directory] }).output();
  assertEquals(code, 0);
});

Deno.test("ensureBytecode() goes on without bytecode, and says so", async () => {
  await using home = await temporary();
  const directory = await ensureSources(home.path, {
    ...SOURCES,
    load: () => Promise.resolve({ "__main__.py": "def\n" }),
  });
  const warnings: string[] = [];
  const logger = { ...SILENT_LOGGER, warn: (message: string) => void warnings.push(message) };
  await ensureBytecode(directory, PYTHON, { logger });
  assertEquals(warnings, ["Cannot compile the server's sources; it starts more slowly"]);
  assertNotEquals(await namesIn(directory), []);
});

function compile(directory: string): Promise<void> {
  return ensureBytecode(directory, PYTHON, { logger: SILENT_LOGGER });
}

async function temporary(): Promise<{ path: string } & AsyncDisposable> {
  const path = await Deno.makeTempDir({ prefix: "beep-" });
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

async function namesIn(directory: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(directory), (entry) => entry.name)).sort();
}
