/** What the tests of HTTP share: a stand-in for a server, which answers as it is told, and the real one. */

import { encodeFrame, FrameDecoder } from "../../core/frames.ts";
import { FRAMES_CONTENT_TYPE } from "../../core/protocol.ts";
import { type PythonServer, type ServerLimits, startServer } from "../../servers/mod.ts";

/** A request as the stand-in sees it. */
export type Message = [id: number, operation: string, args: unknown[]];

/** Answers the messages of one POST, hello excepted. */
export type Answer = (messages: Message[], request: Request) => Response | Promise<Response>;

/** A stand-in for a server of ours. */
export interface FakeServer extends AsyncDisposable {
  readonly url: string;
  /** The messages of each POST after hello, in the order of arrival. */
  readonly posts: Message[][];
  /** Breaks all connections. */
  kill(): void;
}

export const WELCOME = {
  session: "s",
  protocol: 1,
  serverVersion: "0.0.0",
  pythonVersion: "3.12.0",
  implementation: "cpython",
  executable: "/python",
  pid: 1,
  features: [],
};

/** A response of frames. */
export function frames(...messages: unknown[]): Response {
  return new Response(new Blob(messages.map((message) => encodeFrame(JSON.stringify(message)))).stream(), {
    headers: { "content-type": FRAMES_CONTENT_TYPE },
  });
}

/** Answers every message with its id. */
export function echo(messages: Message[]): Response {
  return frames(...messages.map(([id]) => [id, "ok", id]));
}

/** Starts a stand-in that welcomes everybody and answers by `answer`. */
export function startFake(answer: Answer = echo, welcome: unknown = [1, "ok", WELCOME]): FakeServer {
  const posts: Message[][] = [];
  const killed = new AbortController();
  const options = { hostname: "127.0.0.1", port: 0, onListen: () => {}, signal: killed.signal };
  const server = Deno.serve(options, async (request) => {
    const decoder = new FrameDecoder();
    const messages: Message[] = [];
    for (const frame of decoder.push(new Uint8Array(await request.arrayBuffer()))) {
      messages.push(JSON.parse(frame.json));
    }
    if (messages[0]?.[1] === "hello") return frames(welcome);
    posts.push(messages);
    return await answer(messages, request);
  });
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    posts,
    kill: () => killed.abort(),
    [Symbol.asyncDispose]: () => killed.signal.aborted ? server.finished : server.shutdown(),
  };
}

/** Starts something that listens and is no server of ours. */
export function startForeign(respond: () => Response): Pick<FakeServer, "url"> & AsyncDisposable {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, respond);
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

/** Starts a real server over HTTP. */
export async function startReal(limits: ServerLimits = {}): Promise<PythonServer> {
  const { stdout } = await new Deno.Command(Deno.env.get("BEEP_TEST_PYTHON") ?? "python3", {
    args: ["-I", "-c", "import sys; print(sys.executable)"],
  }).output();
  return await startServer({ python: new TextDecoder().decode(stdout).trim(), transport: "http", limits });
}
