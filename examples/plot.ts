/**
 * A plot: drawn by matplotlib, written as a file, and shown in a Deno notebook.
 *
 * Run with: deno run -A examples/plot.ts [path of an environment that has matplotlib]
 */

import { forNotebook, type MimeBundle, openSession, PythonHost } from "@beep/python-host";
import { assert, assertEquals } from "@std/assert";

const path = Deno.args[0];
await using host = await PythonHost.start(
  path === undefined ? { packages: ["matplotlib"] } : { environment: { path } },
);
await using session = await openSession(host.backend);

// The value of the code is a figure: `show` gives it in the forms that are asked for.
const plot = await session.show(
  `
  from matplotlib.figure import Figure

  figure = Figure(figsize=(4, 3))
  axes = figure.add_subplot()
  axes.plot(days, degrees)
  axes.set_ylabel("°C")
  figure
  `,
  { days: [1, 2, 3, 4, 5], degrees: [11.2, 13.9, 12.4, 15.0, 16.3] },
  { include: ["image/png", "image/svg+xml"] },
);
assert(plot !== null);

// As files.
const png = plot["image/png"] as Uint8Array;
const directory = await Deno.makeTempDir({ prefix: "beep-plot-" });
await Deno.writeFile(`${directory}/plot.png`, png);
await Deno.writeTextFile(`${directory}/plot.svg`, plot["image/svg+xml"] as string);
assertEquals([...png.subarray(1, 4)], [..."PNG"].map((letter) => letter.charCodeAt(0)));
console.log(`plot.png has ${png.byteLength > 1000 ? "thousands of" : "few"} bytes`);

// As the last expression of a notebook's cell, this shows the plot.
const cell = forNotebook(plot);
assert(Symbol.for("Jupyter.display") in cell);

// pyplot's own way: each plt.show() is told while the code runs.
const shown: MimeBundle[] = [];
await session.evaluate(
  `
  import matplotlib.pyplot as plt
  for day in (1, 2):
      plt.plot([0, day])
      plt.show()
  `,
  undefined,
  { onDisplay: (bundle) => void shown.push(bundle) },
);
console.log(`plt.show() showed ${shown.length} figures`);
assertEquals(shown.map((bundle) => Object.keys(bundle).sort()), [["image/png", "text/plain"], [
  "image/png",
  "text/plain",
]]);
await Deno.remove(directory, { recursive: true });
