// Figures and tables as things to look at, with the libraries that make them.

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { fromFileUrl } from "@std/path";
import type { MimeBundle } from "../../core/call_events.ts";
import { openSession } from "../../objects/mod.ts";
import { startBench, TRANSPORTS } from "../output/_server.ts";
import { plottingEnvironment } from "./_plotting.ts";

const environment = await plottingEnvironment();
const path = "path" in environment ? environment.path : "";
const ignored = "reason" in environment ? ` (ignored: ${environment.reason})` : "";

for (const transport of TRANSPORTS) {
  Deno.test({
    name: `a figure arrives as PNG and SVG, a data frame as HTML (${transport})${ignored}`,
    ignore: ignored !== "",
    fn: async () => {
      await using bench = await startBench(transport, { python: `${path}/bin/python` });
      await using session = await openSession(bench.backend);
      const code =
        "from matplotlib.figure import Figure\nfigure = Figure()\nfigure.add_subplot().plot([1, 3, 2])\nfigure";
      const figure = await session.show(code, {}, { include: ["image/png", "image/svg+xml"] });
      assertPng(figure?.["image/png"]);
      assertStringIncludes(figure?.["image/svg+xml"] as string, "</svg>");
      assertPng((await session.show("figure"))?.["image/png"]);

      const frame = await session.show("import pandas\npandas.DataFrame({'a': [1, 2]})");
      assertStringIncludes(frame?.["text/html"] as string, "<table");
      assertStringIncludes(frame?.["text/plain"] as string, "0  1");

      const shown: MimeBundle[] = [];
      const pyplot = "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()\nlen(plt.get_fignums())";
      const open = await session.evaluate(pyplot, undefined, {
        onDisplay: (bundle) => void shown.push(bundle),
      });
      assertEquals(open, 0, "what was shown is closed");
      assertEquals(shown.length, 1);
      assertPng(shown[0]!["image/png"]);
      assertEquals(
        await session.evaluate("import os; 'MPLBACKEND' in os.environ"),
        false,
        "children inherit nothing",
      );
    },
  });
}

Deno.test({
  name: `examples/plot.ts${ignored}`,
  ignore: ignored !== "",
  fn: async () => {
    const home = await Deno.makeTempDir({ prefix: "beep-" });
    try {
      const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
        args: [
          "run",
          "-A",
          "--no-lock",
          fromFileUrl(new URL("../../examples/plot.ts", import.meta.url)),
          path,
        ],
        env: { NO_COLOR: "1", BEEP_PYTHON_HOME: home },
      }).output();
      assertEquals([code, code === 0 ? "" : new TextDecoder().decode(stderr)], [0, ""]);
      assertEquals(
        new TextDecoder().decode(stdout),
        "plot.png has thousands of bytes\nplt.show() showed 2 figures\n",
      );
    } finally {
      await Deno.remove(home, { recursive: true });
    }
  },
});

function assertPng(form: unknown): void {
  assert(form instanceof Uint8Array, String(form));
  assertEquals([...form.subarray(0, 4)], [0x89, 80, 78, 71]);
}
