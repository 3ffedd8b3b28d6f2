/**
 * `deno task ok`, the one gate: runs each step, stops at the first that fails, and ends with `N passed, N failed`.
 *
 * The tests run in two processes beside each other: those of provisioning and Python's own, which mostly wait for other
 * programs, with some more so that both take as long, and all others.
 *
 * The last line counts tests: Deno's, and Python's once for each CPython they ran on. A step without tests that fails
 * counts as one failure, so that the line is never green when the gate is red.
 *
 * @module
 */

import { dirname, join } from "@std/path";
import config from "../deno.json" with { type: "json" };
import { settlesWithin } from "../core/timers.ts";
import { pipeHolders } from "./pipe_holders.ts";
import { findPythons } from "./pythons.ts";
import {
  addCounts,
  COUNTS_FILE_VARIABLE,
  readDenoCounts,
  readDenoErrors,
  readReportedCounts,
} from "./test_counts.ts";

const ROOT = dirname(import.meta.dirname!);
/** The gate is made to take at most 15 minutes on two cores; a machine that is busy with other work takes longer. This ends what hangs. */
const GATE_TIMEOUT_MS = 45 * 60_000;
/** How long processes that a step started may outlive it. */
const ORPHAN_GRACE_MS = 15_000;
/** How often a download is tried, and how long after it has failed. */
const DOWNLOAD_ATTEMPTS = 3;
const DOWNLOAD_PAUSE_MS = 15_000;

/** One thing that must hold. */
interface Step {
  readonly title: string;
  /** The program and its arguments, or why there is nothing to run here. */
  readonly command: readonly string[] | { readonly skip: string };
  /** Whether its output is `deno test`'s, which is counted. */
  readonly isTest?: true;
  /** Whether it does nothing but download, and is tried again when that fails. */
  readonly isDownload?: true;
}

/** How a step ended; the output is stdout and stderr together. */
interface Outcome {
  readonly success: boolean;
  readonly output: string;
}

// What the first of the two test processes runs, and the second leaves out: about half of the time that all tests take.
const FIRST_TESTS = [
  "tests/infrastructure",
  "tests/host_api",
  "tests/permissions",
  "tests/torture",
  "tests/dotnet",
  "tests/values",
  "tests/python_unit_test.ts",
];

/** The steps in order; those of one row run beside each other. */
async function steps(): Promise<Step[][]> {
  // Never "deno" by name: on a machine where npx brought it, there is none on PATH.
  const deno = Deno.execPath();
  const [oldest] = await findPythons();
  return [
    // So that no later step, and no test, fails since a registry did not answer for a moment.
    [{ title: "Dependencies", command: [deno, "install", "--frozen"], isDownload: true }],
    [{ title: "Format", command: [deno, "fmt", "--check"] }],
    [{ title: "Lint", command: [deno, "lint"] }],
    [{ title: "Types", command: [deno, "check"] }],
    [{ title: "Generated files", command: [deno, "run", "-A", "tools/gen.ts", "--check"] }],
    [{ title: "Documentation", command: [deno, "doc", "--lint", ...Object.values(config.exports)] }],
    [{
      title: `Python sources${oldest === undefined ? "" : ` on ${oldest.version}`}`,
      command: oldest === undefined
        ? { skip: "no CPython on this machine" }
        : [oldest.path, "-I", "-B", "tools/check_python.py", "servers/python"],
    }],
    [
      {
        title: "Tests of provisioning, permissions, hostile code, values and the Python sources",
        command: [deno, "test", "-A", ...FIRST_TESTS],
        isTest: true,
      },
      {
        title: "Tests of all else",
        command: [deno, "test", "-A", "--doc", `--ignore=${FIRST_TESTS.join(",")}`],
        isTest: true,
      },
    ],
    [{ title: "Publishing", command: [deno, "publish", "--dry-run", "--allow-dirty"] }],
  ];
}

async function main(): Promise<number> {
  const started = performance.now();
  const deadline = AbortSignal.timeout(GATE_TIMEOUT_MS);
  const scratch = await Deno.makeTempDir({ prefix: "beep-ok-" });
  try {
    const countsFile = join(scratch, "counts");
    await Deno.writeTextFile(countsFile, "");
    let deno = addCounts([]);
    let failedStep: Step | undefined;
    const errors: string[] = [];
    for (const row of await steps()) {
      const outcomes = await Promise.all(
        row.map((step) => runStep(step, { [COUNTS_FILE_VARIABLE]: countsFile }, deadline)),
      );
      for (const [index, step] of row.entries()) {
        if (!step.isTest) continue;
        const { output } = outcomes[index]!;
        deno = addCounts([deno, readDenoCounts(output) ?? addCounts([])]);
        errors.push(readDenoErrors(output));
      }
      failedStep = row.find((_, index) => !outcomes[index]!.success);
      if (failedStep !== undefined) break;
    }
    console.log(`\nThe gate took ${seconds(started)}`);
    const reported = await readReportedCounts(countsFile);
    const python = addCounts(reported);
    // Each run of Python's tests is one Deno test too: it is counted by what it ran.
    const wrappersFailed = reported.filter((counts) => counts.failed > 0).length;
    const passed = deno.passed - (reported.length - wrappersFailed) + python.passed;
    const failed = deno.failed - wrappersFailed + python.failed;
    const skipped = deno.skipped + python.skipped;
    if (skipped > 0) console.log(`${skipped} skipped`);
    // Once more where it is found: thousands of lines may stand after it.
    for (const text of errors) if (text !== "") console.log(`\n${text}\n`);
    if (failedStep !== undefined) console.log(`Failed: ${failedStep.title}`);
    console.log(`${passed} passed, ${Math.max(failed, failedStep === undefined ? 0 : 1)} failed`);
    return failedStep === undefined ? 0 : 1;
  } finally {
    await Deno.remove(scratch, { recursive: true });
  }
}

async function runStep(step: Step, env: Record<string, string>, deadline: AbortSignal): Promise<Outcome> {
  if ("skip" in step.command) {
    console.log(`- ${step.title}: skipped, ${step.command.skip}`);
    return { success: true, output: "" };
  }
  const started = performance.now();
  let outcome = await run(step.command, env, deadline);
  for (let attempt = 1; step.isDownload && !outcome.success && attempt < DOWNLOAD_ATTEMPTS; attempt++) {
    console.log(`${outcome.output}\n${step.title}: again in ${DOWNLOAD_PAUSE_MS / 1000} s`);
    await new Promise((resolve) => setTimeout(resolve, DOWNLOAD_PAUSE_MS));
    outcome = await run(step.command, env, deadline);
  }
  // Shown when it is whole: two processes that write at the same time would be unreadable.
  if (step.isTest) write(outcome.output);
  console.log(`${outcome.success ? "✓" : "✗"} ${step.title} (${seconds(started)})`);
  if (!outcome.success && !step.isTest) console.log(outcome.output);
  if (deadline.aborted) console.log(`The gate was stopped: ${GATE_TIMEOUT_MS / 60_000} minutes have passed`);
  return outcome;
}

async function run(
  [program, ...args]: readonly string[],
  env: Record<string, string>,
  signal: AbortSignal,
): Promise<Outcome> {
  const child = new Deno.Command(program!, {
    args,
    cwd: ROOT,
    env: { NO_COLOR: "1", ...env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    signal,
  }).spawn();
  const chunks: string[] = [];
  const collect = async (stream: ReadableStream<Uint8Array>) => {
    for await (const text of stream.pipeThrough(new TextDecoderStream())) chunks.push(text);
  };
  const collected = Promise.all([collect(child.stdout), collect(child.stderr)]);
  const { success } = await child.status;
  // A process that outlives the step holds its output open, and would hold the gate for ever.
  const isAlone = await settlesWithin(collected, ORPHAN_GRACE_MS);
  if (!isAlone) {
    const holders = (await pipeHolders()).join("\n");
    chunks.push(
      `\nThe step has ended, but a process that it started still holds its output, of these:\n${holders}\n`,
    );
  }
  return { success: success && isAlone, output: chunks.join("") };
}

function write(text: string): void {
  let bytes = new TextEncoder().encode(text);
  while (bytes.length > 0) bytes = bytes.subarray(Deno.stdout.writeSync(bytes));
}

function seconds(started: number): string {
  return `${((performance.now() - started) / 1000).toFixed(1)} s`;
}

if (import.meta.main) Deno.exit(await main());
