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
  { name: "torture", test: "tests/torture", counts: {} },
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
    const { success } = await new Deno.Command(Deno.execPath(), {
      args: ["test", "-A", "--no-check", proof.test],
      cwd: ROOT,
      env,
      stdout: "inherit",
      stderr: "inherit",
    }).spawn().status;
    const lines = (await Deno.readTextFile(file)).split("\n").filter((line) => line !== "");
    return { held: success, results: lines.map((line) => JSON.parse(line)) };
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

What the proofs in \`tests/supervision/\` gave when \`bench/soak.ts\` last ran them, ${counts}, with Deno
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
