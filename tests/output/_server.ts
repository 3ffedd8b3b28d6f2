/** What the tests of output, sessions and hostile user code share: a real server of their own, on each transport. */

import { ServerExitedError } from "../../core/errors.ts";
import { type PythonServer, type ServerOptions, startServer } from "../../servers/mod.ts";
import { type PythonHostClient, PythonHostHttp, PythonHostPipe } from "../../transports/mod.ts";

/** The transports over which these tests run. */
export const TRANSPORTS = ["pipe", "http"] as const;

/** A running server with one backend. */
export interface Bench extends AsyncDisposable {
  readonly server: PythonServer;
  readonly backend: PythonHostClient;
  connect(): PythonHostClient;
}

/** Starts a server in a home of its own; set `BEEP_TEST_PYTHON` to run it on another CPython. */
export async function startBench(
  transport: typeof TRANSPORTS[number] = "pipe",
  options: Partial<ServerOptions> = {},
): Promise<Bench> {
  await using stack = new AsyncDisposableStack();
  stack.use(lendHome());
  const server = stack.use(await startServer({ python: await testPython(), transport, ...options }));
  const backend = stack.use(connectTo(server, transport));
  await backend.initialize();
  const kept = stack.move();
  return {
    server,
    backend,
    connect: () => kept.use(connectTo(server, transport)),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

function connectTo(server: PythonServer, transport: typeof TRANSPORTS[number]): PythonHostClient {
  const options = {
    token: server.token,
    explainEnd: async (action: string) => new ServerExitedError(action, await server.exited),
  };
  return transport === "pipe"
    ? new PythonHostPipe(server.address, options)
    : new PythonHostHttp(server.address, options);
}

/** The CPython that the tests run on. */
export async function testPython(): Promise<string> {
  const command = Deno.env.get("BEEP_TEST_PYTHON") ?? "python3";
  const { stdout } = await new Deno.Command(command, {
    args: ["-I", "-c", "import sys; print(sys.executable)"],
  }).output();
  return new TextDecoder().decode(stdout).trim();
}

/** The home for the servers of these tests, and how many use it now: tests may start servers side by side. */
const home = { users: 0, path: "", before: undefined as string | undefined };

/** Lends the home, so that nothing is left in the user's; the last to give it back removes it. */
function lendHome(): AsyncDisposable {
  if (home.users++ === 0) {
    home.path = Deno.makeTempDirSync({ prefix: "beep-" });
    home.before = Deno.env.get("BEEP_PYTHON_HOME");
    Deno.env.set("BEEP_PYTHON_HOME", home.path);
  }
  return {
    async [Symbol.asyncDispose](): Promise<void> {
      if (--home.users > 0) return;
      if (home.before === undefined) Deno.env.delete("BEEP_PYTHON_HOME");
      else Deno.env.set("BEEP_PYTHON_HOME", home.before);
      await Deno.remove(home.path, { recursive: true });
    },
  };
}

/** Waits until a look at something gives what is wanted; there is no event for what another process writes. */
export async function until(isThere: () => boolean, what: string, deadlineMs = 30_000): Promise<void> {
  const end = performance.now() + deadlineMs;
  while (!isThere()) {
    if (performance.now() > end) throw new Error(`No ${what} within ${deadlineMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
