/**
 * What `PythonHost.start` needs of Deno's permissions as a whole, looked at before anything is begun.
 *
 * @module
 */

import type { NeededPermissions } from "../core/permissions.ts";
import { hostRunDirectory, sourcesDirectory } from "../servers/directories.ts";
import { requireNamed, requirePermissions } from "../servers/permissions.ts";
import type { HostTransport, PythonHostOptions } from "./options.ts";

/** Throws one `PermissionNeededError` that lists all flags that are missing. */
export function requireHostPermissions(options: PythonHostOptions, transport: HostTransport): void {
  const action = "start a Python host";
  const known = { ...interpreterOf(options), net: netOf(options, transport) };
  const directories = requireNamed(action, known, () => [hostRunDirectory(), sourcesDirectory()]);
  // One of ours is found and made: any interpreter on this machine may be looked at, and one of them is run.
  const { run = ["*"], read = ["*"] } = known;
  requirePermissions(action, {
    run,
    read: read.includes("*") ? read : [...read, ...directories],
    write: directories,
    net: known.net,
  });
}

/** What the interpreter of an environment needs that is named by its path. */
function interpreterOf({ environment }: PythonHostOptions): NeededPermissions {
  if (typeof environment !== "object") return { run: ["*"], read: ["*"] };
  const { path } = environment;
  const python = Deno.build.os === "windows" ? `${path}\\Scripts\\python.exe` : `${path}/bin/python`;
  return { run: [python], read: [path] };
}

/** Where host and server meet. The names of their sockets are random, so that none can be given beforehand. */
function netOf({ infrastructure }: PythonHostOptions, transport: HostTransport): readonly string[] {
  if (infrastructure !== false) return ["*"];
  if (transport.name === "pipe") return ["*"];
  return transport.name === "http" || transport.name === "rpc" ? ["127.0.0.1"] : [];
}
