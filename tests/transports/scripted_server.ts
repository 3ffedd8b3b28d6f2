/**
 * A pipe server whose every answer is written by the test: the handshake is real, the calls are a script.
 *
 * @module
 */

import { encodeFrame, type Frame, FrameDecoder } from "../../core/frames.ts";
import { PROTOCOL_VERSION } from "../../core/protocol.ts";

/** A token for tests. */
export const TOKEN = "0123456789abcdef0123456789abcdef";

/** A message of the client, as it arrived. */
export interface Received {
  readonly message: [id: number, operation: string, args: unknown[], options?: Record<string, unknown>];
  readonly parts: readonly Uint8Array[];
  readonly lane: "session" | "control";
}

/** What the test wants done differently. */
export interface Script {
  /** Answers a request; `lane.send` as often as it likes. Without it, requests are only kept in `received`. */
  onRequest?: (received: Received, lane: ScriptedLane) => void | Promise<void>;
  /** Fields of the challenge that differ from a right one. */
  challenge?: Record<string, unknown>;
  /** Refuses with this instead of a welcome. */
  refuse?: { code: string; message: string };
  /** Refuses at once, instead of a challenge. */
  refuseHello?: { code: string; message: string };
  /** Closes instead of answering so many hellos of each lane. */
  hangUp?: number;
  /** Sends these bytes instead of answering the hello. */
  garbage?: Uint8Array;
  /** Never answers the hello of this lane. */
  silentLane?: "session" | "control";
  /** The token that the server knows. @default {TOKEN} */
  token?: string;
}

/** One connection of the client. */
export class ScriptedLane {
  readonly #conn: Deno.Conn;
  #queue: Promise<void> = Promise.resolve();
  #isClosed = false;

  constructor(readonly lane: "session" | "control", conn: Deno.Conn) {
    this.#conn = conn;
  }

  /** Sends one message. */
  send(message: unknown, parts: readonly Uint8Array[] = []): Promise<void> {
    return this.sendBytes(encodeFrame(JSON.stringify(message), parts));
  }

  /** Sends bytes as they are. */
  sendBytes(bytes: Uint8Array): Promise<void> {
    this.#queue = this.#queue.then(async () => {
      try {
        for (let rest = bytes; rest.byteLength > 0;) rest = rest.subarray(await this.#conn.write(rest));
      } catch {
        // The client went away in the middle: its own tests say whether it should have.
      }
    });
    return this.#queue;
  }

  /** Closes the connection. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#conn.close();
  }
}

/** Listens until it is disposed. */
export class ScriptedServer implements AsyncDisposable {
  /** Everything that came, in order. */
  readonly received: Received[] = [];
  /** The open connections. */
  readonly lanes: ScriptedLane[] = [];
  readonly #directory: string;
  readonly #listener: Deno.Listener;
  readonly #script: Script;
  readonly #tasks: Promise<void>[] = [];
  #waiters: { count: number; resolve: () => void }[] = [];

  constructor(script: Script = {}) {
    this.#script = script;
    this.#directory = Deno.makeTempDirSync({ prefix: "beep-scripted-" });
    this.#listener = Deno.listen({ transport: "unix", path: this.path });
    this.#tasks.push(this.#accept());
  }

  /** The path of the socket. */
  get path(): string {
    return `${this.#directory}/s`;
  }

  /** Resolves when so many messages have come. */
  async waitFor(count: number): Promise<void> {
    if (this.received.length >= count) return;
    await new Promise<void>((resolve) => this.#waiters.push({ count, resolve }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const lane of this.lanes) lane.close();
    await Promise.all(this.#tasks);
    await Deno.remove(this.#directory, { recursive: true });
  }

  async #accept(): Promise<void> {
    try {
      for await (const conn of this.#listener) this.#tasks.push(this.#serve(conn));
    } catch {
      // The listener was closed.
    }
  }

  async #serve(conn: Deno.Conn): Promise<void> {
    const frames = readFrames(conn);
    let lane: ScriptedLane | undefined;
    try {
      const hello = await nextMessage(frames) as ["hello", { lane: "session" | "control"; nonce: string }];
      lane = new ScriptedLane(hello[1].lane, conn);
      this.lanes.push(lane);
      if (!await this.#shakeHands(lane, hello[1], frames)) return;
      for await (const frame of frames) {
        const received = { message: JSON.parse(frame.json), parts: frame.parts, lane: lane.lane };
        this.received.push(received);
        this.#waiters = this.#waiters.filter(({ count, resolve }) =>
          this.received.length < count || resolve()
        );
        await this.#answer(received, lane);
      }
    } catch (error) {
      // The client may close with something unread, which resets the connection.
      const ends = [Deno.errors.BadResource, Deno.errors.Interrupted, Deno.errors.ConnectionReset];
      if (!ends.some((end) => error instanceof end)) throw error;
    } finally {
      if (lane === undefined) conn.close();
      else lane.close();
    }
  }

  async #answer(received: Received, lane: ScriptedLane): Promise<void> {
    if (received.message[1] === "close_session") await lane.send([received.message[0], "ok", null]);
    else await this.#script.onRequest?.(received, lane);
  }

  async #shakeHands(
    lane: ScriptedLane,
    hello: { nonce: string },
    frames: AsyncGenerator<Frame>,
  ): Promise<boolean> {
    const script = this.#script;
    if (script.silentLane === lane.lane) {
      await frames.next();
      return false;
    }
    const before = this.lanes.filter((other) => other.lane === lane.lane).length - 1;
    if (script.hangUp !== undefined && before < script.hangUp) return false;
    if (script.garbage !== undefined) {
      await lane.sendBytes(script.garbage);
      return false;
    }
    if (script.refuseHello !== undefined) {
      await lane.send(["refused", script.refuseHello]);
      return false;
    }
    const token = script.token ?? TOKEN;
    const nonce = "feedfacefeedfacefeedfacefeedface";
    const nonces = `${hello.nonce}:${nonce}`;
    const proof = token === "" ? "" : await hmac(token, `server:${nonces}`);
    const challenge = { protocol: PROTOCOL_VERSION, nonce, proof, auth: token !== "", ...script.challenge };
    await lane.send(["challenge", challenge]);
    const message = await nextMessage(frames) as [string, string];
    if (script.refuse !== undefined) {
      await lane.send(["refused", script.refuse]);
      return false;
    }
    if (token !== "" && message[1] !== await hmac(token, `client:${nonces}`)) {
      await lane.send(["refused", {
        code: "authentication",
        message: "Cannot open connection: wrong proof",
      }]);
      return false;
    }
    await lane.send(["welcome", { session: "scripted", ...SERVER_INFO }]);
    return true;
  }
}

/** What the scripted server says about itself. */
export const SERVER_INFO = {
  protocol: PROTOCOL_VERSION,
  serverVersion: "0.0.0",
  pythonVersion: "3.0.0",
  implementation: "scripted",
  executable: "/nowhere/python",
  pid: 1,
  features: [],
};

async function* readFrames(conn: Deno.Conn): AsyncGenerator<Frame> {
  const magic = new Uint8Array(4);
  for (let filled = 0; filled < 4;) {
    const count = await conn.read(magic.subarray(filled));
    if (count === null) return;
    filled += count;
  }
  if (new TextDecoder().decode(magic) !== "BEEP") throw new Error("The client did not begin with BEEP");
  const decoder = new FrameDecoder();
  for (;;) {
    for (let frame = decoder.next(); frame !== null; frame = decoder.next()) yield frame;
    const count = await conn.read(decoder.target());
    if (count === null) return;
    decoder.advance(count);
  }
}

async function nextMessage(frames: AsyncGenerator<Frame>): Promise<unknown> {
  const { value, done } = await frames.next();
  // The client left in the middle of the handshake, as some tests want it to.
  if (done) throw new Deno.errors.Interrupted("the client left");
  return JSON.parse(value.json);
}

async function hmac(token: string, text: string): Promise<string> {
  const encoder = new TextEncoder();
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("raw", encoder.encode(token), algorithm, false, ["sign"]);
  return new Uint8Array(await crypto.subtle.sign("HMAC", key, encoder.encode(text))).toHex();
}
