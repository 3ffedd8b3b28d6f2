/**
 * Scopes: what is made inside is released at the end, and who forgot what can be seen.
 *
 * @module
 */

import type { CallOptions, CloseOptions, PythonHostBackend } from "../core/backend.ts";
import { ConnectionClosedError } from "../core/errors.ts";
import { PythonObjectHandle } from "../core/handles.ts";
import { expressionOf } from "./expression.ts";
import { BackendFacade } from "./facade.ts";
import { proxy, type ProxyOptions } from "./proxy.ts";
import type { PythonProxy } from "./proxy_types.ts";

/** Options of {@linkcode scope} and {@linkcode PythonScope}. */
export interface ScopeOptions {
  /** Told at the end what was still held, when there is anything: what the body did not dispose itself. */
  onLeak?: ((report: LeakReport) => void) | undefined;
  /** Remembers where each handle was made, for the report. @default {false} */
  stacks?: boolean | undefined;
}

/** One object that is still held. */
export interface HeldHandle {
  /** The handle's number. */
  readonly id: number;
  /** The name of the object's type. */
  readonly typeName: string;
  /** Where it was made, with `stacks: true`. */
  readonly stack?: string;
}

/** What a scope holds, and what it has made. */
export interface LeakReport {
  /** The objects that are held, in the order in which they were made. */
  readonly held: readonly HeldHandle[];
  /** How many of each type are held. */
  readonly types: Readonly<Record<string, number>>;
  /** How many handles were made through the scope so far. */
  readonly made: number;
}

/**
 * A backend whose handles end with it. Give it wherever a backend is asked for; what is made through it is released when
 * it is closed. The backend behind it stays open.
 *
 * ```ts ignore
 * await using s = new PythonScope(backend);
 * const frame = s.proxy(await s.evaluate("make_frame()"));
 * ```
 */
export class PythonScope extends BackendFacade {
  readonly #options: ScopeOptions;
  readonly #handles = new Map<PythonObjectHandle, string | undefined>();
  #made = 0;
  #pruneAt = 1024;
  #closing: Promise<void> | null = null;

  /** Makes a scope on a backend, which may be a scope itself. */
  constructor(backend: PythonHostBackend, options: ScopeOptions = {}) {
    super(backend);
    this.#options = options;
  }

  /** A proxy of an object; what its paths give is made in this scope. The object itself is released with it too. */
  proxy<T = unknown>(
    handle: PythonObjectHandle | PythonProxy<T>,
    options: ProxyOptions = {},
  ): PythonProxy<T> {
    return proxy<T>(this.add(handle), { backend: this, ...options });
  }

  /** Takes handles into the scope, alone or anywhere in arrays and objects; gives the value back. */
  add<T>(value: T): T {
    this.#walk(value, (handle) => this.#hold(handle));
    return value;
  }

  /** Takes handles out of the scope, alone or anywhere in arrays and objects, so that they outlive it; gives the value back. */
  keep<T>(value: T): T {
    this.#walk(value, (handle) => this.#handles.delete(handle));
    return value;
  }

  /** What is held now. */
  report(): LeakReport {
    this.#prune();
    const held: HeldHandle[] = [];
    const types: Record<string, number> = {};
    for (const [{ id, typeName }, stack] of this.#handles) {
      held.push(stack === undefined ? { id, typeName } : { id, typeName, stack });
      types[typeName] = (types[typeName] ?? 0) + 1;
    }
    return { held, types, made: this.#made };
  }

  /** Releases what is held. Doing it again gives the same promise. */
  close(_options?: CloseOptions): Promise<void> {
    return this.#closing ??= this.#close();
  }

  async #close(): Promise<void> {
    const { onLeak } = this.#options;
    try {
      if (onLeak !== undefined) {
        const report = this.report();
        if (report.held.length > 0) onLeak(report);
      }
    } finally {
      const handles = [...this.#handles.keys()];
      this.#handles.clear();
      // All at once, so that they go out together. Those that were disposed meanwhile resolve at once.
      await Promise.all(handles.map((handle) => handle.dispose()));
    }
  }

  /** See {@linkcode BackendFacade.options}. */
  protected override options(options: CallOptions | undefined): CallOptions | undefined {
    if (this.#closing !== null) throw new ConnectionClosedError("Cannot use scope: it was closed");
    return options;
  }

  /** See {@linkcode BackendFacade.result}. */
  protected override result<T>(result: T): T {
    return this.add(result);
  }

  #hold(handle: PythonObjectHandle): void {
    if (this.#closing !== null) {
      // The call outlived the scope: nobody else would release what it made.
      handle[Symbol.dispose]();
      return;
    }
    if (this.#handles.has(handle)) return;
    this.#made++;
    this.#handles.set(handle, this.#options.stacks ? new Error("made here").stack : undefined);
    if (this.#handles.size < this.#pruneAt) return;
    this.#prune();
    this.#pruneAt = Math.max(1024, 2 * this.#handles.size);
  }

  /** Forgets those that were disposed by others. */
  #prune(): void {
    for (const handle of this.#handles.keys()) if (!handle.isValid) this.#handles.delete(handle);
  }

  #walk(value: unknown, found: (handle: PythonObjectHandle) => void): void {
    const seen = new Set<object>();
    const stack: unknown[] = [value];
    while (stack.length > 0) {
      const next = stack.pop();
      if (typeof next === "function") {
        const handle = expressionOf(next)?.handle;
        if (handle !== undefined) found(handle);
      } else if (typeof next === "object" && next !== null) {
        if (next instanceof PythonObjectHandle) found(next);
        else if (!ArrayBuffer.isView(next) && !seen.has(next)) {
          seen.add(next);
          pushMembers(next, stack);
        }
      }
    }
  }
}

function pushMembers(value: object, stack: unknown[]): void {
  if (Array.isArray(value) || value instanceof Set) {
    for (const member of value) if (isReference(member)) stack.push(member);
  } else if (value instanceof Map) {
    for (const [key, member] of value) stack.push(key, member);
  } else {
    for (const member of Object.values(value)) if (isReference(member)) stack.push(member);
  }
}

function isReference(value: unknown): boolean {
  return typeof value === "object" || typeof value === "function";
}

/**
 * Runs a body with a scope and releases what was made through the scope, however the body ends. Handles and proxies in
 * what the body gives outlive it.
 *
 * ```ts ignore
 * const total = await scope(backend, async (s) => {
 *   const np = s.proxy<Numpy>(await s.importModule("numpy"));
 *   return await np.arange(6).sum();
 * });
 * ```
 */
export async function scope<R>(
  backend: PythonHostBackend,
  body: (scope: PythonScope) => R,
  options?: ScopeOptions,
): Promise<Awaited<R>> {
  await using opened = new PythonScope(backend, options);
  return opened.keep(await body(opened));
}
