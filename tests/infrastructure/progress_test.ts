/**
 * Progress as a person sees it.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import {
  createProgressPrinter,
  formatBytes,
  formatProgress,
  type ProgressEvent,
} from "../../infrastructure/mod.ts";

const half: ProgressEvent = {
  stage: "download",
  subject: "cpython.tar.gz",
  done: 15_000_000,
  total: 30_000_000,
  bytesPerSecond: 2_500_000,
};

Deno.test("formatBytes() writes sizes as a person reads them", () => {
  assertEquals([0, 999, 1000, 12_345, 123_456_789, 5e12].map(formatBytes), [
    "0 B",
    "999 B",
    "1.0 KB",
    "12.3 KB",
    "123 MB",
    "5.0 TB",
  ]);
});

Deno.test("formatProgress() fits the width, with bar, share, size and rate", () => {
  const line = formatProgress(half, 100);
  assert(/Downloading cpython\.tar\.gz \[=+ +\] {2}50% 15\.0 MB of 30\.0 MB, 2\.5 MB\/s$/.test(line), line);
  for (let columns = 20; columns < 120; columns++) {
    assert(formatProgress(half, columns).length <= columns, `${columns}`);
  }
  assertEquals(formatProgress({ stage: "create", subject: "mine" }), "Creating mine");
  const loud = formatProgress({
    stage: "install",
    subject: "mine",
    message: "\x1b[31mCollecting\x1b[0m x\r\n",
  });
  assertEquals(loud, "Installing into mine: Collecting x");
});

Deno.test("a terminal gets one live line", () => {
  const written: string[] = [];
  {
    using printer = createProgressPrinter({
      write: (text) => written.push(text),
      terminal: true,
      columns: 80,
    });
    printer.listener(half);
    printer.listener({ ...half, done: 30_000_000 });
  }
  assertEquals(written.length, 3);
  assert(written[0]!.startsWith("\r\x1b[2K") && written[1]!.includes("100%"));
  assertEquals(written[2], "\n");
});

Deno.test("elsewhere there are plain lines, and not one for each event", () => {
  const written: string[] = [];
  using printer = createProgressPrinter({ write: (text) => written.push(text), terminal: false });
  for (let done = 0; done <= 100; done++) printer.listener({ ...half, done: done * 1000, total: 100_000 });
  printer.listener({ stage: "done", subject: "x" });
  assertEquals(written.length, 6);
  assert(written.every((line) => line.endsWith("\n") && !line.includes("\x1b")));
});
