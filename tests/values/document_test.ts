/** Runs every row of the tables in docs/VALUES.md. */

import { assert, assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import { ValueConversionError } from "../../core/errors.ts";
import { PythonObjectHandle } from "../../core/handles.ts";
import * as values from "../../core/values.ts";
import { Codec, type Form, testPython } from "./codec.ts";
import { environmentWith } from "./environment.ts";

interface Table {
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** The tables of a Markdown text; cells keep their backticks. */
function tables(markdown: string): Table[] {
  const found: Table[] = [];
  for (const block of markdown.split(/\n{2,}/)) {
    const lines = block.split("\n");
    if (!lines.every((line) => line.startsWith("|"))) continue;
    const [head, , ...rows] = lines.map((line) =>
      line.slice(1, -1).split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll("\\|", "|"))
    );
    found.push({ head: head!, rows });
  }
  return found;
}

function code(cell: string): string {
  assert(/^`[^`]+`$/.test(cell), `cell is no code: ${cell}`);
  return cell.slice(1, -1);
}

function evaluate(expression: string): unknown {
  const names = Object.keys(values);
  return new Function(...names, `return ${expression}`)(
    ...names.map((name) => values[name as keyof typeof values]),
  );
}

/** A value with all that tells it apart: types, signs of zero, the texts of Temporal. */
function show(value: unknown): string {
  const kind = (item: unknown) => Object.prototype.toString.call(item);
  const classes: string[] = [kind(value)];
  if (value instanceof values.PythonNamedTuple) classes.push(JSON.stringify([value.type, value.fields]));
  return `${classes.join(" ")} ${Deno.inspect(value, { depth: 9 })}`;
}

const SETUP = `
import sys
from array import array
from collections import Counter, OrderedDict, defaultdict, namedtuple
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from http import HTTPStatus
from uuid import UUID
from zoneinfo import ZoneInfo
Color = Enum("Color", {"RED": "red"})
Point = namedtuple("Point", "x y")
@dataclass
class User:
    name: str
    tags: list
class Text(str):
    pass
def look(value):
    kind = type(value)
    if kind.__module__ == "numpy" and hasattr(value, "dtype") and not isinstance(value, str):
        return f"{kind.__name__} {value.dtype.str} {value.shape} {value.tolist()!r}"
    return f"{kind.__qualname__} {value.tolist() if kind is memoryview else value!r}"
`;

const document = await Deno.readTextFile(new URL("../../docs/VALUES.md", import.meta.url));
const all = tables(document);
const both = all.filter(({ head }) => head.length === 3 && !head[0]!.includes("with numpy"));
const numpy = all.filter(({ head }) => head[0]!.includes("with numpy"));
const sent = all.filter(({ head }) => head[1] === "Python");
const refused = all.filter(({ head }) => head[1] === "path");

Deno.test("the document has the tables that are run", () => {
  assertEquals([both, numpy, sent, refused].map((some) => some.length), [5, 1, 1, 1]);
  assertEquals(all.length, 8);
});

Deno.test("each row from Python holds, in every form of the wire", async () => {
  await using codec = new Codec(testPython());
  await codec.exec(SETUP);
  await bothWays(codec, both);
});

Deno.test("each row from numpy holds, in every form of the wire", async (t) => {
  const environment = await environmentWith(["numpy"]);
  if ("reason" in environment) {
    await t.step({ name: `skipped: ${environment.reason}`, ignore: true, fn: () => {} });
    return;
  }
  await using codec = new Codec(environment.python);
  await codec.exec(`${SETUP}\nimport numpy as np`);
  await bothWays(codec, numpy);
});

async function bothWays(codec: Codec, tested: readonly Table[]): Promise<void> {
  for (const row of tested.flatMap(({ rows }) => rows)) {
    const [python, javascript, back] = row as [string, string, string];
    const source = code(python);
    const comesBack = back === "=" ? source : code(back);
    for (const form of ["packed", "tagged", "inline"] satisfies Form[]) {
      const value = await codec.evaluate(source, { form });
      const handle = /^handle `(.+)`$/.exec(javascript);
      if (handle !== null) {
        assertInstanceOf(value, PythonObjectHandle, `${source} is no handle`);
        assertEquals(value.typeName, handle[1]);
        assertEquals(
          await codec.check(value, "look(value)"),
          await codec.evaluate(`look(${source})`),
          source,
        );
        await assertRejects(() => codec.evaluate(source, { form, mode: "value" }), ValueConversionError);
        continue;
      }
      const expected = evaluate(`(${code(javascript)})`);
      // The tagged form has no strides: its arrays are in C order.
      const isReordered = form !== "packed" && source.includes("fortran");
      if (!isReordered) assertEquals(show(value), show(expected), `${source}, ${form}`);
      for (const sentBack of [value, expected]) {
        assertEquals(
          await codec.check(sentBack, "look(value)"),
          await codec.evaluate(`look(${comesBack})`),
          source,
        );
      }
    }
  }
}

Deno.test("each row from JavaScript holds", async () => {
  await using codec = new Codec(testPython());
  await codec.exec(SETUP);
  for (const [javascript, python] of sent.flatMap(({ rows }) => rows)) {
    const value = evaluate(`(${code(javascript!)})`);
    assertEquals(
      await codec.check(value, "look(value)"),
      await codec.evaluate(`look(${code(python!)})`),
      javascript,
    );
  }
});

Deno.test("each row of what is refused holds", async () => {
  await using codec = new Codec(testPython());
  await codec.exec(SETUP);
  for (const [javascript, path] of refused.flatMap(({ rows }) => rows)) {
    const value = evaluate(`(${code(javascript!)})`);
    const error = await assertRejects(
      () => codec.check(value, "value"),
      ValueConversionError,
      undefined,
      javascript,
    );
    assertEquals(error.path, code(path!), javascript);
  }
});
