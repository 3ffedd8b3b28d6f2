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
      await using pipe = await launch({ python, name: "documented" }, context);
      await body({
        home,
        python,
        environment,
        http: { port: new URL(http.address).port, address: http.address, token: http.token },
        pipe: { path: pipe.address, token: pipe.token },
      });
    } finally {
      await Deno.remove(environment, { recursive: true });
    }
  } finally {
    await Deno.remove(home, { recursive: true });
  }
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
          for (const missing of flags) {
            const outcome = await run(scene, program, flags.filter((flag) => flag !== missing));
            const told = outcome.flags.map(kindOf).join(" ");
            if (told !== kindOf(missing)) {
              wrong.push(`without ${missing}: ${told || outcome.printed || outcome.trouble.slice(0, 300)}`);
            }
          }
          // Without the variables the directories have no names, so flags that would name them are told next.
          const env = flags.filter((flag) => flag === "--allow-env");
          const cases: readonly (readonly [given: readonly string[], isAll: boolean])[] = [[env, true], [
            [],
            env.length === 0,
          ]];
          for (const [given, isAll] of cases) {
            const outcome = await run(scene, program, given);
            const told = outcome.flags.map(kindOf).sort().join(" ");
            // A row of two steps hears of the second's flags when the first has got its own.
            const later = row.connectsLater === true ? "--allow-net" : undefined;
            const expected = flags.filter((flag) => !given.includes(flag)).map(kindOf)
              .filter((kind) => kind !== later).sort().join(" ");
            const isRight = isAll ? told === expected : told.includes("--allow-env");
            if (!isRight) {
              wrong.push(`with ${given}: ${told || outcome.trouble.slice(0, 300)}, not ${expected}`);
            }
          }
          assertEquals(wrong, []);
        });
      }
    });
  },
});
