/**
 * Keeps one server running: watches it, and puts another in its place when it ended or is to be replaced.
 *
 * ```text
 * start ──► live(1) ── ended by itself ──► waiting ──► starting(2) ──► live(2) …
 *              │                             │  ▲          │ fails
 *              │ replace()                   │  └──────────┘
 *              └──► ending ──► starting(2)   └─ too many ends ──► over(CrashLoopError)
 * ```
 *
 * Without a restart policy a server that ended by itself stays what it is: its backend tells how it ended.
 *
 * @module
 */

import type { CloseOptions, PythonHostBackend } from "../core/backend.ts";
import {
  ConnectError,
  ConnectionClosedError,
  PythonHostError,
  ServerExitedError,
  ServerStartError,
} from "../core/errors.ts";
import type { Logger } from "../core/logger.ts";
import { startTimer } from "../core/timers.ts";
import { Generation, type GenerationSetup } from "./generation.ts";
import { RestartLimiter, type RestartOptions } from "./restart.ts";

/** How a supervisor goes about it. */
export interface SupervisorOptions {
  /** What the servers are made from. */
  readonly setup: GenerationSetup;
  /** How a server that ended by itself is started again; undefined when it is not. */
  readonly restart: RestartOptions | undefined;
  /** Whether a server is replaced in which a call cannot be interrupted. */
  readonly replacesUninterruptible: boolean;
  /** Told what happens. */
  readonly logger: Logger;
  /** Asked when a server ended by itself: false for an end that is the fault of the work it did, and counts for nothing. */
  readonly countsEnd?: (() => boolean) | undefined;
  /** Told when nothing will be started any more. */
  readonly onOver?: ((reason: PythonHostError) => void) | undefined;
}

/** See the module comment. */
export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #limiter: RestartLimiter;
  readonly #closing = new AbortController();
  /** The number of each backend's generation, to tell a handle of an earlier one. */
  readonly #generations = new WeakMap<PythonHostBackend, Generation>();
  #current!: Generation;
  #next: Promise<Generation> | undefined;
  #reason: PythonHostError | undefined;
  #closed: Promise<void> | undefined;

  private constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#limiter = new RestartLimiter(options.restart);
  }

  /** Starts the first server; what fails then is not tried again. */
  static async start(options: SupervisorOptions, signal?: AbortSignal): Promise<Supervisor> {
    const supervisor = new Supervisor(options);
    supervisor.#take(await supervisor.#start(1, signal));
    return supervisor;
  }

  /** The generation that was started last. */
  get current(): Generation {
    return this.#current;
  }

  /** The generation that calls go to; undefined while another one is started, or none will be. */
  get live(): Generation | undefined {
    return this.#next === undefined && this.#reason === undefined ? this.#current : undefined;
  }

  /** Waits for the next generation; rejects with the reason when there will be none. */
  ready(): Promise<Generation> {
    if (this.#reason !== undefined) return Promise.reject(this.#reason);
    return this.#next ?? Promise.resolve(this.#current);
  }

  /** The generation of a backend that this supervisor connected. */
  generationOf(backend: PythonHostBackend): Generation | undefined {
    return this.#generations.get(backend);
  }

  /**
   * Puts another server in the place of a generation, by force when its server would not end in order. Settles when
   * the old one has ended; {@linkcode ready} waits for the new one.
   */
  async replace(generation: Generation, cause: PythonHostError, how: "close" | "kill"): Promise<void> {
    const end = (): Promise<void> =>
      how === "kill" ? generation.server.close({ graceMs: 0 }) : generation[Symbol.asyncDispose]();
    if (generation !== this.#current || this.live === undefined || this.#closing.signal.aborted) {
      return await end();
    }
    const ended = end();
    this.#succeed(generation, cause, () => ended);
    await ended;
  }

  /** Ends the server, and starts none any more; doing it again gives the same promise. */
  close(options?: CloseOptions): Promise<void> {
    return this.#closed ??= this.#close(options);
  }

  async #close(options: CloseOptions | undefined): Promise<void> {
    const next = this.#next;
    this.#closing.abort(new ConnectionClosedError("Cannot use backend: it was closed"));
    // Its failure was told to those who waited for it; here it matters only that nothing is left.
    await next?.catch(() => {});
    await using _generation = this.#current;
    await this.#current.backend.close(options);
  }

  #take(generation: Generation): void {
    this.#current = generation;
    this.#generations.set(generation.backend, generation);
    generation.server.exited.then((facts) => {
      const isExpected = this.#closing.signal.aborted || generation.isSuperseded;
      if (isExpected || this.#options.restart === undefined) return;
      const cause = new ServerExitedError("go on", facts);
      const counts = this.#options.countsEnd?.() ?? true;
      this.#succeed(generation, cause, () => counts ? this.#wait(cause) : Promise.resolve());
    });
  }

  /** Starts the successor of a generation, once `before` has passed. */
  #succeed(ended: Generation, cause: PythonHostError, before: () => Promise<void>): void {
    ended.isSuperseded = true;
    const next = this.#next = this.#startNext(ended, before);
    next.then(
      (generation) => {
        this.#next = undefined;
        this.#take(generation);
        this.#tell(generation, cause);
      },
      (error) => this.#end(error),
    );
  }

  async #startNext(ended: Generation, before: () => Promise<void>): Promise<Generation> {
    // Freed after the wait: the backend has then seen the end itself, and taken the replies that came before it.
    await before();
    await this.#dispose(ended);
    for (;;) {
      this.#closing.signal.throwIfAborted();
      try {
        return await this.#start(ended.number + 1);
      } catch (error) {
        if (this.#closing.signal.aborted || !isWorthRetrying(error)) throw error;
        this.#options.logger.warn("Cannot start the Python server again", error);
        await this.#wait(error);
      }
    }
  }

  #start(number: number, signal: AbortSignal = this.#closing.signal): Promise<Generation> {
    const replace = async (generation: Generation): Promise<void> => {
      this.#options.logger.warn(`Python server ${generation.server.pid} is replaced: a call did not stop`);
      const cause = new ConnectionClosedError("Cannot go on: a call could not be interrupted");
      await this.replace(generation, cause, "kill");
    };
    return Generation.start(number, this.#options.setup, {
      signal,
      endUninterruptible: this.#options.replacesUninterruptible ? replace : undefined,
    });
  }

  /** Waits until the next start may be tried; rejects when it may not. */
  async #wait(cause: PythonHostError): Promise<void> {
    const delayMs = this.#limiter.noteEnd(cause);
    this.#options.logger.warn(`The Python server is started again in ${delayMs} ms`, cause);
    const { signal } = this.#closing;
    // The timer holds the program, though not for long: who waits for a call waits for this.
    const passed = Promise.withResolvers<void>();
    const timer = startTimer(passed.resolve, delayMs);
    const onAbort = (): void => passed.reject(signal.reason);
    signal.addEventListener("abort", onAbort);
    try {
      signal.throwIfAborted();
      await passed.promise;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
    }
  }

  #end(error: unknown): void {
    const reason = error instanceof PythonHostError
      ? error
      : new ServerStartError("Cannot start the Python server again", "", { cause: error });
    this.#reason = reason;
    this.#next = undefined;
    if (this.#closing.signal.aborted) return;
    this.#options.logger.error("The Python server is not started again", reason);
    this.#options.onOver?.(reason);
  }

  #tell(generation: Generation, cause: PythonHostError): void {
    try {
      this.#options.restart?.onRestart?.({ generation: generation.number, cause });
    } catch (error) {
      this.#options.logger.error("Callback onRestart threw", error);
    }
  }

  /** Frees what an ended generation holds. It must not keep its successor from being started. */
  async #dispose(generation: Generation): Promise<void> {
    try {
      await generation[Symbol.asyncDispose]();
    } catch (error) {
      this.#options.logger.warn(`Cannot close server generation ${generation.number}`, error);
    }
  }
}

/** Whether a start that failed may succeed the next time: a server that died may, a missing permission does not. */
function isWorthRetrying(error: unknown): error is PythonHostError {
  return [ServerStartError, ServerExitedError, ConnectError, ConnectionClosedError].some((kind) =>
    error instanceof kind
  );
}
