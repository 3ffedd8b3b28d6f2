/**
 * Random nested values over every transport, each way and back. The seed of a failure is printed; run again with BEEP_TEST_SEED.
 *
 * `BEEP_TRANSPORT_VALUES` sets how many values go each way over each transport; the gate's number is 2,000.
 */

import { assertEquals } from "@std/assert";
import fc from "npm:fast-check@^4.3.0";
import type { PythonHostBackend } from "../../core/backend.ts";
import { startServer } from "../../servers/mod.ts";
import { PythonHostHttp, PythonHostPipe, PythonHostRpc } from "../../transports/mod.ts";
import { makeHome } from "../host/_home.ts";
import { grpcPython } from "../rpc/_grpc.ts";
import { report } from "../supervision/_report.ts";
import { countOf } from "../supervision/_servers.ts";
import { testPython } from "./codec.ts";
import { describe } from "./describe.ts";
import { anyValue } from "./random_values.ts";

const COUNT = countOf("BEEP_TRANSPORT_VALUES", 2_000);
const SEED = countOf("BEEP_TEST_SEED", Date.now() % 2 ** 31 + 1);
/** Values per call: what is tested is values, not calls. */
const BATCH = 100;

interface Transport {
  readonly name: string;
  start(stack: AsyncDisposableStack): Promise<PythonHostBackend>;
}

const python = await interpreter();
const grpc = await grpcPython();

const TRANSPORTS: readonly Transport[] = [
  {
    name: "pipe",
    start: async (stack) => {
      const server = stack.use(await startServer({ python, transport: "pipe" }));
      return stack.use(new PythonHostPipe(server.address, { token: server.token }));
    },
  },
  {
    name: "http",
    start: async (stack) => {
      const server = stack.use(await startServer({ python, transport: "http" }));
      return stack.use(new PythonHostHttp(server.address, { token: server.token }));
    },
  },
  {
    name: "rpc (connect)",
    start: async (stack) => {
      const server = stack.use(await startServer({ python, transport: "rpc" }));
      return stack.use(new PythonHostRpc(server.address, { token: server.token }));
    },
  },
  ...grpc === null ? [] : [{
    name: "rpc (grpc)",
    start: async (stack: AsyncDisposableStack) => {
      const server = stack.use(await startServer({ python: grpc, transport: "rpc", rpc: { grpc: true } }));
      return stack.use(new PythonHostRpc(server.address, { token: server.token, protocol: "grpc" }));
    },
  }],
];

for (const { name, start } of TRANSPORTS) {
  Deno.test(`any value crosses unaltered, both ways: ${name}`, async () => {
    await using stack = new AsyncDisposableStack();
    stack.use(await makeHome());
    const backend = await start(stack);
    await backend.initialize();
    const here = new URL(".", import.meta.url).pathname;
    await backend.evaluate(
      "import random, sys; sys.path.insert(0, here); from random_values import describe, random_value",
      { here },
    );
    await fromJavaScript(backend);
    await fromPython(backend);
    report(`values over ${name}`, { "values each way": COUNT, altered: 0, "first seed": SEED });
  });
}

/** The path of the Python of these tests, which a server needs. */
async function interpreter(): Promise<string> {
  const { stdout } = await new Deno.Command(testPython(), {
    args: ["-I", "-c", "import sys; print(sys.executable)"],
  }).output();
  return new TextDecoder().decode(stdout).trim();
}

async function fromJavaScript(backend: PythonHostBackend): Promise<void> {
  for (let done = 0, seed = SEED; done < COUNT; done += BATCH, seed++) {
    const values = fc.sample(anyValue, { numRuns: Math.min(BATCH, COUNT - done), seed });
    const [seen, back] = await backend.evaluate<[string[], unknown[]]>(
      "[[describe(value) for value in values], values]",
      { values },
      { result: "value" },
    );
    values.forEach((value, index) => {
      const where = () => `seed ${seed}, value ${index}: ${Deno.inspect(value, { depth: 9 })}`;
      if (seen[index] !== describe(value)) assertEquals(seen[index], describe(value), where());
      const expected = describe(value, true);
      if (describe(back[index]) !== expected) assertEquals(describe(back[index]), expected, where());
    });
  }
}

async function fromPython(backend: PythonHostBackend): Promise<void> {
  for (let done = 0; done < COUNT; done += BATCH) {
    const first = SEED + done;
    const count = Math.min(BATCH, COUNT - done);
    const values = await backend.evaluate<unknown[]>(
      "made = [random_value(random.Random(first + n), 4) for n in range(count)]; made",
      { first, count },
      { result: "value" },
    );
    const altered = await backend.evaluate<unknown[]>(
      `[[first + n, a, b] for n in range(count) for a, b in [(describe(made[n]), describe(values[n]))] if a != b]`,
      { values, first, count },
    );
    assertEquals(altered, [], `seed ${first}`);
  }
}
