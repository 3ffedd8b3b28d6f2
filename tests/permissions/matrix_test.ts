/** Each documented set of permissions runs its program; each flag that is missing is told, all of them in one error. */

import { assert, assertEquals } from "@std/assert";
import { launch } from "../../servers/start.ts";
import { pythonSourcesContext } from "../security/_context.ts";
import { PYTHON } from "../security/_servers.ts";
import { ROWS, type Scene } from "./_matrix.ts";

const LIBRARY = new URL("../..", import.meta.url).href.replace(/\/$/, "");
const CONFIG = new URL("../../deno.json", import.meta.url).pathname;

interface Outcome {
  /** What the program printed. */
  readonly printed: string;
  /** The flags of the error that it ended with. */
  readonly flags: readonly string[];
  /** Everything that it said when it ended otherwise. */
  readonly trouble: string;
}

/** Runs a program under the flags and nothing else. */
async function run(scene: Scene, program: string, flags: readonly string[]): Promise<Outcome> {
  const folder = await Deno.makeTempDir({ prefix: "beep-program-" });
  try {
    const path = `${folder}/program.ts`;
    await Deno.writeTextFile(
      path,
      `try {\n  await (async () => {\n${program.replace(/^import .*$/gm, "")}\n  })();\n} catch (error) {
  if (!(error instanceof Error) || !("flags" in error)) throw error;
  console.log(JSON.stringify(error.flags));
}`,
    );
    const imports = program.match(/^import .*$/gm)!.join("\n").replaceAll("LIBRARY", LIBRARY);
    await Deno.writeTextFile(path, `${imports}\n${await Deno.readTextFile(path)}`);
    const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-check", "--no-lock", "--no-prompt", `--config=${CONFIG}`, ...flags, path],
      env: { NO_COLOR: "1", BEEP_PYTHON_HOME: scene.home },
    }).output();
    const text = new TextDecoder().decode(stdout).trim();
    const trouble = new TextDecoder().decode(stderr).trim();
    return text.startsWith("[")
      ? { printed: "", flags: JSON.parse(text), trouble }
      : { printed: text, flags: [], trouble };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** A home, an environment and two running servers. */
async function withScene(body: (scene: Scene) => Promise<void>): Promise<void> {
  const home = await Deno.makeTempDir({ prefix: "beep-permissions-" });
  try {
    const environment = `${home}-venv`;
    const { success, stderr } = await new Deno.Command(PYTHON, {
      args: ["-I", "-m", "venv", "--without-pip", environment],
    }).output();
    assert(success, new TextDecoder().decode(stderr));
    try {
      const python = `${environment}/bin/python`;
      const context = pythonSourcesContext(home);
      await using http = await launch({ python, transport: "http" }, context);
      await using rpc = await launch({ python, transport: "rpc" }, context);
      await using pipe = await launch({ python, name: "documented" }, context);
      await body({
        home,
        python,
        environment,
        http: { port: new URL(http.address).port, address: http.address, token: http.token },
        rpc: { port: new URL(rpc.address).port, address: rpc.address, token: rpc.token },
        pipe: { path: pipe.address, token: pipe.token },
      });
    } finally {
      await Deno.remove(environment, { recursive: true });
    }
  } finally {
    await Deno.remove(home, { recursive: true });
  }
}

const ENV = "--allow-env";
const NET = "--allow-net";
const AT_ONCE = 3;

/** Each flag alone, each pair, and all. */
function missingOf(flags: readonly string[]): string[][] {
  const pairs = flags.flatMap((one, at) => flags.slice(at + 1).map((other) => [one, other]));
  const some = [...flags.map((flag) => [flag]), ...pairs].filter(({ length }) => length < flags.length);
  return [...some, [...flags]];
}

function includes(all: readonly string[], some: readonly string[]): boolean {
  return some.every((one) => all.includes(one));
}

/** Runs a few at a time. */
async function atOnce<T>(few: number, items: readonly T[], run: (item: T) => Promise<void>): Promise<void> {
  const queue = items.values();
  await Promise.all(Array.from({ length: few }, async () => {
    for (const item of queue) await run(item);
  }));
}

/** `--allow-read` of `--allow-read=/a,/b`. */
function kindOf(flag: string): string {
  return flag.split("=")[0]!;
}

Deno.test({
  name: "the documented permissions are enough, and what is missing of them is told at once",
  ignore: Deno.build.os === "windows",
  fn: async (t) => {
    await withScene(async (scene) => {
      for (const row of ROWS) {
        const flags = row.flags(scene);
        const program = row.program(scene);
        await t.step(`${row.name}: ${flags.map(kindOf).join(" ")}`, async () => {
          const whole = await run(scene, program, flags);
          assertEquals(whole.printed, "42", whole.trouble);
          const wrong: string[] = [];
          // Two servers on one pipe of a name would be in each other's way.
          const few = row.connectsLater === true ? 1 : AT_ONCE;
          await atOnce(few, missingOf(flags), async (missing) => {
            const given = flags.filter((flag) => !missing.includes(flag));
            const outcome = await run(scene, program, given);
            const told = outcome.flags.map(kindOf).sort();
            // A row of two steps hears of the second's flag when the first has got its own.
            const first = missing.filter((flag) => !(row.connectsLater && kindOf(flag) === NET));
            const expected = (first.length === 0 ? missing : first).map(kindOf).sort();
            // Without the variables the paths have no names: of their kinds all are told, given by name or not.
            const isAll = missing.includes(ENV) ? includes(told, expected) : told.join() === expected.join();
            if (!isAll) {
              const found = told.join(" ") || outcome.printed || outcome.trouble.slice(0, 300);
              wrong.push(`without ${missing.join(" ")}: ${found}, not ${expected.join(" ")}`);
              return;
            }
            // One error is enough: with what it told, the program runs.
            const second = await run(scene, program, [...given, ...outcome.flags]);
            const isLater = row.connectsLater === true && second.flags.map(kindOf).join() === NET;
            if (second.printed !== "42" && !isLater) {
              wrong.push(
                `with what was told without ${missing.join(" ")}: ${
                  second.flags.join(" ")
                } ${second.trouble}`,
              );
            }
          });
          assertEquals(wrong, []);
        });
      }
    });
  },
});
