/** The command line where servers speak TLS with a certificate that only their owner vouches for. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { PythonHostError } from "../../core/errors.ts";
import { PythonHost } from "../../mod.ts";
import { homeWithEnvironment, run, serve } from "./_cli.ts";
import { Authority, PemFiles } from "../security/_certificates.ts";

Deno.test("start speaks TLS, status and stop take whom to trust and what to show", async () => {
  await using _home = await homeWithEnvironment();
  await using files = new PemFiles();
  const authority = await Authority.create();
  const clients = await Authority.create("CN=Authority of clients");
  // For its name alone: the address that is bound stands in few certificates.
  const { certFile, keyFile, clientCaFile } = await files.write(
    await authority.certify({ addresses: [] }),
    clients.pem,
  );
  const mine = await files.write(await clients.certify({ names: ["client"], addresses: [] }));
  await Deno.writeTextFile(`${files.path}/ca`, authority.pem);
  const trust = ["--tls-ca", `${files.path}/ca`];
  const show = ["--tls-cert", mine.certFile, "--tls-key", mine.keyFile];
  const server = await serve(
    "http",
    "--port",
    "0",
    "--tls-cert",
    certFile,
    "--tls-key",
    keyFile,
    "--tls-client-ca",
    clientCaFile!,
  );
  const { port } = new URL(server.endpoint);
  assertMatch(server.endpoint, /^https:/);

  for (const flags of [[], trust]) {
    const status = await run("status", ...flags);
    assertStringIncludes(status.stdout, "does not answer (authentication)");
    assertStringIncludes(status.stderr, "hint: Name whom to trust by --tls-ca");
    const { code, stderr } = await run("stop", "http", "--port", port, ...flags);
    assertEquals(code, 1);
    assertStringIncludes(stderr, "by TLS");
    assertStringIncludes(stderr, "--tls-ca");
  }
  assertStringIncludes((await run("status", ...trust, ...show)).stdout, "Python 3.");
  const stopped = await run("stop", "http", "--port", port, ...trust, ...show);
  assertEquals([stopped.code, stopped.stderr], [0, ""]);
  assertEquals((await server.end()).code, 0);

  const half = await run("status", "--tls-cert", mine.certFile);
  assertEquals(half.code, 1);
  assertStringIncludes(half.stderr, "they go together");
  const missing = await run("status", "--tls-ca", `${files.path}/nothing`);
  assertEquals(missing.code, 1);
  assertStringIncludes(missing.stderr, "cannot be read");
});

Deno.test("a host and its server speak TLS by a plain option", async () => {
  await using _home = await homeWithEnvironment();
  await using files = new PemFiles();
  const authority = await Authority.create();
  const clients = await Authority.create("CN=Authority of clients");
  const server = await files.write(await authority.certify({ addresses: [] }), clients.pem);
  const client = { caCerts: [authority.pem], ...await clients.certify({ names: ["client"], addresses: [] }) };
  for (const transport of ["http", "rpc"] as const) {
    await using host = await PythonHost.start({
      transport,
      environment: "admin",
      tls: { ...server, client },
    });
    assertMatch(host.server.endpoint, /^https:/);
    assertEquals(await host.evaluate("6 * 7"), 42);
    const refused = await PythonHost.start({ transport, environment: "admin", tls: server })
      .then(() => null, (error: unknown) => error);
    assert(refused instanceof PythonHostError && refused.message.includes("by TLS"), String(refused));
  }
  for (const transport of ["pipe", undefined] as const) {
    const refused = await PythonHost.start({ transport, tls: server }).then(
      () => null,
      (error: unknown) => error,
    );
    assert(refused instanceof PythonHostError, String(refused));
    assertEquals(refused.code, "argument");
  }
});
