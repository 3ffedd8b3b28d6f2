/**
 * What a user gets: the package is published to a registry that stands in for JSR, and the upload is looked at.
 *
 * The dry run does not show file contents, and only they show that users resolve the real std packages.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { join } from "@std/path";
import { parseSource } from "../tools/source_imports.ts";
import config from "../deno.json" with { type: "json" };

const ROOT = join(import.meta.dirname!, "..");
const VERSION_PATH = `/versions/${config.version}`;

Deno.test("the published package has our files only, and imports std from JSR", async () => {
  const files = await publish();
  assert(files.has("mod.ts"), [...files.keys()].join(", "));
  const kinds = new Set([...files.keys()].map((path) => path.split("/")[0]!));
  for (const unwanted of ["links", "tests", "tools", "bench", "examples"]) {
    assert(!kinds.has(unwanted), unwanted);
  }
  assertEquals([...files.keys()].filter((path) => path.endsWith(".py")), []);

  const sources = [...files].filter(([path]) => path.endsWith(".ts")).map(([path, text]) =>
    parseSource(path, text)
  );
  for (const { path, imports } of sources) {
    for (const { specifier } of imports) {
      if (/^\.{1,2}\//.test(specifier)) {
        const target = new URL(specifier, `file:///${path}`).pathname.slice(1);
        assert(files.has(target), `${path} imports "${specifier}", which is not published`);
      } else assertMatch(specifier, /^(jsr:@std\/|npm:|node:)/, `${path} imports "${specifier}"`);
    }
  }
});

/** Publishes to the registry below and gives the files of the upload, as text. */
async function publish(): Promise<Map<string, string>> {
  const upload = Promise.withResolvers<Uint8Array<ArrayBuffer>>();
  await using registry = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    async (request) => {
      const { pathname } = new URL(request.url);
      if (request.method === "POST" && pathname.endsWith(VERSION_PATH)) {
        upload.resolve(await request.bytes());
        return Response.json({ id: "1", status: "success", error: null });
      }
      if (pathname === `/api/scopes/beep/packages/python-host`) return Response.json({});
      return Response.json({ code: "notFound", message: "There is none" }, { status: 404 });
    },
  );
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "publish",
      "--allow-dirty",
      "--allow-slow-types",
      "--no-check",
      "--no-provenance",
      "--token",
      "none",
    ],
    cwd: ROOT,
    env: { JSR_URL: `http://127.0.0.1:${registry.addr.port}/`, NO_COLOR: "1" },
    stdin: "null",
  }).output();
  assert(success, new TextDecoder().decode(stderr));
  return await readTarball(await upload.promise);
}

/** The files of a gzipped tar: headers of 512 bytes, each followed by the content, padded to 512. */
async function readTarball(gzipped: Uint8Array<ArrayBuffer>): Promise<Map<string, string>> {
  const plain = new Blob([gzipped]).stream().pipeThrough(new DecompressionStream("gzip"));
  const tar = await new Response(plain).bytes();
  const text = (start: number, length: number) =>
    new TextDecoder().decode(tar.subarray(start, start + length)).replace(/\0.*$/s, "");
  const files = new Map<string, string>();
  for (let at = 0; at + 512 <= tar.length && tar[at] !== 0;) {
    const size = parseInt(text(at + 124, 12), 8);
    files.set(text(at, 100), text(at + 512, size));
    at += 512 + Math.ceil(size / 512) * 512;
  }
  return files;
}
