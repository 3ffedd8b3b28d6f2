/**
 * The rules of the layout, as data, and what breaks them.
 *
 * ```text
 * core ← transports, objects, infrastructure, servers, testing ← host ← cli, mod.ts
 * ```
 *
 * Everything here is a function of given texts, so that its own test can feed it sources that break each rule.
 *
 * @module
 */

import { parseSource, type SourceImport } from "./source_imports.ts";

/** Sources by their path from the root of the repository, with `/`. */
export type Sources = ReadonlyMap<string, string>;

/** The layer of each area that is published; a file may import from its own area and from lower layers. */
const LAYERS: Readonly<Record<string, number>> = {
  "core": 0,
  "transports": 1,
  "objects": 1,
  "infrastructure": 1,
  "servers": 1,
  "testing": 1,
  "host": 2,
  "cli": 3,
  "mod.ts": 3,
};
/** Siblings of which one may know the other's types. */
const TYPE_EXCEPTIONS: ReadonlySet<string> = new Set(["servers -> infrastructure"]);
/** The contract suite tests what is built on a backend too, over each backend. */
const SIBLING_EXCEPTIONS: ReadonlySet<string> = new Set(["testing -> objects"]);
/** Modules that say the same in both languages: `core/<name>.ts` and `servers/python/beep_host/<name>.py`. */
const TWINS: readonly string[] = ["errors", "frames", "protocol", "values"];
/** A file that passes this asks to be two. */
const MAX_LINES = 400;
/** Reading what a peer sent by any of these would execute it. */
const EXECUTING_READERS = /\b(?:pickle\.loads?|Unpickler|marshal\.loads?)\b/;
/** JSR's server refuses these at a real publish, though the dry run takes them. */
const REFUSED_ATTRIBUTES: ReadonlySet<string> = new Set(["text", "bytes"]);

/** Everything that breaks a rule, as `path:line: what`. */
export function findViolations(sources: Sources): string[] {
  const typescript = [...sources].filter(([path]) => path.endsWith(".ts"));
  const parsed = typescript.map(([path, text]) => parseSource(path, text));
  return [
    ...parsed.flatMap((source) => source.imports.flatMap((one) => checkImport(source.path, one))),
    ...parsed.filter((source) => areaOf(source.path) === "core").flatMap((source) =>
      source.denoLines.map((line) => `${source.path}:${line}: core uses Deno`)
    ),
    ...findCycles(new Map(parsed.map((source) => [source.path, loadedBefore(source.path, source.imports)]))),
    ...checkTwins(sources),
    ...[...sources].flatMap(([path, text]) => [...checkLength(path, text), ...checkReaders(path, text)]),
  ];
}

/** The first path component: the area that a file belongs to. */
export function areaOf(path: string): string {
  return path.split("/")[0]!;
}

function checkImport(path: string, one: SourceImport): string[] {
  const area = areaOf(path);
  const layer = LAYERS[area];
  if (layer === undefined) return [];
  const where = `${path}:${one.line}:`;
  const found: string[] = [];
  if (one.attributeType !== undefined && REFUSED_ATTRIBUTES.has(one.attributeType)) {
    found.push(`${where} imports "${one.specifier}" with type "${one.attributeType}", which JSR refuses`);
  }
  if (/^(jsr:)?@beep\/python-host/.test(one.specifier)) {
    found.push(`${where} imports its own package as "${one.specifier}"`);
  }
  const target = resolveImport(path, one.specifier);
  if (target === undefined) {
    if (area === "core" && !one.specifier.startsWith("node:")) {
      found.push(`${where} core imports "${one.specifier}"`);
    }
    return found;
  }
  const targetArea = areaOf(target);
  const isAllowed = targetArea === area || !target.endsWith(".ts") ||
    (LAYERS[targetArea] ?? Infinity) < layer || SIBLING_EXCEPTIONS.has(`${area} -> ${targetArea}`) ||
    (one.isTypeOnly && TYPE_EXCEPTIONS.has(`${area} -> ${targetArea}`));
  if (!isAllowed) found.push(`${where} ${area} imports ${targetArea} ("${one.specifier}")`);
  return found;
}

function resolveImport(path: string, specifier: string): string | undefined {
  if (!/^\.{0,2}\//.test(specifier)) return undefined;
  return decodeURIComponent(new URL(specifier, `file:///${path}`).pathname).slice(1);
}

/** What is loaded before the file itself: types are not, and dynamic imports are when the file already stands. */
function loadedBefore(path: string, imports: readonly SourceImport[]): string[] {
  return imports.filter((one) => !one.isTypeOnly && !one.isDynamic).map((one) =>
    resolveImport(path, one.specifier)
  ).filter((target) => target !== undefined);
}

/** One line for each import that closes a circle of files: what runs first in one depends on who imports it. */
function findCycles(graph: ReadonlyMap<string, readonly string[]>): string[] {
  const found: string[] = [];
  const done = new Set<string>();
  const trail: string[] = [];
  const visit = (path: string) => {
    if (done.has(path)) return;
    const start = trail.indexOf(path);
    if (start !== -1) {
      found.push(`${path}: is in a cycle: ${[...trail.slice(start), path].join(" -> ")}`);
      return;
    }
    trail.push(path);
    for (const target of graph.get(path) ?? []) visit(target);
    trail.pop();
    done.add(path);
  };
  for (const path of [...graph.keys()].sort()) visit(path);
  return found;
}

function checkTwins(sources: Sources): string[] {
  return TWINS.flatMap((name) => [`core/${name}.ts`, `servers/python/beep_host/${name}.py`])
    .filter((path) => !sources.has(path))
    .map((path) => `${path}: is missing, but its twin or the list of twins names it`);
}

function checkLength(path: string, text: string): string[] {
  if (path.endsWith(".gen.ts") || /_test\.ts$|(^|\/)tests\//.test(path)) return [];
  const lines = text.split("\n").length - (text.endsWith("\n") ? 1 : 0);
  return lines > MAX_LINES ? [`${path}: has ${lines} lines, more than ${MAX_LINES}`] : [];
}

function checkReaders(path: string, text: string): string[] {
  if (!path.startsWith("servers/python/") || path.includes("/tests/")) return [];
  return text.split("\n").flatMap((line, index) => {
    const match = line.match(EXECUTING_READERS);
    return match === null ? [] : [`${path}:${index + 1}: uses ${match[0]}, which executes what it reads`];
  });
}
