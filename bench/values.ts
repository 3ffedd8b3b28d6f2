/**
 * What values cost on both sides, beside JSON: rows of dicts, and an array of 8 MB. Prints milliseconds and
 * ratios.
 *
 * `deno run -A bench/values.ts [python]`. Rounds alternate between the cases, so that a slow moment hits all of them; a ratio
 * compares medians of one run, and nothing else means anything on another machine.
 *
 * @module
 */

import { decodePacked, encodeValue } from "../core/values.ts";

const ROWS = 10_000;
const ROUNDS = 41;
const python = Deno.args[0] ?? "python3";
const packages = new URL("../servers/python", import.meta.url).pathname;

/** Runs the Python half: prints one JSON line of medians; with `--emit`, the stream or the JSON instead. */
const SCRIPT = `
import json, statistics, sys, time
sys.path.insert(0, ${JSON.stringify(packages)})
from beep_host import values
class Context:
    def new_handle(self, value): raise RuntimeError("no handle is expected")
rows = [{"id": i, "name": f"name {i}", "value": i * 1.1, "ok": i % 2 == 0, "group": f"g{i % 7}"} for i in range(${ROWS})]
context = Context()
if sys.argv[1] == "emit":
    data = values.encode(rows, "auto", context)[2][0] if sys.argv[2] == "packed" else json.dumps(rows).encode()
    sys.stdout.buffer.write(data)
else:
    # Tagged JSON changes in place as it is read, so each round reads its own.
    sent = json.load(sys.stdin)
    text, tagged, parts = sent["json"], sent["tagged"], [bytes.fromhex(part) for part in sent["parts"]]
    cases = {
        "json.dumps": lambda: json.dumps(rows).encode(),
        "encode": lambda: values.encode(rows, "auto", context),
        "encode_tagged": lambda: values.encode_tagged(rows, "auto", context),
        "json.loads": lambda: json.loads(text),
        "json.loads + decode": lambda: values.decode(json.loads(tagged), parts, context),
        "encode int": lambda: [values.encode(5, "auto", context) for _ in range(1000)],
        "encode list": lambda: [values.encode([1, 2], "auto", context) for _ in range(1000)],
        "encode bytes of 8 MB": lambda big=bytes(8_000_000): values.encode(big, "auto", context),
    }
    times = {name: [] for name in cases}
    for _ in range(${ROUNDS}):
        for name, case in cases.items():
            start = time.perf_counter()
            case()
            times[name].append((time.perf_counter() - start) * 1000)
    print(json.dumps({name: statistics.median(taken) for name, taken in times.items()}))
`;

async function runPython(args: string[], input = ""): Promise<Uint8Array<ArrayBuffer>> {
  const child = new Deno.Command(python, { args: ["-c", SCRIPT, ...args], stdin: "piped", stdout: "piped" })
    .spawn();
  const output = child.output();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(input));
  await writer.close();
  const { code, stdout } = await output;
  if (code !== 0) throw new Error(`Python exited with code ${code}`);
  return stdout;
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}

function measure(cases: Record<string, () => unknown>): Record<string, number> {
  const times = new Map(Object.keys(cases).map((name) => [name, [] as number[]]));
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, run] of Object.entries(cases)) {
      const start = performance.now();
      run();
      times.get(name)!.push(performance.now() - start);
    }
  }
  return Object.fromEntries([...times].map(([name, taken]) => [name, median(taken)]));
}

const context = {
  handle: (): never => {
    throw new Error("No handle is expected");
  },
  handleId: () => 1,
  functionId: () => 1,
};
const packed = await runPython(["emit", "packed"]);
const json = await runPython(["emit", "json"]);
const decoder = new TextDecoder();
const rows = JSON.parse(decoder.decode(json));
const floats = new Float64Array(1_000_000);
const js = measure({
  "JSON.parse": () => JSON.parse(decoder.decode(json)),
  "decodePacked": () => decodePacked([packed], context),
  "JSON.stringify": () => JSON.stringify(rows),
  "encodeValue": () => encodeValue(rows, context),
  "encodeValue, tagged": () => encodeValue([rows, NaN], context),
  "encodeValue of 8 MB": () => encodeValue([floats], context),
});
const sent = encodeValue(rows, context);
const input = JSON.stringify({
  json: JSON.stringify(rows),
  tagged: sent.json,
  parts: sent.parts.map((part) => part.toHex()),
});
const py: Record<string, number> = JSON.parse(decoder.decode(await runPython(["time"], input)));

console.log(`rows: ${ROWS}, packed ${packed.length} bytes, JSON ${json.length} bytes`);
for (const [name, ms] of [...Object.entries(py), ...Object.entries(js)]) {
  console.log(`${name.padEnd(24)} ${ms.toFixed(3).padStart(9)} ms`);
}
const jsonToJs = py["json.dumps"]! + js["JSON.parse"]!;
const jsonToPython = js["JSON.stringify"]! + py["json.loads"]!;
console.log(`rows to JavaScript / JSON  ${((py["encode"]! + js["decodePacked"]!) / jsonToJs).toFixed(2)}`);
console.log(
  `rows to Python / JSON      ${
    ((js["encodeValue"]! + py["json.loads + decode"]!) / jsonToPython).toFixed(2)
  }`,
);
