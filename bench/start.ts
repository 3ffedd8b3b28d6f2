/**
 * From the start of `deno run` to the first value, and the memory of a server that has nothing to do.
 *
 * @module
 */

import { PythonHostPipe, servers } from "@beep/python-host";
import { percentile } from "./measure.ts";
import { chosenPython } from "./python.ts";

const ROUNDS = 15;

async function timed(command: string, args: string[]): Promise<number> {
  const start = performance.now();
  const { success, stderr } = await new Deno.Command(command, { args, stdout: "null", stderr: "piped" })
    .output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  return performance.now() - start;
}

/** Measures and reports. */
export async function benchStart(python: string): Promise<void> {
  const directory = await Deno.makeTempDir();
  const empty = `${directory}/empty.ts`;
  await Deno.writeTextFile(empty, "");
  const first = new URL("./floors/first_value.ts", import.meta.url).pathname;
  const times = { empty: [] as number[], python: [] as number[], pipe: [] as number[], http: [] as number[] };
  for (let round = 0; round <= ROUNDS; round++) {
    const measured = {
      empty: await timed(Deno.execPath(), ["run", empty]),
      python: await timed(python, ["-I", "-c", "pass"]),
      pipe: await timed(Deno.execPath(), ["run", "-A", first, "pipe"]),
      http: await timed(Deno.execPath(), ["run", "-A", first, "http"]),
    };
    // The first round warms the caches of the disk and makes the environment.
    if (round > 0) {
      for (const [name, time] of Object.entries(measured)) times[name as keyof typeof times].push(time);
    }
  }
  await Deno.remove(directory, { recursive: true });
  const median = (name: keyof typeof times) => percentile(times[name], 0.5);
  const floor = median("empty") + median("python");
  console.log("\nFrom the start of `deno run` to the first value, environment present (medians, ms)");
  console.table(
    (["pipe", "http"] as const).map((name) => ({
      case: name,
      "first value": median(name).toFixed(1),
      "empty deno run + python -I -c pass": floor.toFixed(1),
      "more than that": (median(name) - floor).toFixed(1),
      ratio: (median(name) / floor).toFixed(2),
      goal: `at most 120 more: ${median(name) - floor <= 120 ? "met" : "MISSED"}`,
    })),
  );
  const server = await servers.startServer({ python, transport: "pipe" });
  const backend = new PythonHostPipe(server.endpoint);
  await backend.evaluate("1+1");
  const status = await Deno.readTextFile(`/proc/${server.pid}/status`).catch(() => "");
  const resident = Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? NaN) / 1024;
  await backend.close();
  await server.close();
  console.log(`\nIdle server after one call: ${resident.toFixed(1)} MB resident (goal: at most 25)`);
}

if (import.meta.main) await benchStart(await chosenPython());
