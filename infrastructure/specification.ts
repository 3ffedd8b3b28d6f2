/**
 * What an environment is made from, in one canonical form whose hash names it.
 *
 * @module
 */

import { conceal } from "./credentials.ts";
import { sha256OfText } from "./digest.ts";
import { redactUrl } from "./child.ts";
import type { IndexSettings } from "./index_settings.ts";
import type { InstallerChoice } from "./packages.ts";
import type { ProgressListener } from "./progress_events.ts";
import type { TemplateName } from "./templates.ts";

/** What an environment is to be. */
export interface EnvironmentSpec {
  /** Its name. @default {one made from its content, or `admin` when nothing else is given} */
  readonly name?: string;
  /** The Python that it is made from: a request or a path. @default {the default runtime} */
  readonly python?: string;
  /** Requirements, such as `numpy>=2`. */
  readonly packages?: readonly string[];
  /** Paths of requirements files. */
  readonly requirementsFiles?: readonly string[];
  /** The path of a `pyproject.toml` whose dependencies are wanted. */
  readonly pyproject?: string;
  /** The optional dependencies of `pyproject` that are wanted. */
  readonly extras?: readonly string[];
  /** The text of a lock: every package with version and hashes, and nothing else is installed. */
  readonly lock?: string;
  /** Versions that are kept where a package is needed at all, as requirements. */
  readonly constraints?: readonly string[];
  /** Whether pip itself is put into the environment. @default {false; true for `admin`} */
  readonly pip?: boolean;
  /** Whether packages may be built from source, which runs code of theirs. @default {false} */
  readonly sourceBuilds?: boolean;
  /** A ready list of packages that is added to `packages`. */
  readonly template?: TemplateName;
}

/** How {@linkcode EnvironmentSpec} is made true. */
export interface EnsureOptions extends EnvironmentSpec {
  /** Who installs: never part of what the environment is. @default {"auto"} */
  readonly installer?: InstallerChoice;
  /** Whether a Python is downloaded when none on this machine meets the request. @default {"auto"} */
  readonly download?: "auto" | "never";
  /** Where packages come from. @default {where pip is set to look} */
  readonly index?: IndexSettings;
  /** Ends the work, and rejects with the signal's reason. */
  readonly signal?: AbortSignal;
  /** Told of progress. */
  readonly onProgress?: ProgressListener;
}

/** The canonical form: equal ones are the same environment. */
export interface Specification {
  /** A request or a path. */
  readonly python: string;
  /** Sorted, each once. */
  readonly requirements: readonly string[];
  /** Sorted, each once. */
  readonly constraints: readonly string[];
  /** Whether the requirements are a lock. */
  readonly locked: boolean;
  /** Whether the requirements are all there is to install. */
  readonly withoutDependencies: boolean;
  /** Whether pip is in it. */
  readonly pip: boolean;
  /** Whether packages may be built from source. */
  readonly sourceBuilds: boolean;
  /** Where packages come from, without credentials. */
  readonly index: string;
}

/** A requirement in the form in which it is compared: trimmed, without needless white space. */
export function canonicalRequirement(text: string): string {
  const [requirement, marker] = text.trim().split(/\s*;\s*/, 2) as [string, string | undefined];
  if (/[@/\\]|^-/.test(requirement) || /--hash/.test(text)) return text.trim();
  // White space between words stays: without it, "numpy pandas" would ask for a package of another name.
  const tight = requirement.replace(/\s+/g, " ").replace(/ ?([<>=!~,[\]()]+) ?/g, "$1");
  return marker === undefined ? tight : `${tight}; ${marker.trim()}`;
}

/** Sorts, leaves out what is there twice, and conceals credentials. */
export function canonicalRequirements(lines: readonly string[]): string[] {
  const canonical = lines.map((line) => conceal(canonicalRequirement(line)));
  return [...new Set(canonical.filter((line) => line !== ""))].sort();
}

/** The name of a package as it is compared: `Foo.Bar_baz` is `foo-bar-baz`. */
export function normalizePackageName(name: string): string {
  return name.toLowerCase().replace(/[-_.]+/g, "-");
}

/** The normalized package name of a requirement line; undefined for an option or a bare path. */
export function packageOf(requirement: string): string | undefined {
  const match = /^([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[|[<>=!~;@]|\s|$)/.exec(requirement.trim());
  return match === null ? undefined : normalizePackageName(match[1]!);
}

/** The text of index settings, and of uv's variables beside them, that goes into a specification. */
export function indexKey(settings: IndexSettings, uv: Readonly<Record<string, string>> = {}): string {
  const { indexUrl, extraIndexUrls, findLinks, noIndex } = settings;
  const ofUv = Object.keys(uv).length === 0 ? {} : { uv };
  return redactUrl(JSON.stringify({ indexUrl, extraIndexUrls, findLinks, noIndex, ...ofUv }));
}

/** The hash that names a specification on a platform. */
export async function hashSpecification(specification: Specification, platform: string): Promise<string> {
  const fields = Object.entries(specification).sort(([a], [b]) => a < b ? -1 : 1);
  return await sha256OfText(JSON.stringify([1, platform, fields]));
}
