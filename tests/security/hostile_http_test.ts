/** Hand-made hostile HTTP requests: each is refused with its status, on a connection that then ends, and nobody else notices. */

import { assert, assertEquals } from "@std/assert";
import type { PythonServer } from "../../servers/mod.ts";
import {
  connectPlace,
  dialectPlace,
  type HostileRequest,
  hostileRequests,
  httpPlace,
  MARKER,
} from "./_http_requests.ts";
import { hostileMessages } from "./_rpc_requests.ts";
import { beside, closeQuietly, connect, open, readAll, start, writeAll } from "./_servers.ts";

const AT_ONCE = 16;
// Beyond them a server drops the oldest, and those that it has answered count until it has seen them go.
const maxUnauthenticated = 1_000;

/** Sends each on a connection of its own, beside a healthy client; gives what was answered wrongly. */
async function sendAll(server: PythonServer, requests: readonly HostileRequest[]): Promise<string[]> {
  const wrong: string[] = [];
  await beside(server, async () => {
    const queue = requests.values();
    const send = async (): Promise<void> => {
      for (const { name, bytes, status, says } of queue) {
        const connection = await open(server);
        await writeAll(connection, bytes);
        const { text, ended } = await readAll(connection);
        closeQuietly(connection);
        const answers = text.match(/HTTP\/1\.1 \d{3}/g) ?? [];
        if (!ended) wrong.push(`${name}: the connection stays open after "${text.slice(0, 60)}"`);
        else if (answers.length !== 1) {
          wrong.push(`${name}: ${answers.length} answers: ${text.slice(0, 200)}`);
        } else if (!status.includes(Number(answers[0]!.slice(9)))) {
          wrong.push(
            `${name}: ${answers[0]}, expected ${status.join(" or ")}: ${text.split("\r\n\r\n")[1]}`,
          );
        } else if (says !== undefined && !text.includes(says)) {
          wrong.push(`${name}: it does not say ${says}: ${text.split("\r\n\r\n")[1]}`);
        }
        if (/access-control-/i.test(text)) wrong.push(`${name}: answered with CORS`);
        if (text.includes(server.token)) wrong.push(`${name}: the answer shows the token`);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, send));
  });
  return wrong;
}

const places = { http: [httpPlace], rpc: [connectPlace, dialectPlace] } as const;

for (const transport of ["http", "rpc"] as const) {
  Deno.test(`case 77, 82, S1, S2, S3: every hostile request over ${transport} is refused with its status and the end of its connection`, async (t) => {
    await using server = await start({ transport, limits: { maxUnauthenticated } });
    const port = Number(new URL(server.address).port);
    assert(MARKER.includes("builtins.smuggled"));
    for (const place of places[transport]) {
      const requests = hostileRequests(place(port, server.token));
      assert(requests.length >= 150, `${requests.length} requests`);
      await t.step(`${requests.length} requests beside a healthy client: ${place.name}`, async () => {
        assertEquals(await sendAll(server, requests), []);
      });
    }
    if (transport === "rpc") {
      const requests = hostileMessages(port, server.token);
      await t.step(`${requests.length} messages beside a healthy client`, async () => {
        assertEquals(await sendAll(server, requests), []);
      });
    }
    await t.step("nothing that was hidden in them has run", async () => {
      await using backend = connect(server);
      assertEquals(await backend.evaluate("import builtins; hasattr(builtins, 'smuggled')"), false);
    });
    assert(!server.stderr.text.includes("Traceback"), server.stderr.text);
    assert(!server.stderr.text.includes(server.token), "stderr shows the token");
  });
}
