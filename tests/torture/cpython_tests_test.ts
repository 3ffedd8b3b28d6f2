// CPython's own test modules, run inside a server through evaluate, end as in a plain interpreter of the same build.
//
// `BEEP_SOAK=1` adds the modules that take minutes.

import { assert, assertEquals, assertGreater } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { startBench, testPython } from "../output/_server.ts";

const SCRIPT = fromFileUrl(new URL("./testdata/run_cpython_tests.py", import.meta.url));
const GATE = ["test_json", "test_contextlib", "test_traceback", "test_threading", "test_signal"];
const SOAK = [
  "test_asyncio",
  "test_subprocess",
  "test_multiprocessing_fork",
  "test_multiprocessing_spawn",
  "test_multiprocessing_forkserver",
];

/** How often a test must differ to count. */
const TRIES = 3;

/** Tests that may end otherwise inside a server, by a pattern of their ids, and why. */
const DIFFERENCES: readonly { readonly id: RegExp; readonly reason: string }[] = [];

interface Outcomes {
  readonly outcomes: Readonly<Record<string, string>>;
  readonly details: Readonly<Record<string, string>>;
}

const python = await testPython();
const wanted = Deno.env.get("BEEP_SOAK") === "1" ? [...GATE, ...SOAK] : GATE;
const modules = await installed(wanted);
const hasTests = modules.length > 0;

/** Those of CPython's test modules that its installation has: distributors leave some or all of them out. */
async function installed(names: readonly string[]): Promise<string[]> {
  const code = `
import importlib.util, json, sys
def has(name):
    try: return importlib.util.find_spec('test.' + name) is not None
    except ImportError: return False
print(json.dumps([name for name in sys.argv[1:] if has(name)]))`;
  const { stdout } = await new Deno.Command(python, { args: ["-I", "-c", code, ...names] }).output();
  return JSON.parse(new TextDecoder().decode(stdout));
}

Deno.test({
  name: `CPython's ${(hasTests ? modules : wanted).join(", ")} end in a server as in a plain interpreter${
    hasTests ? "" : " (ignored: this CPython was installed without its tests)"
  }`,
  ignore: !hasTests,
  fn: async () => {
    // Together, since they mostly wait; signals alone take most of a minute.
    const compared = await Promise.all(modules.map(compare));
    assertEquals(compared.flat(), []);
  },
});

/**
 * What differs, as lines. Some of these tests are known to fail, anywhere, on a machine that is busy: what differs is run
 * again by itself, and counts when it differs each time.
 */
async function compare(module: string): Promise<string[]> {
  let differing: string[] | null = null;
  let lines: string[] = [];
  for (let tries = 0; tries < TRIES && differing?.length !== 0; tries++) {
    const [inside, plain]: [Outcomes, Outcomes] = await Promise.all([
      runInServer(module, differing),
      runPlainly(module, differing),
    ]);
    if (differing === null) {
      assertGreater(Object.keys(plain.outcomes).length, 20, `Found no tests in ${module}`);
    }
    differing = differencesOf(inside, plain);
    lines = describe(differing, inside, plain);
  }
  return lines;
}

/** The ids of the tests that ended in different ways. */
function differencesOf(inside: Outcomes, plain: Outcomes): string[] {
  const ids = new Set([...Object.keys(plain.outcomes), ...Object.keys(inside.outcomes)]);
  return [...ids].filter((id) =>
    plain.outcomes[id] !== inside.outcomes[id] && !DIFFERENCES.some((known) => known.id.test(id))
  );
}

function describe(differing: readonly string[], inside: Outcomes, plain: Outcomes): string[] {
  return differing.map((id) =>
    `${id}: ${plain.outcomes[id]} in a plain interpreter, ${inside.outcomes[id]} in a server\n` +
    (inside.details[id] ?? plain.details[id] ?? "")
  );
}

async function runInServer(module: string, ids: readonly string[] | null): Promise<Outcomes> {
  await using bench = await startBench();
  await bench.backend.evaluate(await Deno.readTextFile(SCRIPT));
  const outcomes = await bench.backend.evaluate<Outcomes>("run_module(module, ids)", { module, ids });
  assertEquals(await bench.backend.evaluate("1 + 1"), 2, "the server goes on");
  return outcomes;
}

async function runPlainly(module: string, ids: readonly string[] | null): Promise<Outcomes> {
  const { success, stdout, stderr } = await new Deno.Command(python, {
    args: ["-I", "-B", "-X", "utf8", "-X", "faulthandler", SCRIPT, module, JSON.stringify(ids)],
    stdin: "null",
  }).output();
  assert(success, new TextDecoder().decode(stderr));
  return JSON.parse(new TextDecoder().decode(stdout).trimEnd().split("\n").at(-1)!);
}
