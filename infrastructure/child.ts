/**
 * Runs a child process to its end: scrubbed environment, drained output, deadline, abort, and no survivor.
 *
 * On Unix a Python child gets a lifeline: its standard input is a pipe that only this process holds, and a few lines
 * of Python ask the kernel to signal the child's whole group as soon as that pipe ends. So `kill -9` of the host also
 * ends a pip that is building something.
 *
 * @module
 */

import { CommandError, PythonHostError } from "../core/errors.ts";
import { INHERITED_VARIABLES } from "../core/inherited_variables.ts";
import { settlesWithin, startTimer } from "../core/timers.ts";
import type { EnvironmentValues } from "./context.ts";
import type { Io, IoProcess } from "./io.ts";
import { diskFull, mapIoError } from "./io_errors.ts";

/** How a child ended, and what it said. */
export interface ChildResult {
  /** The exit code; 128 + n when a signal ended it. */
  readonly code: number;
  /** The signal that ended it, when one did. */
  readonly signal: string | null;
  /** What it printed, or the end of it. */
  readonly stdout: string;
  /** What it complained about, or the end of it. */
  readonly stderr: string;
  /** Whether its deadline passed. */
  readonly timedOut: boolean;
}

/** What is run, and how. */
export interface ChildOptions {
  /** The arguments; never read by a shell. */
  readonly args: readonly string[];
  /** The whole environment of the child. */
  readonly env: Readonly<Record<string, string>>;
  /** The directory that it starts in. */
  readonly cwd?: string;
  /** Ends the child, and rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Ends the child after this many milliseconds. */
  readonly timeoutMs?: number;
  /** A Python that runs the child under a lifeline; Unix only. Often `executable` itself. */
  readonly lifeline?: string | undefined;
  /** Told every line as it comes. */
  readonly onLine?: ((line: string, stream: "stdout" | "stderr") => void) | undefined;
  /** How many characters of each stream are kept. @default {4194304} */
  readonly keepCharacters?: number;
}

const KEEP_CHARACTERS = 4 * 1024 * 1024;

/** After the end of a child, this long is waited for output that a stray grandchild keeps open. */
const DRAIN_GRACE_MS = 500;

/** How long a child under a lifeline has to end when the line is cut. */
const LIFELINE_GRACE_MS = 300;

/** The variables that children get from this process, where they are set and may be read: each is asked for by its name. */
const PASSED_VARIABLES: readonly string[] = [
  ...INHERITED_VARIABLES,
  "LC_ALL",
  "LC_CTYPE",
  "LC_MESSAGES",
  "XDG_CACHE_HOME",
  "XDG_CONFIG_HOME",
  "XDG_DATA_HOME",
  "XDG_RUNTIME_DIR",
  "CUDA_HOME",
  "CUDA_PATH",
  "CUDA_VISIBLE_DEVICES",
];

/** The environment of a child: the passed variables and then `extra`; an undefined value removes one. */
export function childEnvironment(
  environment: EnvironmentValues,
  extra: Readonly<Record<string, string | undefined>> = {},
): Record<string, string> {
  const result: Record<string, string> = {};
  for (const name of PASSED_VARIABLES) {
    const value = environment(name);
    if (value !== undefined) result[name] = value;
  }
  for (const [name, value] of Object.entries(extra)) {
    // The system would take what follows the sign for the value, or drop the variable.
    const isText = value === undefined || typeof value === "string" && !value.includes("\0");
    if (!/^[^=\0]+$/.test(name) || name === "__proto__" || !isText) {
      throw new PythonHostError("argument", `Cannot set the environment variable ${JSON.stringify(name)}`, {
        hint: 'A name has no "=" and is not empty, a value is a string, and neither has a NUL character.',
      });
    }
    if (value === undefined) delete result[name];
    else result[name] = value;
  }
  return result;
}

/**
 * What a Python child runs first. The pipe on standard input moves to another descriptor that stays open over `exec`,
 * and the kernel is told to signal the group when it ends. The poll covers an end that came before the arming.
 */
const LIFELINE_SOURCE = [
  "import os,sys,fcntl,select,signal",
  "d=fcntl.fcntl(0,fcntl.F_DUPFD,64)",
  "os.set_inheritable(d,True)",
  "n=os.open(os.devnull,os.O_RDONLY)",
  "os.dup2(n,0)",
  "os.close(n)",
  "signal.signal(signal.SIGIO,signal.SIG_DFL)",
  "if os.getpgrp()!=os.getpid():os.setpgid(0,0)",
  "fcntl.fcntl(d,fcntl.F_SETOWN,-os.getpid())",
  "fcntl.fcntl(d,fcntl.F_SETFL,fcntl.fcntl(d,fcntl.F_GETFL)|os.O_ASYNC)",
  "p=select.poll()",
  "p.register(d,0)",
  "if p.poll(0):os._exit(125)",
  "os.execv(sys.argv[1],sys.argv[1:])",
].join("\n");

/** Kills a group without the `os` module, so that a bare interpreter is up in a few milliseconds. */
const KILL_GROUP_SOURCE = [
  "import posix,sys",
  "try:posix.killpg(int(sys.argv[1]),9)",
  "except ProcessLookupError:pass",
].join("\n");

/** Kills what a child has left in its group, by the interpreter that we may run where Deno itself may not. */
async function endGroup(io: Io, child: IoProcess, lifeline: string | undefined): Promise<void> {
  if (child.killGroup() || lifeline === undefined) return;
  const killer = io.spawn(lifeline, {
    args: ["-I", "-S", "-c", KILL_GROUP_SOURCE, String(child.pid)],
    env: {},
  });
  await Promise.all([killer.status, killer.stdout.cancel(), killer.stderr.cancel()]);
}

/**
 * Runs a child to its end, in a group of its own: what it has started and left running there ends with it.
 *
 * Rejects when it cannot be started or is aborted; a failing exit code is a result.
 */
export async function runChild(
  io: Io,
  os: string,
  executable: string,
  options: ChildOptions,
): Promise<ChildResult> {
  const { signal } = options;
  signal?.throwIfAborted();
  const guarded = options.lifeline !== undefined && os !== "windows";
  const command = guarded ? options.lifeline! : executable;
  const args = guarded ? ["-I", "-S", "-c", LIFELINE_SOURCE, executable, ...options.args] : options.args;
  let child;
  try {
    child = io.spawn(command, {
      args,
      env: options.env,
      stdin: guarded,
      detached: os !== "windows",
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    });
  } catch (error) {
    throw mapIoError(`run "${executable}"`, error);
  }
  const lifeline = child.stdin;
  let timedOut = false;
  let cut = false;
  const kill = (): void => {
    child.killGroup();
    child.kill("SIGKILL");
  };
  let last: ReturnType<typeof setTimeout> | undefined;
  const end = (): void => {
    cut = true;
    if (lifeline === null) return kill();
    // The end of the pipe makes the kernel end the whole group, but only while the child is there to hold it: so that
    // goes first. Who has found a way to ignore that signal is killed, the others of the group once the child ended.
    closeQuietly(lifeline);
    last ??= setTimeout(kill, LIFELINE_GRACE_MS);
  };
  signal?.addEventListener("abort", end, { once: true });
  const timer = options.timeoutMs === undefined ? undefined : startTimer(() => {
    timedOut = true;
    end();
  }, options.timeoutMs);
  let thrown: { readonly error: unknown } | undefined;
  const tell = (line: string, stream: "stdout" | "stderr"): void => {
    if (thrown !== undefined) return;
    try {
      options.onLine?.(line, stream);
    } catch (error) {
      // The caller's own error: it ends the child as an abort does, and is what the caller is given.
      thrown = { error };
      end();
    }
  };
  const keep = options.keepCharacters ?? KEEP_CHARACTERS;
  const stdout = new Drain(child.stdout, keep, (line) => tell(line, "stdout"));
  const stderr = new Drain(child.stderr, keep, (line) => tell(line, "stderr"));
  try {
    const status = await child.status;
    // Where nobody stops it, a process behind the child, such as a `tee`, may say its last words.
    if (cut) await endGroup(io, child, options.lifeline);
    await Promise.all([stdout.finish(DRAIN_GRACE_MS), stderr.finish(DRAIN_GRACE_MS)]);
    if (!cut) await endGroup(io, child, options.lifeline);
    signal?.throwIfAborted();
    if (thrown !== undefined) throw thrown.error;
    return { code: status.code, signal: status.signal, stdout: stdout.text, stderr: stderr.text, timedOut };
  } finally {
    if (lifeline !== null) closeQuietly(lifeline);
    clearTimeout(timer);
    clearTimeout(last);
    signal?.removeEventListener("abort", end);
  }
}

function closeQuietly(stream: WritableStream<Uint8Array>): void {
  // Already closed, or the reader is gone: either way the pipe has ended, which is all that is wanted.
  stream.close().catch(() => {});
}

/** Reads a stream to its end, keeps the last part of it and tells its lines. */
class Drain {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #done: Promise<void>;
  readonly #keep: number;
  #text = "";
  #partial = "";

  constructor(stream: ReadableStream<Uint8Array>, keep: number, onLine: (line: string) => void) {
    this.#reader = stream.getReader();
    this.#keep = keep;
    this.#done = this.#run(onLine);
  }

  get text(): string {
    return this.#text.slice(-this.#keep);
  }

  async #run(onLine: (line: string) => void): Promise<void> {
    const decoder = new TextDecoder();
    while (true) {
      const { done, value } = await this.#reader.read();
      const text = done ? decoder.decode() : decoder.decode(value, { stream: true });
      this.#text += text;
      if (this.#text.length > 2 * this.#keep) this.#text = this.#text.slice(-this.#keep);
      const lines = text.split("\n");
      const partial = lines.pop()!;
      for (const line of lines) {
        onLine((this.#partial + line).replace(/\r$/, ""));
        this.#partial = "";
      }
      // Only what is new is searched: a line may be as long as all there is.
      this.#partial += partial;
      if (!done) continue;
      if (this.#partial !== "") onLine(this.#partial);
      return;
    }
  }

  /** Waits for the end of the stream, and lets go of it after `graceMs`. */
  async finish(graceMs: number): Promise<void> {
    await settlesWithin(this.#done, graceMs);
    await this.#reader.cancel();
    await this.#done;
  }
}

/** Gives a child's result when it succeeded, else the typed error with the decisive lines of its output. */
export function expectSuccess(
  action: string,
  command: readonly string[],
  result: ChildResult,
  decisive: (result: ChildResult) => string = lastLines,
): ChildResult {
  if (result.code === 0) return result;
  const output = result.timedOut ? `(ended by its deadline)\n${decisive(result)}` : decisive(result);
  const error = new CommandError(action, {
    command: command.map(redactUrl),
    exitCode: result.code,
    signal: result.signal,
    output: redactUrl(output),
  });
  const full = DISK_FULL_REGEXP.exec(`${result.stderr}\n${result.stdout}`);
  throw full === null ? error : diskFull(action, redactUrl(full[0].trim()), error);
}

/** The line by which pip, uv and what they start tell of a full disk or a used-up quota. */
const DISK_FULL_REGEXP =
  /^.*(No space left on device|Disk quota exceeded|There is not enough space on the disk|os error (28|112|122)\)).*$/mi;

/** The last lines of what a child said, stderr preferred. */
export function lastLines(result: { readonly stdout: string; readonly stderr: string }, count = 20): string {
  const text = result.stderr.trim() === "" ? result.stdout : result.stderr;
  return text.trimEnd().split("\n").slice(-count).join("\n");
}

/** Text without the user and password of the URLs in it. */
export function redactUrl(text: string): string {
  return text.replace(/([a-z][a-z0-9+.-]*:\/\/)[^\s/@]+@/gi, "$1***@");
}
