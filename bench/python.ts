/**
 * Which Python the benches run on: the one named on the command line, else the one that the library itself would take.
 *
 * @module
 */

import { Infrastructure } from "@beep/python-host";

/** The real path of an interpreter. */
export async function chosenPython(): Promise<string> {
  const given = Deno.args[0];
  if (given !== undefined) return given;
  const runtime = await new Infrastructure.RuntimeManager().find(">=3.9");
  return runtime.executable;
}
