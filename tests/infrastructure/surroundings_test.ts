// What the machine around provisioning does: a certificate that nothing vouches for, a rename across disks, an installer that is
// killed, a standstill.

import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { join } from "@std/path";
import { CommandError, EnvironmentError, PythonHostError } from "../../core/errors.ts";
import { runChild } from "../../infrastructure/child.ts";
import { type Io, RuntimeManager, VenvManager } from "../../infrastructure/mod.ts";
import { denoIo } from "../../infrastructure/io.ts";
import { Authority } from "../security/_certificates.ts";
import { fakeArchive, fakeInstallation, fakePython } from "./_fake_python.ts";
import { only, temporary, tree } from "./_support.ts";

function rejection(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(() => undefined, (error) => error);
}

Deno.test("case 12: a mirror whose certificate nothing vouches for is asked once, and the error says what to set", async () => {
  await using home = await temporary();
  const authority = await Authority.create();
  const archive = fakeArchive();
  let requests = 0;
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {}, ...await authority.certify() },
    () => (requests++, new Response(archive.bytes.slice())),
  );
  let attempts = 0;
  const io = {
    ...denoIo,
    fetch: (...args: Parameters<typeof denoIo.fetch>) => (attempts++, denoIo.fetch(...args)),
  };
  const manager = new RuntimeManager({ home: home.path, environment: only({}), io });
  const url = `https://localhost:${server.addr.port}/archive.tar.gz`;
  const distribution = { version: archive.version, url, sha256: archive.sha256 };
  const error = await rejection(manager.install(archive.version, { distribution }));
  assertInstanceOf(error, PythonHostError);
  assert(/not trusted: .*UnknownIssuer/.test(error.message), error.message);
  assert(error.hint?.includes("DENO_TLS_CA_STORE"), error.hint);
  assertEquals([attempts, requests], [1, 0]);
});

Deno.test("case 24: a rename across disks is a typed error that says so, and publishes nothing", async () => {
  await using scratch = await temporary();
  const python = await fakeInstallation(join(scratch.path, "base"), "3.12.0");
  const io = {
    ...denoIo,
    rename: () =>
      Promise.reject(Object.assign(new Error("Invalid cross-device link (os error 18)"), { code: "EXDEV" })),
  };
  const home = join(scratch.path, "home");
  const runtimes = new RuntimeManager({ home, environment: only({}), io });
  const error = await rejection(
    new VenvManager({ runtimes, installer: "pip" }).ensure({ name: "mine", python }),
  );
  assertInstanceOf(error, EnvironmentError);
  assert(error.hint?.includes("one file system"), `${error.message}\n${error.hint}`);
  // What was begun is nobody's environment, and the next one to come makes it anew.
  const usual = new VenvManager({
    runtimes: new RuntimeManager({ home, environment: only({}) }),
    installer: "pip",
  });
  assertEquals((await usual.status("mine")).state, "missing");
  await usual.ensure({ name: "mine", python });
  assertEquals((await usual.status("mine")).state, "ready");
});

Deno.test("case 37: an installer that is killed publishes nothing, and the environment of before stays", async () => {
  await using scratch = await temporary();
  const text = fakePython("3.12.0", { pip: "24.0", ensurepip: true })
    .replace(/exit 0\n$/, 'case "$*" in *" install "*) kill -9 $$$$ ;; esac\nexit 0\n');
  const python = await fakeInstallation(join(scratch.path, "base"), "3.12.0", text);
  const home = join(scratch.path, "home");
  const runtimes = new RuntimeManager({ home, environment: only({ PATH: "/usr/bin:/bin" }) });
  const manager = new VenvManager({ runtimes, installer: "pip" });
  const before = await manager.ensure({ name: "mine", python });
  const error = await rejection(manager.ensure({ name: "mine", python, packages: ["left-pad"] }));
  assertInstanceOf(error, CommandError);
  assertEquals([error.signal, error.exitCode], ["SIGKILL", 128 + 9]);
  assert(error.message.includes("was ended by SIGKILL"), error.message);
  assertEquals((await manager.ensure({ name: "mine" })).path, before.path);
  assertEquals((await tree(home)).filter((path) => /^\.staging\/./.test(path)), []);
});

Deno.test({
  name:
    "what comes behind a child while this process stands still is read, though the time for it has passed",
  ignore: Deno.build.os === "windows", // has no sh
  async fn() {
    await using scratch = await temporary();
    const written = join(scratch.path, "written");
    /** Nothing runs in this process until the words are in the pipe and the time for them is over. */
    const standStill = async (): Promise<void> => {
      // In the same turn in which the end of the child is learnt, but when the time for the words has begun.
      for (let microtask = 0; microtask < 100; microtask++) await undefined;
      const start = performance.now();
      while (performance.now() - start < 1_000 || !isThere(written)) {
        assert(performance.now() - start < 60_000, "The words were not written within 60 s");
      }
    };
    const stood: Promise<void>[] = [];
    const io: Io = {
      ...denoIo,
      spawn(executable, options) {
        const child = denoIo.spawn(executable, options);
        const status = child.status.then((ended) => (void stood.push(standStill()), ended));
        return { ...child, status };
      },
    };
    const result = await runChild(io, Deno.build.os, "/bin/sh", {
      args: ["-c", '(sleep 0.2; echo last words; : > "$0") &', written],
      env: { PATH: "/usr/bin:/bin" },
    });
    await Promise.all(stood);
    assertEquals([result.code, result.stdout, stood.length], [0, "last words\n", 1]);
  },
});

function isThere(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
