/**
 * The tour: from whatever Python is on this machine to records in TypeScript, over three transports; and then three
 * programs that ask Python to ask the host for environments of their own.
 *
 * Run with: deno task demo
 */

import {
  ConnectError,
  HostServers,
  Infrastructure,
  PythonError,
  type PythonHostBackend,
  PythonHostHttp,
  PythonHostPipe,
  PythonHostRpc,
  type servers,
} from "@beep/python-host";
import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";

/** What Python makes of the weather: one record for each station. */
interface StationYear {
  readonly station: string;
  readonly days: number;
  readonly meanTemperature: number;
  readonly coldestDay: string;
  readonly rainTotal: number;
  readonly wettestMonth: string;
}

const WEATHER = new URL("./data/weather.csv", import.meta.url);

const SUMMARY = `
  import csv
  from collections import defaultdict
  from statistics import fmean

  stations = defaultdict(list)
  with open(path, newline="", encoding="utf-8") as file:
      for row in csv.DictReader(file):
          stations[row["station"]].append(row)

  def summarize(station, rows):
      warm = [row for row in rows if row["temperature_c"]]  # a few readings are missing
      months = defaultdict(float)
      for row in rows:
          months[row["date"][:7]] += float(row["rain_mm"])
      return {
          "station": station,
          "days": len(rows),
          "meanTemperature": round(fmean(float(row["temperature_c"]) for row in warm), 2),
          "coldestDay": min(warm, key=lambda row: float(row["temperature_c"]))["date"],
          "rainTotal": round(sum(months.values()), 1),
          "wettestMonth": max(months, key=months.get),
      }

  [summarize(station, rows) for station, rows in sorted(stations.items())]
`;

const steps: { step: string; "time (ms)": string }[] = [];

async function step<T>(title: string, work: () => Promise<T>): Promise<T> {
  const started = performance.now();
  const result = await work();
  steps.push({ step: title, "time (ms)": (performance.now() - started).toFixed(1) });
  return result;
}

heading("1. From nothing to Python");
const printer = Infrastructure.createProgressPrinter(); // shows what takes time: a download, an installation
const onProgress = printer.listener;
const runtimes = new Infrastructure.RuntimeManager();
const runtime = await step("find a Python", () => runtimes.ensure(">=3.9", { onProgress }));
const environments = new Infrastructure.VenvManager({ runtimes });
const admin = await step("ensure the admin environment", () => environments.ensureAdmin({ onProgress }));
printer[Symbol.dispose]();
console.log(`Python ${runtime.version}: ${runtime.executable}\nadmin environment: ${admin.path}`);

heading("2. Three servers, as a host program starts and keeps them for its clients");
const started: servers.PythonServer[] = [];
const scratch = await Deno.makeTempDir({ prefix: "beep-demo-" });
try {
  await using hosted = new HostServers({ environments });
  for (const transport of ["http", "pipe", "rpc"] as const) {
    const { id } = await step(
      `start a server: ${transport}`,
      () => hosted.start({ environment: Infrastructure.ADMIN_NAME, transport }),
    );
    started.push(hosted.server(id));
    console.log(`${transport.padEnd(4)} at ${hosted.server(id).endpoint}`);
  }
  const [http, pipe, rpc] = started;

  heading("3. Three clients that know an endpoint and nothing else: a year of weather, summed up in Python");
  const results = [
    await useAsClient("HTTP", new PythonHostHttp(http!.endpoint)),
    await useAsClient("pipe", new PythonHostPipe(pipe!.endpoint)),
    await useAsClient("RPC", new PythonHostRpc(rpc!.endpoint)),
  ];
  assertEquals(results[0], results[1]);
  assertEquals(results[0], results[2]);
  console.table(results[0]);

  heading(
    "4. Three other programs at once: each has Python make an environment, fill it, use it and remove it",
  );
  const wheel = await makePackage(new PythonHostHttp(http!.endpoint));
  const said = await step("three programs ask Python, which asks the host", () => {
    return Promise.all(started.map((server) => runProgram(server, wheel)));
  });
  console.log(said.join("").trimEnd());
  assertEquals((await environments.list()).filter(({ name }) => name.endsWith(`-${Deno.pid}`)), []);
  await step("close the servers", () => hosted[Symbol.asyncDispose]());
} finally {
  await Deno.remove(scratch, { recursive: true });
}

heading("5. Nothing is left behind");
for (const server of started) {
  const { code } = await server.exited;
  assertEquals(code, 0);
  const Backend = { http: PythonHostHttp, pipe: PythonHostPipe, rpc: PythonHostRpc }[server.transport];
  await assertRejects(() => new Backend(server.endpoint).initialize(), ConnectError);
}
console.log("All servers have ended.");

heading("What each step took");
console.table(steps);

function heading(text: string): void {
  console.log(`\n${text}\n${"-".repeat(text.length)}`);
}

/** Runs the other program to its end, and gives what it printed. */
async function runProgram({ transport, endpoint }: servers.PythonServer, wheel: string): Promise<string> {
  const program = decodeURIComponent(new URL("./demo_client.ts", import.meta.url).pathname);
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", program, transport, endpoint, wheel, `demo-${transport}-${Deno.pid}`],
  }).output();
  const decoder = new TextDecoder();
  assertEquals([transport, code, code === 0 ? "" : decoder.decode(stderr)], [transport, 0, ""]);
  return decoder.decode(stdout);
}

/** Has Python make a small package, so that the tour needs no network. */
async function makePackage(backend: PythonHostBackend): Promise<string> {
  await using client = backend;
  await client.initialize();
  return await client.evaluate<string>(
    `
    import os, zipfile
    path = os.path.join(folder, "beep_demo-1.0-py3-none-any.whl")
    info = "beep_demo-1.0.dist-info"
    files = {
        "beep_demo/__init__.py": "def greet(who): return f'Hello from Python to {who}'\\n",
        f"{info}/METADATA": "Metadata-Version: 2.1\\nName: beep-demo\\nVersion: 1.0\\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\\nGenerator: demo\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{name},,\\n" for name in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(path, "w") as wheel:
        for name, text in files.items():
            wheel.writestr(name, text)
    path
    `,
    { folder: scratch },
  );
}

/** Does real work on one backend; nothing in here depends on the transport. */
async function useAsClient(name: string, backend: PythonHostBackend): Promise<StationYear[]> {
  await using client = backend;
  await step(`${name}: connect`, () => client.initialize());
  const path = decodeURIComponent(WEATHER.pathname);
  const records = await step(`${name}: summarize a year of weather`, () => {
    return client.evaluate<StationYear[]>(SUMMARY, { path });
  });
  await checkAgainstOwnSums(records);

  await step(`${name}: use an object that stays in Python`, async () => {
    await using distribution = await client.createObject("statistics", "NormalDist", [10, 2]);
    assertAlmostEquals(await client.callMethod<number>(distribution, "cdf", [10]), 0.5);
    assertEquals(await client.getAttribute<number>(distribution, "stdev"), 2);
  });

  await step(`${name}: catch a Python exception`, async () => {
    const error = await client.evaluate("open(path)", { path: `${path}.missing` }).catch((error: unknown) =>
      error
    );
    assert(error instanceof PythonError);
    assertEquals(error.pythonType, "FileNotFoundError");
  });
  return records;
}

/** The same sums in TypeScript: what Python said must be right, not only be there. */
async function checkAgainstOwnSums(records: readonly StationYear[]): Promise<void> {
  const [, ...rows] = (await Deno.readTextFile(WEATHER)).trim().split("\n").map((line) => line.split(","));
  assertEquals(records.map((record) => record.station), ["harbour", "summit", "valley"]);
  for (const record of records) {
    const own = rows.filter(([, station]) => station === record.station);
    const temperatures = own.map(([, , temperature]) => temperature!).filter((text) => text !== "").map(
      Number,
    );
    const mean = temperatures.reduce((sum, value) => sum + value, 0) / temperatures.length;
    assertEquals(record.days, own.length);
    assertAlmostEquals(record.meanTemperature, mean, 0.01);
    assertAlmostEquals(record.rainTotal, own.reduce((sum, [, , , rain]) => sum + Number(rain), 0), 0.1);
  }
}
