// User code that does its worst: the server goes on, or ends cleanly and says why. Numbers are those of docs/FAILURE_MODES.md.

import { assert, assertEquals, assertInstanceOf, assertRejects, assertStrictEquals } from "@std/assert";
import {
  CallNotInterruptedError,
  CallTimeoutError,
  PythonError,
  PythonHostError,
  ServerExitedError,
} from "../../core/errors.ts";
import { startBench, TRANSPORTS, until } from "../output/_server.ts";

/**
 * Sends a signal while no call runs, until what its handler raised is reported. The kernel gives it to any thread when the main one
 * is just about to take another signal, and Python's handler then runs when the main thread next wakes: a call wakes it, and may
 * get what the handler raises, so that the signal is sent again.
 */
async function signalUntilReported(
  { backend, server }: Awaited<ReturnType<typeof startBench>>,
  signal: Deno.Signal,
  report: string,
): Promise<void> {
  const isReported = (): boolean => server.stderr.text.includes(report);
  for (let tries = 1; !isReported(); tries++) {
    Deno.kill(server.pid, signal);
    const failure = await until(isReported, `report of ${signal}`, 2_000).catch((error: Error) => error);
    if (failure === undefined) return;
    if (tries === 10) throw failure;
    const late = await backend.evaluate("1 + 1").catch((error: unknown) => error);
    assert(late === 2 || late instanceof PythonError, String(late));
  }
}

for (const transport of TRANSPORTS) {
  Deno.test(`case 63: a fork that comes back runs the rest of its code and leaves (${transport})`, async () => {
    await using bench = await startBench(transport);
    const { backend, server } = bench;
    let out = "";
    const pid = await backend.evaluate<number>(
      "import os\npid = os.fork()\nif pid == 0: print('in the child', os.getpid())\npid",
      undefined,
      { onStdout: (text) => void (out += text) },
    );
    assertEquals(await backend.evaluate("os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])"), 0);
    await until(() => server.stdout.text.includes(`in the child ${pid}`), "output of the child");
    assertEquals(out, "", "the child has no client");

    const status = "os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])";
    const forked = (code: string) => `pid = os.fork()\nif pid == 0:\n  ${code}\n${status}`;
    assertEquals(await backend.evaluate(forked("raise ValueError('child')")), 1);
    await until(() => server.stderr.text.includes("ValueError: child"), "the child's traceback");
    assertEquals(await backend.evaluate(`import sys\n${forked("sys.exit(7)")}`), 7);
    const inThread = `
import threading
def work():
    global pid
    pid = os.fork()
thread = threading.Thread(target=work); thread.start(); thread.join()
${status}`;
    assertEquals(await backend.evaluate(inThread), 0);
    assertEquals(
      await backend.evaluate(`pid = os.fork()\n${status} if pid else None`, {}, { concurrent: true }),
      0,
    );
    assertEquals(await backend.evaluate("1 + 1"), 2);
  });

  Deno.test(`case 63: a forked child that lives on holds none of the server's descriptors (${transport})`, async () => {
    await using bench = await startBench(transport);
    const { backend } = bench;
    const code = `
import os, stat
ready, told = os.pipe()
pid = os.fork()
if pid == 0:
    sockets = []
    for fd in range(3, 256):
        try:
            if stat.S_ISSOCK(os.fstat(fd).st_mode): sockets.append(fd)
        except OSError: pass
    os.write(told, repr(sockets).encode())
    import time
    time.sleep(60)
os.read(ready, 4096).decode()`;
    assertEquals(await backend.evaluate(code), "[]");
    assertEquals(
      await backend.evaluate("os.kill(pid, 15); os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])"),
      -15,
    );
    assertEquals(await backend.evaluate("1 + 1"), 2);
  });

  Deno.test(`case 64: multiprocessing works in all its start methods (${transport})`, async () => {
    await using bench = await startBench(transport);
    const { backend } = bench;
    for (const method of ["fork", "spawn", "forkserver"]) {
      const code = `
import math, multiprocessing
context = multiprocessing.get_context(method)
with context.Pool(2) as pool: roots = pool.map(math.sqrt, [1, 4, 9])
queue = context.SimpleQueue()
process = context.Process(target=queue.put, args=('sent',))
process.start(); process.join()
[roots, queue.get(), process.exitcode]`;
      assertEquals(await backend.evaluate(code, { method }), [[1, 2, 3], "sent", 0], method);
    }
    const own = `
def double(x): return 2 * x
with multiprocessing.get_context('fork').Pool(2) as pool: doubled = pool.map(double, [1, 2])
doubled`;
    assertEquals(await backend.evaluate(own), [2, 4], "a function of the session's own, by fork");
    assertEquals(await backend.evaluate("len(multiprocessing.active_children())"), 0);
  });

  for (const [name, code] of [["all", "0, 65536"], ["all but the standard ones", "3, 65536"]] as const) {
    Deno.test(`case 65: closing ${name} descriptors ends the server cleanly (${transport})`, async () => {
      await using bench = await startBench(transport);
      const { backend, server } = bench;
      const error = await assertRejects(() => backend.evaluate(`import os; os.closerange(${code})`));
      assertInstanceOf(error, ServerExitedError);
      assertEquals([error.exitCode, error.signal], [70, null]);
      if (code.startsWith("3")) {
        assert(error.stderrTail.includes("user code closed the server's descriptors"), error.stderrTail);
      }
      assertEquals((await server.exited).code, 70);
    });
  }

  Deno.test(`case 65: closing the descriptors 0 to 2 harms no call (${transport})`, async () => {
    await using bench = await startBench(transport);
    const { backend } = bench;
    assertEquals(await backend.evaluate("import os; os.closerange(0, 3)"), null);
    let out = "";
    await backend.evaluate("print('still heard')", undefined, { onStdout: (text) => void (out += text) });
    assertEquals(out, "still heard\n");
    assertEquals(await backend.evaluate("1 + 1"), 2);
  });

  Deno.test(`case 66: stdin is at its end for every reader (${transport})`, async () => {
    await using bench = await startBench(transport);
    const { backend } = bench;
    const error = await assertRejects(() => backend.evaluate("input('name? ')"), PythonError);
    assertEquals(error.pythonType, "EOFError");
    assertEquals(
      await backend.evaluate("import sys; [sys.stdin.read(), sys.stdin.readline(), list(sys.stdin)]"),
      [
        "",
        "",
        [],
      ],
    );
    assertEquals(await backend.evaluate("import os; os.read(0, 10) == b''"), true);
    const child = "import subprocess\nsubprocess.run(['cat'], capture_output=True).stdout == b''";
    assertEquals(await backend.evaluate(child), true);
    await assertRejects(() => backend.evaluate("import getpass; getpass.getpass()"), PythonError, "EOFError");
    assertEquals(await backend.evaluate("1 + 1"), 2);
  });

  Deno.test(`case 68: exits and their like are errors of one call (${transport})`, async () => {
    await using bench = await startBench(transport);
    const { backend } = bench;
    for (
      const [code, type] of [
        ["import sys; sys.exit(3)", "SystemExit"],
        ["raise SystemExit", "SystemExit"],
        ["exit()", "SystemExit"],
        ["raise KeyboardInterrupt", "KeyboardInterrupt"],
        ["raise GeneratorExit", "GeneratorExit"],
        ["import asyncio\nawait asyncio.sleep(0)\nraise SystemExit(4)", "SystemExit"],
        ["import asyncio\nawait asyncio.sleep(0)\nraise KeyboardInterrupt", "KeyboardInterrupt"],
      ] as const
    ) {
      // `site` gives `exit`, which isolated mode has too.
      const error = await assertRejects(() => backend.evaluate(code), PythonError, undefined, code);
      assertEquals(error.pythonType, type, code);
    }
    const thread =
      "import threading\nt = threading.Thread(target=sys.exit, args=(3,)); t.start(); t.join(); 7";
    assertEquals(await backend.evaluate(thread), 7);
    const raising = "t = threading.Thread(target=lambda: 1 / 0); t.start(); t.join(); 8";
    let err = "";
    assertEquals(await backend.evaluate(raising, undefined, { onStderr: (text) => void (err += text) }), 8);
    assert(err.includes("ZeroDivisionError"), err);
  });

  Deno.test(`user code's signal handlers work in user code and break nothing outside (${transport})`, async () => {
    await using bench = await startBench(transport);
    const { backend } = bench;
    const code = `
import os, signal, time
def on_alarm(signum, frame): raise TimeoutError('alarm')
signal.signal(signal.SIGALRM, on_alarm)
[signal.getsignal(signal.SIGALRM) is on_alarm, signal.getsignal(signal.SIGINT) is signal.default_int_handler]`;
    assertEquals(await backend.evaluate(code), [true, true]);
    // Wherever it rings: in user code, while something is sent, in between.
    const waits = ["time.sleep(5)", "while True: pass", "while True: print('x')", "while True: f()"];
    for (const wait of waits) {
      for (const seconds of [0.05, 0.001, 0.0013, 0.0017, 0.0021, 0.0025]) {
        const call = `signal.setitimer(signal.ITIMER_REAL, ${seconds})\n${wait}`;
        const options = { onStdout: () => {}, timeoutMs: 10_000 };
        await assertRejects(() => backend.evaluate(call, { f: () => 1 }, options), PythonError, "alarm");
      }
    }
    // It rings when no call runs: in the server's own loop.
    await signalUntilReported(bench, "SIGALRM", "outside of a call");
    assertEquals(await backend.evaluate("1 + 1"), 2);

    const interrupt = "os.kill(os.getpid(), signal.SIGINT); time.sleep(5)";
    await assertRejects(() => backend.evaluate(interrupt), PythonError, "KeyboardInterrupt");
    await signalUntilReported(bench, "SIGINT", "KeyboardInterrupt");
    assertEquals(await backend.evaluate("1 + 1"), 2);
  });

  Deno.test(`a signal handler that takes ours over leaves calls stoppable (${transport})`, async () => {
    await using bench = await startBench(transport);
    const { backend } = bench;
    await backend.evaluate(
      "import signal\nfor n in (signal.SIGUSR1, signal.SIGUSR2): signal.signal(n, signal.SIG_IGN)",
    );
    await assertRejects(() => backend.evaluate("while True: pass", {}, { timeoutMs: 100 }), CallTimeoutError);
    assertEquals(await backend.evaluate("1 + 1"), 2);
  });

  Deno.test(`a replaced sys.stdout takes what is printed, and breaks nothing (${transport})`, async () => {
    await using bench = await startBench(transport);
    const { backend } = bench;
    let out = "";
    const listen = { onStdout: (text: string) => void (out += text) };
    const code = `
import contextlib, io, sys
with contextlib.redirect_stdout(io.StringIO()) as text: print('kept')
print('heard')
text.getvalue()`;
    assertEquals(await backend.evaluate(code, undefined, listen), "kept\n");
    assertEquals(out, "heard\n");
    for (const hostile of ["None", "3", "object()", "open('/dev/full', 'w')"]) {
      await backend.evaluate(`before, sys.stdout = sys.stdout, ${hostile}`, undefined, listen);
      await backend.evaluate("print('lost')", undefined, listen).catch(() => {});
      assertEquals(await backend.evaluate("sys.stdout = before\n1 + 1", undefined, listen), 2, hostile);
    }
    out = "";
    await backend.evaluate("sys.stdout.close(); sys.stderr.close(); print('open')", undefined, listen);
    assertEquals(out, "open\n");
  });

  Deno.test(`code that breaks the module by which replies are made breaks no reply (${transport})`, async () => {
    await using bench = await startBench(transport);
    // A module of this name on the path does as much.
    const broken =
      "import sys, types\nsys.modules['json'] = types.ModuleType('json')\nraise ValueError('mine')";
    await assertRejects(() => bench.backend.evaluate(broken), PythonHostError, "ValueError: mine");
    assertEquals(await bench.backend.evaluate("1 + 1"), 2);
  });

  Deno.test(`case 71: code that swallows a stop is stopped again, and at last given up (${transport})`, async () => {
    await using bench = await startBench(transport);
    const { backend } = bench;
    const twice = `
import time
swallowed = 0
while swallowed < 2:
    try:
        print('begun')
        time.sleep(60)
    except BaseException: swallowed += 1
time.sleep(60)`;
    const reason = new Error("enough");
    const stopWhenBegun = (code: string): Promise<unknown> => {
      const controller = new AbortController();
      const options = { signal: controller.signal, onStdout: () => controller.abort(reason) };
      return backend.evaluate(code, undefined, options).catch((error) => error);
    };
    assertStrictEquals(await stopWhenBegun(twice), reason);
    assertEquals(await backend.evaluate("swallowed"), 2);

    const always =
      "import builtins\nbuiltins.go_on = True\nwhile builtins.go_on:\n  try:\n    print('begun')\n    time.sleep(0.01)\n  except BaseException: pass";
    const error = await stopWhenBegun(always);
    assertInstanceOf(error, CallNotInterruptedError);
    assertStrictEquals(error.cause, reason);
    await backend.evaluate("builtins.go_on = False", undefined, { concurrent: true });
    assertEquals(await backend.evaluate("1 + 1"), 2);
  });
}

Deno.test("a client that is killed ends its calls", async () => {
  await using bench = await startBench();
  const { backend, server } = bench;
  const client = `
import { PythonHostPipe } from "${new URL("../../transports/mod.ts", import.meta.url)}";
const backend = new PythonHostPipe("${server.address}", { token: "${server.token}" });
await backend.ping(); // both lanes are open
console.log("running");
await backend.evaluate("while True: pass");`;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-lock", "--no-check", "--ext=ts", "-"],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const stdin = child.stdin.getWriter();
  await stdin.write(new TextEncoder().encode(client));
  await stdin.close();
  for await (const _ of child.stdout) break;
  const running = async () => (await backend.stats()).running as number;
  for (const end = performance.now() + 30_000; await running() === 0;) {
    assert(performance.now() < end, "never ran");
  }
  child.kill("SIGKILL");
  await child.status;
  for (const end = performance.now() + 30_000; await running() > 0;) {
    assert(performance.now() < end, "it runs on");
  }
});
