/**
 * Turns what a user asks for into the canonical form: reads the files that it names, and fills in what it leaves out.
 *
 * @module
 */

import { resolve } from "@std/path";
import { EnvironmentError } from "../core/errors.ts";
import type { Context } from "./context.ts";
import { type IndexSettings, readIndexSettings, uvSelection } from "./index_settings.ts";
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

/** A requirement whose path does not depend on the current directory, which is looked at only for a path. */
function anchored(line: string): string {
  return /^\s*(\.|-f|--find-links)/.test(line) ? relativeTo(Deno.cwd(), line.trim()) : line;
}

/** The canonical form of a specification. */
export async function specify(
  context: Context,
  spec: EnvironmentSpec,
  defaults: SpecificationDefaults,
): Promise<Specification> {
  const lines = (spec.packages ?? []).map(anchored);
  if (spec.template !== undefined) {
    const template = templates[spec.template];
    if (template === undefined) {
      throw new EnvironmentError(`Cannot find template "${spec.template}"`, {
        hint: `There are: ${Object.keys(templates).join(", ")}.`,
      });
    }
    lines.push(...template);
  }
  const constraints = (spec.constraints ?? []).map(anchored);
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
          hint: "Make a new lock with VenvManager.lock().",
        },
      );
    }
    lines.push(...splitRequirements(spec.lock));
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
