// The suite itself: what it runs, and that an exception which no longer holds turns red.

import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { type Clause, CLAUSES, MemoryBackend, testBackendContract } from "../../testing/mod.ts";

Deno.test("every clause has an id of its own area, a sentence, and marks", () => {
  const ids = CLAUSES.map(({ id }) => id);
  assertEquals(new Set(ids).size, ids.length);
  for (const { id, sentence, marks } of CLAUSES) {
    assertEquals(/^[a-z]+\/[\w-]+$/.test(id), true, id);
    assertEquals([sentence.length > 10, marks.length > 0], [true, true], id);
  }
});

Deno.test("testBackendContract() refuses an exception for a clause that does not exist", () => {
  assertThrows(
    () =>
      testBackendContract({
        name: "x",
        start: () => Promise.reject(new Error("never started")),
        exceptions: [{ clause: "no/such", reason: "r" }],
      }),
    TypeError,
    'Cannot except clause "no/such"',
  );
});

const PROGRAM = `
import { MemoryBackend, testBackendContract } from ${
  JSON.stringify(import.meta.resolve("../../testing/mod.ts"))
};
const clause = (id, body, more = {}) => ({ id, sentence: "a sentence", marks: ["lifecycle"], body, ...more });
const started = [];
testBackendContract({
  name: "Fake",
  marks: ["lifecycle"],
  clauseTimeoutMs: 100,
  start: () => {
    started.push(1);
    return Promise.resolve({ connect: () => new MemoryBackend(), [Symbol.asyncDispose]: () => Promise.resolve() });
  },
  exceptions: [{ clause: "a/known", reason: "known" }, { clause: "a/mended", reason: "was broken" }],
  clauses: [
    clause("a/holds", () => Promise.resolve()),
    clause("a/fails", () => Promise.reject(new Error("it does not hold"))),
    clause("a/known", () => Promise.reject(new Error("as expected"))),
    clause("a/mended", () => Promise.resolve()),
    clause("a/hangs", () => new Promise(() => {})),
    clause("a/python", () => Promise.reject(new Error("not run")), { marks: ["python"] }),
    clause("a/isolated", () => Promise.resolve(), { isolated: true }),
    clause("a/servers", () => { if (started.length !== 2) throw new Error("started " + started.length); return Promise.resolve(); }),
  ],
});
`;

Deno.test("a clause that fails, hangs, or holds although it is excepted turns the test red", async () => {
  const directory = await Deno.makeTempDir({ prefix: "beep-contract-" });
  try {
    const path = `${directory}/fake_test.ts`;
    await Deno.writeTextFile(path, PROGRAM);
    const config = new URL("../../deno.json", import.meta.url).pathname;
    const { code, stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["test", "--no-check", "--config", config, "--allow-all", path],
      env: { NO_COLOR: "1" },
      stderr: "piped",
    }).output();
    const text = new TextDecoder().decode(stdout);
    assertEquals(code, 1, text);
    const results = Object.fromEntries(
      Array.from(text.matchAll(/^ {2}(a\/\w+): .* \.\.\. (ok|FAILED)/gm), ([, id, result]) => [id, result]),
    );
    assertEquals(results, {
      "a/holds": "ok",
      "a/fails": "FAILED",
      "a/known": "ok",
      "a/mended": "FAILED",
      "a/hangs": "FAILED",
      "a/isolated": "ok",
      "a/servers": "ok",
    });
    assertStringIncludes(text, 'Clause "a/mended" holds now: remove its exception');
    assertStringIncludes(text, 'Clause "a/hangs" did not end within 100 ms');
    assertStringIncludes(text, "a/known: a sentence [exception: known]");
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("a clause can be run by hand", async () => {
  const clause: Clause = CLAUSES.find(({ id }) => id === "lifecycle/close-twice")!;
  await clause.body({ backend: new MemoryBackend(), connect: () => Promise.resolve(new MemoryBackend()) });
});
