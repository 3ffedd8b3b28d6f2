/**
 * What is installed in an environment, read from its files: no process is started, and both installers leave the same.
 *
 * @module
 */

import { join } from "@std/path";
import type { Context } from "./context.ts";
import { listIfThere, readTextIfThere } from "./files.ts";
import { normalizePackageName, packageOf } from "./specification.ts";

/** An installed package. */
export interface InstalledPackage {
  /** Its name, as it calls itself. */
  readonly name: string;
  /** Its version. */
  readonly version: string;
  /** Where it came from, when that was no index, as a requirement says it: with commit, folder and hash. */
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
  const url = direct === undefined ? undefined : directReference(direct);
  return { name, version, ...(url === undefined ? {} : { url }) };
}

/** What follows the `@` in the requirement for a package that came from a URL (PEP 610). */
function directReference(text: string): string | undefined {
  const { url, vcs_info: vcs, archive_info: archive, subdirectory } = JSON.parse(text) as {
    url?: unknown;
    vcs_info?: { vcs: string; commit_id: string };
    archive_info?: { hash?: string; hashes?: Record<string, string> };
    subdirectory?: string;
  };
  if (typeof url !== "string") return undefined;
  const sha256 = archive?.hashes?.sha256;
  const hash = archive?.hash ?? (sha256 === undefined ? undefined : `sha256=${sha256}`);
  const fragments = [
    ...(hash === undefined ? [] : [hash]),
    ...(subdirectory ? [`subdirectory=${subdirectory}`] : []),
  ];
  const base = vcs === undefined ? url : `${vcs.vcs}+${url}@${vcs.commit_id}`;
  return fragments.length === 0 || base.includes("#") ? base : `${base}#${fragments.join("&")}`;
}

/** The line that asks for exactly this package. */
export function pinOf(item: InstalledPackage): string {
  return item.url === undefined ? `${item.name}==${item.version}` : `${item.name} @ ${item.url}`;
}

/** What venvs of a Python get with their pip; from 3.12 on that is pip alone. */
function seedsOf(version: string): readonly string[] {
  const minor = Number(version.split(".")[1]);
  return minor < 12 ? ["pip", "setuptools", "wheel"] : ["pip"];
}

/**
 * The lines that ask for exactly these packages again, as `pip freeze` prints them: without the installer itself, unless
 * it was asked for.
 */
export function frozen(
  packages: readonly InstalledPackage[],
  { version, requirements }: { readonly version: string; readonly requirements: readonly string[] },
): string[] {
  const asked = new Set(requirements.map(packageOf));
  const seeds = new Set(seedsOf(version).filter((name) => !asked.has(name)));
  return packages.filter((item) => !seeds.has(normalizePackageName(item.name))).map(pinOf);
}
