// Garbage collectors of both languages run at any moment, in the middle of other work: what they free is released later, in
// order, and never by the finalizer itself.

import { assert, assertEquals } from "@std/assert";
import { startBackend } from "./started_server.ts";

const ROUNDS = 15;
const AT_ONCE = 100;

Deno.test({
  name:
    "case 91, 92: what both collectors find in the middle of calls is released, and nothing waits for ever",
  async fn() {
    await using started = await startBackend();
    const { server } = started;
    const program = `
      import { PythonHostPipe } from ${JSON.stringify(import.meta.resolve("../../transports/mod.ts"))};
      import { pythonDropped } from ${JSON.stringify(import.meta.resolve("../../core/values.ts"))};
      const [address, token, rounds, width] = JSON.parse(Deno.args[0]);
      await using python = new PythonHostPipe(address, { token });
      await python.evaluate(\`
import gc
gc.set_threshold(1)  # a collection at nearly every allocation, whatever the server is doing just then
class Thing:
  def __init__(self, call): self.call = call; self.me = self  # only a collector frees it
  def __del__(self): self.call
alive = lambda: sum(type(o) is Thing for o in gc.get_objects())
\`);
      let dropped = 0;
      for (let round = 0; round < rounds; round++) {
        // The handle is forgotten, and Python's object is in a cycle with a function of this program.
        await Promise.all(Array.from({ length: width }, async (_, i) => {
          const call = Object.assign(() => i, { [pythonDropped]: () => dropped++ });
          await python.evaluate("Thing(call)", { call }, { result: "handle", concurrent: i % 2 === 0 });
          if (i % 10 === 0) gc();
        }));
      }
      const end = performance.now() + 30_000;
      let alive = Infinity;
      // A collector works when it likes: there is no event for it.
      while ((alive > 0 || dropped < rounds * width) && performance.now() < end) {
        gc();
        await new Promise((resolve) => setTimeout(resolve, 10));
        alive = await python.evaluate("gc.collect(); alive()");
      }
      console.log(JSON.stringify({ alive, dropped }));`;
    const { stdout, stderr, success } = await new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "-A",
        "--no-check",
        "--no-lock",
        "--v8-flags=--expose-gc",
        "-c",
        new URL("../../deno.json", import.meta.url).pathname,
        `data:application/typescript,${encodeURIComponent(program)}`,
        JSON.stringify([server.address, server.token, ROUNDS, AT_ONCE]),
      ],
      env: { NO_COLOR: "1" },
    }).output();
    assert(success, new TextDecoder().decode(stderr));
    assertEquals(JSON.parse(new TextDecoder().decode(stdout)), { alive: 0, dropped: ROUNDS * AT_ONCE });
  },
});
