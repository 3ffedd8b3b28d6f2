// What a terminal does to a host does not reach its server.

import { assert, assertStringIncludes } from "@std/assert";
import { makePlace } from "./_servers.ts";

/** Runs a program on a terminal of its own, presses Ctrl-C when it says so, and writes what the terminal shows. */
const TERMINAL = `
import os, pty, sys
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
shown, pressed = b"", False
while True:
    try:
        data = os.read(terminal, 65536)
    except OSError:  # the terminal's other end was closed
        break
    if not data:
        break
    shown += data
    if not pressed and b"waiting" in shown:
        os.write(terminal, b"\\x03")
        pressed = True
sys.stdout.buffer.write(shown)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))`;

Deno.test({
  name: "case 48: Ctrl-C reaches the host alone, which decides; the call that runs goes on",
  ignore: Deno.build.os === "windows",
  async fn() {
    await using place = await makePlace();
    const program = `${place.path}/program.ts`;
    await Deno.writeTextFile(
      program,
      `import { PythonHost } from ${JSON.stringify(import.meta.resolve("../../host/mod.ts"))};
      await using host = await PythonHost.start({ environment: { path: Deno.args[0] } });
      const { promise, resolve } = Promise.withResolvers();
      Deno.addSignalListener("SIGINT", () => resolve("pressed"));
      const wait = () => (console.log("waiting"), promise);
      console.log("first", await host.evaluate("wait()", { wait }));
      // An interrupt that had come to the server, too, would be in its main thread by now.
      console.log("second", await host.evaluate("sum(range(1_000_000))"));`,
    );
    const config = new URL("../../deno.json", import.meta.url).pathname;
    const { stdout, stderr, success } = await new Deno.Command(`${place.venv}/bin/python`, {
      args: [
        ...["-I", "-c", TERMINAL, Deno.execPath(), "run", "-A", "--no-check", "--no-lock", "-c", config],
        ...[program, place.venv],
      ],
      stdin: "null",
      env: { NO_COLOR: "1" },
    }).output();
    const shown = new TextDecoder().decode(stdout);
    assert(success, shown + new TextDecoder().decode(stderr));
    assertStringIncludes(shown, "first pressed");
    assertStringIncludes(shown, "second 499999500000");
  },
});
