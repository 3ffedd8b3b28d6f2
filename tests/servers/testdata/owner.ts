/** Starts a server that has a child, prints their process ids, and ends in the way that its first argument says. */

import { makeWorkbench, waitForOutput } from "../_launch.ts";

const bench = await makeWorkbench();
const server = await bench.start({ env: { STAND_IN: "children" }, name: "owned" });
const [, child] = await waitForOutput(() => server.stdout.text, /^child (\d+)$/m);
console.log(JSON.stringify({ home: bench.home, pids: [server.pid, Number(child)] }));

switch (Deno.args[0]) {
  case "exit":
    Deno.exit(3);
    break;
  case "throw":
    throw new Error("unhandled");
  case "forget": // to close: an idle server keeps no program running
    break;
  default: // is killed by the test
    setInterval(() => {}, 60_000);
}
