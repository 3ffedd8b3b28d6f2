/**
 * Gives scripts that `VenvManager.run` starts a way to the host. Importing this module registers it there, which starts
 * and reads nothing.
 *
 * @module
 */

import { setScriptAccess } from "../infrastructure/script_access.ts";
import { PythonHostError } from "../core/errors.ts";
import { ensureServerSources } from "../servers/start.ts";
import type { InfrastructureOption } from "./api_capabilities.ts";
import { HostServers } from "./host_servers.ts";

setScriptAccess(async (environments, infrastructure) => {
  await using undo = new AsyncDisposableStack();
  // Servers that the script starts end with it.
  const servers = undo.use(new HostServers({ environments }));
  const access = await servers.access(infrastructure as InfrastructureOption);
  if (access === undefined) {
    throw new PythonHostError("argument", "Cannot give a script access to the host: nothing was granted");
  }
  undo.use(access);
  const sources = await ensureServerSources();
  const kept = undo.move();
  return {
    env: { BEEP_HOST_API: access.path, PYTHONPATH: sources },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
});
