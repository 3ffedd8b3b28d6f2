/** What a server's process gets of its host's environment, and what its limits are: what is named, and nothing else. */

import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { AddressInUseError, ServerStartError, ValueConversionError } from "../../core/errors.ts";
import { dotnetSocketPath } from "../../servers/dotnet_socket.ts";
import type { ServerLimits } from "../../servers/mod.ts";
import { closeQuietly, connect, open, readAll, start, writeAll } from "./_servers.ts";

const SECRETS: Readonly<Record<string, string>> = {
  AWS_SECRET_ACCESS_KEY: "hunter2-aws",
  GITHUB_TOKEN: "hunter2-github",
  OPENAI_API_KEY: "hunter2-openai",
  NVIDIA_API_KEY: "hunter2-nvidia",
  DENO_AUTH_TOKENS: "hunter2-deno",
  NPM_TOKEN: "hunter2-npm",
  DATABASE_URL: "postgres://user:hunter2@host/db",
  SSH_AUTH_SOCK: "/hunter2",
  PIP_INDEX_URL: "https://user:hunter2@index.example/",
  BEEP_TEST_SECRET: "hunter2-ours",
  PYTHONPATH: "/hunter2",
  PYTHONHOME: "/hunter2",
  PYTHONSTARTUP: "/hunter2",
  LD_PRELOAD_HUNTER: "hunter2",
  LD_LIBRARY_PATH: "/hunter2",
  DYLD_INSERT_LIBRARIES: "/hunter2",
  SSLKEYLOGFILE: "/hunter2",
  PYTHONINSPECT: "hunter2",
  PYTHONBREAKPOINT: "hunter2.run",
  PYTHONHASHSEED: "hunter2",
  BASH_ENV: "/hunter2",
  AWS_SESSION_TOKEN: "hunter2-aws-session",
  AZURE_CLIENT_SECRET: "hunter2-azure",
  GOOGLE_APPLICATION_CREDENTIALS: "/hunter2.json",
  KUBECONFIG: "/hunter2",
};

Deno.test("no secret of the host reaches the server's process, but for those that are named", async () => {
  for (const [name, value] of Object.entries(SECRETS)) Deno.env.set(name, value);
  try {
    await using server = await start({ inheritEnv: ["NPM_TOKEN"], env: { CHOSEN: "given" } });
    await using backend = connect(server);
    const seen = await backend.evaluate<Record<string, string>>("import os; dict(os.environ)");
    const leaked = Object.entries(seen).filter(([name, value]) =>
      name !== "NPM_TOKEN" && value.includes("hunter2")
    );
    assertEquals(leaked, []);
    assertEquals([seen.NPM_TOKEN, seen.CHOSEN], ["hunter2-npm", "given"]);
    assert(seen.PATH !== undefined && seen.HOME !== undefined);
    if (Deno.build.os === "linux") {
      const environ = await Deno.readTextFile(`/proc/${server.pid}/environ`);
      assert(!environ.replace("hunter2-npm", "").includes("hunter2"));
    }
    // Children of user code get no more than the server has.
    const child = await backend.evaluate<string>(
      "import subprocess; subprocess.run(['env'], capture_output=True, text=True).stdout",
    );
    assert(!child.replace("hunter2-npm", "").includes("hunter2"));
  } finally {
    for (const name of Object.keys(SECRETS)) Deno.env.delete(name);
  }
});

Deno.test("each limit is an option by its name, and what is none is refused", async () => {
  const limits: Required<{ [Name in keyof ServerLimits]: number }> = {
    maxFrameBytes: 1_000_000,
    maxConnections: 8,
    maxUnauthenticated: 4,
    maxInFlight: 16,
    maxHandles: 10,
    maxSessions: 2,
    maxThreads: 2,
    sessionIdleMs: 60_000,
    interruptGraceMs: 500,
    maxDepth: 20,
    maxHeadBytes: 2_000,
    // Long enough for what is not meant to be late; only what is waits for its end.
    headTimeoutMs: 2_000,
    bodyStallMs: 300,
    idleTimeoutMs: 2_000,
    maxBufferedBytes: 100_000,
    refusedTokenDelayMs: 1,
  };
  await using server = await start({ transport: "http", limits });
  const { host } = new URL(server.address);
  const encoder = new TextEncoder();
  const ask = async (text: string): Promise<string> => {
    const connection = await open(server);
    await writeAll(connection, encoder.encode(text));
    const answer = await readAll(connection);
    closeQuietly(connection);
    assert(answer.ended, `the server ends "${text.slice(0, 40)}"`);
    return answer.text;
  };
  const right =
    `Host: ${host}\r\nAuthorization: Bearer ${server.token}\r\nContent-Type: application/json\r\n`;
  assertMatch(await ask(`GET /health HTTP/1.1\r\nX: ${"y".repeat(2_000)}`), /^HTTP\/1.1 431 /);
  assertMatch(await ask(`POST /api/eval HTTP/1.1\r\n${right}Content-Length: 9\r\n\r\n{`), /bodyStallMs, 300/);
  assertMatch(
    await ask(`POST /api/eval HTTP/1.1\r\n${right}Content-Length: 1000001\r\n\r\n`),
    /^HTTP\/1.1 413 /,
  );
  // A connection that has shown the token may rest, for so long and no longer.
  const [late, rested] = await Promise.all([
    ask("GET /health HTTP/1.1\r\n"),
    ask(`POST /api/eval HTTP/1.1\r\n${right}Content-Length: 18\r\n\r\n{"expression":"7"}`),
  ]);
  assertMatch(late, /headTimeoutMs, 2000/);
  assertMatch(rested, /^HTTP\/1.1 200 /);
  await using backend = connect(server);
  const nested = (depth: number): unknown => depth === 0 ? new Set([1]) : [nested(depth - 1)];
  assertEquals(await backend.evaluate("1", { nested: nested(15) }), 1);
  await assertRejects(
    () => backend.evaluate("1", { nested: nested(100) }),
    ValueConversionError,
    "more than 20 deep",
  );
  for (
    const limits of [{ maxDepth: 201 }, { maxNothing: 1 }, { maxHandles: -1 }, { maxHandles: 1.5 }, {
      maxHandles: "1",
    }]
  ) {
    await assertRejects(
      () => start({ limits: limits as ServerLimits }),
      ServerStartError,
      "Cannot set limit",
    );
  }
  await assertRejects(
    () => start({ limits: { maxConnection: 1 } as ServerLimits }),
    ServerStartError,
    `Cannot set limit "maxConnection": there is none of this name, but ${
      Object.keys(limits).sort().join(", ")
    }`,
  );
});

Deno.test({
  name:
    "BEEP_WIRE §3: without a token a pipe is found where .NET looks, and nothing that stands there is touched",
  ignore: Deno.build.os === "windows",
  fn: async () => {
    const name = `beep-test-${crypto.randomUUID().slice(0, 8)}`;
    const path = dotnetSocketPath(name);
    assertMatch(path, new RegExp(`/CoreFxPipe_${name}$`));
    {
      await using _server = await start({ name, auth: false });
      assertEquals(((await Deno.lstat(path)).mode ?? 0) & 0o777, 0o600);
      const client = await Deno.connect({ transport: "unix", path });
      // As .NET's StreamWriter opens.
      await client.write(
        new TextEncoder().encode('\ufeff{"command":"eval","payload":{"expression":"6 * 7"}}\n'),
      );
      await client.closeWrite();
      assertEquals((await readAll(client)).text, '{"result":{"value":42},"error":null}\n');
      closeQuietly(client);
      await assertRejects(() => start({ name, auth: false }), AddressInUseError);
    }
    await assertRejects(() => Deno.lstat(path), Deno.errors.NotFound);
    // With a token there is nothing for clients that cannot send one.
    {
      await using _server = await start({ name });
      await assertRejects(() => Deno.lstat(path), Deno.errors.NotFound);
    }
    // A file that is not ours to take.
    await Deno.writeTextFile(path, "somebody's");
    try {
      await assertRejects(() => start({ name, auth: false }), AddressInUseError, "is a file");
      assertEquals(await Deno.readTextFile(path), "somebody's");
    } finally {
      await Deno.remove(path);
    }
    // A socket that somebody listens at.
    const listener = Deno.listen({ transport: "unix", path });
    try {
      await assertRejects(() => start({ name, auth: false }), AddressInUseError);
    } finally {
      listener.close();
    }
    // One that a server left that was killed: dead and ours, so it is replaced.
    await using server = await start({ name, auth: false });
    assertEquals(server.endpoint, name);
  },
});
