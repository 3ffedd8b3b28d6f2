/**
 * The proofs of reliability in large numbers: the gate's own tests, with the counts that their variables set.
 *
 * `deno task soak [--gate | --scale 0.1] [--only races] [--write]`: `--gate` takes the counts of the gate, `--scale` multiplies
 * the full ones, `--only` runs the proofs whose name contains the text, `--write` puts the figures into
 * `docs/RELIABILITY.md`.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { readDenoCounts } from "../tools/test_counts.ts";

/** A proof: the test that makes it, and its full count. */
interface Proof {
  readonly name: string;
  readonly test: string;
  /** The variable that sets the count, and the count. */
  readonly counts: Readonly<Record<string, number>>;
}

const SUPERVISION = "tests/supervision";
const PROOFS: readonly Proof[] = [
  {
    name: "host deaths",
    test: `${SUPERVISION}/host_deaths_test.ts`,
    counts: { BEEP_HOST_DEATHS: 5_000 },
  },
  {
    name: "server deaths",
    test: `${SUPERVISION}/server_deaths_test.ts`,
    counts: { BEEP_SERVER_DEATHS: 10_000 },
  },
  {
    name: "cancel races",
    test: `${SUPERVISION}/cancel_races_test.ts`,
    counts: { BEEP_CANCEL_RACES: 200_000 },
  },
  {
    name: "cancel latency",
    test: `${SUPERVISION}/cancel_latency_test.ts`,
    counts: { BEEP_CANCEL_SAMPLES: 2_000 },
  },
  {
    name: "parallel starts",
    test: `${SUPERVISION}/parallel_starts_test.ts`,
    counts: { BEEP_PARALLEL_STARTS: 500 },
  },
  { name: "mixed work", test: `${SUPERVISION}/soak_test.ts`, counts: { BEEP_SOAK_SECONDS: 7_200 } },
  // The forced races inside the server, and the interpreter's own tests, on every CPython found.
  { name: "forced races", test: "tests/python_unit_test.ts", counts: { BEEP_RACES: 10_000 } },
  {
    name: "hostile code and departing clients",
    test: "tests/torture",
    counts: { BEEP_TEST_DEPARTURES: 2_000 },
  },
  { name: "mutated input", test: "tests/security/mutations_test.ts", counts: { BEEP_FUZZ_SCALE: 20 } },
  { name: "handles", test: "tests/objects/handles_test.ts", counts: { BEEP_TEST_HANDLES: 1_000_000 } },
  {
    name: "values by both codecs",
    test: "tests/values/properties_test.ts",
    counts: { BEEP_TEST_RUNS: 200_000 },
  },
  {
    name: "racing installations",
    test: "tests/infrastructure/races_test.ts",
    counts: { BEEP_RACE_CYCLES: 2_000 },
  },
  {
    name: "random values",
    test: "tests/values/transports_properties_test.ts",
    counts: { BEEP_TRANSPORT_VALUES: 200_000 },
  },
];

const ROOT = new URL("../", import.meta.url);
const DOCUMENT = new URL("docs/RELIABILITY.md", ROOT);

interface Result {
  readonly name: string;
  readonly figures: Readonly<Record<string, number | string>>;
}

/** Runs one proof; gives its figures, and whether it held. */
async function run(proof: Proof, scale: number | "gate"): Promise<{ held: boolean; results: Result[] }> {
  const file = await Deno.makeTempFile({ prefix: "beep-soak-" });
  try {
    const env: Record<string, string> = { BEEP_SOAK_REPORT: file };
    if (scale !== "gate") {
      env.BEEP_SOAK = "1"; // asks for the interpreter's own tests that take long
      for (const [name, count] of Object.entries(proof.counts)) {
        env[name] = String(Math.max(1, Math.round(count * scale)));
      }
    }
    const child = new Deno.Command(Deno.execPath(), {
      args: ["test", "-A", "--no-check", proof.test],
      cwd: ROOT,
      env: { ...env, NO_COLOR: "1" },
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    const [shown, kept] = child.stdout.tee();
    const [output, { success }] = await Promise.all([
      new Response(kept).text(),
      child.status,
      shown.pipeTo(Deno.stdout.writable, { preventClose: true }),
    ]);
    const lines = (await Deno.readTextFile(file)).split("\n").filter((line) => line !== "");
    const results: Result[] = lines.map((line) => JSON.parse(line));
    // One that hands on no figures of its own is told by its tests and the counts that they were given.
    if (results.length === 0) {
      const { passed = 0, failed = 0 } = readDenoCounts(output) ?? {};
      const { BEEP_SOAK_REPORT: _, ...counts } = env;
      results.push({ name: proof.name, figures: { "tests passed": passed, failed, ...counts } });
    }
    return { held: success, results };
  } finally {
    await Deno.remove(file);
  }
}

/** The document: what was run, where, and what came out. */
function documentOf(results: readonly Result[], scale: number | "gate"): string {
  const counts = scale === "gate" ? "with the gate's counts" : `at ${scale} times the full counts`;
  const rows = results.map(({ name, figures }) =>
    `| ${name} | ${Object.entries(figures).map(([key, value]) => `${key}: ${value}`).join(", ")} |`
  );
  return `# Reliability

What the proofs gave when \`bench/soak.ts\` last ran them, ${counts}, with Deno
${Deno.version.deno} on ${Deno.build.target}, ${navigator.hardwareConcurrency} processors, on ${
    new Date().toISOString().slice(0, 10)
  }. Times depend on the machine. Run it again: \`deno task soak --write\`.

| proof | figures |
| --- | --- |
${rows.join("\n")}
`;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    args: Deno.args,
    options: {
      scale: { type: "string", default: "1" },
      only: { type: "string", default: "" },
      gate: { type: "boolean", default: false },
      write: { type: "boolean", default: false },
    },
  });
  const scale = values.gate ? "gate" : Number(values.scale);
  if (scale !== "gate" && !(scale > 0)) {
    throw new RangeError(`Cannot use --scale: it must be above 0, current value is "${values.scale}"`);
  }
  const results: Result[] = [];
  const broken: string[] = [];
  for (const proof of PROOFS.filter(({ name }) => name.includes(values.only))) {
    console.log(`\n# ${proof.name}`);
    const outcome = await run(proof, scale);
    // Figures of a proof that failed would say more than they should.
    if (outcome.held) results.push(...outcome.results);
    else broken.push(proof.name);
  }
  console.table(results.map(({ name, figures }) => ({ proof: name, ...figures })));
  for (const name of broken) console.error(`Did not hold: ${name}`);
  if (values.write && results.length > 0) {
    const all = [...results, ...broken.map((name) => ({ name, figures: { "did not hold": "yes" } }))];
    await Deno.writeTextFile(DOCUMENT, documentOf(all, scale));
  }
  return broken.length === 0 ? 0 : 1;
}

if (import.meta.main) Deno.exit(await main());
