/**
 * A table as an Arrow IPC stream, read by the two Arrow libraries of JavaScript.
 *
 * Run with: deno run -A examples/arrow.ts [path of an environment that has pyarrow]
 */

import { PythonHost } from "@beep/python-host";
import { assertEquals } from "@std/assert";
import { tableFromIPC as apache } from "npm:apache-arrow@^21.2.0";
import { tableFromIPC as flechette } from "npm:@uwdata/flechette@~2.6.0";

const path = Deno.args[0];
await using host = await PythonHost.start(
  path === undefined ? { packages: ["pyarrow"] } : { environment: { path } },
);
const stream = await host.evaluate<Uint8Array>(
  `
  import pyarrow
  pyarrow.table({"city": ["Oslo", "Rome", None], "degrees": [3.5, 16.0, 21.25]})
  `,
  {},
  { result: "arrow" },
);

const rows = [
  { city: "Oslo", degrees: 3.5 },
  { city: "Rome", degrees: 16 },
  { city: null, degrees: 21.25 },
];
assertEquals(apache(stream).toArray().map((row) => row.toJSON()), rows);
assertEquals(flechette(stream).toArray(), rows);
console.table(rows);
