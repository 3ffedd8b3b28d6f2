/**
 * The tour: from whatever Python is on this machine to records in TypeScript, over two transports.
 *
 * Run with: deno task demo
 */

import {
  ConnectError,
  Infrastructure,
  PythonError,
  type PythonHostBackend,
  PythonHostHttp,
  PythonHostPipe,
  servers,
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

// 1. From nothing to Python.
const runtimes = new Infrastructure.RuntimeManager();
const runtime = await step("find a Python", () => runtimes.find(">=3.9"));
console.log(`Python ${runtime.version}: ${runtime.executable}`);
const environments = new Infrastructure.VenvManager({ runtimes });
const { python } = await step("ensure the admin environment", () => environments.ensureAdmin());

// 2. Two servers. A host program would do this, and keep them for its clients.
const started: servers.PythonServer[] = [];
{
  await using http = await step(
    "start an HTTP server",
    () => servers.startServer({ python, transport: "http" }),
  );
  await using pipe = await step(
    "start a pipe server",
    () => servers.startServer({ python, transport: "pipe" }),
  );
  started.push(http, pipe);

  // 3. Two clients, that know an endpoint and nothing else.
  const results = [
    await useAsClient("HTTP", new PythonHostHttp(http.endpoint)),
    await useAsClient("pipe", new PythonHostPipe(pipe.endpoint)),
  ];
  assertEquals(results[0], results[1]);
  console.table(results[0]);
  await step("close both servers", () => Promise.all([http.close(), pipe.close()]));
}

// 4. Nothing is left behind.
for (const server of started) {
  const { code } = await server.exited;
  assertEquals(code, 0);
  const late = server.transport === "pipe"
    ? new PythonHostPipe(server.endpoint)
    : new PythonHostHttp(server.endpoint);
  await assertRejects(() => late.initialize(), ConnectError);
}
console.table(steps);
console.log("Both servers have ended; nothing is left.");

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
