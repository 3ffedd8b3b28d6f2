/** Another user of the same machine can neither connect nor impersonate the server (cases S4, S5). Needs root, to become one. */

import { assert, assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import { AddressInUseError, AuthenticationError, ConnectError, PythonHostError } from "../../core/errors.ts";
import { pythonSourcesContext } from "./_context.ts";
import type { PythonServer, ServerOptions } from "../../servers/mod.ts";
import { launch } from "../../servers/start.ts";
import { PythonHostHttp } from "../../transports/http.ts";
import { PythonHostPipe } from "../../transports/pipe.ts";
import { PYTHON } from "./_servers.ts";

const NOBODY = 65_534;
// One that every user may run; those of a version manager are often in a home that is closed to others.
const THEIR_PYTHON = "/usr/bin/python3";

const reason = await whyNot();

async function whyNot(): Promise<string | null> {
  if (Deno.build.os !== "linux") return "only on Linux";
  if (Deno.uid() !== 0) return "it takes root to become another user";
  try {
    await Deno.stat(THEIR_PYTHON);
    return null;
  } catch {
    return `there is no ${THEIR_PYTHON} that another user could run`;
  }
}

function otherUserTest(name: string, fn: (place: Place) => Promise<void>): void {
  Deno.test({
    name: reason === null ? name : `${name} (ignored: ${reason})`,
    ignore: reason !== null,
    fn: async () => {
      await using place = await Place.make();
      await fn(place);
    },
  });
}

/** A home of our own, and the script where the other user can read it. */
class Place implements AsyncDisposable {
  readonly home: string;
  readonly open: string;

  private constructor(home: string, open: string) {
    this.home = home;
    this.open = open;
  }

  static async make(): Promise<Place> {
    const place = new Place(
      await Deno.makeTempDir({ prefix: "beep-ours-" }),
      await Deno.makeTempDir({ prefix: "beep-theirs-" }),
    );
    await Deno.chmod(place.open, 0o777);
    const script = await Deno.readTextFile(new URL("./_other_user.py", import.meta.url));
    await Deno.writeTextFile(`${place.open}/try.py`, script, { mode: 0o644 });
    return place;
  }

  async start(options: Partial<ServerOptions> = {}): Promise<PythonServer> {
    return await launch({ python: PYTHON, ...options }, pythonSourcesContext(this.home));
  }

  /** Runs what the other user tries, and gives what came of it. */
  async they(...args: string[]): Promise<string> {
    const { stdout, stderr } = await this.#command(args, "null").output();
    const text = new TextDecoder().decode(stdout).trim();
    if (text === "") throw new Error(new TextDecoder().decode(stderr));
    return text;
  }

  /** Lets the other user listen somewhere; `end` gives what they heard. */
  async theyListen(
    kind: "unix" | "tcp",
    where: string,
  ): Promise<{ first: string; end: () => Promise<string> }> {
    const child = this.#command(["listen", kind, where], "piped").spawn();
    const stderr = new Response(child.stderr).text();
    const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    const { value } = await reader.read();
    if (value === undefined) throw new Error(await stderr);
    const end = async (): Promise<string> => {
      await child.stdin.close();
      let text = "";
      for (let part = await reader.read(); !part.done; part = await reader.read()) text += part.value;
      await child.status;
      assertEquals(await stderr, "");
      return text.trim();
    };
    return { first: value.trim(), end };
  }

  #command(args: readonly string[], stdin: "null" | "piped"): Deno.Command {
    return new Deno.Command(THEIR_PYTHON, {
      args: ["-I", `${this.open}/try.py`, ...args],
      uid: NOBODY,
      gid: NOBODY,
      stdin,
      stdout: "piped",
      stderr: "piped",
      clearEnv: true,
      cwd: "/",
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.home, { recursive: true });
    await Deno.remove(this.open, { recursive: true });
  }
}

otherUserTest(
  "case S4: another user cannot open the socket, read the token or list the directory",
  async (place) => {
    await using server = await place.start({ name: "mine" });
    const run = `${place.home}/run`;
    assertEquals(await place.they("connect", server.address, "BEEP"), "PermissionError");
    assertEquals(await place.they("read", run), "PermissionError");
    // Directories that were opened by mistake show nothing yet: the files are closed too.
    await Deno.chmod(place.home, 0o755);
    await Deno.chmod(run, 0o755);
    assertMatch(await place.they("read", run), /pipe-mine\.json/);
    assertEquals(await place.they("read", `${run}/pipe-mine.json`), "PermissionError");
    assertEquals(await place.they("connect", server.address, "BEEP"), "PermissionError");
    assertEquals(((await Deno.lstat(server.address)).mode ?? 0) & 0o777, 0o600);
    assertEquals(((await Deno.lstat(`${run}/pipe-mine.json`)).mode ?? 0) & 0o777, 0o600);
  },
);

otherUserTest(
  "case S4: with the socket wide open, the kernel's word on who connects keeps another user out",
  async (place) => {
    for (const auth of [true, false]) {
      await using server = await place.start({ name: "mine", auth });
      await Deno.chmod(place.home, 0o755);
      await Deno.chmod(`${place.home}/run`, 0o755);
      await Deno.chmod(server.address, 0o777);
      for (const first of ["BEEP", '{"command":"ping"}\n', "x"]) {
        assertMatch(
          await place.they("connect", server.address, first),
          /^(closed|ConnectionResetError|BrokenPipeError)$/,
        );
      }
      await Deno.chmod(`${place.home}/run`, 0o700);
    }
  },
);

otherUserTest("case S4: the socket where .NET looks is closed to another user too", async (place) => {
  const name = `beep-test-${crypto.randomUUID().slice(0, 8)}`;
  await using _server = await place.start({ name, auth: false });
  const path = `${Deno.env.get("TMPDIR") ?? "/tmp"}/CoreFxPipe_${name}`;
  assertEquals(((await Deno.lstat(path)).mode ?? 0) & 0o777, 0o600);
  assertEquals(await place.they("connect", path, '{"command":"ping"}\n'), "PermissionError");
  await Deno.chmod(path, 0o777);
  assertMatch(
    await place.they("connect", path, '{"command":"ping"}\n'),
    /^(closed|ConnectionResetError|BrokenPipeError)$/,
  );
});

otherUserTest(
  "case S5: a place that another user has taken is a typed error, and is left as it is",
  async (place) => {
    const name = `beep-test-${crypto.randomUUID().slice(0, 8)}`;
    const path = `${Deno.env.get("TMPDIR") ?? "/tmp"}/CoreFxPipe_${name}`;
    const squatter = await place.theyListen("unix", path);
    await assertRejects(
      () => place.start({ name, auth: false }),
      AddressInUseError,
      "belongs to another user",
    );
    assert((await Deno.lstat(path)).isSocket);
    // With a token nothing is done there.
    await using _server = await place.start({ name });
    assertEquals(await squatter.end(), "heard b''");
    const port = await place.theyListen("tcp", "0");
    await assertRejects(
      () => place.start({ transport: "http", port: Number(port.first) }),
      AddressInUseError,
    );
    await port.end();
  },
);

otherUserTest(
  "case S5: another user's socket in the place of the server is not believed, and learns nothing",
  async (place) => {
    const path = `${place.open}/socket`;
    const impostor = await place.theyListen("unix", path);
    const token = "5ec2e7".repeat(10) + "0000";
    await using known = new PythonHostPipe(path, { token });
    const error = await assertRejects(() => known.evaluate("secret_code()"), AuthenticationError);
    assertStringIncludes(error.message, "did not prove that it knows the token");
    await using unknown = new PythonHostPipe(path);
    await assertRejects(() => unknown.evaluate("secret_code()"), ConnectError, "Cannot trust");
    const heard = await impostor.end();
    assert(heard.includes("hello"), heard);
    for (const secret of [token, "proof", "secret_code"]) assert(!heard.includes(secret), heard);
  },
);

otherUserTest(
  "case S5: another user's port in the place of the server gets neither code nor token",
  async (place) => {
    const impostor = await place.theyListen("tcp", "0");
    await using backend = new PythonHostHttp(`http://localhost:${impostor.first}`);
    await assertRejects(
      () => backend.evaluate("secret_code()"),
      ConnectError,
      "no server of yours is entered",
    );
    assertEquals(await impostor.end(), "heard b''");
  },
);

otherUserTest(
  "case S5: a socket in a directory that others can enter is refused when the server is started",
  async (place) => {
    for (
      const [path, why] of [
        [`${place.open}/socket`, "can be entered by others"],
        ["/tmp/beep-test-socket", "can be entered by others"],
        [`${place.home}/nothing/socket`, "does not exist"],
      ] as const
    ) {
      await assertRejects(() => place.start({ name: path }), PythonHostError, why);
    }
    await Deno.symlink(place.home, `${place.open}/link`);
    await assertRejects(
      () => place.start({ name: `${place.open}/link/socket` }),
      PythonHostError,
      "but a link",
    );
    const theirs = `${place.home}/theirs`;
    await Deno.mkdir(theirs, { mode: 0o700 });
    await Deno.chown(theirs, NOBODY, NOBODY);
    await assertRejects(
      () => place.start({ name: `${theirs}/socket` }),
      PythonHostError,
      "belongs to another user",
    );
  },
);

otherUserTest("case S4: over HTTP another user gets as far as the token, and no further", async (place) => {
  await using server = await place.start({ transport: "http" });
  const script = `import http.client, json
c = http.client.HTTPConnection("127.0.0.1", ${new URL(server.address).port})
c.request("POST", "/api/eval", json.dumps({"expression": "1"}), {"Content-Type": "application/json"})
print(c.getresponse().status)`;
  const { stdout } = await new Deno.Command(THEIR_PYTHON, {
    args: ["-I", "-c", script],
    uid: NOBODY,
    gid: NOBODY,
    clearEnv: true,
    cwd: "/",
  }).output();
  assertEquals(new TextDecoder().decode(stdout).trim(), "401");
});

otherUserTest(
  "case S5: a run directory that is not ours alone is refused, whoever made it so",
  async (place) => {
    const run = `${place.home}/run`;
    const starts: [string, () => Promise<void>, string][] = [
      ["another's, and closed to all but them", async () => {
        await Deno.mkdir(run, { mode: 0o700 });
        await Deno.chown(run, NOBODY, NOBODY);
      }, `belongs to user ${NOBODY}`],
      ["another's, and open", () => Deno.chmod(run, 0o777), `belongs to user ${NOBODY}`],
      ["a link to a directory of ours", async () => {
        await Deno.remove(run);
        await Deno.symlink(place.open, run);
      }, "but a link"],
    ];
    for (const [name, make, why] of starts) {
      await make();
      for (const transport of ["pipe", "http"] as const) {
        await assertRejects(() => place.start({ transport }), PythonHostError, why, name);
      }
    }
    // One of ours that others can enter is closed to them.
    await Deno.remove(run);
    await Deno.mkdir(run);
    await Deno.chmod(run, 0o777);
    await using server = await place.start({ name: "mine" });
    assertEquals(((await Deno.lstat(run)).mode ?? 0) & 0o777, 0o700);
    assertEquals(await place.they("connect", server.address, "BEEP"), "PermissionError");
  },
);

otherUserTest("case S5: links that another user left where our files go lead nowhere", async (place) => {
  const run = `${place.home}/run`;
  await Deno.mkdir(run, { mode: 0o700 });
  const theirs = `${place.open}/theirs`;
  await Deno.writeTextFile(theirs, "theirs");
  await Deno.chown(theirs, NOBODY, NOBODY);
  // As if the directory had once been open to them.
  for (const name of ["pipe-mine.json", "mine.sock"]) await Deno.symlink(theirs, `${run}/${name}`);
  await assertRejects(() => place.start({ name: "mine" }), AddressInUseError);
  await Deno.remove(`${run}/mine.sock`);
  await using server = await place.start({ name: "mine" });
  assertEquals(await Deno.readTextFile(theirs), "theirs");
  assert((await Deno.lstat(`${run}/pipe-mine.json`)).isFile);
  assert((await Deno.lstat(server.address)).isSocket);
});
