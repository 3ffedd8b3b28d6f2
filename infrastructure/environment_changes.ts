/**
 * How a specification changes when packages come and go. Pure.
 *
 * @module
 */

import { EnvironmentError } from "../core/errors.ts";
import { type InstalledPackage, pinOf } from "./installed_packages.ts";
import { checkList } from "./option_checks.ts";
import {
  canonicalRequirements,
  normalizePackageName,
  packageOf,
  type Specification,
} from "./specification.ts";

/** The specification with more packages; what is installed keeps its version. */
export function withPackages(
  old: Specification,
  packages: readonly string[],
  installed: readonly InstalledPackage[],
  sourceBuilds: boolean = old.sourceBuilds,
): Specification {
  const asked = new Set(packages.map(packageOf));
  const others = old.requirements.filter((line) => !asked.has(packageOf(line)));
  // Where one line has hashes, pip wants them for all; the versions stay, as constraints do for the rest.
  const hashed = packages.some((line) => line.includes("--hash="));
  const kept = hashed ? others : others.map((line) => line.replace(/\s+--hash=\S+/g, ""));
  const held = installed.filter((item) =>
    !asked.has(normalizePackageName(item.name)) && item.url === undefined
  );
  return {
    ...old,
    requirements: canonicalRequirements([...kept, ...packages]),
    constraints: canonicalRequirements(held.map(pinOf)),
    locked: false,
    withoutDependencies: false,
    sourceBuilds,
  };
}

/** The specification without some packages: exactly what else is installed, so that what they needed stays. */
export function withoutPackages(
  name: string,
  old: Specification,
  packages: readonly string[],
  installed: readonly InstalledPackage[],
): Specification {
  checkList("packages", packages);
  const gone = new Set(packages.map(normalizePackageName));
  const there = new Set(installed.map((item) => normalizePackageName(item.name)));
  const missing = [...gone].filter((item) => !there.has(item));
  if (missing.length > 0) {
    throw new EnvironmentError(
      `Cannot uninstall from environment "${name}": it has no ${missing.join(", ")}`,
      { reason: "input" },
    );
  }
  // pip is put in by its own switch, not as a requirement.
  const isSeed = (item: InstalledPackage): boolean => old.pip && normalizePackageName(item.name) === "pip";
  const kept = installed.filter((item) => !gone.has(normalizePackageName(item.name)) && !isSeed(item));
  return {
    ...old,
    pip: old.pip && !gone.has("pip"),
    requirements: canonicalRequirements(kept.map(pinOf)),
    constraints: [],
    locked: false,
    withoutDependencies: true,
  };
}
