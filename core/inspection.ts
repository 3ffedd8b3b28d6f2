/**
 * What a console shows of the objects that users hold: one short line, and never a secret.
 *
 * @module
 */

/** Deno, Node and Bun all ask for it. */
const INSPECT: unique symbol = Symbol.for("nodejs.util.inspect.custom") as never;

type Inspect = (value: unknown, options: unknown) => string;

/** Makes consoles show an object, or all objects of a prototype, as `Name { … }` with the fields that `fields` gives. */
export function showAs<T extends object>(
  target: T,
  name: string,
  fields: (self: T) => Readonly<Record<string, unknown>>,
): void {
  Object.defineProperty(target, INSPECT, {
    configurable: true,
    writable: true,
    value(this: T, _depth: number, options: unknown, inspect: Inspect): string {
      try {
        return `${name} ${inspect(fields(this), options)}`;
      } catch {
        // A prototype, or an object that is only half made: looking at it must not fail.
        return name;
      }
    },
  });
}
