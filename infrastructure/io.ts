/**
 * Everything that provisioning does to the world, as one interface: files, network, processes.
 *
 * The managers reach the world only through it, so that a test can make each single call fail in turn and prove that
 * nothing half-made is ever taken for whole.
 *
 * @module
 */

/** An open file. */
export interface IoFile {
  /** Fills `buffer` and gives the number of bytes, or null at the end. */
  read(buffer: Uint8Array): Promise<number | null>;
  /** Writes all of `bytes` at the current position. */
  write(bytes: Uint8Array): Promise<void>;
  /** Moves to `offset`, counted from the start. */
  seek(offset: number): Promise<void>;
  /** Cuts the file to `size` bytes. */
  truncate(size: number): Promise<void>;
  /** Forces the content to the disk. */
  sync(): Promise<void>;
  /** Takes the exclusive lock of the file if it is free; the system frees it when the process ends. */
  tryLock(): Promise<boolean>;
  /** Whether `path` still leads to this very file; true where the system cannot tell. */
  isAt(path: string): Promise<boolean>;
  /** Closes the file, which also frees its lock. */
  close(): void;
}

/** A new file that is written at once, without waiting in between: ten times faster for thousands of small ones. */
export interface IoNewFile {
  /** Writes all of `bytes`. */
  write(bytes: Uint8Array): void;
  /** Closes the file. */
  close(): void;
}

/** How a file is opened. */
export interface IoOpenOptions {
  /** Reading is wanted. */
  readonly read?: boolean;
  /** Writing is wanted. */
  readonly write?: boolean;
  /** The file is made when it is missing. */
  readonly create?: boolean;
  /** The file must be missing, and is made. */
  readonly createNew?: boolean;
  /** Permission bits of a file that is made. */
  readonly mode?: number;
}

/** A started process. */
export interface IoProcess {
  /** The process id. */
  readonly pid: number;
  /** What is written to the process; absent unless asked for. */
  readonly stdin: WritableStream<Uint8Array> | null;
  /** What the process prints. */
  readonly stdout: ReadableStream<Uint8Array>;
  /** What the process complains about. */
  readonly stderr: ReadableStream<Uint8Array>;
  /** How the process ended. */
  readonly status: Promise<{ readonly code: number; readonly signal: string | null }>;
  /** Sends a signal; does nothing when the process has ended. */
  kill(signal: "SIGTERM" | "SIGKILL" | "SIGINT"): void;
  /** Kills what is left in the group that it was given; false where Deno may not do that. */
  killGroup(): boolean;
}

/** How a process is started. */
export interface IoSpawnOptions {
  /** The arguments; never read by a shell. */
  readonly args: readonly string[];
  /** The whole environment of the process: nothing is inherited. */
  readonly env: Readonly<Record<string, string>>;
  /** The directory that it starts in. */
  readonly cwd?: string;
  /** Whether its standard input is a pipe that we hold; else it is empty. */
  readonly stdin?: boolean;
  /** Whether it gets a process group of its own. */
  readonly detached?: boolean;
}

/** What {@linkcode Io.stat} tells. */
export interface IoInfo {
  /** Whether it is a regular file. */
  readonly isFile: boolean;
  /** Whether it is a directory. */
  readonly isDirectory: boolean;
  /** Whether it is a symbolic link; only `lstat` says so. */
  readonly isSymlink: boolean;
  /** Its size in bytes. */
  readonly size: number;
  /** When it was last written, in milliseconds; 0 where unknown. */
  readonly mtimeMs: number;
  /** Its permission bits; null where the system has none. */
  readonly mode: number | null;
  /** Its owner; null where the system has none. */
  readonly uid: number | null;
}

/** One entry of a directory. */
export interface IoEntry {
  /** Its name. */
  readonly name: string;
  /** Whether it is a directory, and not a link to one. */
  readonly isDirectory: boolean;
  /** Whether it is a symbolic link. */
  readonly isSymlink: boolean;
}

/** Everything that provisioning does to the world. */
export interface Io {
  /** What is at `path`, links followed. */
  stat(path: string): Promise<IoInfo>;
  /** What is at `path` itself. */
  lstat(path: string): Promise<IoInfo>;
  /** `path` without links. */
  realPath(path: string): Promise<string>;
  /** The bytes of a file. */
  readFile(path: string): Promise<Uint8Array<ArrayBuffer>>;
  /** The text of a file. */
  readTextFile(path: string): Promise<string>;
  /** The entries of a directory. */
  readDir(path: string): Promise<IoEntry[]>;
  /** Makes a directory, and those above it when `recursive`. */
  mkdir(path: string, options?: { recursive?: boolean; mode?: number }): Promise<void>;
  /** Writes a whole file. */
  writeFile(path: string, bytes: Uint8Array, options?: { mode?: number; createNew?: boolean }): Promise<void>;
  /** Opens a file. */
  open(path: string, options: IoOpenOptions): Promise<IoFile>;
  /** Makes a directory at once. */
  makeDirectory(path: string): void;
  /** Makes a new file; it must not be there yet. */
  createNew(path: string, mode: number): IoNewFile;
  /** Gives a file or directory another name, atomically. */
  rename(from: string, to: string): Promise<void>;
  /** Removes a file, or a directory with all that is in it when `recursive`. */
  remove(path: string, options?: { recursive?: boolean }): Promise<void>;
  /** Gives an existing file a second name. */
  link(from: string, to: string): Promise<void>;
  /** Copies a file. */
  copyFile(from: string, to: string): Promise<void>;
  /** Forces a directory's entries to the disk, where the system can. */
  syncDirectory(path: string): Promise<void>;
  /** Asks a web server. */
  fetch(url: string, init: RequestInit): Promise<Response>;
  /** Starts a process. */
  spawn(executable: string, options: IoSpawnOptions): IoProcess;
}

function toInfo(info: Deno.FileInfo): IoInfo {
  return {
    isFile: info.isFile,
    isDirectory: info.isDirectory,
    isSymlink: info.isSymlink,
    size: info.size,
    mtimeMs: info.mtime?.getTime() ?? 0,
    mode: info.mode,
    uid: info.uid,
  };
}

class DenoIoFile implements IoFile {
  readonly #file: Deno.FsFile;

  constructor(file: Deno.FsFile) {
    this.#file = file;
  }

  read(buffer: Uint8Array): Promise<number | null> {
    return this.#file.read(buffer);
  }

  async write(bytes: Uint8Array): Promise<void> {
    let written = 0;
    while (written < bytes.byteLength) written += await this.#file.write(bytes.subarray(written));
  }

  async seek(offset: number): Promise<void> {
    await this.#file.seek(offset, Deno.SeekMode.Start);
  }

  truncate(size: number): Promise<void> {
    return this.#file.truncate(size);
  }

  sync(): Promise<void> {
    return this.#file.sync();
  }

  tryLock(): Promise<boolean> {
    return this.#file.tryLock(true);
  }

  async isAt(path: string): Promise<boolean> {
    try {
      const [mine, there] = await Promise.all([this.#file.stat(), Deno.stat(path)]);
      return mine.ino === there.ino && mine.dev === there.dev;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return false;
      throw error;
    }
  }

  close(): void {
    this.#file.close();
  }
}

/** The real world, by `Deno`. */
export const denoIo: Io = {
  stat: async (path: string): Promise<IoInfo> => toInfo(await Deno.stat(path)),
  lstat: async (path: string): Promise<IoInfo> => toInfo(await Deno.lstat(path)),
  realPath: (path: string): Promise<string> => Deno.realPath(path),
  readFile: (path: string): Promise<Uint8Array<ArrayBuffer>> => Deno.readFile(path),
  readTextFile: (path: string): Promise<string> => Deno.readTextFile(path),
  readDir: async (path: string): Promise<IoEntry[]> => await Array.fromAsync(Deno.readDir(path)),
  mkdir: (path: string, options?: { recursive?: boolean; mode?: number }): Promise<void> =>
    Deno.mkdir(path, options),
  writeFile: (
    path: string,
    bytes: Uint8Array,
    options?: { mode?: number; createNew?: boolean },
  ): Promise<void> => Deno.writeFile(path, bytes, options),
  open: async (path: string, options: IoOpenOptions): Promise<IoFile> =>
    new DenoIoFile(await Deno.open(path, options)),
  makeDirectory: (path: string): void => Deno.mkdirSync(path),
  createNew: (path: string, mode: number): IoNewFile => {
    const file = Deno.openSync(path, { write: true, createNew: true, mode });
    return {
      write: (bytes: Uint8Array): void => {
        let written = 0;
        while (written < bytes.byteLength) written += file.writeSync(bytes.subarray(written));
      },
      close: (): void => file.close(),
    };
  },
  rename: (from: string, to: string): Promise<void> => Deno.rename(from, to),
  remove: (path: string, options?: { recursive?: boolean }): Promise<void> => Deno.remove(path, options),
  link: (from: string, to: string): Promise<void> => Deno.link(from, to),
  copyFile: (from: string, to: string): Promise<void> => Deno.copyFile(from, to),
  syncDirectory: async (path: string): Promise<void> => {
    // Windows cannot open a directory as a file; its rename is durable by the journal.
    if (Deno.build.os === "windows") return;
    using directory = await Deno.open(path, { read: true });
    await directory.sync();
  },
  fetch: (url: string, init: RequestInit): Promise<Response> => fetch(url, init),
  spawn: (executable: string, options: IoSpawnOptions): IoProcess => {
    const child = new Deno.Command(executable, {
      args: [...options.args],
      env: { ...options.env },
      clearEnv: true,
      stdin: options.stdin === true ? "piped" : "null",
      stdout: "piped",
      stderr: "piped",
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      ...(options.detached === true ? { detached: true } : {}),
    }).spawn();
    return {
      pid: child.pid,
      stdin: options.stdin === true ? child.stdin : null,
      stdout: child.stdout,
      stderr: child.stderr,
      status: child.status,
      kill: (signal: "SIGTERM" | "SIGKILL" | "SIGINT"): void => {
        try {
          child.kill(signal);
        } catch (error) {
          // A process that has already ended cannot be signalled, and need not be.
          if (!(error instanceof TypeError) && !(error instanceof Deno.errors.NotFound)) throw error;
        }
      },
      killGroup: (): boolean => {
        if (options.detached !== true || Deno.build.os === "windows") return true;
        // A signal to a group needs `--allow-run` for everything.
        if (Deno.permissions.querySync({ name: "run" }).state !== "granted") return false;
        try {
          Deno.kill(-child.pid, "SIGKILL");
        } catch (error) {
          // No such process: the usual case, nothing is left.
          if (!(error instanceof Deno.errors.NotFound)) throw error;
        }
        return true;
      },
    };
  },
};
