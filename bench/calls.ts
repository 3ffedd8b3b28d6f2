/**
 * What a call costs over each transport, beside the least that the same kind of wire can cost.
 *
 * `deno run -A bench/calls.ts [python]`; pinned to one processor where `taskset` is there (`bench/mod.ts` does that).
 *
 * @module
 */

import { PythonHostHttp, PythonHostPipe, servers } from "@beep/python-host";
import { startFloor } from "./floor.ts";
import { type Case, measure, report } from "./measure.ts";
import { chosenPython } from "./python.ts";

const ROUNDS = 15;
const COUNT = 400;

/** Measures and reports. */
export async function benchCalls(python: string): Promise<void> {
  const directory = await Deno.makeTempDir();
  const path = `${directory}/floor.sock`;
  const echo = await startFloor(python, "echo.py", [path]);
  const fixed = await startFloor(python, "http_fixed.py");
  const pipeServer = await servers.startServer({ python, transport: "pipe" });
  const httpServer = await servers.startServer({ python, transport: "http" });
  const pipe = new PythonHostPipe(pipeServer.endpoint);
  const http = new PythonHostHttp(httpServer.endpoint);
  const peer = await Deno.connect({ transport: "unix", path });
  const client = Deno.createHttpClient({});
  try {
    const list = await pipe.createObjectHandleFromResult([1]);
    const message = new Uint8Array(64);
    const buffer = new Uint8Array(65536);
    let number = 0;
    const cases: Case[] = [
      {
        name: "ping-pong of 64 bytes",
        async run(count) {
          for (let i = 0; i < count; i++) {
            await peer.write(message);
            await peer.read(buffer);
          }
        },
      },
      {
        name: "pipe: evaluate, source seen before",
        floor: "ping-pong of 64 bytes",
        goal: 2.5,
        async run(count) {
          for (let i = 0; i < count; i++) await pipe.evaluate("1+1");
        },
      },
      {
        name: "pipe: evaluate, new source each time",
        floor: "ping-pong of 64 bytes",
        goal: 2.5,
        async run(count) {
          for (let i = 0; i < count; i++) await pipe.evaluate(`1+${number++}`);
        },
      },
      {
        name: "pipe: method call with two arguments",
        floor: "ping-pong of 64 bytes",
        async run(count) {
          for (let i = 0; i < count; i++) await pipe.callMethod(list, "__contains__", [1]);
        },
      },
      {
        name: "fetch of a fixed reply",
        async run(count) {
          for (let i = 0; i < count; i++) {
            const response = await fetch(`http://127.0.0.1:${fixed.line}/`, {
              method: "POST",
              body: message,
              client,
            });
            await response.arrayBuffer();
          }
        },
      },
      {
        name: "HTTP: evaluate, source seen before",
        floor: "fetch of a fixed reply",
        goal: 2.5,
        async run(count) {
          for (let i = 0; i < count; i++) await http.evaluate("1+1");
        },
      },
    ];
    report("One call at a time", await measure(cases, ROUNDS, COUNT));
  } finally {
    await Promise.all([pipe.close(), http.close()]);
    await Promise.all([pipeServer.close(), httpServer.close()]);
    peer.close();
    client.close();
    echo.child.kill();
    fixed.child.kill();
    await Promise.all([echo.child.status, fixed.child.status]);
    await Deno.remove(directory, { recursive: true });
  }
}

if (import.meta.main) await benchCalls(await chosenPython());
