// Connect's own conformance suite, against the parser, connection loop, codecs, deadlines and codes of our server. What of it
// runs is what we claim (conformance/config.yaml); how it meets our code says conformance/server.py.

import { assertEquals, assertMatch } from "@std/assert";
import { join } from "@std/path";
import { findGo, installed } from "./_go.ts";

const RUNNER = "connectrpc.com/conformance/cmd/connectconformance";
const VERSION = "v1.0.7";
const HERE = join(import.meta.dirname!, "conformance");

const go = await findGo();
const runner = go === null ? null : await installed(go, RUNNER, VERSION);

Deno.test({
  name: "Connect's conformance suite passes for unary and server streaming, in JSON and binary",
  // On Windows a server of the suite could not tell that its runner has died.
  ignore: runner === null || Deno.build.os === "windows",
  async fn() {
    const python = Deno.env.get("BEEP_TEST_PYTHON") ?? "python3";
    const sources = join(HERE, "../../../servers/python");
    const { code, stdout, stderr } = await new Deno.Command(runner!, {
      args: [
        ...["--mode", "server", "--conf", join(HERE, "config.yaml"), "--"],
        ...[python, "-B", join(HERE, "server.py"), sources],
      ],
    }).output();
    const decoder = new TextDecoder();
    const said = decoder.decode(stdout) + decoder.decode(stderr);
    assertEquals(code, 0, said);
    // As many as this version has for these features: fewer would mean that some were left out.
    assertMatch(said, /Total cases: 150\n150 passed, 0 failed/);
  },
});
