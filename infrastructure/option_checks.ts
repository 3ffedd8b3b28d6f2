/**
 * What was asked for, checked before anything is begun: callers without types would else be told of the insides, or get
 * something other than what they meant.
 *
 * @module
 */

import { EnvironmentError } from "../core/errors.ts";

type Kind = "string" | "boolean" | "object" | "list" | readonly string[];

/** Every option of an environment that has a shape to check; the name and the rest are checked where they are used. */
const KINDS: Readonly<Record<string, Kind>> = {
  python: "string",
  packages: "list",
  requirementsFiles: "list",
  pyproject: "string",
  extras: "list",
  lock: "string",
  constraints: "list",
  pip: "boolean",
  sourceBuilds: "boolean",
  template: "string",
  installer: ["auto", "uv", "pip"],
  download: ["auto", "never"],
  index: "object",
};

/** Throws unless every option is of its kind. */
export function checkOptions(options: object): void {
  for (const [option, kind] of Object.entries(KINDS)) {
    const value: unknown = Reflect.get(options, option);
    if (value === undefined) continue;
    if (kind === "list") checkList(option, value);
    else if (typeof kind !== "string") checkChoice(option, value, kind);
    else if (typeof value !== kind || value === null) {
      throw refused(option, `${kind === "object" ? "an" : "a"} ${kind}`, value, hintFor(option, value));
    }
  }
  if (Reflect.get(options, "extras") !== undefined && Reflect.get(options, "pyproject") === undefined) {
    throw new EnvironmentError(
      'Cannot use option "extras": there is no option "pyproject" that they belong to',
      {
        reason: "input",
        hint: 'Write the extras of a package behind its name: packages: ["name[extra]"].',
      },
    );
  }
}

function hintFor(option: string, value: unknown): string | undefined {
  if (option === "index" && typeof value === "string") {
    return `Write it as index: { indexUrl: ${JSON.stringify(value)} }.`;
  }
  return option === "python" && typeof value === "number" ? `Write it as python: "${value}".` : undefined;
}

/** Throws unless it is a list of strings: a string by itself would be read letter by letter. */
export function checkList(option: string, value: unknown): void {
  if (Array.isArray(value) && value.every((item) => typeof item === "string")) return;
  const hint = typeof value === "string" ? `Write it as ${option}: [${JSON.stringify(value)}].` : undefined;
  throw refused(option, "a list of strings", value, hint);
}

/** Throws unless it is one of the values that there are. */
export function checkChoice(option: string, value: unknown, choices: readonly string[]): void {
  if (choices.some((choice) => choice === value)) return;
  throw refused(option, `one of ${choices.map((choice) => JSON.stringify(choice)).join(", ")}`, value);
}

function refused(option: string, wanted: string, value: unknown, hint?: string): EnvironmentError {
  const shown = Deno.inspect(value, { depth: 1, breakLength: Infinity }).slice(0, 200);
  return new EnvironmentError(`Cannot use option "${option}": it must be ${wanted}, not ${shown}`, {
    reason: "input",
    ...(hint === undefined ? {} : { hint }),
  });
}
