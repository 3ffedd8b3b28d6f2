/**
 * Installs a Python from a mirror that misbehaves in sixty ways. Each time it must end whole, or in the right typed error
 * with nothing published.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { join } from "@std/path";
import { DownloadError, HashMismatchError, PermissionNeededError } from "../../core/errors.ts";
import { type DownloadLimits, RuntimeManager } from "../../infrastructure/mod.ts";
import { denoIo } from "../../infrastructure/io.ts";
import { gzipSync } from "node:zlib";
import { pythonArchive } from "./_archive.ts";
import { answer, good, Mirror, type MirrorStep, status, truncated } from "./_mirror.ts";
import { only, temporary, tree } from "./_support.ts";

/** So patient that a busy machine, on which the mirror is silent for a while too, is never taken for a fault. */
const LIMITS: DownloadLimits = { attempts: 3, retryBaseMs: 1, maxRetryAfterMs: 1_500 };
/** For a mirror that falls silent. */
const SILENCE: DownloadLimits = { ...LIMITS, stallMs: 300 };
/** For a mirror that drips. */
const SLOWNESS: DownloadLimits = { ...LIMITS, minBytesPerSecond: 50_000, rateWindowMs: 250 };
/** Where little patience must end whole: a standstill of this process may cost attempts. */
const ATTEMPTS = 20;

type Outcome = "whole" | "download" | "hash" | "permission";

interface Fault {
  readonly name: string;
  readonly steps: readonly MirrorStep[];
  readonly outcome: Outcome;
  /** @default {LIMITS} */
  readonly limits?: DownloadLimits;
  /** What the requests must have been like. */
  readonly check?: (requests: Mirror["requests"]) => void;
  /** What the message must say. */
  readonly says?: RegExp;
}

const flipped = (at: number): MirrorStep =>
  answer((archive) => {
    const body = archive.slice();
    const index = Math.floor(at * (body.byteLength - 1));
    body[index] = body[index]! ^ 1;
    return { headers: { "Content-Length": String(body.byteLength) }, body };
  });

const withoutLength = (share: number): MirrorStep =>
  answer((archive) => ({ body: archive.subarray(0, Math.floor(archive.byteLength * share)) }));

const stall = (share: number): MirrorStep => async (connection) => {
  const { archive } = connection;
  await connection.head("200 OK", { "Content-Length": String(archive.byteLength), "ETag": '"one"' });
  await connection.body(archive.subarray(0, Math.floor(archive.byteLength * share)));
  await connection.wait(5_000);
};

/** Falls silent in the middle, until somebody asks for the rest. */
const stallUntilResumed = (share: number): MirrorStep => (connection, request) =>
  request.start > 0 ? good(connection, request) : stall(share)(connection, request);

const silent: MirrorStep = (connection) => connection.wait(5_000);

const drip: MirrorStep = async (connection) => {
  await connection.head("200 OK", { "Content-Length": String(connection.archive.byteLength) });
  for (let at = 0; at < 200; at++) {
    await connection.body(connection.archive.subarray(at, at + 1));
    await connection.wait(20);
  }
};

const reset = (share: number): MirrorStep => async (connection) => {
  const { archive } = connection;
  await connection.head("200 OK", { "Content-Length": String(archive.byteLength), "ETag": '"one"' });
  await connection.body(archive.subarray(0, Math.floor(archive.byteLength * share)));
  connection.reset();
};

const partial = (range: (start: number, size: number) => string): MirrorStep =>
  answer((archive, request) => ({
    status: "206 Partial Content",
    headers: { "Content-Range": range(request.start, archive.byteLength), "ETag": '"one"' },
    body: archive.subarray(request.start),
  }));

const html = status("200 OK", { "Content-Type": "text/html" }, "<html>Please log in</html>");
const starts = (requests: Mirror["requests"]): string =>
  `it was asked from ${requests.map(({ start }) => start).join(", ")}`;
const resumed = (requests: Mirror["requests"]): void =>
  assert(requests[1]!.start > 0, `the rest was not asked for: ${starts(requests)}`);
const resumedAtLast = (requests: Mirror["requests"]): void =>
  assert(requests.at(-1)!.start > 0, `the rest was not asked for: ${starts(requests)}`);
const attempts = (count: number) => (requests: Mirror["requests"]): void =>
  assertEquals(requests.length, count, starts(requests));
const identity = (requests: Mirror["requests"]): void => {
  for (const request of requests) assertEquals(request.headers.get("accept-encoding"), "identity");
};

const FAULTS: readonly Fault[] = [
  { name: "a good server", steps: [good], outcome: "whole", check: identity },
  ...[0, 0.001, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999].map((share): Fault => ({
    name: `case 1: truncated at ${share}, then good`,
    steps: [truncated(share), good],
    outcome: "whole",
    ...(share > 0 ? { check: resumed } : {}),
  })),
  {
    name: "truncated twice, then good",
    steps: [truncated(0.3), truncated(0.5), good],
    outcome: "whole",
    check: resumed,
  },
  {
    name: "always truncated at the start",
    steps: [truncated(0)],
    outcome: "download",
    says: /(ended|broke off) after 0 of/,
  },
  {
    name: "always truncated in the middle",
    steps: [truncated(0.2)],
    outcome: "download",
    says: /(ended|broke off) after/,
  },
  ...[0, 0.1, 0.5, 0.9].map((share): Fault => ({
    name: `case 1: reset at ${share}, then good`,
    steps: [reset(share), good],
    outcome: "whole",
  })),
  { name: "case 1: always reset", steps: [reset(0)], outcome: "download", check: attempts(3) },
  { name: "close-delimited and whole", steps: [withoutLength(1)], outcome: "whole" },
  {
    name: "case 2: close-delimited and short, then good",
    steps: [withoutLength(0.5), good],
    outcome: "whole",
  },
  { name: "case 2: always close-delimited and short", steps: [withoutLength(0.5)], outcome: "hash" },
  { name: "close-delimited and empty", steps: [withoutLength(0)], outcome: "hash" },
  {
    name: "silent, then good",
    steps: [silent, good],
    outcome: "whole",
    limits: { ...SILENCE, attempts: ATTEMPTS },
  },
  {
    name: "always silent",
    steps: [silent],
    outcome: "download",
    limits: SILENCE,
    says: /nothing for 300 ms/,
  },
  {
    name: "stalled after the head, then good",
    steps: [stall(0), good],
    outcome: "whole",
    limits: { ...SILENCE, attempts: ATTEMPTS },
  },
  ...[0.5, 0.99].map((share): Fault => ({
    name: `case 3: stalled at ${share}, then good`,
    steps: [stallUntilResumed(share)],
    outcome: "whole",
    limits: { ...SILENCE, attempts: ATTEMPTS },
    check: resumedAtLast,
  })),
  {
    name: "case 3: always stalled",
    steps: [stall(0)],
    outcome: "download",
    limits: SILENCE,
    says: /nothing for/,
  },
  {
    name: "case 4: dripping, then good",
    steps: [drip, good],
    outcome: "whole",
    limits: { ...SLOWNESS, attempts: ATTEMPTS },
  },
  {
    name: "case 4: always dripping",
    steps: [drip],
    outcome: "download",
    limits: SLOWNESS,
    says: /bytes per second/,
  },
  {
    name: "case 5: 429 with seconds, then good",
    steps: [status("429 Slow", { "Retry-After": "1" }), good],
    outcome: "whole",
  },
  {
    name: "429 with a date, then good",
    steps: [status("429 Slow", { "Retry-After": new Date(Date.now() + 500).toUTCString() }), good],
    outcome: "whole",
  },
  {
    name: "429 without a time, twice",
    steps: [status("429 Slow"), status("429 Slow"), good],
    outcome: "whole",
  },
  {
    name: "429 with nonsense",
    steps: [status("429 Slow", { "Retry-After": "soon" }), good],
    outcome: "whole",
  },
  { name: "always 429", steps: [status("429 Slow")], outcome: "download", says: /429/, check: attempts(3) },
  ...["500 Oops", "502 Bad Gateway", "503 Busy", "504 Late", "408 Timeout"].map((line): Fault => ({
    name: `${line}, then good`,
    steps: [status(line), good],
    outcome: "whole",
    check: attempts(2),
  })),
  { name: "always 500", steps: [status("500 Oops")], outcome: "download", says: /500/, check: attempts(3) },
  {
    name: "case 5: 503 with Retry-After 0",
    steps: [status("503 Busy", { "Retry-After": "0" }), good],
    outcome: "whole",
  },
  ...["400 Bad", "401 Who", "403 No", "404 Gone", "410 Gone"].map((line): Fault => ({
    name: `case 6: ${line} is final`,
    steps: [status(line), good],
    outcome: "download",
    says: new RegExp(line.slice(0, 3)),
    check: attempts(1),
  })),
  ...[0, 0.5, 1].map((at): Fault => ({
    name: `case 7: one bit flipped at ${at}, then good`,
    steps: [flipped(at), good],
    outcome: "whole",
    check: attempts(2),
  })),
  { name: "case 7: one bit flipped always", steps: [flipped(0.5)], outcome: "hash", check: attempts(2) },
  { name: "case 13: a web page once", steps: [html, good], outcome: "whole" },
  { name: "case 13: a web page always", steps: [html], outcome: "hash", says: /login/ },
  {
    name: "case 9: the range is ignored",
    steps: [truncated(0.5), answer((archive) => ({ body: archive }))],
    outcome: "whole",
    check: resumed,
  },
  {
    name: "case 9: another range than asked for",
    steps: [truncated(0.5), partial((start, size) => `bytes ${start + 1}-${size - 1}/${size}`), good],
    outcome: "whole",
  },
  {
    name: "a range that is none",
    steps: [truncated(0.5), partial(() => "bytes yes"), good],
    outcome: "whole",
  },
  {
    name: "a part that nobody asked for",
    steps: [partial((_, size) => `bytes 0-9/${size}`), good],
    outcome: "whole",
  },
  {
    name: "a right range with wrong bytes",
    steps: [
      truncated(0.5),
      answer((archive, request) => ({
        status: "206 Partial Content",
        headers: {
          "Content-Range": `bytes ${request.start}-${archive.byteLength - 1}/${archive.byteLength}`,
        },
        body: new Uint8Array(archive.byteLength - request.start),
      })),
      good,
    ],
    outcome: "whole",
  },
  { name: "416 on the rest", steps: [truncated(0.5), status("416 No Such Range"), good], outcome: "whole" },
  {
    name: "case 9: the file changed in between",
    steps: [truncated(0.5), answer((archive) => ({ headers: { ETag: '"two"' }, body: archive }))],
    outcome: "whole",
    check: (requests) => assertEquals(requests[1]!.headers.get("if-range"), '"one"'),
  },
  {
    name: "a weak validator is not resumed from",
    steps: [
      answer((archive) => ({
        headers: { "ETag": 'W/"x"', "Content-Length": String(archive.byteLength) },
        body: archive.subarray(0, 1000),
      })),
      good,
    ],
    outcome: "whole",
    check: (requests) => assertEquals(requests[1]!.start, 0),
  },
  {
    name: "case 10: labelled as compressed on the way",
    steps: [answer((archive) => ({ headers: { "Content-Encoding": "gzip" }, body: archive }))],
    outcome: "download",
    says: /content encoding|hash|Cannot download/i,
  },
  {
    name: "compressed on the way",
    steps: [
      answer((archive) => ({
        headers: { "Content-Encoding": "gzip" },
        body: new Uint8Array(gzipSync(archive)),
      })),
    ],
    outcome: "download",
  },
  {
    name: "longer than it says",
    steps: [
      answer((archive) => ({ headers: { "Content-Length": String(archive.byteLength - 1) }, body: archive })),
      good,
    ],
    outcome: "whole",
  },
  {
    name: "something after its end",
    steps: [answer((archive) => ({ body: new Uint8Array([...archive.subarray(0, 100), ...archive]) })), good],
    outcome: "whole",
  },
  {
    name: "too large",
    steps: [status("200 OK", { "Content-Length": "999999999999" })],
    outcome: "download",
    says: /more than the limit/,
  },
];

function expected(outcome: Outcome): ((error: unknown) => boolean) | undefined {
  switch (outcome) {
    case "whole":
      return undefined;
    case "download":
      return (error) => error instanceof DownloadError;
    case "hash":
      return (error) => error instanceof HashMismatchError;
    case "permission":
      return (error) => error instanceof PermissionNeededError;
  }
}

Deno.test("there are at least 60 ways in which a mirror misbehaves", () => {
  assert(FAULTS.length >= 60, `there are ${FAULTS.length}`);
});

for (const fault of FAULTS) {
  Deno.test(`install() from a mirror: ${fault.name}`, async () => {
    const archive = await pythonArchive();
    await using home = await temporary();
    await using mirror = new Mirror(archive.bytes, fault.steps);
    const manager = new RuntimeManager({ home: home.path, environment: only({}) });
    const distribution = { version: archive.version, url: mirror.url, sha256: archive.sha256 };
    const isRight = expected(fault.outcome);
    let failure: unknown;
    try {
      const runtime = await manager.install(archive.version, {
        distribution,
        limits: fault.limits ?? LIMITS,
      });
      assertEquals(runtime.version, archive.version);
      assertEquals(await manager.verify(runtime.id), []);
    } catch (error) {
      failure = error;
    }
    if (isRight === undefined) {
      if (failure !== undefined) throw failure;
    } else {
      assert(failure !== undefined, "it was installed");
      assert(isRight(failure), `it ended in ${failure}`);
      assertEquals(await manager.list(), []);
      assertEquals(
        (await tree(home.path)).filter((path) => /\.tar\.gz$|^\.staging\/.|^pythons\/./.test(path)),
        [],
      );
    }
    if (fault.says !== undefined) assert(fault.says.test(String(failure)), String(failure));
    fault.check?.(mirror.requests);
  });
}

Deno.test("case 11: install() names the flag for the host that a mirror redirects to", async () => {
  const archive = await pythonArchive();
  await using home = await temporary();
  await using mirror = new Mirror(archive.bytes, [
    status("302 Found", { Location: "http://localhost:1/elsewhere" }),
  ]);
  const io = {
    ...denoIo,
    // What Deno throws for a hop that is not permitted; a permission cannot be taken back within a test run with -A.
    fetch: () =>
      Promise.reject(
        new Deno.errors.NotCapable(
          'Requires net access to "localhost:1", run again with the --allow-net flag',
        ),
      ),
  };
  const manager = new RuntimeManager({ home: home.path, environment: only({}), io });
  const distribution = { version: archive.version, url: mirror.url, sha256: archive.sha256 };
  const failure = await manager.install(archive.version, { distribution, limits: LIMITS }).catch((error) =>
    error
  );
  assert(failure instanceof PermissionNeededError, String(failure));
  assertEquals(failure.flags, ["--allow-net=localhost:1"]);
});

Deno.test("case 20: a part that is whole already is put into place, and fetched again only when it is another file", async () => {
  const archive = await pythonArchive();
  await using home = await temporary();
  await using mirror = new Mirror(archive.bytes, [good]);
  const { version, sha256 } = archive;
  const distribution = { version, sha256, url: mirror.url };
  const part = join(home.path, "archives", `${sha256}.part`);
  const record = JSON.stringify({ url: mirror.url, validator: '"one"', size: archive.bytes.byteLength });
  const leave = async (bytes: Uint8Array): Promise<void> => {
    await Deno.mkdir(join(home.path, "archives"), { recursive: true });
    await Deno.writeFile(part, bytes);
    await Deno.writeTextFile(`${part}.json`, record);
  };
  const install = async (offline: boolean): Promise<void> => {
    const manager = new RuntimeManager({ home: home.path, environment: only({}), offline });
    const runtime = await manager.install(version, { distribution, limits: LIMITS });
    assertEquals(await manager.verify(runtime.id), []);
    assertEquals(
      (await tree(join(home.path, "archives"))).filter((path) => path.includes("part")),
      [],
    );
    await manager.uninstall(runtime.id);
    await Deno.remove(join(home.path, "archives"), { recursive: true });
  };
  await leave(archive.bytes);
  await install(true);
  assertEquals(mirror.requests, []);
  await leave(archive.bytes.with(1000, archive.bytes[1000]! ^ 1));
  await install(false);
  assertEquals(mirror.requests.map(({ start }) => start), [0]);
});
