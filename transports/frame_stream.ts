/**
 * Frames over a connection: one reader, one writer, one end.
 *
 * @module
 */

import { ConnectionClosedError, PythonHostError } from "../core/errors.ts";
import { type Frame, FrameDecoder } from "../core/frames.ts";
import { Outbox } from "./outbox.ts";
import type { Traffic } from "./wire.ts";

/** What is needed of a connection; `Deno.Conn` is one. */
export interface ByteStream {
  /** Reads into `target`; gives how many bytes came, or null at the end. */
  read(target: Uint8Array): Promise<number | null>;
  /** Writes from the start of `bytes`; gives how many were taken. */
  write(bytes: Uint8Array): Promise<number>;
  /** Closes; a read or write in progress then rejects or ends. */
  close(): void;
  /** Makes a pending read keep the program running. */
  ref(): void;
  /** Lets the program end although a read is pending. */
  unref(): void;
}

/** Frames over one connection. */
export class FrameStream {
  readonly #stream: ByteStream;
  readonly #decoder: FrameDecoder;
  readonly #outbox: Outbox;
  readonly #traffic: Traffic;
  #writing: Promise<void> | null = null;
  #writeError: unknown;
  #isClosed = false;
  #isBroken = false;

  /** Takes over an open connection. */
  constructor(
    stream: ByteStream,
    maxFrameBytes: number,
    traffic: Traffic = { bytesSent: 0, bytesReceived: 0 },
  ) {
    this.#stream = stream;
    this.#traffic = traffic;
    this.#decoder = new FrameDecoder(maxFrameBytes);
    this.#outbox = new Outbox(maxFrameBytes);
  }

  /** Adds bytes to be written as they are. */
  sendBytes(bytes: Uint8Array): void {
    this.#outbox.addBytes(bytes);
    this.#startWriting();
  }

  /** Adds a frame to be written, with all others of this tick. Throws when it is too large. */
  send(json: string, parts: readonly Uint8Array[]): void {
    this.#outbox.addFrame(json, parts);
    this.#startWriting();
  }

  /** The next frame, or null at the end. */
  async receive(): Promise<Frame | null> {
    for (;;) {
      const frame = this.#decoder.next();
      if (frame !== null) return frame;
      if (!await this.#fill()) return null;
    }
  }

  /** Hands over each frame until the end. Rejects with a typed error, also when the other side cut off a frame. */
  async receiveAll(take: (frame: Frame) => void): Promise<void> {
    do {
      // All complete frames of what came are handled before the next read.
      for (let frame = this.#decoder.next(); frame !== null; frame = this.#decoder.next()) {
        take(frame);
        if (this.#isClosed) return;
      }
    } while (await this.#fill());
  }

  /** Whether a pending read keeps the program running. */
  setBusy(isBusy: boolean): void {
    if (this.#isClosed || this.#isBroken) return;
    if (isBusy) this.#stream.ref();
    else this.#stream.unref();
  }

  /** Closes at once; doing it again does nothing. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (this.#isBroken) return;
    // Whoever waits for the read to come back must not find the program ended before it does.
    this.#stream.ref();
    this.#stream.close();
  }

  /** Waits until all that was sent is written, or cannot be. */
  async flushed(): Promise<void> {
    await this.#writing;
  }

  async #fill(): Promise<boolean> {
    let count: number | null;
    try {
      count = await this.#stream.read(this.#decoder.target());
    } catch (cause) {
      if (cause instanceof PythonHostError) throw cause;
      if (this.#isClosed) return false;
      throw new ConnectionClosedError("Cannot read from the server: the connection broke", {
        cause: this.#writeError ?? cause,
      });
    }
    if (count !== null) {
      this.#traffic.bytesReceived += count;
      this.#decoder.advance(count);
      return true;
    }
    if (this.#decoder.isAtBoundary || this.#isClosed) return false;
    throw new ConnectionClosedError(
      "Cannot read from the server: the connection ended in the middle of a frame",
    );
  }

  #startWriting(): void {
    if (this.#writing !== null || this.#isClosed) return;
    this.#writing = this.#write();
  }

  /** Writes until the outbox is empty. Begins one microtask later, so that the calls of one tick go out together. */
  async #write(): Promise<void> {
    await undefined;
    try {
      while (!this.#outbox.isEmpty) {
        for (const chunk of this.#outbox.take()) {
          this.#traffic.bytesSent += chunk.byteLength;
          for (let rest = chunk; rest.byteLength > 0;) {
            rest = rest.subarray(await this.#stream.write(rest));
          }
        }
      }
      this.#writing = null;
    } catch (error) {
      // The reader tells of the end and gives this as the cause. Where the other side has gone, the reader comes to
      // the end by itself, after the replies that are still to be read; else the read is made to fail.
      // `#writing` stays set: nothing more is written.
      this.#writeError = error;
      const isGone = error instanceof Deno.errors.BrokenPipe || error instanceof Deno.errors.ConnectionReset;
      if (!isGone && !this.#isClosed) {
        this.#isBroken = true;
        this.#stream.close();
      }
    }
  }
}
