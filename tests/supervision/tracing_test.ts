/** Calls are spans in a program that traces, and cost nothing in one that does not. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { trace } from "npm:@opentelemetry/api@^1.9.0";
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from "npm:@opentelemetry/sdk-trace-base@^2.0.0";
import type { CallTracer } from "../../transports/mod.ts";
import { makePlace, rejection } from "./_servers.ts";

const SECRET = "'password-in-code'";

function makeProvider(): { provider: BasicTracerProvider; spans: () => ReadableSpan[] } {
  const exporter = new InMemorySpanExporter();
  const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
  return { provider, spans: () => exporter.getFinishedSpans() };
}

/** What a test looks at of a span. */
function shown({ name, kind, attributes, status }: ReadableSpan): unknown {
  return [name, kind, attributes, status];
}

Deno.test("each call is a span of the tracer that is given, and tells neither code nor values", async () => {
  await using place = await makePlace();
  const { provider, spans } = makeProvider();
  const tracer: CallTracer = provider.getTracer("application"); // the types fit
  await using host = await place.start({ tracer });
  await host.evaluate(SECRET);
  await using math = await host.importModule("math");
  await host.callMethod(math, "sqrt", [4]);
  await host.openSession("work");
  await host.evaluate("1", undefined, { session: "work" });
  await rejection(host.evaluate("1 / 0"));
  await rejection(host.evaluate("while True: pass", undefined, { timeoutMs: 20 }));
  await host.ping();

  const base = { "rpc.system": "beep" };
  const CLIENT = 2;
  assertEquals(spans().map(shown), [
    ["python evaluate", CLIENT, { ...base, "rpc.method": "evaluate" }, { code: 0 }],
    ["python import", CLIENT, { ...base, "rpc.method": "import", "beep.target": "math" }, { code: 0 }],
    ["python call", CLIENT, { ...base, "rpc.method": "call", "beep.target": "sqrt" }, { code: 0 }],
    ["python evaluate", CLIENT, { ...base, "rpc.method": "evaluate", "beep.session": "work" }, { code: 0 }],
    [
      "python evaluate",
      CLIENT,
      { ...base, "rpc.method": "evaluate", "error.type": "ZeroDivisionError" },
      { code: 2, message: "ZeroDivisionError: division by zero" },
    ],
    [
      "python evaluate",
      CLIENT,
      { ...base, "rpc.method": "evaluate", "error.type": "cancelled" },
      { code: 2, message: "Cannot evaluate Python code within timeoutMs: 20 ms passed" },
    ],
  ]);
  assert(!JSON.stringify(spans().map(shown)).includes("password"));
  await provider.shutdown();
});

Deno.test("the tracer that the application has registered is found; false makes no spans", async () => {
  await using place = await makePlace();
  const { provider, spans } = makeProvider();
  trace.setGlobalTracerProvider(provider);
  try {
    {
      await using host = await place.start();
      await host.evaluate("1");
    }
    assertEquals(spans().map(({ name }) => name), ["python evaluate"]);
    const [span] = spans();
    assertEquals(span!.instrumentationScope.name, "@beep/python-host");
    await using host = await place.start({ tracer: false });
    await host.evaluate("2");
    assertEquals(spans().length, 1);
  } finally {
    trace.disable();
    await provider.shutdown();
  }
});

/** Runs a program that makes one call, and gives what it prints. `imports` stand in for what it would load. */
async function runProgram(options: {
  before?: string;
  env?: Record<string, string>;
  imports?: Record<string, string>;
}): Promise<string> {
  await using place = await makePlace();
  const root = new URL("../../", import.meta.url);
  const program = `${place.path}/program.ts`;
  await Deno.writeTextFile(
    program,
    `import { PythonHost } from ${JSON.stringify(`${root}host/mod.ts`)};
    ${options.before ?? ""}
    await using host = await PythonHost.start({ environment: { path: Deno.args[0] } });
    console.log(await host.evaluate("6 * 7"));`,
  );
  const map = `${place.path}/imports.json`;
  const links = ["path", "fs", "streams"].map((name) => [`@std/${name}`, `${root}links/std_${name}/mod.ts`]);
  const imports = { ...Object.fromEntries(links), ...options.imports };
  await Deno.writeTextFile(map, JSON.stringify({ imports }));
  const { stdout, stderr, success } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "--no-config", "--no-lock", `--import-map=${map}`, program, place.venv],
    env: { ...options.env, NO_COLOR: "1" },
  }).output();
  const text = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  assert(success, text);
  assertMatch(text, /^42$/m);
  return text;
}

Deno.test("Deno's own OpenTelemetry sees the calls", async () => {
  const text = await runProgram({ env: { OTEL_DENO: "true", OTEL_EXPORTER_OTLP_PROTOCOL: "console" } });
  assertMatch(text, /python evaluate/);
});

Deno.test("the API is loaded in a program that has registered a tracer, and in no other", async () => {
  const spy = `data:text/javascript,${
    encodeURIComponent('console.log("LOADED"); export const trace = { getTracer() {} };')
  }`;
  const imports = { "npm:@opentelemetry/api@^1.9.0": spy };
  const before = 'globalThis[Symbol.for("opentelemetry.js.api.1")] = { trace: {} };';
  assertMatch(await runProgram({ imports, before }), /LOADED/);
  assert(!(await runProgram({ imports })).includes("LOADED"));
});

Deno.test("calls go on when the API cannot be loaded", async () => {
  const imports = { "npm:@opentelemetry/api@^1.9.0": "data:text/javascript,throw new Error('broken')" };
  await runProgram({ imports, before: 'globalThis[Symbol.for("opentelemetry.js.api.1")] = { trace: {} };' });
});
