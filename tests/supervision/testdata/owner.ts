/**
 * Starts a host, brings its server into a state, prints the process ids that must not outlive it, and ends in the way
 * that it is told to, or waits to be killed.
 */

import { PythonHost } from "../../../host/mod.ts";

const [transport, path, state, end] = Deno.args as ["pipe" | "http", string, string, string];

/** What brings the server into a state; gives the ids of its children. */
const SETUP: Readonly<Record<string, string>> = {
  subprocess: `
import subprocess, sys
child = subprocess.Popen([sys.executable, "-I", "-S", "-c", "import time; time.sleep(600)"])
[child.pid]`,
  forked: `
import os, time
pid = os.fork()
if pid == 0:
    time.sleep(600)
[pid]`,
};
/** What the server does when the host dies. */
const BUSY: Readonly<Record<string, string>> = {
  // C code that holds the GIL: no Python thread can run, so none can watch.
  "busy-gil": "sum(range(10 ** 12))",
  "busy-deaf": `
import signal
for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
    try: signal.signal(number, signal.SIG_IGN)
    except OSError: pass
sum(range(10 ** 12))`,
  "busy-python": "while True: pass",
  "busy-sleep": "import time; time.sleep(600)",
};

const host = await PythonHost.start({ environment: { path }, transport });
const children = state in SETUP ? await host.evaluate<number[]>(SETUP[state]!) : [];
if (state in BUSY) {
  const begun = Promise.withResolvers<void>();
  // Python waits for this function's answer, so it has come to the line before; printed text may be on its way.
  host.evaluate(`begun()\n${BUSY[state]}`, { begun: () => begun.resolve() }).catch(() => {});
  await begun.promise;
}
console.log(JSON.stringify([host.server.pid, ...children]));
switch (end) {
  case "exit":
    Deno.exit(3);
    break;
  case "throw":
    throw new Error("thrown");
  case "reject":
    Promise.reject(new Error("rejected"));
    break;
  case "close":
    await host.close();
    break;
  default:
    setInterval(() => {}, 60_000);
}
