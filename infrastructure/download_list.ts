/**
 * A list of Pythons in place of the pinned table, which a user names in `UV_PYTHON_DOWNLOADS_JSON_URL` as for uv: a file
 * or a URL in the format of uv's `download-metadata.json`. Who sets it vouches for the hashes in it; a build without one
 * is never taken.
 *
 * @module
 */

import { fromFileUrl } from "@std/path";
import { DownloadError, EnvironmentError } from "../core/errors.ts";
import { redactUrl } from "./child.ts";
import type { Context } from "./context.ts";
import type { Distribution } from "./distributions.ts";
import { mapIoError } from "./io_errors.ts";
import { compareVersions, parseVersion } from "./versions.ts";

const VARIABLE = "UV_PYTHON_DOWNLOADS_JSON_URL";
const DEADLINE_MS = 60_000;

/** The distributions of a triple in the list that the user has named, newest first; undefined when none is named. */
export async function namedDistributions(
  context: Context,
  triple: string,
  signal?: AbortSignal,
): Promise<Distribution[] | undefined> {
  const place = context.environment(VARIABLE);
  if (!place) return undefined;
  let rows: unknown;
  try {
    rows = JSON.parse(await read(context, place, signal));
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause;
    throw new EnvironmentError(`Cannot read "${redactUrl(place)}", which ${VARIABLE} names: it is no JSON`, {
      cause,
    });
  }
  return parseDownloadList(rows, triple);
}

async function read(context: Context, place: string, signal: AbortSignal | undefined): Promise<string> {
  const action = `read "${redactUrl(place)}", which ${VARIABLE} names`;
  const local = /^file:/i.test(place) ? fromFileUrl(place) : /^https?:/i.test(place) ? undefined : place;
  if (local === undefined && context.offline) {
    throw new DownloadError(`Cannot ${action}: the network is not to be used`, redactUrl(place), {
      hint: "Download the list, and name the file.",
    });
  }
  try {
    if (local !== undefined) return await context.io.readTextFile(local);
    const deadline = AbortSignal.timeout(DEADLINE_MS);
    const response = await context.io.fetch(place, {
      signal: signal === undefined ? deadline : AbortSignal.any([signal, deadline]),
    });
    if (response.ok) return await response.text();
    await response.body?.cancel();
    throw new DownloadError(`Cannot ${action}: the server answered ${response.status}`, redactUrl(place));
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof DownloadError || error instanceof Deno.errors.NotCapable) throw error;
    const mapped = mapIoError(action, error);
    if (mapped !== error) throw mapped;
    const why = error instanceof Error ? error.message : String(error);
    throw new DownloadError(`Cannot ${action}: ${redactUrl(why)}`, redactUrl(place), { cause: error });
  }
}

/** The rows of a list in uv's format that fit a triple: archives that we can unpack, with a hash. */
export function parseDownloadList(rows: unknown, triple: string): Distribution[] {
  if (typeof rows !== "object" || rows === null) return [];
  const found: Distribution[] = [];
  for (const value of Object.values(rows)) {
    const row = (value ?? {}) as Record<string, unknown>;
    const { url, sha256, variant, build } = row;
    if (row.name !== "cpython" || !fits(row, triple) || typeof url !== "string") continue;
    if (typeof sha256 !== "string" || !/^[0-9a-f]{64}$/.test(sha256) || !/\.tar\.gz$/.test(url)) continue;
    if (variant !== null && variant !== undefined && variant !== "freethreaded") continue;
    const version = `${row.major}.${row.minor}.${row.patch}${row.prerelease ?? ""}`;
    if (parseVersion(version) === undefined) continue;
    const tag = typeof build === "string" && /^\w+$/.test(build) ? build : sha256.slice(0, 12);
    found.push({ version, triple, freeThreaded: variant === "freethreaded", tag, sha256, url });
  }
  return found.sort((a, b) => compareVersions(parseVersion(b.version)!, parseVersion(a.version)!));
}

function fits(row: Record<string, unknown>, triple: string): boolean {
  const parts = triple.split("-");
  const os = triple.includes("linux") ? "linux" : triple.includes("darwin") ? "darwin" : "windows";
  const libc = os === "linux" ? parts.at(-1) : "none";
  const arch = (row.arch ?? {}) as { family?: unknown; variant?: unknown };
  const family = arch.variant ? `${arch.family}_${arch.variant}` : arch.family;
  return family === parts[0] && row.os === os && row.libc === libc;
}
