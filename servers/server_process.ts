/**
 * One Python process: its start, its output, its end. Knows nothing of transports.
 *
 * ```text
 *  spawned ──ready line──► ready ──close()──► asked ──2.5 s──► lifeline cut, SIGKILL
 *     └──────────────┬───────┴──────────────────┴─────────────────────┘
 *                    ▼  the process ended, in whatever way
 *        its group is swept, its output drained, `exited` settles with the facts
 * ```
 *
 * stdin is the lifeline: it stays open until the process has ended. When this program dies first, in any way, the
 * kernel's signal on that pipe ends the process and its group. The kernel sends the same signal when anything is written
 * to the pipe, so nothing is ever said on it after the first line: the request to close is `SIGTERM`, or, where there
 * are no signals, the end of stdin.
 *
 * @module
 */

import { type ExitFacts, PermissionNeededError, PythonHostError, ServerStartError } from "../core/errors.ts";
import type { Logger } from "../core/logger.ts";
import { settlesWithin } from "../core/timers.ts";
import { OutputRing } from "./output_ring.ts";
import { killProcessGroup } from "./process_group.ts";
import { ReadyScanner } from "./ready_line.ts";

/** How long output is still read after the process ended, when a process that left its group holds the pipe open. */
const DRAIN_MS = 100;
/** How long a process may take to disappear after `SIGKILL`; only one that hangs in the kernel takes any time. */
const KILL_MS = 5_000;

/** What a process is started with. */
export interface ServerProcessOptions {
  /** Path of the interpreter. */
  readonly python: string;
  /** The directory to start Python on. */
  readonly directory: string;
  /** What the first line on stdin says. */
  readonly bootstrap: Readonly<Record<string, unknown>> & { readonly nonce: string };
  /** The process's whole environment. */
  readonly env: Record<string, string>;
  /** Its working directory. */
  readonly cwd: string | undefined;
  /** Told what it writes to stdout. */
  readonly onStdout: ((text: string) => void) | undefined;
  /** Told what it writes to stderr. */
  readonly onStderr: ((text: string) => void) | undefined;
  /** Told what goes wrong where nobody can be thrown at. */
  readonly logger: Logger;
}

/** A Python process under supervision. */
export class ServerProcess {
  /** Process id of what was spawned, and number of its process group. */
  readonly pid: number;
  /** The JSON text of the ready line, or null when stdout ended without one. Never rejects. */
  readonly ready: Promise<string | null>;
  /** Settles when the process has ended and its output was read. Never rejects. */
  readonly exited: Promise<ExitFacts>;
  /** The last of what it wrote to stdout. */
  readonly stdout: OutputRing = new OutputRing();
  /** The last of what it wrote to stderr. */
  readonly stderr: OutputRing = new OutputRing();
  readonly #child: Deno.ChildProcess;
  readonly #stdin: WritableStreamDefaultWriter<Uint8Array>;
  readonly #options: ServerProcessOptions;
  readonly #ready = Promise.withResolvers<string | null>();
  #closing: Promise<void> | undefined;
  #hasEnded = false;

  /** Spawns the process and begins to read its output. */
  constructor(options: ServerProcessOptions) {
    this.#options = options;
    this.#child = spawn(options);
    this.pid = this.#child.pid;
    this.ready = this.#ready.promise;
    this.#stdin = this.#child.stdin.getWriter();
    const drains = [this.#readStdout(), this.#readStderr()];
    this.exited = this.#supervise(drains);
    this.#sendBootstrap();
  }

  /** Makes the program wait for the process. */
  ref(): void {
    this.#child.ref();
  }

  /** Lets the program end although the process runs; it then ends by its lifeline. */
  unref(): void {
    this.#child.unref();
  }

  /** Ends the process by the ladder: the request, then the kill. Later calls give the first one's promise. */
  close(graceMs: number): Promise<void> {
    return this.#closing ??= this.#descend(graceMs);
  }

  /** Ends the process at once: the last rung of the ladder alone. */
  kill(): Promise<void> {
    return this.#closing ??= this.#end();
  }

  /** Lets a process that hangs write the stacks of its threads to stderr (`-X faulthandler`), and ends it. */
  abort(graceMs: number): Promise<void> {
    return this.#closing ??= this.#abort(graceMs);
  }

  async #descend(graceMs: number): Promise<void> {
    this.#child.ref(); // else the program could end while it waits here
    if (Deno.build.os === "windows") await this.#closeStdin();
    else this.#signal("SIGTERM");
    if (await settlesWithin(this.exited, graceMs)) return;
    this.#options.logger.warn(`Python server ${this.pid} did not end within ${graceMs} ms and is killed`);
    await this.#end();
  }

  async #abort(graceMs: number): Promise<void> {
    this.#child.ref();
    if (Deno.build.os !== "windows") {
      this.#signal("SIGABRT");
      if (await settlesWithin(this.exited, graceMs)) return;
    }
    await this.#end();
  }

  async #end(): Promise<void> {
    this.#child.ref();
    // First the lifeline, whose signal reaches the whole group while its leader still has the reading end open. Cut, not
    // closed: closing would wait for a process that hangs to read what was written.
    await this.#stdin.abort().catch(() => {}); // rejects only when it is closed already
    this.#signal("SIGKILL");
    if (await settlesWithin(this.exited, KILL_MS)) return;
    throw new PythonHostError(
      "server-exited",
      `Cannot end the Python server with process id ${this.pid}: it is still there ${KILL_MS} ms after SIGKILL`,
    );
  }

  #signal(signal: Deno.Signal): void {
    if (this.#hasEnded) return;
    try {
      this.#child.kill(signal);
    } catch (error) {
      // It ended in this very moment; `exited` tells. Anything else would leave it running unnoticed.
      if (!(error instanceof TypeError) && !(error instanceof Deno.errors.NotFound)) throw error;
    }
  }

  /** Writes the one line. The process may be gone already: then `exited` tells, and the write has no reader. */
  #sendBootstrap(): void {
    const line = new TextEncoder().encode(`${JSON.stringify(this.#options.bootstrap)}\n`);
    this.#stdin.write(line).catch((error: unknown) => {
      this.#options.logger.debug(`Python server ${this.pid} does not read its stdin`, error);
    });
  }

  async #closeStdin(): Promise<void> {
    try {
      await this.#stdin.close();
    } catch (error) {
      // Closed before, or broken because the reader is gone: closed is what it is to be.
      this.#options.logger.debug(`The stdin of Python server ${this.pid} was closed already`, error);
    }
  }

  async #supervise(drains: readonly Drain[]): Promise<ExitFacts> {
    const { code, signal } = await this.#child.status;
    this.#hasEnded = true;
    const { python, logger } = this.#options;
    await killProcessGroup(this.pid, python, logger);
    await settlesWithin(Promise.all(drains.map((drain) => drain.done)), DRAIN_MS);
    await Promise.all(drains.map((drain) => drain.stop()));
    await this.#closeStdin();
    return { code, signal, stderrTail: this.stderr.tail() };
  }

  #readStdout(): Drain {
    const { logger, onStdout, bootstrap } = this.#options;
    const scanner = new ReadyScanner(bootstrap.nonce);
    const tell = textTeller(onStdout, logger);
    const take = (bytes: Uint8Array): void => {
      this.stdout.push(bytes);
      tell(bytes);
    };
    return drain(this.#child.stdout, logger, (chunk) => {
      const { output, ready } = scanner.push(chunk);
      take(output);
      if (ready !== undefined) this.#ready.resolve(ready);
    }, () => {
      take(scanner.end());
      this.#ready.resolve(null);
    });
  }

  #readStderr(): Drain {
    const { logger, onStderr } = this.#options;
    const tell = textTeller(onStderr, logger);
    return drain(this.#child.stderr, logger, (chunk) => {
      this.stderr.push(chunk);
      tell(chunk);
    });
  }
}

function spawn(options: ServerProcessOptions): Deno.ChildProcess {
  const { python, directory, env, cwd } = options;
  try {
    return new Deno.Command(python, {
      args: ["-I", "-B", "-X", "utf8", "-X", "faulthandler", directory],
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
      // A group of its own: Ctrl-C reaches the host alone, and the whole group can be ended. On Windows Deno's job
      // object does that, but only for children that are not detached.
      detached: Deno.build.os !== "windows",
      clearEnv: true,
      env,
      ...(cwd === undefined ? {} : { cwd }),
    }).spawn();
  } catch (cause) {
    if (cause instanceof Deno.errors.NotCapable) {
      throw new PermissionNeededError("start a Python server", [`--allow-run=${python}`], { cause });
    }
    const where = cwd === undefined ? "" : ` in directory "${cwd}"`;
    throw new ServerStartError(`Cannot start a Python server: "${python}" cannot be run${where}`, "", {
      cause,
    });
  }
}

/** A stream that is being read. */
interface Drain {
  /** Settles when the stream has ended, or was told to stop. */
  readonly done: Promise<void>;
  /** Stops reading. */
  stop(): Promise<void>;
}

function drain(
  stream: ReadableStream<Uint8Array>,
  logger: Logger,
  take: (chunk: Uint8Array) => void,
  end: () => void = () => {},
): Drain {
  const reader = stream.getReader();
  const read = async (): Promise<void> => {
    try {
      for (let next = await reader.read(); !next.done; next = await reader.read()) take(next.value);
    } finally {
      end();
    }
  };
  return {
    // A pipe that cannot be read any more is one that has ended; how the process ended is told by its status.
    done: read().catch((error: unknown) => logger.debug("Cannot read a Python server's output", error)),
    stop: (): Promise<void> => reader.cancel().catch(() => {}), // rejects only with the failure that `done` reported
  };
}

/** Gives a function that passes bytes on as text; a callback that throws is reported and not called again. */
function textTeller(
  callback: ((text: string) => void) | undefined,
  logger: Logger,
): (bytes: Uint8Array) => void {
  if (callback === undefined) return () => {};
  const decoder = new TextDecoder();
  let failed = false;
  return (bytes) => {
    if (failed || bytes.byteLength === 0) return;
    const text = decoder.decode(bytes, { stream: true });
    if (text === "") return;
    try {
      callback(text);
    } catch (error) {
      failed = true;
      logger.error("An output callback threw and is not called any more", error);
    }
  };
}
