// The twins of the protocol say the same: constants and operations of both sides, and the version of the package.

import { assertEquals } from "@std/assert";
import config from "../../deno.json" with { type: "json" };
import {
  FRAMES_CONTENT_TYPE,
  FRAMES_PATH,
  JsonText,
  LIBRARY_VERSION,
  NONCE_HEADER,
  PIPE_MAGIC,
  PROOF_HEADER,
  PROTOCOL_VERSION,
  requestText,
  SESSION_HEADER,
} from "../../core/protocol.ts";

Deno.test("protocol.py has the same constants as protocol.ts", async () => {
  const source = await Deno.readTextFile(
    new URL("../../servers/python/beep_host/protocol.py", import.meta.url),
  );
  const constants = Object.fromEntries(
    Array.from(source.matchAll(/^([A-Z_]+) = b?"?(.+?)"?$/gm), ([, name, value]) => [name, value]),
  );
  assertEquals(constants.PROTOCOL_VERSION, String(PROTOCOL_VERSION));
  assertEquals(constants.SERVER_VERSION, LIBRARY_VERSION);
  assertEquals(constants.PIPE_MAGIC, new TextDecoder().decode(PIPE_MAGIC));
  assertEquals(constants.FRAMES_CONTENT_TYPE, FRAMES_CONTENT_TYPE);
  assertEquals(constants.FRAMES_PATH, FRAMES_PATH);
  assertEquals(constants.SESSION_HEADER, SESSION_HEADER);
  assertEquals(constants.NONCE_HEADER, NONCE_HEADER);
  assertEquals(constants.PROOF_HEADER, PROOF_HEADER);
  assertEquals(constants.MAX_SAFE_INTEGER, "2**53 - 1");
});

Deno.test("LIBRARY_VERSION is that of the package", () => {
  assertEquals(LIBRARY_VERSION, config.version);
});

Deno.test("requestText() writes the same for arguments as values and as text", () => {
  const args = ["ü", [1, null], { a: "\ud800" }];
  for (const options of [undefined, { tagged: 1, session: "s" } as const]) {
    const asValues = options === undefined ? [7, "evaluate", args] : [7, "evaluate", args, options];
    const text = new JsonText(JSON.stringify(args), args);
    assertEquals(
      requestText([7, "evaluate", text, ...(options === undefined ? [] : [options])] as never),
      JSON.stringify(asValues),
    );
    assertEquals(requestText(asValues as never), JSON.stringify(asValues));
  }
});
