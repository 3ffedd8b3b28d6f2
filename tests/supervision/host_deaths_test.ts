/**
 * Cases 44, 45, 47, 49, 50: in whatever way the host dies, and whatever its server is doing, nothing is left alive.
 *
 * `BEEP_HOST_DEATHS` sets how many hosts die; the gate's count is 200, the soak's 5,000.
 */

import { assert } from "@std/assert";
import { makeVenv } from "../host/_home.ts";
import { goneWithin } from "./_processes.ts";
import { report, times } from "./_report.ts";
import { countOf, inBatches } from "./_servers.ts";

const DEATHS = countOf("BEEP_HOST_DEATHS", 200);
const DEADLINE_MS = 2_000;
/** What is later than the deadline is done again, for the machine may have stood still; it counts when it is late each time. */
const TRIES = 3;
const LONGEST_MS = 30_000;
const WIDTH = 3;
const ENDS = [
  "SIGKILL",
  "SIGTERM",
  "SIGINT",
  "SIGHUP",
  "SIGABRT",
  "exit",
  "throw",
  "reject",
  "close",
] as const;
const STATES = [
  "idle",
  "busy-gil",
  "busy-deaf",
  "busy-python",
  "busy-sleep",
  "subprocess",
  "forked",
] as const;
const TRANSPORTS = ["pipe", "http"] as const;
const OWNER = new URL("testdata/owner.ts", import.meta.url).href;

/** How a host dies. */
interface Death {
  readonly end: typeof ENDS[number];
  readonly state: typeof STATES[number];
  readonly transport: typeof TRANSPORTS[number];
}

/** The deaths in turn, so that each way meets each state. */
function deathOf(index: number): Death {
  return {
    end: ENDS[index % ENDS.length]!,
    state: STATES[Math.floor(index / ENDS.length) % STATES.length]!,
    transport: TRANSPORTS[Math.floor(index / ENDS.length / STATES.length) % 2]!,
  };
}

/** Lets one host die, in time; gives how long its processes lived on. */
async function dieInTime(death: Death, home: string, venv: string): Promise<number> {
  const late: number[] = [];
  while (late.length < TRIES) {
    const lived = await die(death, home, venv);
    if (lived < DEADLINE_MS) return lived;
    late.push(lived);
  }
  const { transport, state, end } = death;
  throw new Error(`What a host leaves lives on for ${late.join(", ")} ms: ${transport} ${state} ${end}`);
}

async function die({ end, state, transport }: Death, home: string, venv: string): Promise<number> {
  const owner = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", OWNER, transport, venv, state, end],
    env: { BEEP_PYTHON_HOME: home, NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const reader = owner.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while (!text.includes("\n")) {
    const { value, done } = await reader.read();
    assert(!done, `the owner ended early: ${transport} ${state} ${end}`);
    text += value;
  }
  const pids: number[] = JSON.parse(text);
  if (end.startsWith("SIG")) owner.kill(end as Deno.Signal);
  await owner.status;
  try {
    return await goneWithin(pids, LONGEST_MS);
  } catch (cause) {
    throw new Error(`Something outlived its host: ${transport} ${state} ${end}`, { cause });
  } finally {
    await reader.cancel();
  }
}

Deno.test({
  name: `case 44, 45, 47, 49, 50: nothing outlives ${DEATHS} hosts that die in all ways`,
  // Elsewhere a thread of the server watches, which C code that holds the GIL keeps from it.
  ignore: Deno.build.os !== "linux",
  async fn() {
    const home = await Deno.makeTempDir({ prefix: "beep-" });
    try {
      const venv = await makeVenv(home);
      const lived: number[] = [];
      await inBatches(
        DEATHS,
        WIDTH,
        async (index) => void lived.push(await dieInTime(deathOf(index), home, venv)),
      );
      report("Deaths of the host, and how long anything of its server lived on", {
        count: lived.length,
        survivors: 0,
        ...times(lived),
      });
    } finally {
      await Deno.remove(home, { recursive: true });
    }
  },
});
