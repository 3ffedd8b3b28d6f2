/**
 * The public names of each export of the package are those in `exports.json`, so that none comes or goes unseen.
 *
 * After a wanted change: `deno test -A tests/exports_test.ts -- --update`.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { join, toFileUrl } from "@std/path";
import config from "../deno.json" with { type: "json" };

const ROOT = join(import.meta.dirname!, "..");
const LIST = join(import.meta.dirname!, "exports.json");

/** What is used of `deno doc --json`: the symbols of each entry point, by its URL. */
interface Documentation {
  readonly nodes: Readonly<
    Record<string, {
      readonly symbols?: readonly {
        readonly name: string;
        readonly declarations: readonly { readonly kind: string; readonly declarationKind: string }[];
      }[];
    }>
  >;
}

Deno.test("the public names are those of exports.json", async () => {
  const actual = await readPublicNames(config.exports);
  if (Deno.args.includes("--update")) {
    await Deno.writeTextFile(LIST, JSON.stringify(actual, null, 2) + "\n");
  }
  const expected: Record<string, string[]> = JSON.parse(await Deno.readTextFile(LIST));
  assertEquals(actual, expected, "The public names have changed: compare, then run with -- --update");
});

Deno.test("the names that the design fixes are exported", async () => {
  const names = (await readPublicNames(config.exports))["."] ?? [];
  const fixed = [
    "class PythonHostHttp",
    "class PythonHostPipe",
    "class PythonHostRpc",
    "interface PythonHostBackend",
    "namespace Infrastructure",
    "namespace servers",
  ];
  assertEquals(fixed.filter((name) => !names.includes(name)), []);
});

/** `kind name` of all that each entry point exports, sorted by name. */
async function readPublicNames(exports: Readonly<Record<string, string>>): Promise<Record<string, string[]>> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["doc", "--json", ...Object.values(exports)],
    cwd: ROOT,
    env: { NO_COLOR: "1" },
  }).output();
  assert(success, new TextDecoder().decode(stderr));
  const { nodes }: Documentation = JSON.parse(new TextDecoder().decode(stdout));
  const entries = Object.entries(exports).map(([name, path]) => {
    const symbols = nodes[toFileUrl(join(ROOT, path)).href]?.symbols ?? [];
    const lines = symbols.flatMap((symbol) => {
      const kinds = symbol.declarations.filter((one) => one.declarationKind === "export").map((one) =>
        one.kind
      );
      return [...new Set(kinds)].map((kind) => `${kind} ${symbol.name}`);
    });
    return [name, lines.sort()];
  });
  return Object.fromEntries(entries);
}
