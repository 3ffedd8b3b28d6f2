/**
 * References to objects that live in Python.
 *
 * A handle keeps its object alive in the server until it is disposed, its session ends, or, as a net under
 * forgetfulness, the handle is garbage collected. Handle ids are never used twice in the life of a server.
 *
 * @module
 */

import type { PythonHostBackend } from "./backend.ts";

/** Who made a handle and can release it: implemented by each backend, called by {@linkcode PythonObjectHandle} alone. */
export interface HandleOwner {
  /** The backend on which the handle can be used. */
  readonly backend: PythonHostBackend;
  /** Releases now; settles when Python has let go, and resolves at once when the server is gone. */
  releaseHandle(handle: PythonObjectHandle): Promise<void>;
  /** Releases soon, batched with others; never throws. */
  releaseHandleSoon(handle: PythonObjectHandle): void;
}

/**
 * A JavaScript reference to an object that lives in Python.
 *
 * Dispose it explicitly, by `using` (released soon, batched) or by `await using` (released when the block ends).
 */
export class PythonObjectHandle implements Disposable, AsyncDisposable {
  /** The object's number in its server; never reused. */
  readonly id: number;
  /** `type(object).__name__`. */
  readonly typeName: string;
  readonly #owner: HandleOwner;
  #isValid = true;
  #released: Promise<void> | undefined;

  /** Called by backends only. */
  constructor(owner: HandleOwner, id: number, typeName: string) {
    this.#owner = owner;
    this.id = id;
    this.typeName = typeName;
  }

  /** The backend on which this handle can be used. */
  get backend(): PythonHostBackend {
    return this.#owner.backend;
  }

  /** Whether it has not been disposed. It may still be stale because its session or server ended. */
  get isValid(): boolean {
    return this.#isValid;
  }

  /** Releases the object; doing it again only waits for that. */
  async dispose(): Promise<void> {
    if (this.#isValid) {
      this.#isValid = false;
      this.#released = this.#owner.releaseHandle(this);
    }
    await this.#released;
  }

  /** Releases the object soon, batched with others. */
  [Symbol.dispose](): void {
    if (!this.#isValid) return;
    this.#isValid = false;
    this.#owner.releaseHandleSoon(this);
  }

  /** Releases the object. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }

  /** `[PythonObjectHandle 7: ndarray]`, for logs. */
  toString(): string {
    return `[${this.constructor.name} ${this.id}: ${this.typeName}${this.#isValid ? "" : ", disposed"}]`;
  }
}

/** A handle to an imported module. */
export class PythonModuleHandle extends PythonObjectHandle {
  /** The module's `__name__`. */
  readonly moduleName: string;

  /** Called by backends only. */
  constructor(owner: HandleOwner, id: number, moduleName: string) {
    super(owner, id, "module");
    this.moduleName = moduleName;
  }
}
