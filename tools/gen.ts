/**
 * `deno task gen` writes the generated files; `deno task gen --check` fails when one is stale.
 *
 * A generator is a module `tools/gen_<what>.ts` that exports `generate()`: it is found by its name, so that adding one
 * touches no other file.
 *
 * @module
 */

import { dirname, fromFileUrl, join } from "@std/path";
import { ensureDir } from "@std/fs";
import type { GeneratedFile, Generator } from "./generated.ts";

const ROOT = dirname(import.meta.dirname!);

/** Runs every generator, in the order of their names. */
export async function generateAll(): Promise<GeneratedFile[]> {
  const files: GeneratedFile[] = [];
  for (const url of generatorUrls()) {
    const generator: Partial<Generator> = await import(url);
    if (typeof generator.generate !== "function") {
      throw new TypeError(`Cannot run the generator ${fromFileUrl(url)}: it exports no function "generate"`);
    }
    files.push(...[await generator.generate()].flat());
  }
  return files;
}

/** The paths among `files` whose text on disk is another, or which are not there. */
export async function findStale(files: readonly GeneratedFile[], root: string = ROOT): Promise<string[]> {
  const stale: string[] = [];
  for (const file of files) {
    if (await readIfThere(join(root, file.path)) !== file.text) stale.push(file.path);
  }
  return stale;
}

function generatorUrls(): string[] {
  return [...Deno.readDirSync(import.meta.dirname!)]
    .filter((entry) => entry.isFile && /^gen_\w+\.ts$/.test(entry.name))
    .map((entry) => new URL(entry.name, import.meta.url).href)
    .sort();
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

async function main(args: readonly string[]): Promise<number> {
  const unknown = args.find((arg) => arg !== "--check");
  if (unknown !== undefined) {
    console.error(`Cannot understand "${unknown}": the only option is --check`);
    return 2;
  }
  const files = await generateAll();
  const stale = await findStale(files);
  if (args.includes("--check")) {
    if (stale.length === 0) return 0;
    console.error(`Stale, run "deno task gen":\n${stale.map((path) => `  ${path}`).join("\n")}`);
    return 1;
  }
  for (const file of files) {
    if (!stale.includes(file.path)) continue;
    await ensureDir(dirname(join(ROOT, file.path)));
    await Deno.writeTextFile(join(ROOT, file.path), file.text);
  }
  console.log(stale.length === 0 ? "Nothing to write" : `Wrote ${stale.join(", ")}`);
  return 0;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
