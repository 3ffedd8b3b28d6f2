/**
 * The marker that makes a directory usable, and the manifest that tells whether it still is what was made.
 *
 * The marker is written last, so a directory with one is whole. The manifest lists every file with size and time; it
 * is compared on the first use after a boot, which heals what a power cut, a virus scanner or a hand has broken.
 *
 * @module
 */

import { join } from "@std/path";
import { sha256OfText } from "./digest.ts";
import { type statIfThere, writeAtomically } from "./files.ts";
import type { Io } from "./io.ts";
import { isNotFound } from "./io_errors.ts";

/** The name of the marker in a directory. */
export const MARKER_NAME = ".beep-complete.json";
/** The name of the manifest in a directory. */
export const MANIFEST_NAME = ".beep-manifest.json";

/** What a marker says. */
export interface Marker<Details> {
  /** Version of this format. */
  readonly schema: 1;
  /** What kind of directory it is. */
  readonly kind: "runtime" | "environment" | "tool";
  /** What it was made from: the archive's hash, or that of the specification. */
  readonly sha256: string;
  /** How many files the manifest lists. */
  readonly fileCount: number;
  /** Their sizes together. */
  readonly bytes: number;
  /** The hash of the manifest. */
  readonly manifestSha256: string;
  /** What the kind adds. */
  readonly details: Details;
}

type ManifestRow = readonly [path: string, size: number, mtimeMs: number];

// What Python writes beside its sources at run time is not part of what was made.
function isVolatile(name: string): boolean {
  return name === "__pycache__" || name.endsWith(".pyc") || name === MARKER_NAME || name === MANIFEST_NAME;
}

async function collect(io: Io, root: string, relative: string, rows: ManifestRow[]): Promise<void> {
  const entries = (await io.readDir(relative === "" ? root : join(root, relative)))
    .filter((entry) => !isVolatile(entry.name));
  await Promise.all(entries.map(async (entry) => {
    const path = relative === "" ? entry.name : `${relative}/${entry.name}`;
    if (entry.isDirectory) return await collect(io, root, path, rows);
    const info = await io.lstat(join(root, path));
    rows.push([path, info.isSymlink ? -1 : info.size, info.isSymlink ? 0 : info.mtimeMs]);
  }));
}

/** Writes manifest and marker into a directory that is otherwise finished. */
export async function writeMarker<Details>(
  io: Io,
  directory: string,
  fields: { kind: Marker<Details>["kind"]; sha256: string; details: Details },
): Promise<Marker<Details>> {
  const rows: ManifestRow[] = [];
  await collect(io, directory, "", rows);
  rows.sort((a, b) => a[0] < b[0] ? -1 : 1);
  const manifest = JSON.stringify(rows);
  await writeAtomically(io, join(directory, MANIFEST_NAME), manifest);
  const marker: Marker<Details> = {
    schema: 1,
    kind: fields.kind,
    sha256: fields.sha256,
    fileCount: rows.length,
    bytes: rows.reduce((sum, row) => sum + Math.max(row[1], 0), 0),
    manifestSha256: await sha256OfText(manifest),
    details: fields.details,
  };
  await writeAtomically(io, join(directory, MARKER_NAME), `${JSON.stringify(marker)}\n`);
  return marker;
}

/** Reads a marker; undefined when there is none, or none that can be believed. */
export async function readMarker<Details>(
  io: Io,
  directory: string,
  kind: Marker<Details>["kind"],
): Promise<Marker<Details> | undefined> {
  let value: Partial<Marker<Details>>;
  try {
    value = JSON.parse(await io.readTextFile(join(directory, MARKER_NAME)));
  } catch (error) {
    if (isNotFound(error) || error instanceof SyntaxError) return undefined;
    throw error;
  }
  const whole = value?.schema === 1 && value.kind === kind && typeof value.sha256 === "string" &&
    typeof value.manifestSha256 === "string" && value.details !== undefined;
  return whole ? value as Marker<Details> : undefined;
}

/** What is wrong with a directory's files, one line each; empty when all are as they were made. */
export async function compareManifest(io: Io, directory: string, marker: Marker<unknown>): Promise<string[]> {
  let text: string;
  try {
    text = await io.readTextFile(join(directory, MANIFEST_NAME));
  } catch (error) {
    if (isNotFound(error)) return ["the manifest is missing"];
    throw error;
  }
  if (await sha256OfText(text) !== marker.manifestSha256) {
    return ["the manifest is altered"];
  }
  const rows = JSON.parse(text) as ManifestRow[];
  const problems = await Promise.all(rows.map(async ([path, size, mtimeMs]) => {
    const info = await lstatIfThere(io, join(directory, path));
    if (info === undefined) return `"${path}" is missing`;
    if (info.isSymlink !== (size === -1)) return `"${path}" is of another kind`;
    if (size === -1) return undefined;
    if (info.size !== size) return `"${path}" has ${info.size} bytes instead of ${size}`;
    return info.mtimeMs === mtimeMs ? undefined : `"${path}" was written again`;
  }));
  return problems.filter((problem) => problem !== undefined);
}

async function lstatIfThere(io: Io, path: string): ReturnType<typeof statIfThere> {
  try {
    return await io.lstat(path);
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

let bootIdentity: Promise<string | undefined> | undefined;

/** A text that changes with every boot, or undefined where Deno may not know it (it needs `--allow-all`). */
export function bootId(io: Io): Promise<string | undefined> {
  bootIdentity ??= io.readTextFile("/proc/sys/kernel/random/boot_id")
    .then((text) => text.trim(), () => undefined);
  return bootIdentity;
}

const verifiedHere = new Set<string>();

/**
 * Compares a directory with its manifest unless that was done since the last boot (or, where boots cannot be told
 * apart, in this process). Gives what is wrong.
 */
export async function verifyOncePerBoot(
  io: Io,
  directory: string,
  marker: Marker<unknown>,
): Promise<string[]> {
  const key = `${directory}\n${marker.manifestSha256}`;
  if (verifiedHere.has(key)) return [];
  const boot = await bootId(io);
  // Beside the directory, since nothing in it is ever changed.
  const record = `${directory}.verified`;
  const wanted = JSON.stringify({ boot, manifest: marker.manifestSha256 });
  if (boot !== undefined && await io.readTextFile(record).catch(() => "") === wanted) {
    verifiedHere.add(key);
    return [];
  }
  const problems = await compareManifest(io, directory, marker);
  if (problems.length === 0) {
    verifiedHere.add(key);
    if (boot !== undefined) {
      // Failing to remember costs the same comparison once more.
      await writeAtomically(io, record, wanted, { durable: false }).catch(() => {});
    }
  }
  return problems;
}

/** Forgets that a directory was verified, as a test that breaks one needs. */
export function forgetVerified(): void {
  verifiedHere.clear();
}
