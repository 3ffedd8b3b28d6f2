/** Reads the vectors that the Python twin reads too (`servers/python/tests/test_values_golden.py`). */

import { assertEquals } from "@std/assert";
import { type HandleOwner, PythonObjectHandle } from "../../core/handles.ts";
import * as values from "../../core/values.ts";

interface Vector {
  readonly name: string;
  /** An expression in each language that gives the value. */
  readonly python: string;
  readonly javascript?: string;
  /** Who writes exactly this: `python` reads what clients write, `client` what Python writes. */
  readonly direction: "both" | "client" | "python";
  readonly tagged: unknown;
  readonly parts: readonly string[];
  /** The packed form of a list that holds the value. */
  readonly packed?: readonly string[];
}

const vectors: readonly Vector[] =
  JSON.parse(await Deno.readTextFile(new URL("../golden/values.json", import.meta.url))).values;

const handle = new PythonObjectHandle({} as HandleOwner, 7, "object");
const context = {
  handle: () => handle,
  handleId: () => 7,
  functionId: (fn: unknown) => fn === FUNCTION ? 3 : 4,
};
const FUNCTION = () => {};
const ASYNC = async () => {};

function evaluate(expression: string): unknown {
  const scope: Record<string, unknown> = { ...values, HANDLE: handle, FUNCTION, ASYNC };
  return new Function(...Object.keys(scope), `return ${expression}`)(...Object.values(scope));
}

function show(value: unknown): string {
  return `${Object.prototype.toString.call(value)} ${Deno.inspect(value, { depth: 9 })}`;
}

function bytes(hex: readonly string[]): Uint8Array[] {
  return hex.map((text) => Uint8Array.fromHex(text));
}

for (const { name, javascript, direction, tagged, parts, packed } of vectors) {
  if (javascript === undefined) continue;
  const value = evaluate(javascript);
  if (direction !== "python") {
    Deno.test(`golden value: ${name}, read as tagged and as packed`, () => {
      assertEquals(show(values.decodeTagged(structuredClone(tagged), bytes(parts), context)), show(value));
      assertEquals(show((values.decodePacked(bytes(packed!), context) as unknown[])[0]), show(value));
    });
  }
  if (direction !== "client") {
    Deno.test(`golden value: ${name}, written as tagged`, () => {
      const encoded = values.encodeValue(value, context);
      assertEquals(JSON.parse(encoded.json), tagged);
      assertEquals(encoded.parts.map((part) => part.toHex()), parts as string[]);
      assertEquals(encoded.tagged, JSON.stringify(tagged).includes('{"$":['));
    });
  }
}
