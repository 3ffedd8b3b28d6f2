/**
 * How messages name a place in a value and what is there. What they read may run code of the value's own.
 *
 * @module
 */

import type { Builtin } from "./builtins.ts";

/** The step of a path to a property. */
export function propertyStep(key: string): string {
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(key) ? `.${key}` : `[${JSON.stringify(key.slice(0, 40))}]`;
}

/** The step of a path to the item of a Map's key. */
export function keyStep(key: unknown): string {
  if (typeof key === "string") return propertyStep(key);
  return typeof key === "object" && key !== null ? `[<${className(key)}>]` : `[${String(key)}]`;
}

/** The name of a value's class, for messages; reading it may run code of the value's own. */
export function className(value: object): string {
  try {
    const name: unknown = value.constructor?.name;
    return typeof name === "string" && name !== "" ? name.slice(0, 80) : "an unnamed class";
  } catch {
    return "an unnamed class";
  }
}

/** What was thrown, in a few words. */
export function describeThrown(thrown: unknown): string {
  if (!(thrown instanceof Error)) return `a thrown ${typeof thrown}`;
  try {
    return `${String(thrown.name).slice(0, 80)}: ${String(thrown.message).slice(0, 200)}`;
  } catch {
    return `a ${className(thrown)} that cannot be read`;
  }
}

/** Why an instance cannot be sent, and what can be sent in its place. */
export function describeNoImage(
  value: object,
  builtin: Builtin | undefined,
): { problem: string; hint: string } {
  if (builtin?.isExact === false) {
    return {
      problem: `it extends ${builtin.name} and may hold more than one`,
      hint: `Send a plain ${builtin.name} made of it, or register a converter by registerConverter().`,
    };
  }
  const problem = "it has no image there";
  if (builtin !== undefined) return { problem, hint: "Send the primitive value that its valueOf() gives." };
  return typeof (value as { then?: unknown }).then === "function"
    ? { problem, hint: "Await the promise and send its value." }
    : { problem, hint: "Send a plain object, or register a converter for its class by registerConverter()." };
}

/** Why a list cannot be sent that is longer than any message: message, no cause, and hint. */
export function tooLong(
  items: number,
): [message: string, cause: undefined, options: { hint: string }] {
  const hint =
    "Where ids are used as indices, send a Map or an object: every hole of an array is an item of its list.";
  return [`Cannot send an array of ${items} items to Python: no message can hold them`, undefined, { hint }];
}
