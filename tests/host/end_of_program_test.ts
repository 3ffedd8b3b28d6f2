/** No server outlives the program that owns it, and an idle host keeps no program running. */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { makeHome, makeVenv } from "./_home.ts";
import { waitUntilGone } from "../servers/_launch.ts";

const PROGRAM = `
  import { PythonHost } from "${new URL("../../host/mod.ts", import.meta.url)}";
  const [transport, path, code, end] = Deno.args;
  const host = await PythonHost.start({ environment: { path }, transport });
  const child = await host.evaluate("import subprocess; subprocess.Popen(['sleep', '1000']).pid");
  console.log(JSON.stringify([host.server.pid, child]));
  const call = host.evaluate(code);
  if (end === "wait") await call.catch(() => {});
  if (end === "exit") Deno.exit(5);
  if (end === "throw") throw new Error("unhandled");
  await call;
`;

/** Runs the program, acts on it when its server is up, and gives its status and the processes of its server. */
async function run(
  transport: string,
  code: string,
  end: string,
  act: (program: Deno.ChildProcess) => void = () => {},
): Promise<{ status: Deno.CommandStatus; stderr: string }> {
  await using home = await makeHome();
  const file = `${home.path}/program.ts`;
  await Deno.writeTextFile(file, PROGRAM);
  const config = new URL("../../deno.json", import.meta.url).pathname;
  const program = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-A",
      "--no-check",
      "--no-lock",
      "-c",
      config,
      file,
      transport,
      await makeVenv(home.path),
      code,
      end,
    ],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const stderr = new Response(program.stderr).text();
  const reader = program.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while (!text.includes("\n")) {
    const { value, done } = await reader.read();
    if (done) throw new Error(`The program ended early: ${await stderr}`);
    text += value;
  }
  act(program);
  const status = await program.status;
  await reader.cancel();
  await waitUntilGone(...JSON.parse(text));
  return { status, stderr: await stderr };
}

const HOLD_THE_GIL = "sum(range(10 ** 12))";

for (const transport of ["pipe", "http"]) {
  Deno.test(`a program that forgets to close its host still ends: ${transport}`, async () => {
    const { status, stderr } = await run(transport, "1", "forget");
    assertEquals([status.code, stderr], [0, ""]);
  });
}

Deno.test({
  name: "the server and its children end with a program that is killed while C code holds the GIL",
  ignore: Deno.build.os !== "linux",
  async fn() {
    const { status } = await run("pipe", HOLD_THE_GIL, "wait", (program) => program.kill("SIGKILL"));
    assertEquals(status.signal, "SIGKILL");
  },
});

Deno.test("the server and its children end with a program that exits in the middle of a call", async () => {
  const { status } = await run("pipe", "import time; time.sleep(60)", "exit");
  assertEquals(status.code, 5);
});

Deno.test("the server and its children end with a program that throws", async () => {
  const { status, stderr } = await run("pipe", "import time; time.sleep(60)", "throw");
  assertEquals(status.code, 1);
  assertStringIncludes(stderr, "unhandled");
});
