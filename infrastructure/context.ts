/**
 * What the managers share: the world, the environment's values, the platform and the data directory.
 *
 * @module
 */

import { dataDirectory, DIRECTORY_VARIABLES } from "../core/endpoint.ts";
import { EnvironmentError, PermissionNeededError } from "../core/errors.ts";
import { type Logger, SILENT_LOGGER } from "../core/logger.ts";
import { resolve } from "@std/path";
import { denoIo, type Io } from "./io.ts";

/** Gives the value of an environment variable, or undefined. */
export type EnvironmentValues = (name: string) => string | undefined;

/** What every manager can be given. */
export interface ContextOptions {
  /** The directory that everything is kept in. @default {the rule of `core/endpoint.ts`} */
  readonly home?: string;
  /** Where environment variables are read. @default {`Deno.env`, where it is permitted} */
  readonly environment?: EnvironmentValues;
  /** Told what is done, mended and skipped. @default {silent} */
  readonly logger?: Logger;
  /** Whether network sockets are refused: what is missing is then named in the error. @default {false} */
  readonly offline?: boolean;
  /** How the world is reached; tests put faults here. @default {Deno} */
  readonly io?: Io;
  /** The operating system, as `Deno.build.os` names it. @default {`Deno.build.os`} */
  readonly os?: string;
  /** The processor, as `Deno.build.arch` names it. @default {`Deno.build.arch`} */
  readonly arch?: string;
}

/**
 * Reads a variable of this process; a variable that Deno may not read counts as unset, and nobody is asked for it.
 */
export function denoEnvironment(name: string): string | undefined {
  const state = Deno.permissions.querySync({ name: "env", variable: name }).state;
  return state === "granted" ? Deno.env.get(name) : undefined;
}

/** What the managers share. */
export class Context {
  /** How the world is reached. */
  readonly io: Io;
  /** Where environment variables are read. */
  readonly environment: EnvironmentValues;
  /** Told what is done, mended and skipped. */
  readonly logger: Logger;
  /** The operating system, as `Deno.build.os` names it. */
  readonly os: string;
  /** The processor, as `Deno.build.arch` names it. */
  readonly arch: string;
  /** Whether network sockets are refused. */
  readonly offline: boolean;
  readonly #givenHome: string | undefined;
  #home: string | undefined;

  /** Takes what is given and fills in this process's own. */
  constructor(options: ContextOptions = {}) {
    this.io = options.io ?? denoIo;
    this.environment = options.environment ?? denoEnvironment;
    this.logger = options.logger ?? SILENT_LOGGER;
    this.os = options.os ?? Deno.build.os;
    this.arch = options.arch ?? Deno.build.arch;
    this.offline = options.offline ?? truthy(this.environment("UV_OFFLINE"));
    this.#givenHome = options.home;
  }

  /** The directory that everything is kept in, as an absolute path. */
  get home(): string {
    this.#home ??= possible(resolve(this.#givenHome ?? this.#defaultHome()));
    return this.#home;
  }

  /** The home, or undefined where none can be chosen: discovery works without one. */
  get homeIfKnown(): string | undefined {
    try {
      return this.home;
    } catch (error) {
      if (error instanceof EnvironmentError || error instanceof PermissionNeededError) return undefined;
      throw error;
    }
  }

  #defaultHome(): string {
    try {
      return dataDirectory({ os: this.os, get: this.environment });
    } catch (cause) {
      if (this.environment === denoEnvironment && !mayReadEnvironment()) {
        throw new PermissionNeededError("choose the data directory", [
          `--allow-env=${DIRECTORY_VARIABLES.join(",")}`,
        ], { cause });
      }
      throw new EnvironmentError(
        "Cannot choose the data directory: neither BEEP_PYTHON_HOME nor a home directory is set",
        { cause, hint: "Set BEEP_PYTHON_HOME, or pass the option `home`." },
      );
    }
  }
}

function possible(path: string): string {
  if (!path.includes("\0")) return path;
  throw new EnvironmentError(
    `Cannot use data directory ${JSON.stringify(path)}: no path can have a NUL character`,
  );
}

function mayReadEnvironment(): boolean {
  return DIRECTORY_VARIABLES.every((variable) =>
    Deno.permissions.querySync({ name: "env", variable }).state === "granted"
  );
}

/** Whether a variable's value means yes. */
export function truthy(value: string | undefined): boolean {
  return value !== undefined && /^(1|true|yes|on)$/i.test(value.trim());
}
