/**
 * Clauses about what code prints: it reaches the callbacks and never breaks a call.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import type { Clause, ClauseContext } from "../clause.ts";

function clause(id: string, sentence: string, body: (context: ClauseContext) => Promise<void>): Clause {
  return { id: `output/${id}`, sentence, marks: ["python"], body };
}

/** See the module comment. */
export const OUTPUT: readonly Clause[] = [
  clause("print", "print reaches onStdout, sys.stderr reaches onStderr, in order", async ({ backend }) => {
    let out = "";
    let err = "";
    const code = "import sys\nprint('a')\nprint('ü', end='')\nprint('oh', file=sys.stderr)\n7";
    const value = await backend.evaluate(code, undefined, {
      onStdout: (text) => void (out += text),
      onStderr: (text) => void (err += text),
    });
    assertEquals([value, out, err], [7, "a\nü", "oh\n"]);
  }),
  clause("callback-throws", "a callback that throws harms nothing", async ({ backend }) => {
    const onStdout = () => {
      throw new Error("broken callback");
    };
    assertEquals(await backend.evaluate("print('a'); 7", undefined, { onStdout }), 7);
    assertEquals(await backend.evaluate("1 + 1"), 2);
  }),
  clause("unasked", "output that nobody asked for breaks nothing", async ({ backend }) => {
    assertEquals(await backend.evaluate("print('x' * 100_000); 7"), 7);
  }),
  clause(
    "foreign-writers",
    "the descriptor 1 of C code and of a subprocess is not the wire",
    async ({ backend }) => {
      assertEquals(await backend.evaluate("import os\nos.write(1, b'[1,\"ok\",0]\\n')\n7"), 7);
      const code =
        "import subprocess, sys\nsubprocess.run([sys.executable, '-I', '-c', 'print(1)']).returncode";
      assertEquals(await backend.evaluate(code), 0);
    },
  ),
];
