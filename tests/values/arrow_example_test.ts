/** The example that reads a table by JavaScript's own Arrow libraries. */

import { assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { environmentWith } from "./environment.ts";

// The same environment as in `arrays_test.ts`, so that it is made once.
const environment = await environmentWith(["numpy", "pandas", "polars", "pyarrow"]);
const reason = "reason" in environment ? ` (skipped: ${environment.reason})` : "";

Deno.test({
  name: `examples/arrow.ts${reason}`,
  ignore: reason !== "",
  fn: async () => {
    const home = await Deno.makeTempDir({ prefix: "beep-" });
    try {
      const prefix = fromFileUrl(new URL("..", `file://${(environment as { python: string }).python}`));
      const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
        args: [
          "run",
          "-A",
          "--no-lock",
          fromFileUrl(new URL("../../examples/arrow.ts", import.meta.url)),
          prefix,
        ],
        env: { NO_COLOR: "1", BEEP_PYTHON_HOME: home },
      }).output();
      assertEquals([code, code === 0 ? "" : new TextDecoder().decode(stderr)], [0, ""]);
      assertEquals(new TextDecoder().decode(stdout).includes("Rome"), true);
    } finally {
      await Deno.remove(home, { recursive: true });
    }
  },
});
