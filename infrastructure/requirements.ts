/**
 * Requirements as users write them: requirements files, `pyproject.toml` and locks, read into plain lines.
 *
 * @module
 */

import { dirname, isAbsolute, join, resolve } from "@std/path";
import { EnvironmentError } from "../core/errors.ts";
import type { Context } from "./context.ts";
import { oneWord } from "./index_settings.ts";
import { mapIoError } from "./io_errors.ts";
import { normalizePackageName, packageOf } from "./specification.ts";

/** What was read. */
export interface Requirements {
  /** One requirement or option of a requirements file each. */
  readonly lines: readonly string[];
  /** What `-c` files say. */
  readonly constraints: readonly string[];
  /** Whether any line has a hash, so that all must. */
  readonly hashed: boolean;
  /** What `requires-python` says. */
  readonly python?: string;
}

/** The deepest that requirements files may include each other. */
const MAX_DEPTH = 16;

/** Splits the text of a requirements file into lines: joins continued ones and drops comments. */
export function splitRequirements(text: string): string[] {
  return text.replace(/\\\r?\n/g, " ").split(/\r?\n/)
    .map((line) => line.replace(/(^|\s+)#.*$/, "").replace(/\s+/g, " ").trim())
    .filter((line) => line !== "");
}

/** Reads a requirements file and those that it includes. */
export async function readRequirementsFile(context: Context, path: string, depth = 0): Promise<Requirements> {
  const full = resolve(path);
  if (depth > MAX_DEPTH) {
    throw new EnvironmentError(
      `Cannot read "${path}": requirements files include each other more than ${MAX_DEPTH} deep`,
    );
  }
  let text: string;
  try {
    text = decode(await context.io.readFile(full));
  } catch (error) {
    throw mapIoError(`read requirements file "${path}"`, error);
  }
  if (text.includes("\0")) {
    throw new EnvironmentError(`Cannot read requirements file "${path}": it is no text`, {
      reason: "input",
      hint: "It must be UTF-8, or UTF-16 with a byte order mark.",
    });
  }
  const lines: string[] = [];
  const constraints: string[] = [];
  let hashed = false;
  for (const raw of splitRequirements(text)) {
    const line = expandVariables(context, raw);
    const include = /^(-r|--requirement|-c|--constraint)[ =]?\s*(.+)$/.exec(line);
    if (include !== null) {
      const named = unquote(include[2]!);
      if (/^(https?|file):/i.test(named)) {
        throw new EnvironmentError(`Cannot read requirements file "${named}" of "${path}": it is a URL`, {
          hint: "Download it, and name the file.",
        });
      }
      const inner = await readRequirementsFile(context, resolve(dirname(full), named), depth + 1);
      if (include[1]!.startsWith("-c") || include[1] === "--constraint") constraints.push(...inner.lines);
      else lines.push(...inner.lines);
      constraints.push(...inner.constraints);
      hashed ||= inner.hashed;
    } else if (/^(-e|--editable)\b/.test(line)) {
      throw new EnvironmentError(
        `Cannot install "${line}" of "${path}": environments here never change once made`,
        {
          hint: "Pass the folder of your own modules as a module path instead of installing it as editable.",
        },
      );
    } else {
      hashed ||= line.includes("--hash=");
      lines.push(relativeTo(dirname(full), line));
    }
  }
  return { lines, constraints, hashed };
}

/** Text of UTF-8, or of UTF-16 as PowerShell's `pip freeze > requirements.txt` writes it, with a mark at its start. */
function decode(bytes: Uint8Array): string {
  const mark = (bytes[0] ?? 0) << 8 | (bytes[1] ?? 0);
  const encoding = mark === 0xfffe ? "utf-16le" : mark === 0xfeff ? "utf-16be" : "utf-8";
  return new TextDecoder(encoding).decode(bytes);
}

/** `${NAME}`, as pip has it; a variable that is not set stays as it is written. */
function expandVariables(context: Context, line: string): string {
  return line.replace(/\$\{([A-Z0-9_]+)\}/g, (whole, name: string) => context.environment(name) ?? whole);
}

/** The text within quotes, which a path with spaces may stand in. */
function unquote(text: string): string {
  return /^(["'])(.*)\1$/.exec(text)?.[2] ?? text;
}

/** A path in a requirement means one beside its file, wherever the installer is started. */
export function relativeTo(directory: string, line: string): string {
  const path = /^(\.{1,2}[\\/][^\s;]*)/.exec(line)?.[1];
  if (path !== undefined && !isAbsolute(path)) {
    return oneWord(join(directory, path)) + line.slice(path.length);
  }
  const option = /^(-f|--find-links)[ =]\s*(\.{0,2}[\\/]?\S+)$/.exec(line);
  if (option !== null && !/^[a-z]+:\/\//i.test(option[2]!) && !isAbsolute(option[2]!)) {
    return `--find-links ${oneWord(join(directory, option[2]!))}`;
  }
  return line;
}

/** Reads the dependencies of a `pyproject.toml`, and of those of its optional ones that are asked for. */
export async function readPyproject(
  context: Context,
  path: string,
  extras: readonly string[] = [],
): Promise<Requirements> {
  let text: string;
  try {
    text = await context.io.readTextFile(path);
  } catch (error) {
    throw mapIoError(`read "${path}"`, error);
  }
  // Loaded when it is needed, since few programs do.
  const { parse } = await import("npm:smol-toml@^1.4.2");
  let value: { project?: unknown };
  try {
    value = parse(text);
  } catch (cause) {
    throw new EnvironmentError(`Cannot read "${path}": it is no TOML`, { cause });
  }
  const project = projectOf(value.project, path, extras.length > 0);
  const optional = (project["optional-dependencies"] ?? {}) as Record<string, unknown>;
  const lines = strings(project.dependencies ?? [], path, "dependencies");
  // An extra may name others of the same project, as `name[extra]`. An index could only know a stranger of that name.
  const own = typeof project.name === "string" ? normalizePackageName(project.name) : undefined;
  const wanted = new Set(extras);
  for (const extra of wanted) {
    if (!Object.hasOwn(optional, extra)) {
      throw new EnvironmentError(`Cannot find optional dependencies "${extra}" in "${path}"`, {
        hint: `It has: ${Object.keys(optional).join(", ") || "none"}.`,
      });
    }
    for (const line of strings(optional[extra], path, `optional-dependencies.${extra}`)) {
      const inner = own !== undefined && packageOf(line) === own ? /\[([^\]]*)\]/.exec(line)?.[1] : undefined;
      if (inner === undefined) lines.push(line);
      else for (const name of inner.split(",")) wanted.add(name.trim());
    }
  }
  const python = project["requires-python"];
  return { lines, constraints: [], hashed: false, ...(typeof python === "string" ? { python } : {}) };
}

/** The table `project`; one that leaves the dependencies to something else would be taken for a project without any. */
function projectOf(value: unknown, path: string, withExtras: boolean): Record<string, unknown> {
  const hint = "Export the dependencies to a requirements file, and pass its path in `requirementsFiles`.";
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new EnvironmentError(`Cannot read dependencies of "${path}": it has no table "project"`, {
      reason: "input",
      hint,
    });
  }
  const project = value as Record<string, unknown>;
  const { dynamic } = project;
  for (const field of withExtras ? ["dependencies", "optional-dependencies"] : ["dependencies"]) {
    if (!Array.isArray(dynamic) || !dynamic.includes(field)) continue;
    throw new EnvironmentError(
      `Cannot read dependencies of "${path}": project.dynamic leaves "${field}" to the project's build`,
      { reason: "input", hint },
    );
  }
  return project;
}

function strings(value: unknown, path: string, field: string): string[] {
  if (Array.isArray(value) && value.every((item) => typeof item === "string")) return [...value];
  throw new EnvironmentError(`Cannot read "${path}": project.${field} is no list of texts`);
}
