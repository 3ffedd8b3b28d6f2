/** TLS in both directions: what is right works, and each thing that is wrong has its typed error. */

import { assert, assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import {
  AuthenticationError,
  ConnectError,
  ProtocolError,
  type PythonHostError,
  ServerStartError,
} from "../../core/errors.ts";
import type { PythonServer, ServerOptions, ServerTls } from "../../servers/mod.ts";
import { PythonHostHttp, type PythonHostHttpOptions } from "../../transports/http.ts";
import { Authority, type Certified, PemFiles, selfSigned } from "./_certificates.ts";
import { open, readAll, start, writeAll } from "./_servers.ts";

const authority = await Authority.create();
const trusting: PythonHostHttpOptions = { tls: { caCerts: [authority.pem] } };

/** Runs a server with a certificate and gives what a client of it gets wrong. */
async function withServer(
  certified: Certified,
  body: (server: PythonServer) => Promise<void>,
  { clientCa, ...options }: Partial<ServerOptions> & { clientCa?: string } = {},
): Promise<void> {
  await using files = new PemFiles();
  await using server = await start({
    transport: "http",
    tls: await files.write(certified, clientCa),
    ...options,
  });
  await body(server);
}

async function refusal<E extends PythonHostError>(
  url: string,
  options: PythonHostHttpOptions,
  errorClass: new (...args: never[]) => E,
): Promise<E> {
  await using backend = new PythonHostHttp(url, { token: "x".repeat(64), ...options });
  return await assertRejects(() => backend.initialize(), errorClass as new () => E);
}

Deno.test("a certificate of an authority that the client trusts lets calls through", async () => {
  await withServer(await authority.certify(), async (server) => {
    assertMatch(server.endpoint, /^https:\/\/localhost:\d+$/);
    assertMatch(server.address, /^https:\/\/127\.0\.0\.1:\d+$/);
    for (const url of [server.endpoint, server.address]) {
      // The token is found in the run entry, as without TLS.
      await using backend = new PythonHostHttp(url, trusting);
      assertEquals(await backend.evaluate("6 * 7"), 42);
      const bytes = new Uint8Array(3_000_000).map((_, i) => i * 7);
      assertEquals(await backend.evaluate("data[::-1]", { data: bytes }), bytes.toReversed());
    }
  });
});

Deno.test("over TLS many calls at once, slow calls, output and cancels work as without", async () => {
  await withServer(await authority.certify(), async (server) => {
    await using backend = new PythonHostHttp(server.endpoint, trusting);
    const squares = await Promise.all(
      Array.from(
        { length: 200 },
        (_, n) => backend.evaluate<number>("n * n", { n }, { concurrent: n % 3 === 0 }),
      ),
    );
    assertEquals(squares, Array.from({ length: 200 }, (_, n) => n * n));
    const seen: string[] = [];
    const said = backend.evaluate(
      "import time\nfor i in range(5): print('line', i, flush=True); time.sleep(0.05)",
      {},
      {
        onStdout: (text) => void seen.push(text),
      },
    );
    await said;
    assertEquals(seen.join(""), "line 0\nline 1\nline 2\nline 3\nline 4\n");
    const controller = new AbortController();
    const slow = backend.evaluate("import time; time.sleep(60)", {}, { signal: controller.signal });
    setTimeout(() => controller.abort(new Error("enough")), 100);
    await assertRejects(() => slow, Error, "enough");
  });
});

Deno.test("an authority that the client does not trust is a typed error", async () => {
  await withServer(await authority.certify(), async ({ endpoint }) => {
    const error = await refusal(endpoint, {}, AuthenticationError);
    assertStringIncludes(error.message, "no authority that is trusted here vouches for its certificate");
    assertStringIncludes(error.hint!, "caCerts");
    const other = await Authority.create("CN=Another authority");
    await refusal(endpoint, { tls: { caCerts: [other.pem] } }, AuthenticationError);
  });
});

Deno.test("a self-signed certificate is refused, whatever authority is trusted", async () => {
  await withServer(await selfSigned(), async ({ endpoint }) => {
    await refusal(endpoint, {}, AuthenticationError);
    await refusal(endpoint, trusting, AuthenticationError);
  });
});

Deno.test("an expired certificate, and one that is not valid yet, are told as such", async () => {
  const day = 86_400_000;
  const expired = { notBefore: new Date(Date.now() - 2 * day), notAfter: new Date(Date.now() - day) };
  const early = { notBefore: new Date(Date.now() + day), notAfter: new Date(Date.now() + 2 * day) };
  for (const changes of [expired, early]) {
    await withServer(await authority.certify(changes), async ({ endpoint }) => {
      const error = await refusal(endpoint, trusting, AuthenticationError);
      assertStringIncludes(error.message, "has expired, or is not valid yet");
    });
  }
});

Deno.test("a certificate of another name is told as such", async () => {
  const changes = { names: ["other.example"], addresses: ["127.0.0.9"] };
  await withServer(await authority.certify(changes), async ({ endpoint }) => {
    const error = await refusal(endpoint, trusting, AuthenticationError);
    assertStringIncludes(error.message, "its certificate is that of another name");
  });
});

Deno.test("a wrong token is refused over TLS too", async () => {
  await withServer(await authority.certify(), async ({ endpoint }) => {
    const error = await refusal(endpoint, trusting, AuthenticationError);
    assertStringIncludes(error.message, "token");
  });
});

Deno.test("plain HTTP to a TLS port gets an answer that says so, and a typed error", async () => {
  await withServer(await authority.certify(), async (server) => {
    const error = await refusal(server.endpoint.replace("https:", "http:"), {}, ProtocolError);
    assertStringIncludes(error.message, "this port speaks TLS");
    // Without a token the run entry is looked at, and tells before anything is sent.
    await using backend = new PythonHostHttp(server.endpoint.replace("https:", "http:"));
    const found = await assertRejects(() => backend.initialize(), ConnectError, "its server speaks https");
    assertStringIncludes(found.hint!, server.endpoint);
  });
});

Deno.test("TLS to a port that speaks plain HTTP is a typed error", async () => {
  await using server = await start({ transport: "http" });
  const error = await refusal(server.address.replace("http:", "https:"), trusting, ConnectError);
  assertStringIncludes(error.message, "does not speak it");
});

Deno.test("what is neither TLS nor HTTP is closed, and a silent connection is not waited for for ever", async () => {
  await withServer(await authority.certify(), async (server) => {
    const starts = [[0x16], [0x16, 3, 1, 255, 255], [0x16, 3, 1, 0, 5, 1, 2, 3, 4, 5], [0], [0x80, 0x2e, 1]];
    await Promise.all(starts.map(async (bytes) => {
      const connection = await open(server);
      await writeAll(connection, new Uint8Array(bytes));
      assert((await readAll(connection)).ended, `ended for ${bytes}`);
      connection.close();
    }));
    await using backend = new PythonHostHttp(server.endpoint, trusting);
    assertEquals(await backend.evaluate("1"), 1);
  }, { limits: { headTimeoutMs: 2_000 } });
});

Deno.test("a server that wants client certificates takes those of its authority and no others", async () => {
  const clients = await Authority.create("CN=Authority of clients");
  const mine = await clients.certify({ names: ["client"], addresses: [] });
  const foreign = await authority.certify({ names: ["client"], addresses: [] });
  await withServer(await authority.certify(), async (server) => {
    const { endpoint, token } = server;
    await using backend = new PythonHostHttp(endpoint, { tls: { caCerts: [authority.pem], ...mine } });
    assertEquals(await backend.evaluate("6 * 7"), 42);
    for (const tls of [{}, foreign, await selfSigned({ names: ["client"], addresses: [] })]) {
      const options = { token, tls: { caCerts: [authority.pem], ...tls } };
      const error = await refusal(endpoint, options, AuthenticationError);
      assertStringIncludes(error.message, "it refuses this client's certificate, or wants one");
    }
    // The certificate alone opens nothing either.
    await refusal(endpoint, { tls: { caCerts: [authority.pem], ...mine } }, AuthenticationError);
  }, { clientCa: clients.pem });
});

Deno.test("TLS options that cannot be used are typed errors", async () => {
  const { cert, key } = await authority.certify();
  for (const tls of [{ cert }, { key }]) {
    const error = await assertRejects(async () =>
      void await refusal("https://localhost:1", { tls }, ConnectError)
    );
    assert(error instanceof ConnectError);
  }
  const path = await assertRejects(async () =>
    void await refusal("https://localhost:1", { tls: { caCerts: [authority.pem, "ca.pem"] } }, ConnectError)
  );
  assert(path instanceof ConnectError);
  assertStringIncludes(path.message, "item 1 holds no certificate");
  await using files = new PemFiles();
  const good = await files.write({ cert, key });
  const other = await files.write(await authority.certify());
  const cases: [ServerTls, keyof ServerTls][] = [
    [{ ...good, certFile: `${files.path}/missing` }, "certFile"],
    [{ ...good, keyFile: other.keyFile }, "certFile"],
    [{ ...good, certFile: good.keyFile }, "certFile"],
    [{ ...good, clientCaFile: good.keyFile }, "clientCaFile"],
  ];
  for (const [tls, option] of cases) {
    await assertRejects(
      () => start({ transport: "http", tls }),
      ServerStartError,
      `Cannot use ${option} "${tls[option]}" `,
    );
  }
});

Deno.test("listening beyond loopback takes the word for it, TLS and a token, and says which of them is missing", async () => {
  await using files = new PemFiles();
  const tls = await files.write(await authority.certify());
  const host = "0.0.0.0";
  const cases: [Partial<ServerOptions>, string][] = [
    [{}, "listenBeyondLoopback: true, tls"],
    [{ tls }, "listenBeyondLoopback: true"],
    [{ listenBeyondLoopback: true }, "takes tls"],
    [{ listenBeyondLoopback: true, tls, auth: false }, "takes a token"],
    [{ listenBeyondLoopback: true, auth: false }, "takes tls, a token"],
  ];
  for (const [options, missing] of cases) {
    for (const transport of ["http", "rpc"] as const) {
      await assertRejects(() => start({ transport, host, ...options }), ServerStartError, missing);
    }
  }
  await using server = await start({ transport: "http", host, tls, listenBeyondLoopback: true });
  await using backend = new PythonHostHttp(server.endpoint, trusting);
  assertEquals(await backend.evaluate("6 * 7"), 42);
});

Deno.test("only the names that were allowed are answered to", async () => {
  const changes = { names: ["localhost", "box.localhost"] };
  await withServer(await authority.certify(changes), async (server) => {
    const { port } = new URL(server.endpoint);
    const ask = async (name: string): Promise<number> => {
      const connection = await Deno.connectTls({
        hostname: "localhost",
        port: Number(port),
        caCerts: [authority.pem],
      });
      await connection.write(
        new TextEncoder().encode(`GET /health HTTP/1.1\r\nHost: ${name}\r\nConnection: close\r\n\r\n`),
      );
      const { text } = await readAll(connection);
      connection.close();
      return Number(text.split(" ")[1]);
    };
    assertEquals(await ask(`localhost:${port}`), 200);
    assertEquals(await ask(`box.localhost:${port}`), 200);
    assertEquals(await ask("front.example:8443"), 200);
    for (const name of ["box.localhost:1", "front.example", `0.0.0.0:${port}`, "evil.example"]) {
      assertEquals(await ask(name), 421, name);
    }
  }, { allowedHosts: ["box.localhost", "front.example:8443"] });
  for (const allowedHosts of [["a b"], ["a:b"], ["a\r\nX: y"], ["http://a"], [""]]) {
    await assertRejects(() => start({ transport: "http", allowedHosts }), ServerStartError, "allowedHosts");
  }
  for (const allowedOrigins of [["*"], ["null"], ["app.example"], ["https://app.example/path"]]) {
    await assertRejects(
      () => start({ transport: "http", allowedOrigins }),
      ServerStartError,
      "allowedOrigins",
    );
  }
});
