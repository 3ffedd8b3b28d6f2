// The form in which arguments that are not allowed are refused: what came is told from what it looks like.

import { assertEquals } from "@std/assert";
import { argumentError, checkCallOptions } from "../../core/argument.ts";

function shown(value: unknown): string {
  return argumentError("size", "a number", value).message.replace(
    /^Cannot use size: .*, current value is /,
    "",
  );
}

Deno.test("a value in the wrong place is shown as what it is, and never long", () => {
  const shows: [value: unknown, text: string][] = [
    [5, "5"],
    ["5", '"5"'],
    [5n, "5n"],
    [-0, "-0"],
    [NaN, "NaN"],
    [null, "null"],
    [undefined, "undefined"],
    [Symbol("x"), "Symbol(x)"],
    [[5], "an array"],
    [{ toString: () => "5" }, "an object"],
    [Object.create(null), "an object"],
    [() => 5, "a function"],
    ["\ud800", '"\\ud800"'],
    ["x".repeat(1000), `"${"x".repeat(80)}…"`],
  ];
  for (const [value, text] of shows) assertEquals(shown(value), text);
});

Deno.test("options that are allowed pass, undefined ones too", () => {
  const signal = new AbortController().signal;
  const onStdout = (): void => {};
  checkCallOptions({});
  checkCallOptions({ signal, timeoutMs: Infinity, session: "a", result: "auto", concurrent: true, onStdout });
  checkCallOptions({
    signal: undefined,
    timeoutMs: undefined,
    session: undefined,
    result: undefined,
    onStdout: undefined,
  });
});
