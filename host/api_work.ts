/**
 * The operations of a host's API that run: who ends the API waits for them, so that nothing works on after its owner.
 *
 * @module
 */

/** Knows what runs. */
export class RunningWork {
  readonly #running = new Set<Promise<unknown>>();

  /** Runs an operation. */
  async run<T>(operation: () => Promise<T>): Promise<T> {
    const running = operation();
    this.#running.add(running);
    try {
      return await running;
    } finally {
      this.#running.delete(running);
    }
  }

  /** Settles when nothing runs any more; how it ended was told to who asked for it. */
  async settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.allSettled(this.#running);
  }
}
