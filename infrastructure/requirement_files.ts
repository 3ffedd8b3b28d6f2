/**
 * Requirements on their way to an installer. They travel in a file: a command line has a length, and a requirement may
 * start with a dash.
 *
 * @module
 */

import { join } from "@std/path";
import type { Context } from "./context.ts";
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
    const text = new TextEncoder().encode(`${lines.join("\n")}\n`);
    await context.io.writeFile(path, text, { mode: 0o600, createNew: true });
    return path;
  };
  const requirements = await write("requirements.txt", request.requirements);
  const constraints = request.constraints === undefined || request.constraints.length === 0
    ? undefined
    : await write("constraints.txt", request.constraints);
  return await use({ requirements, constraints });
}
