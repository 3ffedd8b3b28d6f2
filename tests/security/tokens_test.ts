/** Tokens: none is guessed, none is seen where others can look (cases S1, S6), and pickle reads nothing (S10). */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { PythonHost } from "../../mod.ts";
import { PythonHostError } from "../../core/errors.ts";
import type { Logger } from "../../core/logger.ts";
import { PythonHostHttp } from "../../transports/http.ts";
import { RawPipe } from "./_pipe.ts";
import { countOf } from "./_random.ts";
import { beside, closeQuietly, connect, open, readAll, start, writeAll } from "./_servers.ts";

const encoder = new TextEncoder();
const GUESSES = 10_000;

Deno.test(`case S1: ${GUESSES} guesses over HTTP are refused and counted, and a client with the token never waits`, async () => {
  // Of strangers it keeps more than there can be: none is dropped for those that it has answered and not yet seen go.
  const limits = { refusedTokenDelayMs: 0, maxUnauthenticated: 1_000 };
  await using server = await start({ transport: "http", limits });
  const { host } = new URL(server.address);
  const count = countOf(GUESSES);
  const others: string[] = [];
  await beside(server, async () => {
    let left = count;
    await Promise.all(Array.from({ length: 8 }, async () => {
      while (left-- > 0) {
        const guess = crypto.getRandomValues(new Uint8Array(32)).toHex();
        const connection = await open(server);
        await writeAll(
          connection,
          encoder.encode(
            `POST /api/eval HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer ${guess}\r\n` +
              "Content-Type: application/json\r\nContent-Length: 0\r\n\r\n",
          ),
        );
        const { text, ended } = await readAll(connection);
        closeQuietly(connection);
        if (!ended || !text.startsWith("HTTP/1.1 401 ")) others.push(`${guess}: ${ended} ${text}`);
      }
    }));
  });
  assertEquals(others, []);
  assertMatch(server.stderr.text, /refused 1 attempt .*\n.*refused 10 attempts .*\n.*refused 100 attempts /);
});

Deno.test("case S1: guesses over the pipe are refused and counted", async () => {
  await using server = await start({ limits: { refusedTokenDelayMs: 0 } });
  await beside(server, async () => {
    for (let i = 0; i < 200; i++) {
      const error = await RawPipe.join({
        ...server,
        address: server.address,
        transport: "pipe",
        token: `${i}`.repeat(20),
      })
        .then(() => "let in", String);
      assertMatch(error, /"code":"authentication"/);
    }
  });
  assertMatch(server.stderr.text, /refused 100 attempts without the right token/);
});

Deno.test("case S1: a wrong token takes its time, on both transports", async () => {
  for (const transport of ["pipe", "http"] as const) {
    await using server = await start({ transport, limits: { refusedTokenDelayMs: 300 } });
    const began = performance.now();
    if (transport === "pipe") {
      await RawPipe.join({ ...server, address: server.address, transport, token: "0".repeat(64) }).catch(
        () => {},
      );
    } else {
      await using backend = new PythonHostHttp(server.address, { token: "0".repeat(64) });
      await backend.initialize().catch(() => {});
    }
    assert(performance.now() - began >= 290, transport);
  }
});

/** Everything that a log is told, as text. */
class Listener implements Logger {
  text = "";
  readonly #take = (...args: unknown[]): void =>
    void (this.text += `${args.map((arg) => Deno.inspect(arg)).join(" ")}\n`);
  readonly debug = this.#take;
  readonly info = this.#take;
  readonly warn = this.#take;
  readonly error = this.#take;
}

Deno.test("case S6: the token is in no argument, no variable, no log, no error and no crash report", async () => {
  for (const transport of ["pipe", "http", "rpc"] as const) {
    const logger = new Listener();
    const host = await PythonHost.start({ transport, logger });
    const { token, pid } = host.server;
    assertEquals(token.length, 64);
    const shown: string[] = [];
    try {
      if (Deno.build.os === "linux") {
        for await (const { name } of Deno.readDir("/proc")) {
          if (!/^\d+$/.test(name)) continue;
          for (const file of ["cmdline", "environ"]) {
            // Others' processes end while they are looked at.
            shown.push(await Deno.readTextFile(`/proc/${name}/${file}`).catch(() => ""));
          }
        }
        assert(
          shown.length > 4 && shown.some((text) => text.includes("beep")),
          "the look at /proc found processes",
        );
      }
      shown.push(
        JSON.stringify(
          await host.evaluate(
            "import os, sys\n[dict(os.environ), sys.argv, sys.orig_argv if hasattr(sys, 'orig_argv') else []]",
          ),
        ),
      );
      for (const shownObject of [host, host.server, host.backend, host.servers]) {
        shown.push(
          Deno.inspect(shownObject, { depth: 20, showHidden: true }),
          JSON.stringify(shownObject) ?? "",
        );
        shown.push(JSON.stringify({ ...shownObject }));
      }
      shown.push(await failureOf(host.evaluate("1 / 0")));
      shown.push(await failureOf(host.callMethod({} as never, "x")));
      shown.push(await failureOf(connectWithout(host.server.address, transport)));
      // A crash writes its report to stderr, and the error of the call shows the end of that.
      shown.push(
        await failureOf(host.evaluate("import faulthandler, os\nfaulthandler.dump_traceback()\nos.abort()")),
      );
      shown.push(Deno.inspect(await host.server.exited), host.server.stderr.text, host.server.stdout.text);
      assert(pid > 0);
    } finally {
      await host.close();
    }
    shown.push(logger.text);
    assert(logger.text.includes("ready"), "the logger was told something");
    const found = shown.findIndex((text) => text.includes(token));
    assertEquals(found, -1, `the token is shown in ${shown[found]?.slice(0, 300)}`);
  }
});

async function failureOf(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(() => null, (error: unknown) => error);
  assert(error !== null, "a failure was expected");
  return `${Deno.inspect(error, { depth: 8 })} ${error instanceof PythonHostError ? error.hint : ""}`;
}

async function connectWithout(address: string, transport: string): Promise<void> {
  if (transport === "http") {
    await using backend = new PythonHostHttp(address, { token: "wrong" });
    await backend.initialize();
  } else {
    throw new PythonHostError("argument", "only HTTP shows a wrong token");
  }
}

Deno.test("case S6: credentials in a URL never come back in an error", () => {
  const urls = [
    "http://user:hunter2@localhost:5678",
    "http://user:hunter2@loc alhost",
    "ftp://user:hunter2@host/x",
    "http://user:hunter2@",
  ];
  for (const url of urls) {
    let error: unknown;
    try {
      new PythonHostHttp(url);
    } catch (thrown) {
      error = thrown;
    }
    assert(error instanceof PythonHostError, url);
    assert(!Deno.inspect(error, { depth: 8 }).includes("hunter2"), Deno.inspect(error));
  }
});

Deno.test("case S7: what is documented as no boundary is none: evaluated code runs as the user, and can be the server", async () => {
  await using server = await start();
  await using backend = connect(server);
  assertEquals(await backend.evaluate("import os; os.getpid()"), server.pid);
});

Deno.test("case S10: Python never unpickles, and the client reads the packed form by a table of its own", async () => {
  const pattern =
    /\b(?:pickle|_pickle|cPickle|marshal|shelve|dill|cloudpickle)\.(?:loads?|Unpickler)\b|\bUnpickler\b|from _?pickle import[^\n]*\b(?:loads?|Unpickler)\b/;
  const folder = new URL("../../servers/python/", import.meta.url);
  let files = 0;
  for (const path of await pythonFiles(folder)) {
    const text = await Deno.readTextFile(path);
    assert(!pattern.test(text), `${path} unpickles`);
    files++;
  }
  assert(files > 30, `${files} files were read`);
});

async function pythonFiles(folder: URL): Promise<URL[]> {
  const found: URL[] = [];
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    if (name === "tests" || name === "__pycache__") continue;
    const url = new URL(isDirectory ? `${name}/` : name, folder);
    if (isDirectory) found.push(...await pythonFiles(url));
    else if (name.endsWith(".py")) found.push(url);
  }
  return found;
}
