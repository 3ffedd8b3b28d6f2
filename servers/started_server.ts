/**
 * A server that is ready: its process together with what it has in the file system, which goes when the process goes.
 *
 * @module
 */

import type { RunEntry } from "../core/endpoint.ts";
import type { ExitFacts } from "../core/errors.ts";
import { showAs } from "../core/inspection.ts";
import type { Logger } from "../core/logger.ts";
import type {
  CapturedOutput,
  CloseServerOptions,
  HostApiAccess,
  PythonServer,
  ServerReady,
  ServerTransport,
} from "./options.ts";
import type { WrittenEntry } from "./run_entries.ts";
import type { ServerProcess } from "./server_process.ts";
import type { SocketClaim } from "./socket_address.ts";

/** Half a second more than the server gives itself: its own way out, which flushes its output, comes first. */
const DEFAULT_GRACE_MS = 2_500;

/** The pieces of a started server. */
export interface StartedServerParts {
  /** The process. */
  readonly child: ServerProcess;
  /** Its socket, when it has one. */
  readonly claim: SocketClaim | undefined;
  /** What stands in its run entry. */
  readonly entry: RunEntry;
  /** What it said when it became ready. */
  readonly ready: ServerReady;
  /** The run entry's file. */
  readonly written: WrittenEntry;
  /** How Python reaches its host, when it does. */
  readonly hostApi: HostApiAccess | undefined;
  /** Told of its end. */
  readonly logger: Logger;
}

/** See {@linkcode PythonServer}. */
export class StartedServer implements PythonServer {
  readonly transport: ServerTransport;
  readonly endpoint: string;
  readonly address: string;
  readonly pid: number;
  readonly info: ServerReady;
  readonly exited: Promise<ExitFacts>;
  readonly #parts: StartedServerParts;
  readonly #onUnload: () => void;
  #cleaned: Promise<void>;

  static {
    // Not the token, which is a property for who asks for it.
    showAs(this.prototype, "PythonServer", ({ transport, endpoint, pid }) => ({ transport, endpoint, pid }));
  }

  constructor(parts: StartedServerParts) {
    const { child, entry, ready } = parts;
    this.#parts = parts;
    this.transport = entry.transport as ServerTransport;
    this.endpoint = entry.endpoint;
    this.address = entry.address;
    this.pid = ready.pid;
    this.info = ready;
    this.exited = child.exited;
    // A program that ends without close(): the lifeline ends the process, which then has no time to tidy up.
    this.#onUnload = (): void => removeFilesNow(parts);
    globalThis.addEventListener("unload", this.#onUnload);
    this.#cleaned = this.#cleanUp();
    child.unref();
  }

  /** Not a field: what shows, copies or logs the fields of an object would have it. */
  get token(): string {
    return this.#parts.entry.token;
  }

  get stdout(): CapturedOutput {
    return this.#parts.child.stdout.captured;
  }

  get stderr(): CapturedOutput {
    return this.#parts.child.stderr.captured;
  }

  ref(): void {
    this.#parts.child.ref();
  }

  unref(): void {
    this.#parts.child.unref();
  }

  async close(options: CloseServerOptions = {}): Promise<void> {
    await this.#parts.child.close(options.graceMs ?? DEFAULT_GRACE_MS);
    await this.#cleaned;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #cleanUp(): Promise<void> {
    const { code, signal } = await this.exited;
    const { claim, written, hostApi, logger } = this.#parts;
    globalThis.removeEventListener("unload", this.#onUnload);
    logger.info(`Python server ${this.pid} ended: ${signal ?? `code ${code}`}`);
    try {
      await written.remove();
      await claim?.[Symbol.asyncDispose]();
      await hostApi?.[Symbol.asyncDispose]();
    } catch (error) {
      // A file that is left is harmless: its server refuses connections, and the next start removes it.
      logger.warn(`Cannot remove the files of Python server ${this.pid}`, error);
    }
  }
}

function removeFilesNow({ claim, written, hostApi, logger }: StartedServerParts): void {
  try {
    written.removeNow();
    claim?.removeNow();
    hostApi?.removeNow();
  } catch (error) {
    logger.warn("Cannot remove the files of a Python server", error);
  }
}
