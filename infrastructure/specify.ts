/**
 * Turns what a user asks for into the canonical form: reads the files that it names, and fills in what it leaves out.
 *
 * @module
 */

import { resolve } from "@std/path";
import { EnvironmentError } from "../core/errors.ts";
import type { Context } from "./context.ts";
import { type IndexSettings, readIndexSettings, uvSelection } from "./index_settings.ts";
import { checkList, checkOptions } from "./option_checks.ts";
import { readPyproject, readRequirementsFile, relativeTo, splitRequirements } from "./requirements.ts";
import {
  canonicalRequirements,
  type EnvironmentSpec,
  indexKey,
  type Specification,
} from "./specification.ts";
import { templates } from "./templates.ts";
import { isPathRequest } from "./versions.ts";

/** What a specification leaves out. */
export interface SpecificationDefaults {
  /** The Python when none is asked for. */
  readonly python: () => Promise<string>;
  /** Whether pip is in it when nothing is said. */
  readonly pip: boolean;
  /** Where packages come from when it is not where pip is set to look. */
  readonly index: IndexSettings | undefined;
}

/** Whether a specification says nothing but a name: then it means the environment as it is. */
export function isBare(spec: EnvironmentSpec): boolean {
  return spec.python === undefined && spec.packages === undefined && spec.requirementsFiles === undefined &&
    spec.pyproject === undefined && spec.lock === undefined && spec.constraints === undefined &&
    spec.template === undefined;
}

/** What was given as packages or as a lock names packages; files and options have options of their own here. */
function named(line: string, option: string): string {
  const refuse = (why: string, hint: string): EnvironmentError =>
    new EnvironmentError(
      `Cannot take ${JSON.stringify(line.slice(0, 200))} from option "${option}": ${why}`,
      {
        reason: "input",
        hint,
      },
    );
  if (/[\r\n\0]/.test(line)) throw refuse("it is more than one line", "Give each requirement by itself.");
  if (/^\s*(-r|--requirement|-c|--constraint)/.test(line)) {
    throw refuse("it names a file", "Pass the file's path in `requirementsFiles`.");
  }
  if (/^\s*(-e|--editable)/.test(line)) {
    throw refuse(
      "environments here never change once made",
      "Pass the folder of your own modules as a module path instead of installing it as editable.",
    );
  }
  return line;
}

/** A requirement whose path does not depend on the current directory, which is looked at only for a path. */
function anchored(line: string): string {
  return /^\s*(\.|-f|--find-links)/.test(line) ? relativeTo(Deno.cwd(), line.trim()) : line;
}

/** What a caller gave as packages, so that it means the same in every directory. */
export function givenPackages(packages: readonly string[]): string[] {
  checkList("packages", packages);
  return packages.map((line) => anchored(named(line, "packages")));
}

/** The canonical form of a specification. */
export async function specify(
  context: Context,
  spec: EnvironmentSpec,
  defaults: SpecificationDefaults,
): Promise<Specification> {
  checkOptions(spec);
  const lines = givenPackages(spec.packages ?? []);
  if (spec.template !== undefined) {
    const template = Object.hasOwn(templates, spec.template) ? templates[spec.template] : undefined;
    if (template === undefined) {
      throw new EnvironmentError(`Cannot find template "${spec.template}"`, {
        reason: "input",
        hint: `There are: ${Object.keys(templates).join(", ")}.`,
      });
    }
    lines.push(...template);
  }
  const constraints = (spec.constraints ?? []).map((line) => anchored(named(line, "constraints")));
  // What is hashed must mean the same in every directory; "~" does.
  let python = spec.python !== undefined && isPathRequest(spec.python) && !spec.python.startsWith("~")
    ? resolve(spec.python)
    : spec.python;
  let locked = false;
  for (const path of spec.requirementsFiles ?? []) {
    const read = await readRequirementsFile(context, path);
    lines.push(...read.lines);
    constraints.push(...read.constraints);
    locked ||= read.hashed;
  }
  if (spec.pyproject !== undefined) {
    const read = await readPyproject(context, spec.pyproject, spec.extras);
    lines.push(...read.lines);
    python ??= read.python;
  }
  if (spec.lock !== undefined) {
    if (lines.length > 0) {
      throw new EnvironmentError(
        "Cannot take packages beside a lock: a lock holds everything that is installed",
        {
          reason: "input",
          hint: "Make a new lock with VenvManager.lock().",
        },
      );
    }
    lines.push(...splitRequirements(spec.lock).map((line) => named(line, "lock")));
    locked = true;
  }
  const index = defaults.index ?? await readIndexSettings(context);
  return {
    python: python ?? await defaults.python(),
    requirements: canonicalRequirements(lines),
    constraints: canonicalRequirements(constraints),
    locked,
    withoutDependencies: false,
    pip: spec.pip ?? defaults.pip,
    sourceBuilds: spec.sourceBuilds ?? false,
    index: indexKey(index, uvSelection(index, context)),
  };
}
