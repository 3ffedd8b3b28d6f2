/**
 * Requirements on their way to an installer. They travel in a file: a command line has a length, and a requirement may
 * start with a dash.
 *
 * @module
 */

import { join } from "@std/path";
import type { Context } from "./context.ts";
import { lacksCredentials, reveal } from "./credentials.ts";
import { CommandError } from "../core/errors.ts";
import { stage } from "./staging.ts";

/** Writes requirements and constraints for as long as `use` runs, and gives it the arguments that name the files. */
export async function withRequirementFiles<T>(
  context: Context,
  request: { readonly requirements: readonly string[]; readonly constraints?: readonly string[] | undefined },
  use: (args: { readonly requirements: string; readonly constraints: string | undefined }) => Promise<T>,
): Promise<T> {
  // Staged, so that they are swept when this process is killed.
  await using staged = await stage(context);
  await context.io.mkdir(staged.path, { recursive: true, mode: 0o700 });
  const write = async (name: string, lines: readonly string[]): Promise<string> => {
    const path = join(staged.path, name);
    const text = new TextEncoder().encode(`${lines.map(reveal).join("\n")}\n`);
    await context.io.writeFile(path, text, { mode: 0o600, createNew: true });
    return path;
  };
  const requirements = await write("requirements.txt", request.requirements);
  const constraints = request.constraints === undefined || request.constraints.length === 0
    ? undefined
    : await write("constraints.txt", request.constraints);
  try {
    return await use({ requirements, constraints });
  } catch (error) {
    const lines = [...request.requirements, ...request.constraints ?? []];
    if (!(error instanceof CommandError) || !lines.some(lacksCredentials)) throw error;
    throw withCredentialsHint(error);
  }
}

function withCredentialsHint(cause: CommandError): CommandError {
  const facts = { command: cause.command, exitCode: cause.exitCode, output: cause.output };
  return new CommandError("install packages", facts, {
    cause,
    hint:
      "The credentials in the URLs of its requirements are not kept: pass the requirements again, or put the " +
      "credentials into pip's settings or a .netrc file.",
  });
}
