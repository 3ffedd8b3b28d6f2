/**
 * A list of Pythons that a user names, in uv's format.
 *
 * @module
 */

import { assertEquals, assertRejects } from "@std/assert";
import { join, toFileUrl } from "@std/path";
import { DownloadError, EnvironmentError } from "../../core/errors.ts";
import { RuntimeManager } from "../../infrastructure/mod.ts";
import { parseDownloadList } from "../../infrastructure/download_list.ts";
import { fakeArchive } from "./_fake_python.ts";
import { only, temporary } from "./_support.ts";

function row(extra: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  return {
    name: "cpython",
    arch: { family: "x86_64", variant: null },
    os: "linux",
    libc: "gnu",
    major: 3,
    minor: 12,
    patch: 1,
    prerelease: "",
    url: "https://host/a.tar.gz",
    sha256: "a".repeat(64),
    variant: null,
    build: "20240107",
    ...extra,
  };
}

Deno.test("of a list, what fits the platform, has a hash and can be unpacked is taken", () => {
  const versions = (triple: string, rows: Record<string, unknown>[]): string[] =>
    parseDownloadList(Object.fromEntries(Object.entries(rows)), triple)
      .map((item) => item.version + (item.freeThreaded ? "t" : ""));
  const rows = [
    row(),
    row({ patch: 2, variant: "freethreaded" }),
    row({ minor: 13, patch: 0, prerelease: "rc1" }),
    row({ patch: 3, variant: "debug" }),
    row({ patch: 4, sha256: null }),
    row({ patch: 5, url: "https://host/a.tar.zst" }),
    row({ patch: 6, name: "pypy" }),
    row({ patch: 7, libc: "musl" }),
    row({ patch: 8, arch: { family: "x86_64", variant: "v3" } }),
    row({ patch: 9, os: "darwin", libc: "none", arch: { family: "aarch64", variant: null } }),
    row({ patch: 10, os: "windows", libc: "none" }),
    row({ patch: 11, os: "linux", libc: "gnueabihf", arch: { family: "armv7", variant: null } }),
  ];
  assertEquals(versions("x86_64-unknown-linux-gnu", rows), ["3.13.0rc1", "3.12.2t", "3.12.1"]);
  assertEquals(versions("x86_64-unknown-linux-musl", rows), ["3.12.7"]);
  assertEquals(versions("aarch64-apple-darwin", rows), ["3.12.9"]);
  assertEquals(versions("x86_64-pc-windows-msvc", rows), ["3.12.10"]);
  assertEquals(versions("armv7-unknown-linux-gnueabihf", rows), ["3.12.11"]);
  for (const odd of [null, 1, [], {}, { a: null }, { a: { name: "cpython" } }]) {
    assertEquals(parseDownloadList(odd, "x86_64-unknown-linux-gnu"), []);
  }
});

Deno.test("a Python is installed from the list that UV_PYTHON_DOWNLOADS_JSON_URL names", async () => {
  await using scratch = await temporary("list_");
  const archive = fakeArchive();
  const file = join(scratch.path, "archive.tar.gz");
  await Deno.writeFile(file, archive.bytes);
  const list = join(scratch.path, "list.json");
  const fields = { sha256: archive.sha256, url: toFileUrl(file).href };
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    async (request) =>
      request.url.endsWith("/list")
        ? new Response(await Deno.readTextFile(list))
        : new Response("no", { status: 404 }),
  );
  const base = `http://127.0.0.1:${server.addr.port}`;
  const manager = (place: string, offline = false): RuntimeManager =>
    new RuntimeManager({
      home: join(scratch.path, "home"),
      environment: only({ UV_PYTHON_DOWNLOADS_JSON_URL: place, PATH: "" }),
      cwd: scratch.path,
      offline,
      os: "linux",
      arch: "x86_64",
    });
  const [, , , libc] = (await manager("").triple()).split("-");
  await Deno.writeTextFile(list, JSON.stringify({ one: row({ ...fields, libc }) }));
  for (const place of [list, toFileUrl(list).href, `${base}/list`]) {
    assertEquals((await manager(place).available()).map((item) => item.version), [archive.version]);
  }
  assertEquals((await manager(`${base}/list`).ensure("3.12")).version, archive.version);
  await assertRejects(() => manager(list).install("3.13"), EnvironmentError, "none is known");
  await assertRejects(() => manager(`${base}/list`, true).available(), DownloadError, "not to be used");
  await assertRejects(() => manager(`${base}/gone`).available(), DownloadError, "answered 404");
  await assertRejects(
    () => manager("http://127.0.0.1:1/x").available(),
    DownloadError,
    "UV_PYTHON_DOWNLOADS_JSON_URL",
  );
  await assertRejects(
    () => manager("/nonexist").available(),
    EnvironmentError,
    "UV_PYTHON_DOWNLOADS_JSON_URL",
  );
  await Deno.writeTextFile(list, "<html>");
  await assertRejects(() => manager(list).available(), EnvironmentError, "it is no JSON");
});
