/** A pipe connection made by hand: it can say what no client of ours would. */

import { encodeFrame, type Frame, FrameDecoder } from "../../core/frames.ts";
import type { PythonServer } from "../../servers/mod.ts";
import { closeQuietly, open, writeAll } from "./_servers.ts";

const encoder = new TextEncoder();
const MAGIC = encoder.encode("BEEP");

/** Frames over a raw connection. */
export class RawPipe implements Disposable {
  readonly connection: Deno.Conn;
  readonly #decoder = new FrameDecoder();

  constructor(connection: Deno.Conn) {
    this.connection = connection;
  }

  /** Opens a connection and says nothing yet. */
  static async open(server: Pick<PythonServer, "transport" | "address">): Promise<RawPipe> {
    return new RawPipe(await open(server));
  }

  /** Opens a lane as it should be done; gives it with its session. */
  static async join(
    server: PythonServer,
    lane = "session",
    session: string | null = null,
  ): Promise<[RawPipe, string]> {
    const pipe = await RawPipe.open(server);
    try {
      return [pipe, await pipe.#shakeHands(server.token, lane, session)];
    } catch (error) {
      pipe[Symbol.dispose]();
      throw error;
    }
  }

  async #shakeHands(token: string, lane: string, session: string | null): Promise<string> {
    const nonce = "0".repeat(32);
    await this.write(MAGIC);
    await this.send(["hello", { protocol: 1, client: "raw", lane, session, nonce }]);
    const challenge = await this.#expect("challenge") as { nonce: string };
    await this.send(["proof", await proofOf(token, `client:${nonce}:${challenge.nonce}`)]);
    return (await this.#expect("welcome") as { session: string }).session;
  }

  /** What comes with a word of the handshake; throws what comes instead of it. */
  async #expect(word: string): Promise<unknown> {
    const message = await this.receive() as [kind: string, content: unknown] | null;
    if (message === null) throw new Error(`The server ended the connection instead of a ${word}`);
    const [kind, content] = message;
    if (kind !== word) throw new Error(`The server refused: ${JSON.stringify(content)}`);
    return content;
  }

  /** Writes bytes; false when the server ended the connection. */
  write(bytes: Uint8Array): Promise<boolean> {
    return writeAll(this.connection, bytes);
  }

  /** Writes a message. */
  send(message: unknown, parts: readonly Uint8Array[] = []): Promise<boolean> {
    return this.write(encodeFrame(JSON.stringify(message), parts));
  }

  /** The next message; null at the end of the connection. */
  async receive(): Promise<unknown> {
    return (await this.receiveFrame())?.message ?? null;
  }

  /** The next message with its parts; null at the end of the connection. */
  async receiveFrame(): Promise<{ message: unknown; parts: Frame["parts"] } | null> {
    for (;;) {
      const frame = this.#decoder.next();
      if (frame !== null) return { message: JSON.parse(frame.json), parts: frame.parts };
      let count: number | null;
      try {
        count = await this.connection.read(this.#decoder.target());
      } catch (error) {
        if (error instanceof Deno.errors.ConnectionReset) return null;
        throw error;
      }
      if (count === null) return null;
      this.#decoder.advance(count);
    }
  }

  [Symbol.dispose](): void {
    closeQuietly(this.connection);
  }
}

/** What proves that one knows the token. */
export async function proofOf(token: string, text: string): Promise<string> {
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("raw", encoder.encode(token), algorithm, false, ["sign"]);
  return new Uint8Array(await crypto.subtle.sign("HMAC", key, encoder.encode(text))).toHex();
}
