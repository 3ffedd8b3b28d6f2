/**
 * The backend of a pool's worker, lent to one user until it is given back.
 *
 * @module
 */

import type {
  CallOptions,
  CloseOptions,
  InitializeOptions,
  PythonHostBackend,
  ServerInfo,
} from "../core/backend.ts";
import { ConnectionClosedError } from "../core/errors.ts";
import { BackendFacade } from "../objects/facade.ts";

/**
 * A worker's backend, for one user alone: calls made one after the other find what those before them left. Closing it
 * gives the worker back to its pool. When the worker dies its state is lost, and the lent backend is of no use any more.
 */
export class LentBackend extends BackendFacade {
  readonly #giveBack: () => Promise<void>;
  #closed: Promise<void> | undefined;

  /** Called by the pool only. */
  constructor(inner: PythonHostBackend, giveBack: () => Promise<void>) {
    super(inner);
    this.#giveBack = giveBack;
  }

  /** Whether it is still lent, and its worker lives. */
  override get isInitialized(): boolean {
    return this.#closed === undefined && this.inner.isInitialized;
  }

  /** Tells about the server; it is connected already. */
  override async initialize(options?: InitializeOptions): Promise<ServerInfo> {
    this.options(undefined);
    return await this.inner.initialize(options);
  }

  /** Refuses calls that come too late. */
  protected override options(options: CallOptions | undefined): CallOptions | undefined {
    if (this.#closed === undefined) return options;
    throw new ConnectionClosedError("Cannot use lent backend: it was given back to its pool");
  }

  /** Gives the worker back; doing it again gives the same promise. */
  close(_options?: CloseOptions): Promise<void> {
    return this.#closed ??= this.#giveBack();
  }
}
