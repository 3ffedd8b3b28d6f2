/**
 * A server of the tests' own, in a home of its own. Set BEEP_TEST_PYTHON to use another CPython.
 *
 * @module
 */

import { type PythonServer, type ServerLimits, startServer } from "../../servers/mod.ts";
import { PythonHostPipe } from "../../transports/mod.ts";

/** A backend on a server that ends with it. */
export interface StartedBackend extends AsyncDisposable {
  /** The backend. */
  readonly backend: PythonHostPipe;
  /** The server. */
  readonly server: PythonServer;
}

/** Starts a server with a backend. */
export async function startBackend(limits?: ServerLimits): Promise<StartedBackend> {
  await using stack = new AsyncDisposableStack();
  const home = await Deno.makeTempDir({ prefix: "beep-objects-" });
  stack.defer(() => Deno.remove(home, { recursive: true }));
  const before = Deno.env.get("BEEP_PYTHON_HOME");
  Deno.env.set("BEEP_PYTHON_HOME", home);
  stack.defer(() =>
    before === undefined ? Deno.env.delete("BEEP_PYTHON_HOME") : Deno.env.set("BEEP_PYTHON_HOME", before)
  );
  const server = stack.use(await startServer({ python: await findPython(), transport: "pipe", limits }));
  const backend = stack.use(new PythonHostPipe(server.address, { token: server.token }));
  await backend.initialize();
  const kept = stack.move();
  return { backend, server, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

async function findPython(): Promise<string> {
  const command = Deno.env.get("BEEP_TEST_PYTHON") ?? "python3";
  const { stdout } = await new Deno.Command(command, {
    args: ["-I", "-c", "import sys; print(sys.executable)"],
  }).output();
  return new TextDecoder().decode(stdout).trim();
}
