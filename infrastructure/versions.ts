/**
 * Python versions, and the requests for one: `3.12`, `>=3.10,<3.13`, `3.14t`, `cpython@3.11`, `3.13.1`. Pure.
 *
 * @module
 */

import { PythonHostError } from "../core/errors.ts";

/** A Python version, taken apart. */
export interface PythonVersion {
  /** The numbers, such as `[3, 13, 1]`. */
  readonly release: readonly number[];
  /** Such as `rc1`; empty for a final release. */
  readonly pre: string;
}

/** What a user wants of a Python, when it is not a path. */
export interface VersionRequest {
  /** The text that was given. */
  readonly text: string;
  /** Such as `cpython` or `pypy`; undefined means any. */
  readonly implementation?: string;
  /** Whether a build without the global lock is wanted: true for `3.14t`, else only builds with it are taken. */
  readonly freeThreaded: boolean;
  /** All must hold. */
  readonly clauses: readonly VersionClause[];
}

/** One condition on a version. */
export interface VersionClause {
  /** How versions are compared. */
  readonly operator: "==" | "!=" | "<" | "<=" | ">" | ">=" | "~=";
  /** What they are compared with. */
  readonly release: readonly number[];
  /** Such as `rc1`; empty for a final release. */
  readonly pre: string;
  /** Whether only the given numbers count, as in `3.12` and `==3.12.*`. */
  readonly prefix: boolean;
}

/** The oldest Python that the servers of this library run on. */
export const OLDEST_PYTHON: readonly number[] = [3, 9];

const VERSION_REGEXP = /^(\d+(?:\.\d+){0,2})((?:a|b|rc)\d+)?\+?$/;
const CLAUSE_REGEXP = /^(==|!=|<=|>=|<|>|~=)?\s*(\d+(?:\.\d+){0,2})((?:a|b|rc)\d+)?(\.\*)?$/;

/** Takes a version apart; undefined when the text is none. */
export function parseVersion(text: string): PythonVersion | undefined {
  const match = VERSION_REGEXP.exec(text.trim());
  if (match === null) return undefined;
  return { release: match[1]!.split(".").map(Number), pre: match[2] ?? "" };
}

function preRank(pre: string): [number, number] {
  if (pre === "") return [3, 0];
  const kind = pre.startsWith("a") ? 0 : pre.startsWith("b") ? 1 : 2;
  return [kind, Number(pre.replace(/^\D+/, ""))];
}

/** Negative when `a` is older than `b`, positive when newer, 0 when they are equal; missing numbers count as 0. */
export function compareVersions(a: PythonVersion, b: PythonVersion): number {
  for (let index = 0; index < Math.max(a.release.length, b.release.length); index++) {
    const difference = (a.release[index] ?? 0) - (b.release[index] ?? 0);
    if (difference !== 0) return difference;
  }
  const [kindA, numberA] = preRank(a.pre);
  const [kindB, numberB] = preRank(b.pre);
  return kindA - kindB || numberA - numberB;
}

/** Whether a request is a path rather than a version: it has a separator, or starts with `.` or `~` (not with `~=`). */
export function isPathRequest(request: string): boolean {
  return /[\\/]|^\.|^~(?!=)/.test(request);
}

/** Takes a request apart. Throws a `PythonHostError` of code `argument` when it is none. */
export function parseRequest(text: string): VersionRequest {
  if (typeof text !== "string") {
    throw new PythonHostError(
      "argument",
      `Cannot understand Python request ${String(text)}: it is no string`,
      {
        hint: `Write it as "${String(text)}".`,
      },
    );
  }
  let rest = text.trim();
  let implementation: string | undefined;
  const named = /^(cpython|pypy|graalpy|python)(?:@|(?=\d)|$)/i.exec(rest);
  if (named !== null) {
    const name = named[1]!.toLowerCase();
    if (name !== "python") implementation = name;
    rest = rest.slice(named[0].length);
  }
  let freeThreaded = false;
  if (/^\d+(\.\d+){1,2}((a|b|rc)\d+)?t$/.test(rest) || /\+freethreaded$/.test(rest)) {
    freeThreaded = true;
    rest = rest.replace(/t$|\+freethreaded$/, "");
  }
  const clauses = rest === "" ? [] : rest.split(",").map((part) => parseClause(part.trim(), text));
  return { text, freeThreaded, clauses, ...(implementation === undefined ? {} : { implementation }) };
}

function parseClause(part: string, whole: string): VersionClause {
  const match = CLAUSE_REGEXP.exec(part);
  if (match === null) {
    throw new PythonHostError(
      "argument",
      `Cannot understand Python request "${whole}": "${part}" is no version`,
      {
        hint:
          'Write a version ("3.12"), conditions (">=3.10,<3.13"), a free-threaded build ("3.14t") or a path.',
      },
    );
  }
  const operator = (match[1] ?? "==") as VersionClause["operator"];
  const release = match[2]!.split(".").map(Number);
  const bare = match[1] === undefined;
  // "3.12" means any 3.12; "3.12.1" means just that one.
  return {
    operator,
    release,
    pre: match[3] ?? "",
    prefix: match[4] !== undefined || (bare && release.length < 3),
  };
}

function holds(clause: VersionClause, version: PythonVersion): boolean {
  const wanted: PythonVersion = { release: clause.release, pre: clause.pre };
  if (clause.operator === "~=") {
    const head = clause.release.slice(0, -1);
    return compareVersions(version, wanted) >= 0 &&
      head.every((number, index) => version.release[index] === number);
  }
  if (clause.prefix && (clause.operator === "==" || clause.operator === "!=")) {
    const same = clause.release.every((number, index) => (version.release[index] ?? 0) === number);
    return same === (clause.operator === "==");
  }
  const order = compareVersions(version, wanted);
  switch (clause.operator) {
    case "==":
      return order === 0;
    case "!=":
      return order !== 0;
    case "<":
      // A pre-release of the excluded version is not older in the sense that a user means.
      return order < 0 && !(version.pre !== "" && clause.pre === "" && sameRelease(version, wanted));
    case "<=":
      return order <= 0;
    case ">":
      return order > 0;
    case ">=":
      return order >= 0;
  }
}

function sameRelease(a: PythonVersion, b: PythonVersion): boolean {
  return compareVersions({ release: a.release, pre: "" }, { release: b.release, pre: "" }) === 0;
}

/** The facts of a Python that a request looks at. */
export interface VersionFacts {
  /** Such as `3.13.1` or `3.14.0rc2`. */
  readonly version: string;
  /** Such as `cpython`. */
  readonly implementation: string;
  /** Whether it is a build without the global lock. */
  readonly freeThreaded: boolean;
}

/** Why a Python does not meet a request, or undefined when it does. */
export function mismatch(request: VersionRequest, facts: VersionFacts): string | undefined {
  const version = parseVersion(facts.version);
  if (version === undefined) return `its version "${facts.version}" cannot be understood`;
  if (request.implementation !== undefined && request.implementation !== facts.implementation) {
    return `it is ${facts.implementation} ${facts.version}, not ${request.implementation}`;
  }
  if (request.freeThreaded !== facts.freeThreaded) {
    return facts.freeThreaded
      ? `it is ${facts.version} without the global lock, which only a request such as "3.14t" takes`
      : `it is ${facts.version} with the global lock`;
  }
  if (request.clauses.some((clause) => !holds(clause, version))) return `it is ${facts.version}`;
  const asked = request.clauses.some((clause) =>
    clause.pre !== "" || (!clause.prefix && clause.operator === "==")
  );
  if (version.pre !== "" && !asked) {
    return `it is ${facts.version}, a pre-release, which must be asked for by name`;
  }
  return undefined;
}
