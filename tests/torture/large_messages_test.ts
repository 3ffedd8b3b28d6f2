// What no frame can hold is an error of the one call that made it, or travels in pieces: the session lives on.

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { PythonHostError } from "../../core/errors.ts";
import { PythonArray, PythonIterator } from "../../core/values.ts";
import { iterate } from "../../objects/mod.ts";
import type { PythonObjectHandle } from "../../core/handles.ts";
import { startBench, TRANSPORTS } from "../output/_server.ts";

const LIMITS = { maxFrameBytes: 4_000_000 };
const TOO_MUCH = 5_000_000;
const ITEM_BYTES = 500_000;

for (const transport of TRANSPORTS) {
  Deno.test(`a result or an argument that no frame can hold is an error of its call (${transport})`, async () => {
    await using bench = await startBench(transport, { limits: LIMITS });
    const { backend } = bench;
    await backend.evaluate("kept = 1; import array, asyncio, beep_host");
    const floats = await backend.evaluate<PythonObjectHandle>(`array.array('d', [1]) * ${TOO_MUCH}`, {}, {
      result: "handle",
    });
    const handles = () => backend.stats().then((stats) => stats.handles);
    const before = await handles();
    const f = (text: string) => text.length;
    const page = `class Page:
  def _repr_html_(self): return 'x' * ${TOO_MUCH}
beep_host.display(Page())`;
    const calls = [
      () => backend.evaluate(`'x' * ${TOO_MUCH}`),
      () => backend.evaluate(`b'x' * ${TOO_MUCH}`, {}, { result: "value" }),
      () => backend.evaluate(`[object(), {'bytes': [b'x' * ${TOO_MUCH}]}]`),
      () => backend.evaluate(`await asyncio.sleep(0, 'x' * ${TOO_MUCH})`),
      () => backend.evaluate(`f('x' * ${TOO_MUCH})`, { f }),
      () => backend.evaluate(page, {}, { onDisplay: () => {} }),
      () => backend.toFloatArray(floats),
    ];
    for (const call of calls) {
      const error = await call().then(() => undefined, (error: unknown) => error);
      assert(error instanceof PythonHostError, String(call));
      assertEquals(error.code, "limit");
      assertStringIncludes(error.message, "maxFrameBytes is 4000000");
      assertEquals(await backend.evaluate("kept"), 1);
    }
    // The handle of the object beside the bytes was given back.
    assertEquals(await handles(), before);
  });

  Deno.test(`a long print travels in pieces (${transport})`, async () => {
    await using bench = await startBench(transport, { limits: LIMITS });
    let text = "";
    const print = `print('é\\n' + '\\u20ac' * ${TOO_MUCH})`;
    await bench.backend.evaluate(print, {}, { onStdout: (piece) => void (text += piece) });
    assertEquals(text.length, TOO_MUCH + 3);
    assertEquals(text.replaceAll("\u20ac", ""), "é\n\n");
  });

  Deno.test(`iterating over large items takes as many at once as a message holds (${transport})`, async () => {
    await using bench = await startBench(transport, { limits: LIMITS });
    const { backend } = bench;
    const count = 60;
    for (const item of ["bytes(n)", "'x' * n", "{'data': bytes(n)}", "array.array('d', bytes(n))"]) {
      const code = `import array; n = ${ITEM_BYTES}; [${item}] * ${count}`;
      let seen = 0;
      const items = await backend.evaluate<PythonObjectHandle>(code, {}, { result: "handle" });
      for await (const _ of iterate(items)) seen++;
      assertEquals(seen, count, item);
    }
    const later = `async def later():\n  for _ in range(${count}): yield bytes(${ITEM_BYTES})\nlater()`;
    let seen = 0;
    for await (const _ of iterate(await backend.evaluate<PythonObjectHandle>(later))) seen++;
    assertEquals(seen, count);

    const data = new Uint8Array(ITEM_BYTES);
    for (const item of [data, { data }, "x".repeat(ITEM_BYTES), new PythonArray(data)]) {
      const items = new PythonIterator(Array.from({ length: count }, () => item));
      assertEquals(await backend.evaluate("sum(1 for _ in items)", { items }), count);
    }
  });
}
