/**
 * Archives: the real shape in chunks of any size, and forty hostile ones, which may write nothing outside the target.
 *
 * @module
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { join } from "@std/path";
import { ArchiveFault, ArchiveParser } from "../../infrastructure/archive.ts";
import { linkDestination, safeParts } from "../../infrastructure/archive_paths.ts";
import { extract, ExtractError, type ExtractLimits } from "../../infrastructure/extract.ts";
import { gzipSync } from "node:zlib";
import { tar, type TarEntry, tarGz } from "./_archive.ts";
import { context, randomNumbers, temporary, tree } from "./_support.ts";

const encoder = new TextEncoder();
const file = (path: string, content = "x"): TarEntry => ({ path, content });
const link = (path: string, target: string): TarEntry => ({ path, type: "2", target });

function collect(): { sink: ConstructorParameters<typeof ArchiveParser>[0]; seen: string[] } {
  const seen: string[] = [];
  let content = "";
  let path = "";
  return {
    seen,
    sink: {
      entry: (entry) => {
        path = entry.path;
        content = "";
        if (entry.type !== "file") seen.push(`${entry.type} ${entry.path} ${entry.target}`.trim());
      },
      data: (bytes) => content += new TextDecoder().decode(bytes),
      end: () => seen.push(`file ${path} ${content.length}`),
    },
  };
}

Deno.test("ArchiveParser reads the same from chunks of any size", () => {
  const bytes = tar([
    { path: "python/", type: "5" },
    file("python/empty", ""),
    file("python/a", "a".repeat(511)),
    file("python/b", "b".repeat(512)),
    file("python/c", "c".repeat(513)),
    link("python/d", "a"),
    file(`python/${"long/".repeat(30)}name`, "deep"),
  ]);
  const expected = ["directory python/", "file python/empty 0", "file python/a 511", "file python/b 512"];
  for (const size of [1, 7, 511, 512, 513, 4096, bytes.byteLength]) {
    const { sink, seen } = collect();
    const parser = new ArchiveParser(sink);
    for (let at = 0; at < bytes.byteLength; at += size) parser.push(bytes.subarray(at, at + size));
    parser.finish();
    assertEquals(seen.slice(0, 4), expected, `chunks of ${size}`);
    assertEquals(seen.length, 7);
  }
});

Deno.test("ArchiveParser notices every truncation", () => {
  const bytes = tar([file("python/a", "a".repeat(700)), file("python/b", "b")]);
  for (let length = 0; length < bytes.byteLength - 512; length += 64) {
    const parser = new ArchiveParser(collect().sink);
    assertThrows(() => {
      parser.push(bytes.subarray(0, length));
      parser.finish();
    }, ArchiveFault);
  }
});

Deno.test("case 31: extract() writes files, modes and links as they are", async () => {
  await using directory = await temporary();
  const archive = join(directory.path, "a.tar.gz");
  await Deno.writeFile(
    archive,
    tarGz([
      { path: "python/bin/python3.12", content: "#!/bin/sh\n", mode: 0o755 },
      link("python/bin/python3", "python3.12"),
      link("python/bin/python", "python3"),
      file("python/lib/a/one.py", "1"),
      link("python/lib/b", "a"),
      link("python/lib/up.py", "../lib/a/one.py"),
      file("python/share/terminfo/x", "skipped"),
      link("python/lib/terminfo", "../share/terminfo"),
    ]),
  );
  const target = join(directory.path, "out");
  const extracted = await extract(context(directory.path), archive, target, { skip: ["share/terminfo"] });
  assertEquals(await tree(target), [
    "bin",
    "bin/python",
    "bin/python3",
    "bin/python3.12",
    "lib",
    "lib/a",
    "lib/a/one.py",
    "lib/b",
    "lib/b/one.py",
    "lib/up.py",
  ]);
  assertEquals(extracted.files.length, 6);
  assertEquals((await Deno.lstat(join(target, "bin/python"))).isSymlink, false);
  assertEquals((await Deno.stat(join(target, "bin/python"))).mode! & 0o111, 0o111 & ~0o22 & 0o111);
  assertEquals((await Deno.stat(join(target, "lib/up.py"))).mode! & 0o111, 0);
  assertEquals(await Deno.readTextFile(join(target, "lib/b/one.py")), "1");
});

const magic = (text: string): TarEntry => ({
  ...file("python/a"),
  alter: (header) => header.set(encoder.encode(text), 257),
});
const typed = (type: string, path = "python/a"): TarEntry => ({ path, type, target: "../../outside" });
const sized = (text: string): TarEntry => ({
  ...file("python/a"),
  alter: (header) => header.set(encoder.encode(text), 124),
});

interface Hostile {
  readonly name: string;
  readonly entries: readonly TarEntry[];
  readonly limits?: ExtractLimits;
  readonly os?: string;
}

const HOSTILE: readonly Hostile[] = [
  { name: "case 25: an absolute path", entries: [file("/tmp/beep_evil")] },
  { name: "case 25: a path that climbs out", entries: [file("python/../../evil")] },
  { name: "a path that climbs out at once", entries: [file("../evil")] },
  { name: "a path that climbs out deep inside", entries: [file("python/a/b/../../../../evil")] },
  { name: "a path of dots alone", entries: [file("python/..")] },
  { name: "a path with a dot", entries: [file("python/./a")] },
  { name: "a path with an empty part", entries: [file("python//a")] },
  { name: "a path beside the top", entries: [file("evil")] },
  { name: "a path with almost the top's name", entries: [file("python2/evil")] },
  { name: "the top itself as a file", entries: [file("python")] },
  { name: "a backslash", entries: [file("python\\..\\evil")] },
  { name: "a backslash inside", entries: [file("python/..\\..\\evil")] },
  { name: "a drive", entries: [file("python/C:/evil")] },
  { name: "a drive at the start", entries: [file("C:/evil")] },
  { name: "an alternate stream", entries: [file("python/a:b")] },
  { name: "a UNC path", entries: [file("//host/share/evil")] },
  { name: "a line feed in a name", entries: [file("python/a\nb")] },
  { name: "an escape in a name", entries: [file("python/a\x1b[2J")] },
  {
    name: "a name that is not UTF-8",
    entries: [{ ...file("python/aa"), alter: (header) => header.set([0xff, 0xfe], 7) }],
  },
  { name: "a link to an absolute path", entries: [link("python/a", "/etc/passwd")] },
  { name: "case 25: a link that climbs out", entries: [link("python/a", "../../etc/passwd")] },
  { name: "a link that climbs out later", entries: [link("python/a/b", "../../../outside")] },
  { name: "a link to nothing", entries: [link("python/a", "b")] },
  { name: "a link with an empty target", entries: [link("python/a", "")] },
  { name: "a link to itself", entries: [link("python/a", "a")] },
  {
    name: "a circle of links",
    entries: [link("python/a", "b"), link("python/b", "c"), link("python/c", "a")],
  },
  { name: "a link to the directory around it", entries: [file("python/d/x"), link("python/d/loop", "../d")] },
  { name: "case 25: a file below a link", entries: [link("python/a", "../.."), file("python/a/evil")] },
  {
    name: "a file below a harmless link",
    entries: [link("python/a", "b"), file("python/a/evil"), file("python/b/x")],
  },
  { name: "a link in place of a file", entries: [file("python/a"), link("python/a", "b"), file("python/b")] },
  { name: "a file in place of a link", entries: [link("python/a", "b"), file("python/a")] },
  { name: "case 26: a file twice", entries: [file("python/a", "1"), file("python/a", "2")] },
  { name: "a file as a directory", entries: [file("python/a"), file("python/a/b")] },
  { name: "a directory as a file", entries: [file("python/a/b"), file("python/a")] },
  {
    name: "case 26: names that differ in case, on macOS",
    entries: [file("python/A"), file("python/a")],
    os: "darwin",
  },
  {
    name: "names that differ in form, on macOS",
    entries: [file("python/\u00e9"), file("python/e\u0301")],
    os: "darwin",
  },
  { name: "a device's name, on Windows", entries: [file("python/NUL.txt")], os: "windows" },
  { name: "a trailing dot, on Windows", entries: [file("python/a./b")], os: "windows" },
  { name: "case 25: a hard link", entries: [typed("1")] },
  { name: "a character device", entries: [typed("3")] },
  { name: "a block device", entries: [typed("4")] },
  { name: "a fifo", entries: [typed("6")] },
  { name: "a contiguous file", entries: [typed("7")] },
  {
    name: "case 27: a pax record",
    entries: [{ ...file("python/PaxHeaders/a", "30 path=../../../../tmp/evil\n"), type: "x" }],
  },
  { name: "a global pax record", entries: [{ ...file("python/pax", "20 path=/tmp/evil\n"), type: "g" }] },
  {
    name: "case 27: a GNU long name",
    entries: [{ ...file("././@LongLink", "../../../evil\0"), type: "L" }, file("python/a")],
  },
  {
    name: "a GNU long link",
    entries: [{ ...file("././@LongLink", "/etc/passwd\0"), type: "K" }, link("python/a", "b")],
  },
  { name: "a GNU sparse file", entries: [typed("S")] },
  { name: "a vendor's own type", entries: [typed("Z")] },
  { name: "GNU's magic", entries: [magic("ustar  \0")] },
  { name: "no magic at all", entries: [magic("\0\0\0\0\0\0\0\0")] },
  { name: "a wrong checksum", entries: [{ ...file("python/a"), corrupt: (header) => header[0] = 0x71 }] },
  { name: "case 27: a size that is not octal", entries: [sized("99999999999\0")] },
  { name: "a negative size", entries: [sized("-0000000001\0")] },
  {
    name: "a binary size",
    entries: [{
      ...file("python/a"),
      alter: (header) => header.set([0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0], 124),
    }],
  },
  { name: "a size beyond the archive", entries: [sized("00077777777\0")] },
  { name: "a directory with content", entries: [{ path: "python/d/", type: "5", content: "x".repeat(512) }] },
  {
    name: "case 26: too many entries",
    entries: Array.from({ length: 50 }, (_, i) => file(`python/${i}`)),
    limits: { maxEntries: 49 },
  },
  { name: "too many bytes", entries: [file("python/a", "x".repeat(5000))], limits: { maxBytes: 4999 } },
  { name: "case 26: a bomb", entries: [file("python/a", "\0".repeat(6_000_000))], limits: { maxRatio: 5 } },
];

Deno.test("there are at least 40 hostile archives", () => {
  assert(HOSTILE.length >= 40, `there are ${HOSTILE.length}`);
});

for (const { name, entries, limits, os } of HOSTILE) {
  Deno.test(`extract() refuses ${name}, and writes nothing outside its target`, async () => {
    await using directory = await temporary();
    const archive = join(directory.path, "hostile.tar.gz");
    await Deno.writeFile(archive, tarGz(entries));
    const target = join(directory.path, "deep/er/target");
    const failure = await extract(
      context(directory.path, os === undefined ? {} : { os }),
      archive,
      target,
      limits,
    )
      .catch((error) => error);
    assert(failure instanceof ExtractError, `it was taken: ${Deno.inspect(failure)}`);
    const outside = (await tree(directory.path)).filter((path) => !path.startsWith("deep/er/target"));
    assertEquals(outside, ["deep", "deep/er", "hostile.tar.gz"]);
    assertEquals(await Deno.stat("/tmp/beep_evil").catch(() => "absent"), "absent");
  });
}

Deno.test("extract() tells a damaged gzip from a hostile archive by its hash", async () => {
  await using directory = await temporary();
  const whole = tarGz([file("python/a", "a".repeat(100_000))]);
  const archive = join(directory.path, "a.tar.gz");
  const broken: [string, Uint8Array][] = [
    ["cut", whole.subarray(0, whole.byteLength - 20)],
    ["no gzip", encoder.encode("<html>")],
    ["empty", new Uint8Array()],
    ["checked wrongly", whole.map((byte, index) => index === whole.byteLength - 6 ? byte ^ 1 : byte)],
    ["not tar", new Uint8Array(gzipSync(encoder.encode("no tar")))],
  ];
  for (const [name, bytes] of broken) {
    await Deno.writeFile(archive, bytes);
    const failure = await extract(context(directory.path), archive, join(directory.path, name)).catch((
      error,
    ) => error);
    assert(failure instanceof ExtractError, `${name}: ${Deno.inspect(failure)}`);
    assertEquals(failure.sha256.length, 64);
  }
});

Deno.test("extract() survives archives whose bytes were changed at random", async () => {
  await using directory = await temporary();
  const random = randomNumbers(7);
  const whole = tar([file("python/a", "a".repeat(600)), link("python/b", "a"), file("python/c/d", "x")]);
  for (let round = 0; round < 300; round++) {
    const bytes = whole.slice();
    for (let change = 0; change < 3; change++) {
      bytes[Math.floor(random() * bytes.byteLength)] = Math.floor(random() * 256);
    }
    const archive = join(directory.path, "changed.tar.gz");
    await Deno.writeFile(archive, gzipSync(bytes, { level: 1 }));
    const target = join(directory.path, "target");
    const failure = await extract(context(directory.path), archive, target).then(
      () => undefined,
      (error) => error,
    );
    assert(
      failure === undefined || failure instanceof ExtractError,
      `round ${round}: ${Deno.inspect(failure)}`,
    );
    const outside = (await tree(directory.path)).filter((path) => !path.startsWith("target"));
    assertEquals(outside, ["changed.tar.gz"]);
    await Deno.remove(target, { recursive: true });
  }
});

Deno.test("safeParts() and linkDestination() never lead outside", () => {
  const random = randomNumbers(11);
  const pieces = ["..", ".", "", "a", "/", "\\", "C:", "%2e%2e", "~", "b", "…", "\u0000"];
  for (let round = 0; round < 20_000; round++) {
    const path = Array.from(
      { length: 1 + Math.floor(random() * 6) },
      () => pieces[Math.floor(random() * pieces.length)],
    )
      .join(random() < 0.7 ? "/" : "");
    for (const make of [() => safeParts(path, "linux"), () => linkDestination(["d", "e", "link"], path)]) {
      try {
        const parts = make();
        assert(!parts.includes("..") && !join("/root", ...parts).includes("/../"));
        assert(join("/root", ...parts).startsWith("/root"), path);
      } catch (error) {
        assert(error instanceof ArchiveFault, String(error));
      }
    }
  }
});
