/**
 * Makes and releases the handles of one client.
 *
 * Releases are gathered and sent once per tick, to the session that holds the objects: its own thread lets them go. A
 * handle that a running call uses is released after that call, which may run on another thread (`concurrent`).
 *
 * @module
 */

import type { PythonHostBackend } from "../core/backend.ts";
import { PythonHostError, StaleHandleError } from "../core/errors.ts";
import { type HandleOwner, PythonModuleHandle, PythonObjectHandle } from "../core/handles.ts";
import type { WaitingCall } from "./callbacks.ts";
import type { PendingCall } from "./pending_call.ts";

/** What the handles ask of their client. */
export interface HandlesHost {
  /** The client itself. */
  readonly backend: PythonHostBackend;
  /** The calls that have no reply yet. */
  pendingCalls(): Iterable<PendingCall>;
  /** The call inside whose callback the program is, if any. */
  waitingCall(): WaitingCall | undefined;
  /**
   * Sends a release; resolves when it was answered or when nobody is there to answer. Python waits for `parent`, and runs
   * meanwhile what names it: anything else would be waited for by what waits for it.
   */
  sendRelease(
    ids: readonly number[],
    session: string | undefined,
    parent: WaitingCall | undefined,
  ): Promise<void>;
}

/** A handle that is to be released, and the call inside whose callback that was asked for. */
interface Released {
  readonly id: number;
  readonly parent: WaitingCall | undefined;
}

/** The handles of one client. */
export class ClientHandles implements HandleOwner {
  readonly #host: HandlesHost;
  readonly #collected: FinalizationRegistry<number>;
  #queue: Released[] = [];
  #flushed: Promise<void> | null = null;
  /** The label of the session that holds the object; handles of the client's own session are not in here. */
  readonly #sessions = new Map<number, string>();
  /** For each handle that waits for a call to end: told when it has been released. */
  readonly #waiters = new Map<number, () => void>();

  /** Makes an empty set. */
  constructor(host: HandlesHost) {
    this.#host = host;
    // A finalizer may run at any point of the program, so it only puts the id into the queue.
    this.#collected = new FinalizationRegistry((id) => this.#enqueue(id));
  }

  /** The client. */
  get backend(): PythonHostBackend {
    return this.#host.backend;
  }

  /** A handle to an object. */
  object(id: number, typeName: string, session: string | undefined): PythonObjectHandle {
    return this.#watched(new PythonObjectHandle(this, id, typeName), session);
  }

  /** A handle to a module. */
  module(id: number, moduleName: string, session: string | undefined): PythonModuleHandle {
    return this.#watched(new PythonModuleHandle(this, id, moduleName), session);
  }

  /** The id of a handle that can be used with this client; else throws `StaleHandleError`. */
  idOf(handle: PythonObjectHandle): number {
    // Callers without types pass what a call gave, and that may be a value.
    if (handle === null || handle === undefined || !("backend" in Object(handle))) throw notAHandle(handle);
    if (handle.backend !== this.#host.backend) {
      throw new StaleHandleError(
        `Cannot use handle ${handle.id} of type "${handle.typeName}": it belongs to another backend`,
        { hint: "Use it with the backend that gave it. After a restart, make its object again." },
      );
    }
    if (!handle.isValid) {
      throw new StaleHandleError(
        `Cannot use handle ${handle.id} of type "${handle.typeName}": it was disposed`,
      );
    }
    return handle.id;
  }

  /**
   * Releases now, or as soon as the calls that use it have ended. Those are not waited for inside a callback, which such a
   * call may be waiting for.
   */
  async releaseHandle(handle: PythonObjectHandle): Promise<void> {
    this.#collected.unregister(handle);
    const released = new Promise<void>((resolve) => this.#waiters.set(handle.id, resolve));
    this.#enqueue(handle.id, this.#host.waitingCall());
    await released;
  }

  /** Releases with the others of this tick. */
  releaseHandleSoon(handle: PythonObjectHandle): void {
    this.#collected.unregister(handle);
    this.#enqueue(handle.id, this.#host.waitingCall());
  }

  /** Releases ids that no handle stands for, such as those of a reply that came too late. */
  releaseIds(ids: readonly number[], session?: string): void {
    for (const id of ids) {
      if (session !== undefined) this.#sessions.set(id, session);
      this.#enqueue(id);
    }
  }

  /** The server is gone, and every object with it. */
  end(): void {
    this.#queue = [];
    for (const resolve of this.#waiters.values()) resolve();
    this.#waiters.clear();
    this.#sessions.clear();
  }

  #watched<H extends PythonObjectHandle>(handle: H, session: string | undefined): H {
    if (session !== undefined) this.#sessions.set(handle.id, session);
    this.#collected.register(handle, handle.id, handle);
    return handle;
  }

  #enqueue(id: number, parent?: WaitingCall): void {
    this.#queue.push({ id, parent });
    // Started by a microtask, so that handles disposed one after the other go out together.
    this.#flushed ??= Promise.resolve().then(() => this.#flush());
  }

  async #flush(): Promise<void> {
    this.#flushed = null;
    const groups = Map.groupBy(this.#takeUnused(), ({ parent }) => parent?.isWaiting ? parent : undefined);
    await Promise.all(Array.from(groups, ([parent, released]) => this.#releaseAll(released, parent)));
  }

  async #releaseAll(released: readonly Released[], parent: WaitingCall | undefined): Promise<void> {
    const ids = released.map(({ id }) => id);
    if (this.#sessions.size === 0) return await this.#release(ids, undefined, parent);
    const groups = Map.groupBy(ids, (id) => this.#sessions.get(id));
    await Promise.all(Array.from(groups, ([session, some]) => this.#release(some, session, parent)));
  }

  async #release(
    ids: readonly number[],
    session: string | undefined,
    parent: WaitingCall | undefined,
  ): Promise<void> {
    await this.#host.sendRelease(ids, session, parent);
    for (const id of ids) {
      this.#sessions.delete(id);
      this.#told(id);
    }
  }

  #told(id: number): void {
    this.#waiters.get(id)?.();
    this.#waiters.delete(id);
  }

  /** Takes the queue, and hands what a running call uses to that call. */
  #takeUnused(): Released[] {
    const queue = this.#queue;
    this.#queue = [];
    const users = new Map<number, PendingCall>();
    for (const call of this.#host.pendingCalls()) {
      // A call that was given up may run for ever; who disposes must not wait for it.
      if (!call.isWaiting || call.handles === undefined) continue;
      for (const id of call.handles) users.set(id, call);
    }
    if (users.size === 0) return queue;
    const unused: Released[] = [];
    for (const released of queue) {
      const { id, parent } = released;
      const user = users.get(id);
      if (user === undefined) {
        unused.push(released);
        continue;
      }
      (user.releaseAfter ??= []).push(id);
      if (parent !== undefined) this.#told(id);
    }
    return unused;
  }
}

function notAHandle(value: unknown): PythonHostError {
  const name = Object(value).constructor?.name;
  // Whatever is asked of a proxy's path is a longer path; its text says what it is.
  const what = value === null || value === undefined || typeof name === "function"
    ? String(value)
    : name ?? "object";
  return new PythonHostError(
    "argument",
    `Cannot use this as a handle: it is a value of JavaScript (${what})`,
    {
      hint:
        'What has an image in JavaScript is copied. To keep it in Python, evaluate with result: "handle", or use ' +
        "hold() on a path of a proxy. handleOf() gives the handle of a proxy.",
    },
  );
}
