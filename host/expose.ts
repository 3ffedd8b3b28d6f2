/**
 * Functions of the host that its Python may call, as `beep_host.host.<name>.<function>(…)`.
 *
 * Only what was given is reachable: own functions of the given object, copied when it is given. A name is looked up in
 * maps of ours, never in an object, so there is no way to a prototype, a constructor or anything beside it.
 *
 * @module
 */

import { PythonHostError } from "../core/errors.ts";

/** A function of the host: any parameters, and a value or a promise of one. */
// deno-lint-ignore no-explicit-any -- a function of any parameters
export type HostFunction = (...args: any[]) => unknown;

/** What is exposed under one name. */
export type HostFunctions = Readonly<Record<string, HostFunction>>;

/** A Python identifier that is not special to Python. */
const NAME_REGEXP = /^(?!__)[A-Za-z_][A-Za-z0-9_]*$/;

/** Words that cannot stand behind a dot in Python. */
const KEYWORDS: ReadonlySet<string> = new Set(
  ("False None True and as assert async await break class continue def del elif else except finally for from global " +
    "if import in is lambda nonlocal not or pass raise return try while with yield").split(" "),
);

/** Which functions there are, by the names of their objects. */
export class ExposedFunctions {
  /** Whether any Python has a way to call them. */
  isReachable = false;
  readonly #objects = new Map<string, ReadonlyMap<string, HostFunction>>();

  /** Makes functions visible until the result is disposed. */
  expose(name: string, functions: HostFunctions): Disposable {
    checkName(name, "object");
    if (this.#objects.has(name)) {
      throw new PythonHostError("argument", `Cannot expose "${name}": something is exposed under this name`);
    }
    if (typeof functions !== "object" || functions === null) {
      throw new PythonHostError("argument", `Cannot expose "${name}": it is no object with functions`);
    }
    const copied = new Map<string, HostFunction>();
    for (const [key, { value }] of Object.entries(Object.getOwnPropertyDescriptors(functions))) {
      checkName(key, "function");
      if (typeof value !== "function") {
        throw new PythonHostError(
          "argument",
          `Cannot expose "${name}.${key}": it is not a function of its own`,
        );
      }
      copied.set(key, Function.prototype.bind.call(value, functions));
    }
    this.#objects.set(name, copied);
    return {
      [Symbol.dispose]: (): void => {
        if (this.#objects.get(name) === copied) this.#objects.delete(name);
      },
    };
  }

  /** The names, with those that give a promise marked. */
  list(): Record<string, Record<string, "sync" | "async">> {
    const kind = (fn: HostFunction) =>
      Object.prototype.toString.call(fn) === "[object AsyncFunction]" ? "async" : "sync";
    return Object.fromEntries(
      [...this.#objects].map((
        [name, functions],
      ) => [name, Object.fromEntries([...functions].map(([key, fn]) => [key, kind(fn)]))]),
    );
  }

  /** The function of that name; undefined when it was not exposed. */
  find(object: string, name: string): HostFunction | undefined {
    return this.#objects.get(object)?.get(name);
  }
}

function checkName(name: string, what: string): void {
  if (NAME_REGEXP.test(name) && !KEYWORDS.has(name)) return;
  throw new PythonHostError(
    "argument",
    `Cannot expose ${what} "${name}": it is not a name that Python can say`,
    {
      hint:
        'Use letters, digits and "_", with no digit first, not "__" at the start, and no keyword of Python.',
    },
  );
}
