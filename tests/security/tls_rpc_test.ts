/** TLS of RPC, by Connect and by gRPC: what is right works, and each thing that is wrong has the same typed error in both. */

import { assert, assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import { AuthenticationError, ConnectError, ProtocolError, type PythonHostError } from "../../core/errors.ts";
import type { PythonServer } from "../../servers/mod.ts";
import { PythonHostRpc, type PythonHostRpcOptions } from "../../transports/rpc.ts";
import { grpcPython } from "../rpc/_grpc.ts";
import { Authority, type Certified, PemFiles, selfSigned } from "./_certificates.ts";
import { PYTHON, start } from "./_servers.ts";

const authority = await Authority.create();
const withGrpc = await grpcPython();
const trusted = { caCerts: [authority.pem] };

/** The same tests for each of the two. */
function testTls(protocol: "connect" | "grpc"): void {
  const isGrpc = protocol === "grpc";

  function tlsTest(name: string, fn: () => Promise<void>): void {
    Deno.test({ name: `${protocol}: ${name}`, ignore: isGrpc && withGrpc === null, fn });
  }

  async function startRpc(tls?: Awaited<ReturnType<PemFiles["write"]>>): Promise<PythonServer> {
    const python = isGrpc ? withGrpc! : PYTHON;
    return await start({ python, transport: "rpc", ...(isGrpc ? { rpc: { grpc: true } } : {}), tls });
  }

  /** Runs a server with a certificate. */
  async function withServer(
    certified: Certified,
    body: (server: PythonServer) => Promise<void>,
    clientCa?: string,
  ): Promise<void> {
    await using files = new PemFiles();
    await using server = await startRpc(await files.write(certified, clientCa));
    await body(server);
  }

  async function refusal<E extends PythonHostError>(
    server: PythonServer,
    errorClass: new (...args: never[]) => E,
    options: PythonHostRpcOptions,
    url = server.endpoint,
  ): Promise<E> {
    await using backend = new PythonHostRpc(url, { token: server.token, protocol, ...options });
    return await assertRejects(() => backend.initialize(), errorClass as new () => E);
  }

  tlsTest("a certificate of an authority that the client trusts lets calls through", async () => {
    await withServer(await authority.certify(), async (server) => {
      assertMatch(server.endpoint, /^https:\/\/localhost:\d+$/);
      // The token is found in the run entry, as without TLS.
      await using backend = new PythonHostRpc(server.endpoint, { protocol, tls: trusted });
      const bytes = new Uint8Array(3_000_000).map((_, i) => i * 7);
      assertEquals(await backend.evaluate("data[::-1]", { data: bytes }), bytes.toReversed());
      const squares = await Promise.all(
        Array.from({ length: 100 }, (_, n) => backend.evaluate("n * n", { n })),
      );
      assertEquals(squares, Array.from({ length: 100 }, (_, n) => n * n));
      if (!isGrpc) return;
      // Connect beside it has the same certificate.
      await using beside = new PythonHostRpc(server.info.connectAddress!, {
        token: server.token,
        tls: trusted,
      });
      assertEquals(await beside.evaluate("6 * 7"), 42);
    });
  });

  tlsTest("an authority that is not trusted, and a wrong token", async () => {
    await withServer(await authority.certify(), async (server) => {
      const error = await refusal(server, AuthenticationError, {});
      assertStringIncludes(error.message, "no authority that is trusted here vouches for its certificate");
      assertStringIncludes(error.hint!, "caCerts");
      const wrong = await refusal(server, AuthenticationError, { token: "0".repeat(64), tls: trusted });
      assert(!wrong.message.includes("by TLS"), wrong.message);
    });
  });

  tlsTest("certificates that are self-signed, expired, or of another name", async () => {
    const day = 86_400_000;
    const dates = { notBefore: new Date(Date.now() - 2 * day), notAfter: new Date(Date.now() - day) };
    const names = { names: ["other.example"], addresses: ["127.0.0.9"] };
    const cases: [Certified, string][] = [
      [await selfSigned(), "no authority that is trusted here"],
      [await authority.certify(dates), "has expired, or is not valid yet"],
      [await authority.certify(names), "its certificate is that of another name"],
    ];
    for (const [certified, what] of cases) {
      await withServer(certified, async (server) => {
        assertStringIncludes((await refusal(server, AuthenticationError, { tls: trusted })).message, what);
      });
    }
  });

  tlsTest("a server that wants client certificates takes those of its authority and no others", async () => {
    const clients = await Authority.create("CN=Authority of clients");
    const mine = await clients.certify({ names: ["client"], addresses: [] });
    const foreign = await authority.certify({ names: ["client"], addresses: [] });
    await withServer(await authority.certify(), async (server) => {
      await using backend = new PythonHostRpc(server.endpoint, { protocol, tls: { ...trusted, ...mine } });
      assertEquals(await backend.evaluate("6 * 7"), 42);
      for (const shown of [{}, foreign]) {
        const error = await refusal(server, AuthenticationError, { tls: { ...trusted, ...shown } });
        assertStringIncludes(error.message, "it refuses this client's certificate, or wants one");
      }
      // The certificate alone opens nothing either.
      await refusal(server, AuthenticationError, { token: "0".repeat(64), tls: { ...trusted, ...mine } });
    }, clients.pem);
  });

  tlsTest("plain text to a port of TLS, and TLS to one of plain text", async () => {
    await withServer(await authority.certify(), async (server) => {
      const url = server.endpoint.replace("https:", "http:");
      assertStringIncludes((await refusal(server, ProtocolError, {}, url)).hint!, "use an https: URL");
      await using lookedUp = new PythonHostRpc(url, { protocol });
      await assertRejects(() => lookedUp.initialize(), ConnectError, "its server speaks https");
    });
    await using plain = await startRpc();
    const url = plain.endpoint.replace("http:", "https:");
    const error = await refusal(plain, ConnectError, { tls: trusted }, url);
    assertStringIncludes(error.message, "does not speak it");
  });
}

testTls("connect");
testTls("grpc");
