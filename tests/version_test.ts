/**
 * One version everywhere: the package, the first message of each side, and the protocol.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { join } from "@std/path";
import { LIBRARY_VERSION, PROTOCOL_VERSION } from "../core/protocol.ts";
import config from "../deno.json" with { type: "json" };

Deno.test("the library's version is the package's", () => {
  assertEquals(LIBRARY_VERSION, config.version);
});

Deno.test("the Python side has the same versions", async () => {
  const path = join(import.meta.dirname!, "..", "servers", "python", "beep_host", "protocol.py");
  const source = await Deno.readTextFile(path);
  assertEquals(readConstant(source, "SERVER_VERSION"), LIBRARY_VERSION);
  assertEquals(readConstant(source, "PROTOCOL_VERSION"), PROTOCOL_VERSION);
});

/** The value of a top-level `NAME = literal`, with or without an annotation. */
function readConstant(source: string, name: string): unknown {
  const found = source.match(new RegExp(`^${name}(?:: *\\w+)? = (.+)$`, "m"));
  return found === null ? undefined : JSON.parse(found[1]!);
}
