/** What the tests of the host's API share: a home of their own, and servers whose Python reaches the host. */

import { ServerExitedError } from "../../core/errors.ts";
import { HostServers, type InfrastructureOption } from "../../host/mod.ts";
import { VenvManager } from "../../infrastructure/mod.ts";
import { type PythonServer, type ServerTransport, startServer } from "../../servers/mod.ts";
import type { ClientOptions } from "../../transports/mod.ts";

/** A fresh home, set for as long as it lives, with managers that use it. */
export interface Home extends AsyncDisposable {
  readonly path: string;
  readonly environments: VenvManager;
  readonly servers: HostServers;
}

/** Makes a home; everything in it is removed when it is disposed. */
export async function makeHome(): Promise<Home> {
  const path = await Deno.makeTempDir({ prefix: "beep-api-" });
  const before = Deno.env.get("BEEP_PYTHON_HOME");
  Deno.env.set("BEEP_PYTHON_HOME", path);
  const environments = new VenvManager();
  const servers = new HostServers({ environments });
  return {
    path,
    environments,
    servers,
    async [Symbol.asyncDispose]() {
      await servers[Symbol.asyncDispose]();
      if (before === undefined) Deno.env.delete("BEEP_PYTHON_HOME");
      else Deno.env.set("BEEP_PYTHON_HOME", before);
      await Deno.remove(path, { recursive: true });
    },
  };
}

/** The path of the interpreter that tests run on; `BEEP_TEST_PYTHON` names another. */
export async function findPython(): Promise<string> {
  const command = Deno.env.get("BEEP_TEST_PYTHON") ?? "python3";
  const { stdout } = await new Deno.Command(command, {
    args: ["-I", "-c", "import sys; print(sys.executable)"],
  }).output();
  return new TextDecoder().decode(stdout).trim();
}

/** Starts a server whose Python reaches the host of a home. */
export async function startHosted(
  home: Home,
  transport: ServerTransport,
  infrastructure?: InfrastructureOption,
): Promise<PythonServer> {
  const hostApi = await home.servers.access(infrastructure);
  return await startServer({ python: await findPython(), transport, hostApi });
}

/** What a backend is made with that knows the owner of its server. */
export function ownerOptions(server: PythonServer): ClientOptions {
  return {
    token: server.token,
    explainEnd: async (action) => new ServerExitedError(action, await server.exited),
  };
}
