/**
 * Four processes install the same runtime and make the same environment at once, and are killed at random moments. What
 * is there must be whole at every moment, and the next run must mend the rest.
 *
 * `BEEP_RACE_CYCLES` sets the number of cycles; the nightly figure is 5,000.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { join } from "@std/path";
import { RuntimeManager, VenvManager } from "../../infrastructure/mod.ts";
import { listIfThere } from "../../infrastructure/files.ts";
import { denoIo } from "../../infrastructure/io.ts";
import { fakeArchive } from "./_fake_python.ts";
import { amount, only, randomNumbers, temporary } from "./_support.ts";

const CYCLES = amount("BEEP_RACE_CYCLES", 200);
const RACERS = 4;
/** How long a racer takes when nobody disturbs it; kills are spread over this. */
const SPAN_MS = { make: 350, switch: 1_000 };
const RACER = new URL("./_racer.ts", import.meta.url).pathname;
/** What belongs to an environment that is whole. */
const KEPT = /^(\.lock|current\.json|[0-9a-f]{16}\.json|[0-9a-f]{16}-[0-9a-f]{8}(\.verified)?)$/;
const CONFIG = new URL("../../deno.json", import.meta.url).pathname;

/** How the racers go about it. */
interface Way {
  /** Which of them have locks. */
  readonly locking: (index: number) => "lock" | "no-lock";
  /** What they do. */
  readonly work: "make" | "switch";
}

interface Tally {
  kills: number;
  finished: number;
}

async function race(
  home: string,
  archive: { path: string; sha256: string; version: string },
  random: () => number,
  { locking, work }: Way,
  tally: Tally,
): Promise<void> {
  const racers = Array.from({ length: RACERS }, (_, index) =>
    new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "-A",
        "--no-check",
        "--cached-only",
        "--config",
        CONFIG,
        RACER,
        home,
        archive.path,
        archive.sha256,
        archive.version,
        locking(index),
        work,
      ],
      stdout: "piped",
      stderr: "piped",
    }).spawn());
  const timers = racers.map((racer) => {
    if (random() > 0.7) return undefined;
    return setTimeout(() => {
      try {
        racer.kill("SIGKILL");
        tally.kills++;
      } catch {
        // It was faster than its murderer.
      }
    }, random() * SPAN_MS[work]);
  });
  // All have ended before the first is judged, so that nobody works on while the home is removed.
  const results = await Promise.all(racers.map((racer) => racer.output()));
  for (const timer of timers) clearTimeout(timer);
  await untilNobodyWorksIn(home);
  for (const { code, signal, stdout, stderr } of results) {
    if (signal === "SIGKILL") continue;
    assertEquals(code, 0, new TextDecoder().decode(stderr));
    tally.finished++;
    // What a racer does not hold any more may be gone when they switch and collect.
    if (work === "switch") continue;
    const python = new TextDecoder().decode(stdout).trim();
    assert((await Deno.stat(python)).isFile, `${python} is not there`);
  }
}

/**
 * Waits for what killed racers had started: the interpreters here are scripts, which end with their owner by no lifeline,
 * and would go on writing into a home that is judged and removed meanwhile.
 */
async function untilNobodyWorksIn(home: string): Promise<void> {
  if (Deno.build.os !== "linux") return;
  const deadline = performance.now() + 30_000;
  for (;;) {
    const commands: string[] = [];
    for await (const { name } of Deno.readDir("/proc")) {
      if (!/^\d+$/.test(name)) continue;
      // Gone since it was listed, which is what is waited for.
      const command = await Deno.readTextFile(`/proc/${name}/cmdline`).catch(() => "");
      if (command.split("\0").some((argument) => argument.startsWith(`${home}/`))) commands.push(command);
    }
    if (commands.length === 0) return;
    assert(performance.now() < deadline, `still at work: ${commands.join("; ").replaceAll("\0", " ")}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Whatever has a marker must be whole, although nobody has mended anything yet. */
async function assertNothingCorrupt(
  home: string,
  runtimes: RuntimeManager,
  environments: VenvManager,
): Promise<void> {
  for (const runtime of await runtimes.list()) {
    assertEquals(await runtimes.verify(runtime.id), [], runtime.id);
  }
  for (const status of await environments.list()) {
    const pointer = JSON.parse(await Deno.readTextFile(join(home, "envs", status.name, "current.json")));
    // Whoever switches to what is being collected makes it again, unless it is killed just then.
    if (!(await listIfThere(denoIo, join(home, "envs", status.name))).includes(pointer.directory)) continue;
    assert(status.state === "ready", `${status.name} in ${home} is ${status.state}: ${status.problem}`);
  }
}

async function mend(home: string, archive: { path: string; sha256: string; version: string }): Promise<void> {
  const runtimes = new RuntimeManager({ home, environment: only({}) });
  const environments = new VenvManager({ runtimes, installer: "pip" });
  await assertNothingCorrupt(home, runtimes, environments);
  const { version, sha256 } = archive;
  const runtime = await runtimes.install(version, {
    distribution: { version, sha256, url: `file://${archive.path}` },
  });
  assertEquals(await runtimes.verify(runtime.id), []);
  const environment = await environments.ensure({ name: "raced", python: runtime.executable, packages: [] });
  assert((await Deno.stat(environment.python)).isFile);
  await environments.gc();
  const names = await listIfThere(denoIo, join(home, "envs", "raced"));
  assertEquals(names.filter((name) => /^[0-9a-f]{16}-[0-9a-f]{8}$/.test(name)).length, 1, names.join(" "));
  // Nothing lies beside it either, of whoever was killed.
  assertEquals(names.filter((name) => !KEPT.test(name)), []);
  for (const directory of [home, join(home, "pythons"), join(home, "cache"), join(home, "archives")]) {
    const scratch = (await listIfThere(denoIo, directory)).filter((name) => /\.tmp$|^\.owner-/.test(name));
    assertEquals(scratch, [], directory);
  }
  assertEquals(await listIfThere(denoIo, join(home, ".staging")), []);
  assertEquals(await listIfThere(denoIo, join(home, ".trash")), []);
}

async function cycles(count: number, way: Way, label: string): Promise<void> {
  const seed = amount("BEEP_SEED", Date.now() % 1_000_000);
  const random = randomNumbers(seed);
  const made = fakeArchive();
  await using scratch = await temporary("race_");
  const path = join(scratch.path, "archive.tar.gz");
  await Deno.writeFile(path, made.bytes);
  const archive = { path, sha256: made.sha256, version: made.version };
  const tally: Tally = { kills: 0, finished: 0 };
  for (let cycle = 0; cycle < count; cycle++) {
    const home = join(scratch.path, `home ${cycle}`);
    try {
      // Every third cycle continues in what the last one left, killed processes and all.
      await race(home, archive, random, way, tally);
      if (cycle % 3 === 0) await race(home, archive, random, way, tally);
      await mend(home, archive);
      await Deno.remove(home, { recursive: true });
    } catch (error) {
      throw new Error(`cycle ${cycle} of seed ${seed} (${label}) failed`, { cause: error });
    }
  }
  console.log(
    `${label}: ${count} cycles of ${RACERS}, ${tally.kills} kills, ${tally.finished} finished, seed ${seed}`,
  );
}

Deno.test("case 16, 20: racing processes that are killed leave nothing corrupt, with locks", async () => {
  await cycles(Math.ceil(CYCLES / 2), { locking: () => "lock", work: "make" }, "with locks");
});

Deno.test("case 17, 20: racing processes that are killed leave nothing corrupt, without locks", async () => {
  await cycles(Math.ceil(CYCLES / 4), { locking: () => "no-lock", work: "make" }, "without locks");
});

Deno.test("case 16, 17, 20: racing processes that are killed leave nothing corrupt, some with locks and some without", async () => {
  const locking: Way["locking"] = (index) => index % 2 === 0 ? "lock" : "no-lock";
  await cycles(Math.ceil(CYCLES / 4), { locking, work: "make" }, "mixed");
});

Deno.test("case 16, 20: racing processes that switch, use and collect environments take none from each other", async () => {
  await cycles(Math.ceil(CYCLES / 20), { locking: () => "lock", work: "switch" }, "switching");
});
