/**
 * From what a user asks for to an interpreter that is there.
 *
 * @module
 */

import { join, resolve } from "@std/path";
import { EnvironmentError } from "../core/errors.ts";
import type { Logger } from "../core/logger.ts";
import { type EnsureOptions, RuntimeManager, VenvManager } from "../infrastructure/mod.ts";
import { checkList } from "../infrastructure/option_checks.ts";
import { ensurePythonnet, PYTHONNET } from "./dotnet.ts";
import type { PythonHostOptions } from "./options.ts";
import { GRPC_PACKAGES } from "./transports.ts";

/** The environment that a host runs in. */
export interface HostEnvironment {
  /** Its name; undefined for one that was given by its path. */
  readonly name: string | undefined;
  /** Its directory. */
  readonly path: string;
  /** The path of its interpreter. */
  readonly python: string;
}

/** The environments of this user, and through them the runtimes. */
export function makeEnvironments(logger?: Logger): VenvManager {
  return new VenvManager({ runtimes: new RuntimeManager(logger === undefined ? {} : { logger }) });
}

/** Finds or makes the environment that the options ask for. */
export async function resolveEnvironment(options: PythonHostOptions): Promise<HostEnvironment> {
  const { environment, python, download, rpc, signal, onProgress, logger } = options;
  if (options.packages !== undefined) checkList("packages", options.packages);
  if (typeof environment === "object") return await existingVenv(environment.path, options);
  const packages = rpc?.grpc === true ? [...options.packages ?? [], ...GRPC_PACKAGES] : options.packages;
  const managers = makeEnvironments(logger);
  const dotnet = options.dotnet !== undefined;
  if (dotnet && environment !== undefined && (packages ?? []).length === 0) {
    const { name } = await managers.ensure({
      name: environment,
      ...(signal === undefined ? {} : { signal }),
    });
    await ensurePythonnet(managers, name, signal);
    return await managers.ensure({ name });
  }
  const wanted: EnsureOptions = {
    ...(environment === undefined ? {} : { name: environment }),
    ...(python === undefined ? {} : { python }),
    ...(download === undefined ? {} : { download }),
    ...(!dotnet && (packages === undefined || packages.length === 0)
      ? {}
      : { packages: [...packages ?? [], ...(dotnet ? [PYTHONNET] : [])] }),
    ...(signal === undefined ? {} : { signal }),
    ...(onProgress === undefined ? {} : { onProgress }),
  };
  return await managers.ensure(wanted);
}

/** An environment of the user's own: it is used as it is, and nothing in it is changed. */
async function existingVenv(
  given: string,
  { packages, python }: PythonHostOptions,
): Promise<HostEnvironment> {
  // The server may start in another directory.
  const path = resolve(given);
  for (const [option, value] of Object.entries({ packages, python })) {
    if (value === undefined) continue;
    throw new EnvironmentError(
      `Cannot use environment "${path}" with option "${option}": it is used as it is`,
      {
        hint:
          "Install into it with its own pip, or give the environment by a name, which is then made for you.",
      },
    );
  }
  const windows = Deno.build.os === "windows";
  const interpreter = windows ? join(path, "Scripts", "python.exe") : join(path, "bin", "python");
  try {
    await Deno.stat(join(path, "pyvenv.cfg"));
    await Deno.stat(interpreter);
  } catch (cause) {
    // A path with a NUL in it, which leads nowhere, is a TypeError.
    const missing = cause instanceof Deno.errors.NotFound || cause instanceof Deno.errors.NotADirectory ||
      cause instanceof TypeError;
    if (!missing) throw cause;
    throw new EnvironmentError(`Cannot use environment "${path}": it has no pyvenv.cfg or no interpreter`, {
      cause,
      hint: "Pass the directory of a venv, the one that holds pyvenv.cfg.",
    });
  }
  return { name: undefined, path, python: interpreter };
}
