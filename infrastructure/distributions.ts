/**
 * Which Pythons can be installed: the pinned table of python-build-standalone, its URLs and its mirrors. Pure.
 *
 * A mirror changes where an archive comes from, never what it must be.
 *
 * @module
 */

import { EnvironmentError } from "../core/errors.ts";
import type { EnvironmentValues } from "./context.ts";
import { DISTRIBUTIONS } from "./distributions.gen.ts";
import { compareVersions, mismatch, parseRequest, parseVersion } from "./versions.ts";

/** A Python that can be installed. */
export interface Distribution {
  /** Such as `3.13.15`. */
  readonly version: string;
  /** The target triple of the build. */
  readonly triple: string;
  /** Whether it is a build without the global lock. */
  readonly freeThreaded: boolean;
  /** The release that it belongs to. */
  readonly tag: string;
  /** The SHA-256 of its archive, as lower-case hex. */
  readonly sha256: string;
  /** Where exactly it is, when it is not of the table; the sha256 is pinned all the same. */
  readonly url?: string;
}

const GITHUB_BASE = "https://github.com/astral-sh/python-build-standalone/releases/download";
const ASTRAL_HOST = "https://releases.astral.sh";
const ASTRAL_PATH = "/github/python-build-standalone/releases/download";
const FREE_THREADED = "+freethreaded";

/** The distributions of a triple, newest first. */
export function distributionsFor(triple: string): Distribution[] {
  const found: Distribution[] = [];
  for (const [version, builds] of Object.entries(DISTRIBUTIONS)) {
    for (const freeThreaded of [false, true]) {
      const build = builds[freeThreaded ? triple + FREE_THREADED : triple];
      if (build !== undefined) found.push({ version, triple, freeThreaded, tag: build[0], sha256: build[1] });
    }
  }
  return found.sort((a, b) => compareVersions(parseVersion(b.version)!, parseVersion(a.version)!));
}

/** The distribution that a request takes: the newest that meets it. Throws with what there is when none does. */
export function chooseDistribution(
  request: string,
  triple: string,
  table: readonly Distribution[] = distributionsFor(triple),
): Distribution {
  const wanted = parseRequest(request);
  const chosen = table.find((row) => mismatch(wanted, { ...row, implementation: "cpython" }) === undefined);
  if (chosen !== undefined) return chosen;
  throw new EnvironmentError(
    `Cannot install a Python for request "${request}" on "${triple}": none is known`,
    {
      reason: "input",
      hint: table.length === 0
        ? "There are no builds for this platform: install a Python by the system's own means."
        : `Known are: ${table.map((row) => row.version + (row.freeThreaded ? "t" : "")).join(", ")}.`,
    },
  );
}

/** The file name of a distribution's archive, as its release lists it. */
export function archiveName(distribution: Distribution): string {
  const { version, tag, triple, freeThreaded } = distribution;
  return `cpython-${version}+${tag}-${triple}${
    freeThreaded ? "-freethreaded" : ""
  }-install_only_stripped.tar.gz`;
}

/** The name of an installed distribution's directory. */
export function distributionKey(distribution: Distribution): string {
  const { version, tag, triple, freeThreaded } = distribution;
  return `cpython-${version}${freeThreaded ? FREE_THREADED : ""}-${triple}-${tag}`;
}

/**
 * Where a distribution's archive can be had, best first. A mirror, given as an option or in `UV_PYTHON_INSTALL_MIRROR`
 * or `UV_ASTRAL_MIRROR_URL`, is exclusive: whoever sets one may be unable or unwilling to ask anybody else.
 */
export function archiveUrls(
  distribution: Distribution,
  environment: EnvironmentValues,
  mirrors: readonly string[] = [],
): string[] {
  if (distribution.url !== undefined && mirrors.length === 0) return [distribution.url];
  const path = `/${distribution.tag}/${archiveName(distribution).replaceAll("+", "%2B")}`;
  const trimmed = (base: string): string => base.replace(/\/+$/, "");
  if (mirrors.length > 0) return mirrors.map((mirror) => trimmed(mirror) + path);
  const install = environment("UV_PYTHON_INSTALL_MIRROR");
  if (install) return [trimmed(install) + path];
  const astral = environment("UV_ASTRAL_MIRROR_URL");
  if (astral) return [trimmed(astral) + ASTRAL_PATH + path];
  return [ASTRAL_HOST + ASTRAL_PATH + path, GITHUB_BASE + path];
}
