/**
 * A `fetch` whose answer may stay open for long without keeping the program running, which that of the platform cannot be.
 *
 * It speaks as much HTTP/1.1 as the stream of a session needs: one POST on a connection of its own, whose answer is
 * chunked, has a length, or ends with the connection.
 *
 * @module
 */

import { portOf } from "../core/endpoint.ts";
import { boundOf } from "./bounded_answer.ts";
import { type ClientTls, httpClientTls } from "./tls.ts";

const READ_BYTES = 16 * 1024;
const MAX_HEAD_BYTES = 64 * 1024;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Posts a body. The connection holds the program until the head of the answer has come, and not after that. */
export async function quietFetch(
  url: URL,
  init: RequestInit,
  tls: ClientTls,
  maxBytes: number,
): Promise<Response> {
  const { signal, body } = init;
  signal?.throwIfAborted();
  const conn = await connect(url, tls);
  const source = new Source(conn);
  const onAbort = () => source.close();
  signal?.addEventListener("abort", onAbort, { once: true });
  const close = () => {
    signal?.removeEventListener("abort", onAbort);
    source.close();
  };
  try {
    signal?.throwIfAborted();
    const bytes = new Uint8Array(await new Response(body ?? null).arrayBuffer());
    const headers = new Headers(init.headers);
    headers.set("host", url.host);
    headers.set("content-length", String(bytes.byteLength));
    const lines = [...headers].map(([name, value]) => `${name}: ${value}\r\n`).join("");
    await source.write(encoder.encode(`POST ${url.pathname} HTTP/1.1\r\n${lines}\r\n`));
    await source.write(bytes);
    const { status, fields } = parseHead(await source.head());
    conn.unref();
    const chunks = bodyOf(source, fields);
    const check = boundOf(fields.get("content-type"), maxBytes);
    const stream = new ReadableStream<Uint8Array<ArrayBuffer>>({
      async pull(controller) {
        try {
          const { done, value } = await chunks.next();
          if (done !== true) {
            check(value);
            return controller.enqueue(value);
          }
          close();
          controller.close();
        } catch (error) {
          close();
          controller.error(signal?.aborted ? signal.reason : error);
        }
      },
      cancel: close,
    }, { highWaterMark: 0 });
    return new Response(stream, { status, headers: fields });
  } catch (error) {
    close();
    throw signal?.aborted ? signal.reason : error;
  }
}

async function connect(url: URL, tls: ClientTls): Promise<Deno.TcpConn | Deno.TlsConn> {
  const hostname = url.hostname.replace(/^\[(.*)\]$/, "$1");
  const port = portOf(url);
  if (url.protocol === "https:") return await Deno.connectTls({ hostname, port, ...httpClientTls(tls) });
  return await Deno.connect({ hostname, port });
}

/** The bytes of a connection, with what was read too far kept for the next who asks. */
class Source {
  readonly #conn: Deno.Conn;
  #rest: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  #isClosed = false;

  constructor(conn: Deno.Conn) {
    this.#conn = conn;
  }

  async write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.byteLength;) at += await this.#conn.write(bytes.subarray(at));
  }

  /** The next bytes, at most so many; null at the end. */
  async read(most: number): Promise<Uint8Array<ArrayBuffer> | null> {
    if (this.#rest.byteLength === 0) {
      const buffer = new Uint8Array(READ_BYTES);
      const count = await this.#conn.read(buffer);
      if (count === null) return null;
      this.#rest = buffer.subarray(0, count);
    }
    const bytes = this.#rest.subarray(0, most);
    this.#rest = this.#rest.subarray(bytes.byteLength);
    return bytes;
  }

  /** A line, without its end. */
  async line(): Promise<string> {
    let text = "";
    for (;;) {
      const byte = await this.read(1);
      if (byte === null) throw cutShort();
      text += decoder.decode(byte);
      if (text.endsWith("\r\n")) return text.slice(0, -2);
      if (text.length > MAX_HEAD_BYTES) throw new TypeError("Cannot read answer: its head has no end");
    }
  }

  /** Request line and header fields. */
  async head(): Promise<string[]> {
    const lines: string[] = [];
    let bytes = 0;
    for (let line = await this.line(); line !== ""; line = await this.line()) {
      bytes += line.length + 2;
      if (bytes > MAX_HEAD_BYTES) throw new TypeError("Cannot read answer: its head has no end");
      lines.push(line);
    }
    return lines;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#conn.close();
  }
}

function parseHead([first = "", ...lines]: readonly string[]): { status: number; fields: Headers } {
  const status = /^HTTP\/1\.[01] (\d{3})(?: |$)/.exec(first)?.[1];
  // As `fetch` does for what is no HTTP.
  if (status === undefined) throw new TypeError("Cannot read answer: it is not HTTP/1.1");
  const fields = new Headers();
  for (const line of lines) {
    const colon = line.indexOf(":");
    fields.append(line.slice(0, colon), line.slice(colon + 1).trim());
  }
  return { status: Number(status), fields };
}

async function* bodyOf(source: Source, fields: Headers): AsyncGenerator<Uint8Array<ArrayBuffer>, void> {
  if (fields.get("transfer-encoding")?.toLowerCase() === "chunked") {
    for (;;) {
      const size = parseInt(await source.line(), 16);
      if (Number.isNaN(size)) throw new TypeError("Cannot read answer: a chunk has no size");
      if (size === 0) return;
      yield* exactly(source, size);
      await source.line();
    }
  }
  const length = fields.get("content-length");
  if (length !== null) return yield* exactly(source, Number(length));
  for (let bytes = await source.read(READ_BYTES); bytes !== null; bytes = await source.read(READ_BYTES)) {
    yield bytes;
  }
}

async function* exactly(source: Source, size: number): AsyncGenerator<Uint8Array<ArrayBuffer>, void> {
  for (let left = size; left > 0;) {
    const bytes = await source.read(left);
    if (bytes === null) throw cutShort();
    left -= bytes.byteLength;
    yield bytes;
  }
}

function cutShort(): TypeError {
  return new TypeError("Cannot read answer: the connection ended inside it");
}
