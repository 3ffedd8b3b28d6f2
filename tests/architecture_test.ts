/**
 * The layout that the design promises: which way imports point, and what no file may do.
 *
 * @module
 */

import { assert, assertEquals, assertExists, assertStringIncludes } from "@std/assert";
import { walk } from "@std/fs";
import { dirname, join, relative, toFileUrl } from "@std/path";
import { findViolations } from "../tools/architecture.ts";

const ROOT = join(import.meta.dirname!, "..");

Deno.test("every source keeps to the layout", async () => {
  const sources = await readSources();
  assert(sources.has("core/backend.ts"), "Cannot find the sources");
  assertEquals(findViolations(sources), []);
});

Deno.test("importing mod.ts evaluates no npm module", async () => {
  const graph = await readGraph(join(ROOT, "mod.ts"));
  assert(graph.length > 1, "The graph of mod.ts has no imports");
  assertEquals(staticNpmImports(graph), []);
});

// Each line is a made-up source that breaks one rule, and what the checker must say of it.
const BREAKS: readonly [name: string, path: string, text: string, expected: string][] = [
  ["core imports a sibling", "core/a.ts", 'import "../transports/pipe.ts";', "core imports transports"],
  ["core imports a type", "core/a.ts", 'import type { A } from "../host/a.ts";', "core imports host"],
  ["core imports a package", "core/a.ts", 'import { join } from "@std/path";', 'core imports "@std/path"'],
  ["core uses Deno", "core/a.ts", "// Deno\n\nDeno.pid;", "core/a.ts:3: core uses Deno"],
  ["core uses Deno through globalThis", "core/a.ts", "globalThis.Deno;", "core/a.ts:1: core uses Deno"],
  ["core uses Deno's types", "core/a.ts", "export type A = Deno.Conn;", "core/a.ts:1: core uses Deno"],
  ["siblings by import", "transports/a.ts", 'import "../servers/a.ts";', "transports imports servers"],
  ["siblings by export", "objects/a.ts", 'export * from "../transports/a.ts";', "objects imports transports"],
  [
    "siblings by named export",
    "testing/a.ts",
    'export { a } from "../host/a.ts";',
    "testing imports host",
  ],
  [
    "siblings by dynamic import",
    "servers/a.ts",
    'await import("../infrastructure/a.ts");',
    "servers imports infrastructure",
  ],
  [
    "siblings by import type",
    "infrastructure/a.ts",
    'export type A = import("../servers/a.ts").A;',
    "infrastructure imports servers",
  ],
  [
    "servers import a value",
    "servers/a.ts",
    'import { A } from "../infrastructure/a.ts";',
    "servers imports",
  ],
  ["host imports cli", "host/a.ts", 'import "../cli/mod.ts";', "host imports cli"],
  ["cli imports mod.ts", "cli/a.ts", 'import "../mod.ts";', "cli imports mod.ts"],
  ["shipped imports a test", "host/a.ts", 'import "../tests/a.ts";', "host imports tests"],
  ["shipped imports a stand-in", "host/a.ts", 'import "../links/std_path/mod.ts";', "host imports links"],
  ["own package by name", "host/a.ts", 'import "jsr:@beep/python-host";', "its own package"],
  ["text import", "servers/a.ts", 'import a from "./a.py" with { type: "text" };', 'with type "text"'],
  [
    "dynamic bytes import",
    "servers/a.ts",
    'await import("./a.bin", { with: { type: "bytes" } });',
    'with type "bytes"',
  ],
  ["a file in a cycle with itself", "host/a.ts", 'import "./a.ts";', "host/a.ts -> host/a.ts"],
  ["a long file", "host/a.ts", "//\n".repeat(401), "has 401 lines"],
  ["a long Python file", "servers/python/beep_host/a.py", "#\n".repeat(401), "has 401 lines"],
  ["pickle", "servers/python/beep_host/a.py", "pickle.loads(data)", "a.py:1: uses pickle.loads"],
  ["Unpickler", "servers/python/beep_host/a.py", "\n_pickle.Unpickler(f)", "a.py:2: uses Unpickler"],
  ["marshal", "servers/python/__main__.py", "marshal.load(f)", "__main__.py:1: uses marshal.load"],
];

for (const [name, path, text, expected] of BREAKS) {
  Deno.test(`the checker sees: ${name}`, () => {
    const found = findViolations(new Map([...twins(), [path, text]]));
    assertEquals(found.length, 1, found.join("\n"));
    assertStringIncludes(found[0]!, expected);
  });
}

Deno.test("the checker sees: a cycle of three files", () => {
  const found = findViolations(
    new Map([
      ...twins(),
      ["host/a.ts", 'import { b } from "./b.ts";'],
      ["host/b.ts", 'export * from "./c.ts";'],
      ["host/c.ts", 'import "./a.ts";'],
    ]),
  );
  assertEquals(found, ["host/a.ts: is in a cycle: host/a.ts -> host/b.ts -> host/c.ts -> host/a.ts"]);
});

Deno.test("the checker sees: a twin without its other half", () => {
  const sources = twins();
  sources.delete("servers/python/beep_host/frames.py");
  const [found = "", ...others] = findViolations(sources);
  assertStringIncludes(found, "servers/python/beep_host/frames.py: is missing");
  assertEquals(others, []);
});

Deno.test("the checker lets pass what is allowed", () => {
  const allowed = new Map([
    ...twins(),
    ["core/a.ts", 'import "./b.ts"; import "node:buffer"; const text = "Deno.pid"; // Deno.pid'],
    ["servers/a.ts", 'import type { A } from "../infrastructure/a.ts"; import "../core/a.ts"; Deno.pid;'],
    ["servers/b.ts", 'import { type A, type B } from "../infrastructure/a.ts";'],
    ["infrastructure/a.ts", 'import "@std/path"; import a from "./a.json" with { type: "json" };'],
    ["host/a.ts", 'import "../servers/a.ts"; import "../infrastructure/a.ts"; import "../testing/a.ts";'],
    ["host/c.ts", 'import type { D } from "./d.ts";'],
    ["host/d.ts", 'import "./c.ts"; await import("./e.ts");'],
    ["host/e.ts", 'import "./d.ts";'],
    ["mod.ts", 'export * from "./host/a.ts"; export * from "./core/a.ts";'],
    ["cli/mod.ts", 'import "../host/a.ts"; import "../core/a.ts";'],
    ["tests/a.ts", 'import "../transports/a.ts"; import "../servers/a.ts"; pickle.loads;'],
    ["tests/long_test.ts", "//\n".repeat(500)],
    ["servers/_python.gen.ts", "//\n".repeat(500)],
    ["servers/python/tests/a.py", "pickle.loads"],
  ]);
  assertEquals(findViolations(allowed), []);
});

Deno.test("the checker sees: an npm module in the static graph", async () => {
  const scratch = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(join(scratch, "deno.json"), '{ "imports": { "hono": "npm:hono@4" } }');
    await Deno.writeTextFile(join(scratch, "eager.ts"), 'import "hono";');
    const lazy =
      'import type { Hono } from "hono"; export const a: () => Promise<Hono> = () => import("hono");';
    await Deno.writeTextFile(join(scratch, "lazy.ts"), lazy);
    await Deno.writeTextFile(join(scratch, "mod.ts"), 'import "./lazy.ts"; import "./eager.ts";');
    const found = staticNpmImports(await readGraph(join(scratch, "mod.ts")));
    assertEquals(found, [`${toFileUrl(join(scratch, "eager.ts")).href} imports npm:hono@4`]);
  } finally {
    await Deno.remove(scratch, { recursive: true });
  }
});

/** Empty twins, so that only what a test adds can break a rule. */
function twins(): Map<string, string> {
  const names = ["errors", "frames", "protocol", "values"];
  return new Map(
    names.flatMap((name) => [[`core/${name}.ts`, ""], [`servers/python/beep_host/${name}.py`, ""]]),
  );
}

async function readSources(): Promise<Map<string, string>> {
  const sources = new Map<string, string>();
  const skip = [/[\\/](\.git|node_modules|__pycache__)$/];
  for await (const entry of walk(ROOT, { includeDirs: false, exts: [".ts", ".py"], skip })) {
    sources.set(relative(ROOT, entry.path).replaceAll("\\", "/"), await Deno.readTextFile(entry.path));
  }
  return sources;
}

/** What is used of `deno info --json`. */
interface GraphModule {
  readonly specifier: string;
  readonly dependencies?: readonly {
    readonly isDynamic?: boolean;
    /** Only there when more than types are imported. */
    readonly code?: { readonly specifier?: string };
  }[];
}

/** The modules that are loaded with `entry`: without dynamic imports, and not looking into the stand-ins for std. */
async function readGraph(entry: string): Promise<GraphModule[]> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", entry],
    cwd: dirname(entry),
    env: { NO_COLOR: "1" },
  }).output();
  assert(success, new TextDecoder().decode(stderr));
  const { modules }: { modules: GraphModule[] } = JSON.parse(new TextDecoder().decode(stdout));
  const bySpecifier = new Map(modules.map((module) => [module.specifier, module]));
  const links = toFileUrl(join(ROOT, "links")).href;
  const loaded = new Map<string, GraphModule>();
  const queue = [toFileUrl(await Deno.realPath(entry)).href];
  for (let specifier = queue.pop(); specifier !== undefined; specifier = queue.pop()) {
    const module = bySpecifier.get(specifier);
    // A consumer gets the real std packages, which load no npm module.
    if (module === undefined || loaded.has(specifier) || specifier.startsWith(links)) continue;
    loaded.set(specifier, module);
    queue.push(...staticImports(module));
  }
  return [...loaded.values()];
}

function staticImports(module: GraphModule): string[] {
  return (module.dependencies ?? []).filter((one) => one.isDynamic !== true && one.code !== undefined)
    .map((one) => {
      assertExists(
        one.code?.specifier,
        `Cannot resolve an import of ${module.specifier}: ${JSON.stringify(one)}`,
      );
      return one.code.specifier;
    });
}

function staticNpmImports(graph: readonly GraphModule[]): string[] {
  return graph.flatMap((module) =>
    staticImports(module).filter((target) => target.startsWith("npm:"))
      .map((target) => `${module.specifier} imports ${target}`)
  );
}
