// Values of 100 MB over every transport: they arrive whole, cost the server a bounded amount of memory, and are not kept.

import { assert, assertEquals, assertLess } from "@std/assert";
import { PythonArray } from "../../core/values.ts";
import { memoryOf } from "../supervision/_processes.ts";
import { makePlace, until } from "../supervision/_servers.ts";

const SIZE = 100_000_000;
/** The most that the server needs for a value, as a multiple of it: read, decoded or encoded, and given to user code. */
const MOST = 3;
/** What a server's memory differs by for other reasons. */
const NOISE = 20_000_000;
/** Linux only: resets and tells the highest amount of memory. */
const MEASURES = Deno.build.os === "linux";

function peakOf(pid: number): number {
  const status = Deno.readTextFileSync(`/proc/${pid}/status`);
  return Number(/VmHWM:\s+(\d+)/.exec(status)![1]) * 1024;
}

for (const transport of ["pipe", "http", "rpc"] as const) {
  Deno.test(`case 79: values of 100 MB arrive whole and are not kept: ${transport}`, async () => {
    await using place = await makePlace();
    await using host = await place.start({ transport });
    const { pid } = host.server;
    const bytes = new Uint8Array(SIZE);
    for (let i = 0; i < SIZE; i += 4093) bytes[i] = i;
    const sum = bytes.reduce((sum, byte) => sum + byte, 0);
    const floats = new Float64Array(bytes.buffer);
    const same = (a: Uint8Array, b: Uint8Array) =>
      a.byteLength === b.byteLength && a.every((byte, i) => byte === b[i]);

    const calls: Record<string, () => Promise<void>> = {
      "bytes": async () => {
        assertEquals(await host.evaluate("sum(value)", { value: bytes }), sum);
        const back = await host.evaluate<Uint8Array>(`b'\\x07' * ${SIZE}`);
        assert(same(back, new Uint8Array(SIZE).fill(7)));
      },
      "floats": async () => {
        assertEquals(await host.evaluate("[len(value), value[-1]]", { value: floats }), [
          SIZE / 8,
          floats.at(-1),
        ]);
        const back = await host.evaluate<PythonArray>(`import array; array.array('d', [1.5]) * ${SIZE / 8}`);
        assert(back instanceof PythonArray);
        assertEquals([back.shape, back.dtype], [[SIZE / 8], "<f8"]);
        assert((back.data as Float64Array).every((value) => value === 1.5));
      },
      "text": async () => {
        assertEquals(await host.evaluate("[len(value), value[-1]]", { value: "é".repeat(SIZE / 2) }), [
          SIZE / 2,
          "é",
        ]);
        assertEquals(
          (await host.evaluate<string>(`'a' * ${SIZE - 1} + 'ü'`)).slice(-2),
          "aü",
        );
      },
    };
    for (const [name, call] of Object.entries(calls)) {
      if (!MEASURES) {
        await call();
        continue;
      }
      Deno.writeTextFileSync(`/proc/${pid}/clear_refs`, "5");
      const before = memoryOf(pid);
      await call();
      const peak = peakOf(pid) - before;
      assertLess(peak, MOST * SIZE * (name === "text" ? 2 : 1) + NOISE, name);
      await until(`the server lets go of ${name}`, () => memoryOf(pid) < before + NOISE);
    }
  });
}
