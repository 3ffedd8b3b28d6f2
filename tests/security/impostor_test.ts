/** What listens in a server's place (case S5), or is a hostile server: it gets neither token nor code, and leads nobody elsewhere. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import type { PythonHostBackend } from "../../core/backend.ts";
import { AuthenticationError, PythonHostError } from "../../core/errors.ts";
import { SILENT_LOGGER } from "../../core/logger.ts";
import { removeDeadEntries, writeRunEntry } from "../../servers/run_entries.ts";
import { PythonHostHttp } from "../../transports/http.ts";
import { PythonHostRpc } from "../../transports/rpc.ts";
import { makeHome } from "../host/_home.ts";
import { closeQuietly, start, writeAll } from "./_servers.ts";

const TOKEN = "5ec2e7".repeat(10) + "0000";
const SECRET = "secret_code()";

/** Listens and keeps all that is said to it. */
class Listener implements AsyncDisposable {
  heard = "";
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  constructor(answer: (request: Request) => Response | Promise<Response>) {
    this.#server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
      const fields = [...request.headers].map(([name, value]) => `${name}: ${value}\n`).join("");
      this.heard += `${request.method} ${request.url}\n${fields}${await request.clone().text()}\n`;
      return await answer(request);
    });
  }

  get port(): number {
    return this.#server.addr.port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

const backends = {
  http: (url: string, token?: string): PythonHostBackend =>
    new PythonHostHttp(url, token === undefined ? {} : { token }),
  rpc: (url: string, token?: string): PythonHostBackend =>
    new PythonHostRpc(url, token === undefined ? {} : { token }),
} as const;

async function hmac(text: string, token: string): Promise<string> {
  const encoder = new TextEncoder();
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("raw", encoder.encode(token), algorithm, false, ["sign"]);
  return new Uint8Array(await crypto.subtle.sign("HMAC", key, encoder.encode(text))).toHex();
}

/** What may be answered to who asks for a proof. */
const answers: readonly [name: string, answer: (nonce: string) => Response | Promise<Response>][] = [
  ["no proof", () => Response.json({ status: "ok" })],
  ["an empty proof", () => Response.json({}, { headers: { "beep-proof": "" } })],
  ["the nonce", (nonce) => Response.json({}, { headers: { "beep-proof": nonce } })],
  ["half of a digit", () => Response.json({}, { headers: { "beep-proof": "0" } })],
  ["zeros", () => Response.json({}, { headers: { "beep-proof": "0".repeat(64) } })],
  [
    "a proof by another token",
    async (nonce) =>
      Response.json({}, { headers: { "beep-proof": await hmac(`health:${nonce}:`, "0".repeat(64)) } }),
  ],
  [
    "the proof of another nonce",
    async () =>
      Response.json({}, { headers: { "beep-proof": await hmac(`health:${"0".repeat(32)}:`, TOKEN) } }),
  ],
  ["an error", () => new Response("x".repeat(1_000_000), { status: 500 })],
  [
    "a way elsewhere",
    () => new Response(null, { status: 307, headers: { location: "http://127.0.0.1:9/" } }),
  ],
];

for (const transport of ["http", "rpc"] as const) {
  Deno.test(`case S5: who listens at the port of a server that has ended gets neither token nor code: ${transport}`, async () => {
    await using home = await makeHome();
    const directory = `${home.path}/run`;
    await Deno.mkdir(directory, { recursive: true, mode: 0o700 });
    for (const [name, answer] of answers) {
      await using listener = new Listener((request) => answer(request.headers.get("beep-nonce") ?? ""));
      const { port, url } = listener;
      const entry = {
        schema: 1,
        transport,
        endpoint: `http://localhost:${port}`,
        address: url,
        pid: 1,
        token: TOKEN,
      } as const;
      const written = await writeRunEntry(directory, entry);
      await using backend = backends[transport](entry.endpoint);
      await assertRejects(() => backend.evaluate(SECRET), AuthenticationError, "did not prove", name);
      assert(listener.heard.includes("beep-nonce"), name);
      for (const secret of [TOKEN, "authorization", SECRET]) {
        assert(!listener.heard.includes(secret), `${name}: ${listener.heard}`);
      }
      await written.remove();
    }
    await removeDeadEntries(directory, SILENT_LOGGER);
  });

  Deno.test(`case S5: a server that was found proves itself, and nothing else by that: ${transport}`, async () => {
    await using server = await start({ transport });
    await using backend = backends[transport](server.endpoint);
    assertEquals(await backend.evaluate("6 * 7"), 42);
    const prove = async (nonce: string): Promise<string | null> => {
      const response = await fetch(`${server.address}/health`, { headers: { "beep-nonce": nonce } });
      await response.body?.cancel();
      return response.headers.get("beep-proof");
    };
    const nonce = "0123456789abcdef";
    const { token } = server;
    assertEquals(await prove(nonce), await hmac(`health:${nonce}:`, token));
    // Not what a pipe's handshake, or a nonce with more in it, would make it say.
    for (
      const odd of [
        "",
        "short",
        "x".repeat(129),
        `${nonce}:${nonce}`,
        `${nonce},${nonce}`,
        `${nonce} ${nonce}`,
      ]
    ) {
      assertEquals(await prove(odd), null, odd);
    }
    await using open = await start({ transport, auth: false });
    const response = await fetch(`${open.address}/health`, { headers: { "beep-nonce": nonce } });
    await response.body?.cancel();
    assertEquals(response.headers.get("beep-proof"), null);
  });

  Deno.test(`a server that leads elsewhere is not followed with the token: ${transport}`, async () => {
    await using elsewhere = new Listener(() => Response.json({}));
    for (const status of [301, 302, 303, 307, 308]) {
      await using listener = new Listener(({ url }) =>
        new Response(null, { status, headers: { location: `${elsewhere.url}${new URL(url).pathname}` } })
      );
      await using backend = backends[transport](listener.url, TOKEN);
      await assertRejects(() => backend.evaluate(SECRET, {}, { timeoutMs: 5_000 }), PythonHostError);
      assert(listener.heard.includes(TOKEN), "the token was shown to whom it was meant for");
    }
    assertEquals(elsewhere.heard, "");
  });
}

const MIB = 1024 * 1024;

/** Answers that do not end, or that claim to be as large as can be written. */
const endless: readonly [name: string, head: string, first: readonly number[], more: string][] = [
  ["a head without end", "HTTP/1.1 200 OK\r\n", [], "A: b\r\n".repeat(10_000)],
  ["a line of a head without end", "HTTP/1.1 200 OK\r\nA: ", [], "b".repeat(MIB)],
  ["a body of another kind", "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n", [], "b".repeat(MIB)],
  ["an error without end", "HTTP/1.1 500 No\r\nContent-Type: application/json\r\n\r\n", [], "b".repeat(MIB)],
  [
    "a message of 4 GiB",
    "HTTP/1.1 200 OK\r\nContent-Type: application/connect+proto\r\n\r\n",
    [0, 255, 255, 255, 255],
    "b".repeat(MIB),
  ],
  [
    "a frame of 4 GiB",
    "HTTP/1.1 200 OK\r\nContent-Type: application/x-beep-frames\r\n\r\n",
    [255, 255, 255, 255, 0, 0, 0, 0],
    "b".repeat(MIB),
  ],
];

/** Sends such an answer to whoever asks, as long as it is taken, and 512 MiB of it at most. */
function listenEndlessly(
  head: string,
  first: readonly number[],
  more: string,
): { url: string } & AsyncDisposable {
  const encoder = new TextEncoder();
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const pieces = [encoder.encode(head), new Uint8Array(first)];
  const rest = encoder.encode(more);
  const answer = async (connection: Deno.Conn): Promise<void> => {
    await connection.read(new Uint8Array(65_536));
    for (const piece of pieces) if (!await writeAll(connection, piece)) return;
    for (let sent = 0; sent < 512 * MIB; sent += rest.byteLength) {
      if (!await writeAll(connection, rest)) return;
    }
  };
  const served = (async () => {
    const answers: Promise<void>[] = [];
    for await (const connection of listener) {
      answers.push(answer(connection).finally(() => closeQuietly(connection)));
    }
    await Promise.all(answers);
  })();
  return {
    url: `http://127.0.0.1:${listener.addr.port}`,
    async [Symbol.asyncDispose]() {
      listener.close();
      await served;
    },
  };
}

for (const transport of ["http", "rpc"] as const) {
  Deno.test(`case 78: a server whose answers do not end costs its client little: ${transport}`, async () => {
    for (const [name, head, first, more] of endless) {
      await using server = listenEndlessly(head, first, more);
      await using backend = backends[transport](server.url, TOKEN);
      const before = Deno.memoryUsage().rss;
      await assertRejects(() => backend.initialize({ timeoutMs: 20_000 }), PythonHostError, undefined, name);
      const grown = Deno.memoryUsage().rss - before;
      assert(grown < 200 * MIB, `${name}: ${Math.round(grown / MIB)} MiB`);
      assert(!backend.isInitialized);
    }
  });
}
