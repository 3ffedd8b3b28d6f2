/**
 * Fetches one archive whose hash is known: resumes, retries, goes from mirror to mirror, and accepts nothing else.
 *
 * ```text
 * <sha>.part + <sha>.part.json ──(206 from the same file)──► longer .part ──(hash is right)──► <sha>.tar.gz
 *         ▲                                    │
 *         └── (200, other ETag, wrong range, wrong hash): from the start
 * ```
 *
 * @module
 */

import { dirname } from "@std/path";
import { DownloadError, HashMismatchError, type PythonHostError } from "../core/errors.ts";
import { redactUrl } from "./child.ts";
import type { Context } from "./context.ts";
import { removeIfThere } from "./files.ts";
import { pause } from "./locking.ts";
import type { ProgressListener } from "./progress_events.ts";
import { discardPart, fetchPart, hashWholePart } from "./transfer.ts";
import { FetchFault } from "./transfer_watch.ts";

/** How patient a download is. */
export interface DownloadLimits {
  /** How often each place is asked. @default {4} */
  readonly attempts?: number;
  /** A server that sends nothing for this long is given up, in milliseconds. @default {30000} */
  readonly stallMs?: number;
  /** A server that sends less than this is given up, in bytes per second. @default {1024} */
  readonly minBytesPerSecond?: number;
  /** Over how long the rate is taken, in milliseconds. @default {60000} */
  readonly rateWindowMs?: number;
  /** The first pause before asking again; it doubles, up to thirty seconds, with jitter. @default {2000} */
  readonly retryBaseMs?: number;
  /** The longest `Retry-After` that is obeyed, in milliseconds. @default {60000} */
  readonly maxRetryAfterMs?: number;
  /** The largest archive. @default {268435456} */
  readonly maxBytes?: number;
}

/** What is downloaded. */
export interface DownloadRequest {
  /** Where it can be had, best first; `file:` URLs too. */
  readonly urls: readonly string[];
  /** What it must be. */
  readonly sha256: string;
  /** Where it is put. */
  readonly target: string;
  /** Where it grows until it is whole. */
  readonly part: string;
  /** What it is called in reports of progress. */
  readonly subject: string;
  /** How patient the download is. */
  readonly limits?: DownloadLimits | undefined;
  /** Ends the download. */
  readonly signal?: AbortSignal | undefined;
  /** Told of progress. */
  readonly onProgress?: ProgressListener | undefined;
}

const DEFAULTS: Required<DownloadLimits> = {
  attempts: 4,
  stallMs: 30_000,
  minBytesPerSecond: 1_024,
  rateWindowMs: 60_000,
  retryBaseMs: 2_000,
  maxRetryAfterMs: 60_000,
  maxBytes: 256 * 2 ** 20,
};

const LONGEST_PAUSE_MS = 30_000;

/** Downloads an archive. When it returns, `target` has the right content; when it throws, `target` is not there. */
export async function download(context: Context, request: DownloadRequest): Promise<void> {
  if (await hashWholePart(context, request.part) === request.sha256) {
    return await putIntoPlace(context, request);
  }
  const limits = { ...DEFAULTS, ...request.limits };
  let urls = request.urls.filter((url) => !context.offline || url.startsWith("file:"));
  if (urls.length === 0) {
    throw new DownloadError(
      `Cannot download while offline: "${request.target}" is missing (${request.subject})`,
      redactUrl(request.urls[0] ?? ""),
      { hint: `Put the file there, import a bundle, or go online. Its SHA-256 must be ${request.sha256}.` },
    );
  }
  const faults: { url: string; fault: FetchFault }[] = [];
  let mismatches = 0;
  for (let attempt = 1; urls.length > 0; attempt++) {
    let waitMs = 0;
    for (const url of urls) {
      request.signal?.throwIfAborted();
      const outcome = await tryOnce(context, request, url, limits);
      if (outcome === "done") return;
      if (outcome instanceof HashMismatchError) {
        // Once may have been a fault of the line; twice is another file, whoever sends it.
        if (++mismatches > 1) throw outcome;
        waitMs = Math.max(waitMs, 1);
        continue;
      }
      faults.push({ url, fault: outcome });
      if (!outcome.transient) urls = urls.filter((other) => other !== url);
      else waitMs = Math.max(waitMs, outcome.retryAfterMs ?? backOff(attempt, limits.retryBaseMs));
    }
    if (urls.length === 0 || (attempt >= limits.attempts && mismatches === 0) || attempt > limits.attempts) {
      break;
    }
    await pause(Math.min(waitMs, limits.maxRetryAfterMs), request.signal);
  }
  throw summarize(request, faults);
}

function backOff(attempt: number, baseMs: number): number {
  return Math.min(LONGEST_PAUSE_MS, baseMs * 2 ** (attempt - 1)) * (0.5 + Math.random() / 2);
}

async function tryOnce(
  context: Context,
  request: DownloadRequest,
  url: string,
  limits: Required<DownloadLimits>,
): Promise<"done" | FetchFault | HashMismatchError> {
  let actual: string;
  let note: string | undefined;
  try {
    ({ sha256: actual, note } = await fetchPart(context, { ...request, url, limits }));
  } catch (error) {
    if (error instanceof FetchFault) return error;
    throw error;
  }
  if (actual !== request.sha256) {
    await discardPart(context, request.part);
    return new HashMismatchError(
      redactUrl(url),
      request.sha256,
      actual,
      note === undefined ? {} : { hint: note },
    );
  }
  await putIntoPlace(context, request);
  return "done";
}

async function putIntoPlace({ io }: Context, request: DownloadRequest): Promise<void> {
  await io.rename(request.part, request.target);
  await removeIfThere(io, `${request.part}.json`);
  await io.syncDirectory(dirname(request.target));
}

function summarize(
  request: DownloadRequest,
  faults: readonly { url: string; fault: FetchFault }[],
): PythonHostError {
  const refused = faults.find(({ fault }) => fault.permission !== undefined);
  const last = new Map<string, FetchFault>();
  for (const { url, fault } of faults) last.set(url, fault);
  if (refused !== undefined && [...last.values()].every((fault) => fault.permission !== undefined)) {
    return refused.fault.permission!;
  }
  const lines = [...last].map(([url, fault]) => `  ${redactUrl(url)}: ${fault.message}`);
  const first = faults.at(-1)!;
  const hint = faults.find(({ fault }) => fault.hint !== undefined)?.fault.hint;
  return new DownloadError(`Cannot download ${request.subject}:\n${lines.join("\n")}`, redactUrl(first.url), {
    cause: first.fault,
    ...(hint === undefined ? {} : { hint }),
  });
}
