/**
 * Requirements on their way to an installer. They travel in a file: a command line has a length, and a requirement may
 * start with a dash.
 *
 * @module
 */

import { join } from "@std/path";
import type { Context } from "./context.ts";
import { removeIfThere } from "./files.ts";

/** Writes requirements and constraints for as long as `use` runs, and gives it the arguments that name the files. */
export async function withRequirementFiles<T>(
  context: Context,
  request: { readonly requirements: readonly string[]; readonly constraints?: readonly string[] | undefined },
  use: (args: { readonly requirements: string; readonly constraints: string | undefined }) => Promise<T>,
): Promise<T> {
  const { io } = context;
  const directory = join(context.home, "cache");
  await io.mkdir(directory, { recursive: true, mode: 0o700 });
  const base = join(directory, `requirements-${crypto.randomUUID()}`);
  const encoder = new TextEncoder();
  const constraints = request.constraints === undefined || request.constraints.length === 0
    ? undefined
    : `${base}.constraints.txt`;
  try {
    const lines = `${request.requirements.join("\n")}\n`;
    await io.writeFile(`${base}.txt`, encoder.encode(lines), { mode: 0o600, createNew: true });
    if (constraints !== undefined) {
      const text = `${request.constraints!.join("\n")}\n`;
      await io.writeFile(constraints, encoder.encode(text), { mode: 0o600, createNew: true });
    }
    return await use({ requirements: `${base}.txt`, constraints });
  } finally {
    await removeIfThere(io, `${base}.txt`);
    if (constraints !== undefined) await removeIfThere(io, constraints);
  }
}
