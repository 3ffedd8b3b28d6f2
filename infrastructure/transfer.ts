/**
 * One attempt to fetch one file into its `.part`, from where the last attempt ended if that is the same file.
 *
 * @module
 */

import type { Hash } from "node:crypto";
import { fromFileUrl } from "@std/path";
import { PermissionNeededError } from "../core/errors.ts";
import { createSha256 } from "./digest.ts";
import type { Context } from "./context.ts";
import type { DownloadLimits } from "./download.ts";
import { readTextIfThere, removeIfThere, statIfThere, writeAtomically } from "./files.ts";
import type { IoFile } from "./io.ts";
import { errorCode, mapIoError } from "./io_errors.ts";
import type { ProgressListener } from "./progress_events.ts";
import { FetchFault, Meter, Watch } from "./transfer_watch.ts";

/** One attempt. */
export interface TransferRequest {
  /** The place that is asked. */
  readonly url: string;
  /** The file that grows. */
  readonly part: string;
  /** What it is called in reports of progress. */
  readonly subject: string;
  /** How patient the attempt is. */
  readonly limits: Required<DownloadLimits>;
  /** Ends the attempt. */
  readonly signal?: AbortSignal | undefined;
  /** Told of progress. */
  readonly onProgress?: ProgressListener | undefined;
}

/** What came. */
export interface Transferred {
  /** The SHA-256 of the whole file. */
  readonly sha256: string;
  /** What is odd about the answer, for the case that the hash is wrong. */
  readonly note: string | undefined;
}

/** What is remembered of the answer that a part came from. */
interface PartRecord {
  readonly url: string;
  readonly validator: string;
  readonly size: number | null;
}

/** Fetches the file, or the rest of it, and gives the hash of the whole. Throws {@linkcode FetchFault}. */
export async function fetchPart(context: Context, request: TransferRequest): Promise<Transferred> {
  if (request.url.startsWith("file:")) return await copyPart(context, request);
  const have = await resumable(context, request);
  const watch = new Watch(request.limits, request.signal);
  try {
    const headers: Record<string, string> = {
      // Without this a server may label the archive as compressed on the way, and Deno would unpack it silently.
      "accept-encoding": "identity",
      ...(have === undefined ? {} : { range: `bytes=${have.length}-`, "if-range": have.validator }),
    };
    const response = await watch.within(context.io.fetch(request.url, { headers, signal: watch.signal }));
    try {
      return await receive(context, request, response, have?.length ?? 0, watch);
    } finally {
      await response.body?.cancel().catch(() => {
        // The stream has failed or ended already: there is nothing left to let go of.
      });
    }
  } catch (error) {
    if (error instanceof RangeFault) await discardPart(context, request.part);
    throw toFault(error, request, watch);
  } finally {
    watch.stop();
  }
}

/** Forgets what was downloaded so far. */
export async function discardPart(context: Context, part: string): Promise<void> {
  await removeIfThere(context.io, part);
  await removeIfThere(context.io, `${part}.json`);
}

/**
 * The SHA-256 of a part to which nothing is missing: its process was killed before it could put it into place. Undefined
 * when there is none.
 */
export async function hashWholePart(context: Context, part: string): Promise<string | undefined> {
  const record = await readRecord(context, part);
  const info = await statIfThere(context.io, part);
  if (record === undefined || info === undefined || info.size !== record.size) return undefined;
  const file = await context.io.open(part, { read: true, write: true });
  try {
    const hash = await createSha256();
    await hashStart(file, info.size, hash);
    await file.sync();
    return hash.digest("hex");
  } finally {
    file.close();
  }
}

async function readRecord(context: Context, part: string): Promise<Partial<PartRecord> | undefined> {
  const text = await readTextIfThere(context.io, `${part}.json`);
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) ?? undefined;
  } catch {
    // A record that cannot be read tells nothing about the part: it starts again.
    return undefined;
  }
}

async function resumable(
  context: Context,
  request: TransferRequest,
): Promise<{ length: number; validator: string } | undefined> {
  const record = await readRecord(context, request.part);
  const info = await statIfThere(context.io, request.part);
  if (record === undefined || info === undefined || info.size === 0) return undefined;
  if (record.url !== request.url || typeof record.validator !== "string" || record.validator === "") {
    return undefined;
  }
  if (typeof record.size === "number" && info.size >= record.size) return undefined;
  return { length: info.size, validator: record.validator };
}

async function receive(
  context: Context,
  request: TransferRequest,
  response: Response,
  have: number,
  watch: Watch,
): Promise<Transferred> {
  checkStatus(response, request);
  const encoding = response.headers.get("content-encoding");
  if (encoding !== null && encoding !== "identity") {
    throw new FetchFault(
      `the server sends it with content encoding "${encoding}" although that was refused`,
      {
        transient: false,
        hint: "A proxy or mirror repacks archives: turn that off there, or use another mirror.",
      },
    );
  }
  const start = response.status === 206 ? have : 0;
  const total = expectedSize(response, start);
  if (total !== undefined && total > request.limits.maxBytes) {
    throw new FetchFault(`it has ${total} bytes, more than the limit of ${request.limits.maxBytes}`, {
      transient: false,
    });
  }
  const type = response.headers.get("content-type") ?? "";
  const note = type.startsWith("text/html")
    ? "The server answered with a web page, perhaps for a login."
    : undefined;
  const file = await openPart(context, request, response, start, total);
  try {
    const hash = await createSha256();
    await hashStart(file, start, hash);
    await copyBody(request, response, file, hash, { start, total, watch });
    await file.sync();
    return { sha256: hash.digest("hex"), note };
  } finally {
    file.close();
  }
}

function checkStatus(response: Response, request: TransferRequest): void {
  const { status } = response;
  if (status === 200 || status === 206) return;
  if (status === 416) throw new RangeFault("the server has no part from where the last attempt ended");
  const transient = status === 408 || status === 429 || status >= 500;
  const retryAfterMs = parseRetryAfter(response.headers.get("retry-after"), request.limits.maxRetryAfterMs);
  throw new FetchFault(`the server answered ${status} ${response.statusText}`.trimEnd(), {
    transient,
    retryAfterMs,
    ...(status === 404 || status === 410
      ? { hint: "The place does not have this version: check the mirror." }
      : {}),
    ...(status === 401 || status === 403 || status === 407 ? { hint: "The place wants credentials." } : {}),
  });
}

/** Reads `Retry-After`, seconds or a date, as milliseconds of at most `maxMs`; undefined when there is none. */
export function parseRetryAfter(
  value: string | null,
  maxMs: number,
  now: number = Date.now(),
): number | undefined {
  if (value === null) return undefined;
  const text = value.trim();
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - now;
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(ms, 0), maxMs);
}

/** The size of the whole file; throws when a partial answer is not the part that was asked for. */
function expectedSize(response: Response, start: number): number | undefined {
  const length = response.headers.get("content-length");
  if (response.status === 200) return length === null ? undefined : Number(length);
  const range = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(response.headers.get("content-range") ?? "");
  if (range === null || Number(range[1]) !== start || start === 0) {
    throw new RangeFault(`the server sent another part than the one from byte ${start}`);
  }
  return range[3] === "*" ? undefined : Number(range[3]);
}

/** The part cannot be continued: it is thrown away, and the next attempt starts from nothing. */
class RangeFault extends FetchFault {
  constructor(message: string) {
    super(message, { transient: true });
  }
}

async function openPart(
  context: Context,
  request: TransferRequest,
  response: Response,
  start: number,
  total: number | undefined,
): Promise<IoFile> {
  const { io } = context;
  if (start === 0) {
    // The record goes first, so that it never speaks of an older part than the one it lies beside.
    await removeIfThere(io, request.part);
    const etag = response.headers.get("etag");
    // A weak validator does not promise the same bytes.
    const strong = etag !== null && !etag.startsWith("W/") ? etag : response.headers.get("last-modified");
    const record: PartRecord = { url: request.url, validator: strong ?? "", size: total ?? null };
    await writeAtomically(io, `${request.part}.json`, JSON.stringify(record), { durable: false });
  }
  return await io.open(request.part, { read: true, write: true, create: true, mode: 0o600 });
}

async function hashStart(file: IoFile, length: number, hash: Hash): Promise<void> {
  const buffer = new Uint8Array(1 << 18);
  let left = length;
  while (left > 0) {
    const count = await file.read(buffer.subarray(0, Math.min(left, buffer.byteLength)));
    if (count === null) throw new RangeFault("the part became shorter while it was continued");
    hash.update(buffer.subarray(0, count));
    left -= count;
  }
  await file.truncate(length);
  await file.seek(length);
}

async function copyBody(
  request: TransferRequest,
  response: Response,
  file: IoFile,
  hash: Hash,
  state: { start: number; total: number | undefined; watch: Watch },
): Promise<void> {
  const { start, total, watch } = state;
  const meter = new Meter(request, start, total);
  let done = start;
  const reader = response.body?.getReader();
  while (reader !== undefined) {
    const { done: ended, value } = await watch.within(
      reader.read().catch((cause: unknown) => {
        if (watch.verdict !== undefined || request.signal?.aborted === true) throw cause;
        const of = total === undefined ? "" : ` of ${total}`;
        throw new FetchFault(`it broke off after ${done}${of} bytes`, { transient: true, cause });
      }),
    );
    if (ended) break;
    done += value.byteLength;
    if (done > request.limits.maxBytes || (total !== undefined && done > total)) {
      throw new RangeFault(`it goes on after ${Math.min(total ?? Infinity, request.limits.maxBytes)} bytes`);
    }
    hash.update(value);
    await file.write(value);
    watch.count(value.byteLength);
    meter.report(done);
  }
  meter.report(done, true);
  if (total !== undefined && done < total) {
    throw new FetchFault(`it ended after ${done} of ${total} bytes`, { transient: true });
  }
}

async function copyPart(context: Context, request: TransferRequest): Promise<Transferred> {
  const { io } = context;
  const path = fromFileUrl(request.url);
  try {
    await removeIfThere(io, request.part);
    await io.copyFile(path, request.part);
    const hash = await createSha256();
    const file = await io.open(request.part, { read: true, write: true });
    try {
      const { size } = await io.stat(request.part);
      await hashStart(file, size, hash);
      await file.sync();
    } finally {
      file.close();
    }
    return { sha256: hash.digest("hex"), note: undefined };
  } catch (error) {
    const mapped = mapIoError(`copy "${path}"`, error);
    if (mapped instanceof PermissionNeededError) {
      throw new FetchFault(mapped.message, { transient: false, permission: mapped });
    }
    if (errorCode(error) === "ENOENT") {
      throw new FetchFault("the file is not there", { transient: false, cause: error });
    }
    throw mapped;
  }
}

function toFault(error: unknown, request: TransferRequest, watch: Watch): unknown {
  if (error instanceof FetchFault) return error;
  if (request.signal?.aborted === true) return request.signal.reason;
  if (watch.verdict !== undefined) return new FetchFault(watch.verdict, { transient: true });
  if (error instanceof Deno.errors.NotCapable) {
    const permission = mapIoError(`download ${request.subject}`, error) as PermissionNeededError;
    return new FetchFault(permission.message, { transient: false, permission, cause: error });
  }
  const message = describe(error);
  if (/certificate|UnknownIssuer|CertNotValid/i.test(message)) {
    return new FetchFault(`its certificate is not trusted: ${message}`, {
      transient: false,
      cause: error,
      hint: "Behind a proxy that inspects TLS, set DENO_TLS_CA_STORE=system or DENO_CERT to its certificate.",
    });
  }
  // fetch tells every failure of the line by a TypeError or an Http error.
  if (error instanceof TypeError || error instanceof Deno.errors.Http || isLineFault(error)) {
    return new FetchFault(message, { transient: true, cause: error });
  }
  return mapIoError(`store ${request.subject}`, error);
}

/** What fetch says of a failure: often no more than "fetch failed", and the reason in its cause. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const reason = error.cause instanceof Error ? error.cause.message : error.message;
  // The address stands in our own message already.
  return reason.replace(/^error sending request for url \([^)]*\): /, "");
}

function isLineFault(error: unknown): boolean {
  return error instanceof Deno.errors.ConnectionReset || error instanceof Deno.errors.ConnectionAborted ||
    error instanceof Deno.errors.ConnectionRefused || error instanceof Deno.errors.BrokenPipe ||
    error instanceof Deno.errors.TimedOut || error instanceof Deno.errors.UnexpectedEof ||
    error instanceof Deno.errors.InvalidData || error instanceof Deno.errors.NotConnected;
}
