/**
 * Makes every single call of provisioning to the file system, the network and the process table fail in turn. Each time
 * the outcome is success or a typed error, nothing corrupt is published, and the next run succeeds.
 *
 * `BEEP_FAULT_KINDS=5` tries every kind of failure at every call instead of one kind each.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { join } from "@std/path";
import { PythonHostError } from "../../core/errors.ts";
import {
  type Io,
  type IoFile,
  type PythonEnvironment,
  RuntimeManager,
  VenvManager,
} from "../../infrastructure/mod.ts";
import { denoIo } from "../../infrastructure/io.ts";
import { forgetVerified } from "../../infrastructure/marker.ts";
import type { PythonArchive } from "./_archive.ts";
import { fakeArchive } from "./_fake_python.ts";
import { amount, only, temporary } from "./_support.ts";

const KINDS: readonly (() => Error)[] = [
  () => Object.assign(new Error("Input/output error (os error 5)"), { code: "EIO" }),
  () => Object.assign(new Error("No space left on device (os error 28)"), { code: "ENOSPC" }),
  () =>
    Object.assign(new Deno.errors.PermissionDenied("Permission denied (os error 13)"), { code: "EACCES" }),
  () =>
    Object.assign(new Deno.errors.PermissionDenied("Operation not permitted (os error 1)"), {
      code: "EPERM",
    }),
  () =>
    new Deno.errors.NotCapable(
      'Requires write access to "/somewhere", run again with the --allow-write flag',
    ),
];

/** A world in which one call, counted from 1, fails. */
class FaultyWorld {
  calls = 0;
  failed: string | undefined;
  readonly io: Io;
  readonly #failing: number;
  readonly #kind: () => Error;

  constructor(failing: number, kind: () => Error) {
    this.#failing = failing;
    this.#kind = kind;
    this.io = this.#wrap();
  }

  #count(name: string): void {
    if (++this.calls !== this.#failing) return;
    this.failed = name;
    throw this.#kind();
  }

  #wrap(): Io {
    const count = (name: string): void => this.#count(name);
    const wrapped: Record<string, unknown> = {};
    for (const [name, call] of Object.entries(denoIo) as [string, (...args: unknown[]) => unknown][]) {
      const isImmediate = name === "spawn" || name === "makeDirectory" || name === "createNew";
      wrapped[name] = isImmediate
        ? (...args: unknown[]): unknown => {
          count(name);
          const result = call(...args);
          return name === "createNew"
            ? wrapMethods(result as Record<string, unknown>, ["write"], count)
            : result;
        }
        : async (...args: unknown[]): Promise<unknown> => {
          count(name);
          const result = await call(...args);
          return name === "open" ? wrapFile(result as IoFile, count) : result;
        };
    }
    return wrapped as unknown as Io;
  }
}

function wrapMethods(
  target: Record<string, unknown>,
  names: string[],
  count: (name: string) => void,
): unknown {
  const copy: Record<string, unknown> = { ...target };
  for (const name of names) {
    const method = target[name] as (...args: unknown[]) => unknown;
    copy[name] = (...args: unknown[]): unknown => {
      count(name);
      return method(...args);
    };
  }
  return copy;
}

function wrapFile(file: IoFile, count: (name: string) => void): IoFile {
  const counted = async <T>(name: string, call: () => Promise<T>): Promise<T> => {
    count(`file.${name}`);
    return await call();
  };
  return {
    read: (buffer) => counted("read", () => file.read(buffer)),
    write: (bytes) => counted("write", () => file.write(bytes)),
    seek: (offset) => counted("seek", () => file.seek(offset)),
    truncate: (size) => counted("truncate", () => file.truncate(size)),
    sync: () => counted("sync", () => file.sync()),
    tryLock: () => counted("tryLock", () => file.tryLock()),
    isAt: (path) => counted("isAt", () => file.isAt(path)),
    close: () => file.close(),
  };
}

async function provision(
  home: string,
  url: string,
  archive: PythonArchive,
  io: Io,
): Promise<PythonEnvironment> {
  const { version, sha256 } = archive;
  const runtimes = new RuntimeManager({ home, environment: only({}), io, cwd: home });
  const limits = { attempts: 2, retryBaseMs: 1 };
  const runtime = await runtimes.install(version, { distribution: { version, sha256, url }, limits });
  const environments = new VenvManager({ runtimes, installer: "pip" });
  return await environments.ensure({ name: "made", python: runtime.executable, packages: [] });
}

async function assertWhole(home: string): Promise<void> {
  forgetVerified();
  const runtimes = new RuntimeManager({ home, environment: only({}) });
  for (const runtime of await runtimes.list()) assertEquals(await runtimes.verify(runtime.id), []);
  for (const status of await new VenvManager({ runtimes }).list()) {
    assertEquals(status.state, "ready", status.problem);
  }
}

Deno.test("every single call of provisioning may fail", async () => {
  const archive = fakeArchive("3.12.1", 2);
  await using scratch = await temporary("faults_");
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    () => new Response(archive.bytes as Uint8Array<ArrayBuffer>, { headers: { ETag: '"one"' } }),
  );
  const url = `http://127.0.0.1:${server.addr.port}/archive.tar.gz`;
  const kinds = amount("BEEP_FAULT_KINDS", 1);
  const outcomes = { succeeded: 0, failed: 0 };
  const called = new Set<string>();
  let points = 0;
  for (let failing = 1;; failing++) {
    let reached = false;
    for (let turn = 0; turn < kinds; turn++) {
      const kind = KINDS[(failing + turn) % KINDS.length]!;
      const home = join(scratch.path, `${failing}-${turn}`);
      await Deno.mkdir(home, { mode: 0o700 });
      forgetVerified();
      const world = new FaultyWorld(failing, kind);
      try {
        await provision(home, url, archive, world.io);
        outcomes.succeeded++;
      } catch (error) {
        assert(
          error instanceof PythonHostError,
          `call ${failing} (${world.failed}) ended in ${Deno.inspect(error)}`,
        );
        outcomes.failed++;
      }
      try {
        await assertWhole(home);
        const mended = await provision(home, url, archive, denoIo);
        assert((await Deno.stat(mended.python)).isFile);
        await assertWhole(home);
      } catch (cause) {
        throw new Error(`call ${failing} (${world.failed}) left what the next run cannot mend`, { cause });
      }
      await Deno.remove(home, { recursive: true });
      if (world.failed === undefined) continue;
      reached = true;
      called.add(world.failed);
    }
    if (!reached) break;
    points = failing;
  }
  console.log(
    `${points} calls failed in turn: ${outcomes.failed} typed errors, ${outcomes.succeeded - 1} survived; ${
      [...called].sort().join(" ")
    }`,
  );
  assert(points > 100, `only ${points} calls were made`);
  assert(outcomes.failed > points / 3, "hardly any failure was noticed");
});

Deno.test("an abort at any moment ends provisioning with its reason", async () => {
  const archive = fakeArchive("3.12.1", 2);
  await using scratch = await temporary("aborts_");
  const path = join(scratch.path, "archive.tar.gz");
  await Deno.writeFile(path, archive.bytes);
  for (let afterCalls = 1; afterCalls < 200; afterCalls += 7) {
    const controller = new AbortController();
    const home = join(scratch.path, `${afterCalls}`);
    await Deno.mkdir(home, { mode: 0o700 });
    const reason = new Error("enough");
    let calls = 0;
    const io: Io = {
      ...denoIo,
      stat: (target) => {
        if (++calls === Math.ceil(afterCalls / 7)) controller.abort(reason);
        return denoIo.stat(target);
      },
    };
    const { version, sha256 } = archive;
    const runtimes = new RuntimeManager({ home, environment: only({}), io, cwd: home });
    const distribution = { version, sha256, url: `file://${path}` };
    try {
      await runtimes.install(version, { distribution, signal: controller.signal });
    } catch (error) {
      assertEquals(error, reason);
    }
    await assertWhole(home);
  }
});
