/**
 * A bound on how much runs at once.
 *
 * @module
 */

/** Lets so many pieces of work run at once; the others wait for their turn, in order. */
export class AtMost {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  /** Lets `count` run at once. */
  constructor(count: number) {
    this.#free = count;
  }

  /** Runs the work when it is its turn. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free++;
      else next();
    }
  }
}
