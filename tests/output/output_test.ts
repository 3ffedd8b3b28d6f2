// What a server's code writes: where it goes, and that a flood of it is bounded. Numbers are those of docs/FAILURE_MODES.md.

import {
  assert,
  assertEquals,
  assertGreater,
  assertLess,
  assertLessOrEqual,
  assertRejects,
} from "@std/assert";
import { OUTPUT_RING_BYTES } from "../../servers/output_ring.ts";
import { startBench, TRANSPORTS, until } from "./_server.ts";

/** Keeps this program from doing anything else until a file's text, or its absence, is as wanted. */
function blockUntil(path: string, isWanted: (text: string | undefined) => boolean): void {
  const nobody = new Int32Array(new SharedArrayBuffer(4));
  for (let tries = 0; tries < 3_000; tries++) {
    let text: string | undefined;
    try {
      text = Deno.readTextFileSync(path);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
    if (isWanted(text)) return;
    Atomics.wait(nobody, 0, 0, 10);
  }
}

/** How often in a row the same number must have been read, 10 ms apart: it is written every 5 ms. */
const STILL = 50;

for (const transport of TRANSPORTS) {
  Deno.test(`case 55: 100 MB to stdout and stderr are drained, and a call goes on (${transport})`, async () => {
    await using bench = await startBench(transport);
    const code = `
import os, sys
block = b'x' * 1_000_000
for _ in range(50):
    for fd in (1, 2):
        view = memoryview(block)
        while view: view = view[os.write(fd, view):]
7`;
    assertEquals(await bench.backend.evaluate(code), 7);
    await until(() => bench.server.stdout.droppedBytes > 48_000_000, "50 MB of stdout");
    await until(() => bench.server.stderr.droppedBytes > 48_000_000, "50 MB of stderr");
    assertEquals(bench.server.stdout.text.length <= OUTPUT_RING_BYTES, true);
  });

  Deno.test(`case 56: a flood of prints is bounded and counted, and stopped by a cancel (${transport})`, async () => {
    await using bench = await startBench(transport);
    const flood = "while True: print('x' * 1000)";
    {
      const controller = new AbortController();
      const call = bench.backend.evaluate(flood, undefined, { signal: controller.signal })
        .catch((error) => error);
      await until(() => bench.server.stdout.droppedBytes > 0, "dropped bytes");
      controller.abort("enough");
      assertEquals(await call, "enough");
      assertLessOrEqual(bench.server.stdout.text.length, OUTPUT_RING_BYTES);
    }

    let received = 0;
    const controller = new AbortController();
    const onStdout = (text: string): void => {
      received += text.length;
      if (received > 100_000) controller.abort("enough");
    };
    const call = bench.backend.evaluate(flood, undefined, { signal: controller.signal, onStdout });
    assertEquals(await call.catch((error) => error), "enough");
    assertEquals(await bench.backend.evaluate("1 + 1"), 2);
  });

  Deno.test(`case 56: a client that does not read slows a call down, and costs bounded memory (${transport})`, async () => {
    // Several times as much may be on its way at once: kept, copied for sending, and being sent.
    await using bench = await startBench(transport, { limits: { maxBufferedBytes: 4_000_000 } });
    const other = bench.connect();
    await using stack = new AsyncDisposableStack();
    const directory = await Deno.makeTempDir({ prefix: "beep-" });
    stack.defer(() => Deno.remove(directory, { recursive: true }));
    const told = `${directory}/told`;
    await other.evaluate("import resource");
    const before = await other.evaluate<number>("resource.getrusage(resource.RUSAGE_SELF).ru_maxrss");
    let written: number | undefined;
    const flood = bench.backend.evaluate<number>(
      `
import os, threading
lines = 0
done = threading.Event()
def tell():
    over = False
    while not over:
        over = done.wait(0.005)
        with open(told + ".new", "w") as file: file.write(str(lines))
        os.replace(told + ".new", told)
teller = threading.Thread(target=tell)
teller.start()
for lines in range(1, 60_001):
    print('x' * 1000)
done.set()
teller.join()
7`,
      { told },
      {
        onStdout: () => {
          if (written !== undefined) return;
          // The program is busy and reads nothing until Python has come to a halt.
          let last: string | undefined;
          let times = 0;
          blockUntil(told, (text) => {
            times = text === last ? times + 1 : 0;
            last = text;
            return text !== undefined && times === STILL;
          });
          written = Number(last);
        },
      },
    );
    assertEquals(await flood, 7);
    assertLess(written!, 60_000, "the call waited for its client");
    const after = await other.evaluate<number>("resource.getrusage(resource.RUSAGE_SELF).ru_maxrss");
    // In KiB on Linux, in bytes on macOS. 60 MB were printed.
    const unit = Deno.build.os === "darwin" ? 1 : 1024;
    assertLess((after - before) * unit, 30_000_000, "the server keeps more than it may");
  });

  Deno.test(`case 56: a coroutine's flood delays no other coroutine, and what is dropped is told (${transport})`, async () => {
    await using bench = await startBench(transport);
    const other = bench.connect();
    await other.initialize();
    await using stack = new AsyncDisposableStack();
    const directory = await Deno.makeTempDir({ prefix: "beep-" });
    stack.defer(() => Deno.remove(directory, { recursive: true }));
    const flooded = `${directory}/flooded`;
    let text = "";
    const flood = bench.backend.evaluate<number>(
      `
import asyncio
for i in range(80_000):
    print('x' * 1000)
    if i % 100 == 0: await asyncio.sleep(0)
open(flooded, 'x').close()
7`,
      { flooded },
      {
        onStdout: (piece) => {
          // The program is busy and reads nothing until all is written.
          if (text === "") blockUntil(flooded, (there) => there !== undefined);
          text += piece.length > 200_000 ? piece.slice(0, 1000) : piece;
        },
      },
    );
    await until(() => text !== "", "output");
    assertEquals(await other.evaluate("import asyncio\nawait asyncio.sleep(0)\n3"), 3);
    assertEquals(await flood, 7);
    const dropped = [...text.matchAll(/\[(\d+) characters dropped: the client did not read them\]/g)]
      .reduce((sum, [, count]) => sum + Number(count), 0);
    assertGreater(dropped, 0);
    const lines = text.match(/^x+$/gm)!.length;
    assertEquals(lines + dropped / 1001, 80_000, "every line came or was counted");
  });
}

Deno.test("case 67: what C code and subprocesses write is the server's output and never the wire", async () => {
  await using bench = await startBench();
  const code = `
import ctypes, os, subprocess, sys
libc = ctypes.CDLL(None)
libc.puts(b'from C')
libc.fflush(None)
os.write(1, b'[1,"ok",0]\\n')
subprocess.run([sys.executable, '-I', '-c', 'print("from a child")'], check=True)
print('from a call')
7`;
  let out = "";
  assertEquals(await bench.backend.evaluate(code, undefined, { onStdout: (text) => void (out += text) }), 7);
  assertEquals(out, "from a call\n");
  await until(() => bench.server.stdout.text.includes("from a child"), "output of the child");
  for (const text of ["from C", '[1,"ok",0]']) assert(bench.server.stdout.text.includes(text), text);
});

Deno.test("what is printed without a listener is the server's output, a line at a time", async () => {
  await using bench = await startBench();
  await bench.backend.evaluate("import sys; print('to nobody'); print('oh', file=sys.stderr)");
  await until(() => bench.server.stdout.text.includes("to nobody\n"), "the line");
  await until(() => bench.server.stderr.text.includes("oh\n"), "the line");
});

Deno.test("a client that ends in the middle of a flood ends the call", async () => {
  await using bench = await startBench();
  const client = bench.connect();
  const other = bench.connect();
  await other.initialize();
  const flood = client.evaluate("while True: print('x' * 1000)", undefined, { onStdout: () => {} });
  const ended = assertRejects(() => flood);
  await other.evaluate("import time; time.sleep(0.1)");
  await client.close();
  await ended;
  for (const end = performance.now() + 30_000;;) {
    const { running } = await other.stats();
    if (running === 0) break;
    assert(performance.now() < end, `${running} calls still run`);
  }
});
