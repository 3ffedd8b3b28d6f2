/**
 * What provisioning costs, each next to what it is measured against, in one run on one machine.
 *
 * `deno run -A bench/infrastructure.ts [hit] [new] [extract] [discovery]`; it needs a network once, for uv and three small wheels.
 *
 * @module
 */

import { join } from "@std/path";
import { RuntimeManager, VenvManager } from "../infrastructure/mod.ts";
import { Context } from "../infrastructure/context.ts";
import { extract } from "../infrastructure/extract.ts";
import { forceToDisk } from "../infrastructure/fix_up.ts";
import { denoIo } from "../infrastructure/io.ts";
import { forgetVerified } from "../infrastructure/marker.ts";
import { UvFinder } from "../infrastructure/uv_tool.ts";

const ROUNDS = 9;
const WHEELS = ["six", "idna", "certifi"];

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
}

async function time(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

async function command(
  executable: string,
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<void> {
  const output = await new Deno.Command(executable, { args: [...args], env, stdin: "null" }).output();
  if (!output.success) throw new Error(`${executable} failed: ${new TextDecoder().decode(output.stderr)}`);
}

function report(name: string, ours: number, goal: string, base?: readonly [string, number]): void {
  const ratio = base === undefined
    ? ""
    : `, ${base[0]} ${base[1].toFixed(1)} ms, ratio ${(ours / base[1]).toFixed(2)}`;
  console.log(`${name}: ${ours.toFixed(2)} ms${ratio} (goal: ${goal})`);
}

/** `ensure` of an environment that is there: no process, and only our own work. */
async function benchHit(home: string): Promise<void> {
  let spawned = 0;
  const io = {
    ...denoIo,
    spawn: (...args: Parameters<typeof denoIo.spawn>) => (spawned++, denoIo.spawn(...args)),
  };
  const spec = { name: "hit", packages: WHEELS };
  await new VenvManager({ home, installer: "uv" }).ensure(spec);
  const first: number[] = [];
  const again: number[] = [];
  for (let round = 0; round < ROUNDS * 5; round++) {
    // As a process that has just started finds it: nothing is remembered but what is on disk.
    forgetVerified();
    const manager = new VenvManager({ home, io });
    first.push(await time(() => manager.ensure(spec)));
    again.push(await time(() => manager.ensure(spec)));
  }
  report("ensure of an existing environment, first in a process", median(first), "at most 5 ms");
  report("ensure of an existing environment, once more", median(again), "at most 5 ms");
  console.log(`  processes started: ${spawned}`);
}

/** `ensure` of a new environment against the same by hand. */
async function benchNew(home: string): Promise<void> {
  const runtime = await new RuntimeManager({ home }).find();
  // The first one brings uv along where there is none.
  await new VenvManager({ home, installer: "uv" }).ensure({ name: "warm", packages: WHEELS });
  const uv = (await new UvFinder(new Context({ home })).find())!;
  const env = uv.managed ? { UV_CACHE_DIR: join(home, "cache", "uv") } : {};
  const ours: number[] = [];
  const byHand: number[] = [];
  for (let round = -1; round < ROUNDS; round++) {
    const manager = new VenvManager({ home, installer: "uv" });
    const mine = await time(() =>
      manager.ensure({ name: `new-${round}`, python: runtime.executable, packages: WHEELS })
    );
    const venv = join(home, `by-hand-${round}`);
    const theirs = await time(async () => {
      await command(uv.path, ["venv", "--quiet", `--python=${runtime.executable}`, venv], env);
      await command(uv.path, [
        "pip",
        "install",
        "--quiet",
        `--python=${join(venv, "bin", "python")}`,
        ...WHEELS,
      ], env);
    });
    if (round < 0) continue;
    ours.push(mine);
    byHand.push(theirs);
  }
  report("ensure of a new environment with three wheels", median(ours), "at most 1.3 times", [
    "uv by hand",
    median(byHand),
  ]);
}

/** Unpacking and hashing against tar and sha256sum. */
async function benchExtract(home: string): Promise<void> {
  const runtime = await new RuntimeManager({ home }).find();
  const minor = runtime.version.split(".").slice(0, 2).join(".");
  const archive = join(home, "python.tar.gz");
  const library = join(runtime.prefix, "lib", `python${minor}`);
  const list = join(home, "files");
  // The standard library over and over until there are 50 MB, each under a directory of its own.
  const stage = join(home, "stage", "python");
  await Deno.mkdir(stage, { recursive: true });
  await command("sh", [
    "-c",
    `cd "$1" && find . -type f -not -path "*/site-packages/*" -not -path "*/__pycache__/*" > "$2"`,
    "sh",
    library,
    list,
  ]);
  for (let copy = 0; copy < 2; copy++) {
    await command("sh", [
      "-c",
      `mkdir "$3/$4" && tar -C "$1" -cf - -T "$2" | tar -C "$3/$4" -xf -`,
      "sh",
      library,
      list,
      stage,
      `copy${copy}`,
    ]);
  }
  await command("sh", ["-c", `head -c 15000000 /dev/urandom > "$1/blob.bin"`, "sh", stage]);
  await command("sh", [
    "-c",
    `cd "$1/.." && find python -type f | sort > "$3" && tar --format=ustar -czf "$2" -T "$3"`,
    "sh",
    stage,
    archive,
    list,
  ]);
  const size = (await Deno.stat(archive)).size;
  const ours: number[] = [];
  const theirs: number[] = [];
  const forced: number[] = [];
  let files: readonly string[] = [];
  for (let round = -1; round < 7; round++) {
    const mine = join(home, "out-ours");
    // What the one leaves to be written must not slow the other.
    await command("sync", []);
    const took = await time(async () => {
      files = (await extract(new Context({ home }), archive, mine)).files;
    });
    const sync = await time(() => forceToDisk(denoIo, mine, files));
    const other = join(home, "out-tar");
    await Deno.mkdir(other);
    await command("sync", []);
    const tar = await time(async () => {
      await command("tar", ["-xzf", archive, "-C", other]);
      await command("sha256sum", [archive]);
    });
    await Deno.remove(mine, { recursive: true });
    await Deno.remove(other, { recursive: true });
    if (round < 0) continue;
    ours.push(took);
    theirs.push(tar);
    forced.push(sync);
  }
  const name = `unpack and verify ${(size / 1e6).toFixed(0)} MB, ${files.length} files`;
  report(name, median(ours), "at most 1.2 times", ["tar -xzf and sha256sum", median(theirs)]);
  report("  forcing them to the disk, which tar does not", median(forced), "none");
}

/** Discovery on a machine with ten Pythons. */
async function benchDiscovery(home: string): Promise<void> {
  const real = (await new RuntimeManager({ home }).find()).executable;
  const versions = join(home, "pyenv", "versions");
  const script = await Deno.readTextFile(new URL("../tests/infrastructure/_fake_python.ts", import.meta.url))
    .then(() => import("../tests/infrastructure/_fake_python.ts"));
  for (let patch = 0; patch < 10; patch++) {
    await script.fakeInstallation(join(versions, `3.12.${patch}`), `3.12.${patch}`);
  }
  const values: Record<string, string> = {
    PYENV_ROOT: join(home, "pyenv"),
    PATH: Deno.env.get("PATH") ?? "",
    BEEP_PYTHON_PATH: real,
  };
  const environment = (name: string): string | undefined => values[name];
  const cold = await time(() => new RuntimeManager({ home: join(home, "d"), environment }).discover());
  const warm: number[] = [];
  let count = 0;
  for (let round = 0; round < ROUNDS * 3; round++) {
    const manager = new RuntimeManager({ home: join(home, "d"), environment });
    warm.push(await time(async () => count = (await manager.discover()).length));
  }
  report(`discovery of ${count} Pythons, warm`, median(warm), "at most 30 ms");
  report("discovery of the same, cold", cold, "none");
}

/** Whether a part is wanted: all are, unless some are named as arguments. */
function only(part: string): boolean {
  return Deno.args.length === 0 || Deno.args.includes(part);
}

if (import.meta.main) {
  const home = await Deno.makeTempDir({ prefix: "beep_bench_" });
  try {
    if (only("hit")) await benchHit(home);
    if (only("new")) await benchNew(home);
    if (only("extract")) await benchExtract(home);
    if (only("discovery")) await benchDiscovery(home);
  } finally {
    await Deno.remove(home, { recursive: true });
  }
}
