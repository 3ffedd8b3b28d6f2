/**
 * A mirror on a raw socket that follows a script, one step for each request, so that it can do what no well-behaved
 * server does: reset, truncate, lie about lengths and ranges.
 *
 * @module
 */

/** What the mirror knows of a request. */
export interface MirrorRequest {
  /** The path. */
  readonly path: string;
  /** The headers, names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  /** The first byte that is asked for. */
  readonly start: number;
}

/** Writes an answer, or does not. */
export type MirrorStep = (connection: MirrorConnection, request: MirrorRequest) => Promise<void>;

/** What a step can do. */
export interface MirrorConnection {
  /** The bytes of the true archive. */
  readonly archive: Uint8Array;
  /** Sends status line and headers. */
  head(status: string, headers?: Record<string, string>): Promise<void>;
  /** Sends bytes of the body. */
  body(bytes: Uint8Array): Promise<void>;
  /** Waits, at most until the mirror is closed. */
  wait(ms: number): Promise<void>;
  /** Ends the connection with a reset instead of a proper end. */
  reset(): void;
}

/** A mirror that follows scripts. */
export class Mirror implements AsyncDisposable {
  readonly #listener: Deno.TcpListener;
  readonly #archive: Uint8Array;
  readonly #steps: readonly MirrorStep[];
  readonly #open = new Set<Deno.TcpConn>();
  readonly #closed = new AbortController();
  readonly #done: Promise<void>;
  readonly #serving = new Set<Promise<void>>();
  /** What was asked for, in order. */
  readonly requests: MirrorRequest[] = [];

  /** Starts a mirror; after the last step, the last one is repeated. */
  constructor(archive: Uint8Array, steps: readonly MirrorStep[]) {
    this.#archive = archive;
    this.#steps = steps;
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.#done = this.#accept();
  }

  /** The address of the archive here. */
  get url(): string {
    return `http://127.0.0.1:${(this.#listener.addr as Deno.NetAddr).port}/archive.tar.gz`;
  }

  async #accept(): Promise<void> {
    for await (const connection of this.#listener) {
      this.#open.add(connection);
      const serving = this.#serve(connection).catch(() => {
        // The client may hang up in the middle of an answer; that is part of the script.
      }).finally(() => {
        this.#open.delete(connection);
        this.#serving.delete(serving);
        try {
          connection.close();
        } catch {
          // Reset by the script already.
        }
      });
      this.#serving.add(serving);
    }
  }

  async #serve(connection: Deno.TcpConn): Promise<void> {
    const request = await readRequest(connection);
    if (request === undefined) return;
    const step = this.#steps[Math.min(this.requests.length, this.#steps.length - 1)]!;
    this.requests.push(request);
    const encoder = new TextEncoder();
    const write = async (bytes: Uint8Array): Promise<void> => {
      let at = 0;
      while (at < bytes.byteLength) at += await connection.write(bytes.subarray(at));
    };
    await step({
      archive: this.#archive,
      head: async (status, headers = {}) => {
        const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join("");
        await write(encoder.encode(`HTTP/1.1 ${status}\r\nConnection: close\r\n${lines}\r\n`));
      },
      body: write,
      wait: (ms) => this.#wait(ms),
      reset: () => {
        // Unread input makes the kernel answer with a reset instead of an end.
        connection.setNoDelay(true);
        connection.close();
      },
    }, request);
  }

  #wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const finish = (): void => {
        clearTimeout(timer);
        this.#closed.signal.removeEventListener("abort", finish);
        resolve();
      };
      const timer = setTimeout(finish, ms);
      this.#closed.signal.addEventListener("abort", finish);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed.abort();
    this.#listener.close();
    for (const connection of this.#open) {
      try {
        connection.close();
      } catch {
        // Closed by its script in the same moment.
      }
    }
    await this.#done;
    await Promise.all(this.#serving);
  }
}

async function readRequest(connection: Deno.TcpConn): Promise<MirrorRequest | undefined> {
  let text = "";
  const buffer = new Uint8Array(4096);
  while (!text.includes("\r\n\r\n")) {
    const count = await connection.read(buffer);
    if (count === null) return undefined;
    text += new TextDecoder().decode(buffer.subarray(0, count));
  }
  const [first, ...lines] = text.split("\r\n");
  const headers = new Map(
    lines.filter((line) => line !== "").map((line) => {
      const at = line.indexOf(":");
      return [line.slice(0, at).toLowerCase(), line.slice(at + 1).trim()] as const;
    }),
  );
  const start = Number(/^bytes=(\d+)-/.exec(headers.get("range") ?? "")?.[1] ?? 0);
  return { path: first!.split(" ")[1]!, headers, start };
}

const ETAG = '"one"';

/** Answers as a good server does, ranges included. */
export const good: MirrorStep = async (connection, request) => {
  const { archive } = connection;
  const fresh = request.headers.get("if-range") ?? ETAG;
  const start = fresh === ETAG ? request.start : 0;
  const rest = archive.subarray(start);
  await connection.head(start > 0 ? "206 Partial Content" : "200 OK", {
    "Content-Length": String(rest.byteLength),
    "ETag": ETAG,
    ...(start > 0
      ? { "Content-Range": `bytes ${start}-${archive.byteLength - 1}/${archive.byteLength}` }
      : {}),
  });
  await connection.body(rest);
};

/** Sends `share` of what is asked for under the full length, and ends. */
export function truncated(share: number): MirrorStep {
  return async (connection, request) => {
    const rest = connection.archive.subarray(request.start);
    const { archive } = connection;
    const partial = request.start > 0;
    await connection.head(partial ? "206 Partial Content" : "200 OK", {
      "Content-Length": String(rest.byteLength),
      "ETag": ETAG,
      ...(partial
        ? { "Content-Range": `bytes ${request.start}-${archive.byteLength - 1}/${archive.byteLength}` }
        : {}),
    });
    await connection.body(rest.subarray(0, Math.floor(rest.byteLength * share)));
  };
}

/** Answers with a status and no archive. */
export function status(line: string, headers: Record<string, string> = {}, body = ""): MirrorStep {
  return async (connection) => {
    await connection.head(line, { "Content-Length": String(body.length), ...headers });
    await connection.body(new TextEncoder().encode(body));
  };
}

/** Sends an answer with these headers and this body. */
export function answer(
  make: (archive: Uint8Array, request: MirrorRequest) => {
    status?: string;
    headers?: Record<string, string>;
    body: Uint8Array;
  },
): MirrorStep {
  return async (connection, request) => {
    const made = make(connection.archive, request);
    await connection.head(made.status ?? "200 OK", made.headers ?? {});
    await connection.body(made.body);
  };
}
