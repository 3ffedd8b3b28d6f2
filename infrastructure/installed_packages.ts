/**
 * What is installed in an environment, read from its files: no process is started, and both installers leave the same.
 *
 * @module
 */

import { join } from "@std/path";
import type { Context } from "./context.ts";
import { listIfThere, readTextIfThere } from "./files.ts";
import { normalizePackageName } from "./specification.ts";

/** An installed package. */
export interface InstalledPackage {
  /** Its name, as it calls itself. */
  readonly name: string;
  /** Its version. */
  readonly version: string;
  /** Where it came from, when that was no index. */
  readonly url?: string;
}

/** Where packages are in an environment of a Python version such as `3.13.1`. */
export function sitePackages(os: string, environment: string, version: string, freeThreaded = false): string {
  if (os === "windows") return join(environment, "Lib", "site-packages");
  const [major, minor] = version.split(".");
  return join(environment, "lib", `python${major}.${minor}${freeThreaded ? "t" : ""}`, "site-packages");
}

/** Lists the packages in a directory, sorted by name. */
export async function listPackages(context: Context, directory: string): Promise<InstalledPackage[]> {
  const names = (await listIfThere(context.io, directory)).filter((name) => name.endsWith(".dist-info"));
  const found = await Promise.all(names.map((name) => readPackage(context, join(directory, name))));
  return found.filter((item) => item !== undefined)
    .sort((a, b) => normalizePackageName(a.name) < normalizePackageName(b.name) ? -1 : 1);
}

async function readPackage(context: Context, path: string): Promise<InstalledPackage | undefined> {
  const text = await readTextIfThere(context.io, join(path, "METADATA"));
  // Only the header counts; the description after the empty line may contain anything.
  const header = text?.split(/\r?\n\r?\n/, 1)[0] ?? "";
  const name = /^Name:\s*(.+?)\s*$/m.exec(header)?.[1];
  const version = /^Version:\s*(.+?)\s*$/m.exec(header)?.[1];
  if (name === undefined || version === undefined) return undefined;
  const direct = await readTextIfThere(context.io, join(path, "direct_url.json"));
  const url = direct === undefined ? undefined : JSON.parse(direct)?.url;
  return { name, version, ...(typeof url === "string" ? { url } : {}) };
}

/** The line that asks for exactly this package. */
export function pinOf(item: InstalledPackage): string {
  return item.url === undefined ? `${item.name}==${item.version}` : `${item.name} @ ${item.url}`;
}
