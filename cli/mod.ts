/**
 * The host program: `deno run -A jsr:@beep/python-host/cli start http`.
 *
 * Each verb is a file of its own. Importing this module does nothing; running it runs the command line.
 *
 * @module
 */

import { PythonHostError } from "../core/errors.ts";
import { LIBRARY_VERSION } from "../core/protocol.ts";
import { addStartVerb } from "./start.ts";
import { addStatusVerb } from "./status.ts";
import { addStopVerb } from "./stop.ts";

/** Exit code for a command line that cannot be understood, as shells use it. */
const USAGE_EXIT_CODE = 2;

/**
 * Runs a command line and gives the program's exit code.
 *
 * Needs `-A`, or the permissions of what the verb does.
 *
 * @example See what can be done
 * ```ts ignore
 * import { main } from "jsr:@beep/python-host/cli";
 *
 * Deno.exit(await main(["help"]));
 * ```
 */
export async function main(args: readonly string[] = Deno.args): Promise<number> {
  // Loaded here, so that nothing but the command line pays for it.
  const { Command, CommanderError } = await import("npm:commander@^15.1.0");
  let exitCode = 0;
  const report = (code: number): void => void (exitCode = code);
  const program = new Command("python-host")
    .description("Starts Python servers for programs of any language, and looks after them.")
    .version(LIBRARY_VERSION)
    .exitOverride();
  for (const addVerb of [addStartVerb, addStopVerb, addStatusVerb]) addVerb(program, report);
  try {
    await program.parseAsync(args, { from: "user" });
    return exitCode;
  } catch (error) {
    // Commander has said what is wrong already; asking for help is no error.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : USAGE_EXIT_CODE;
    if (!(error instanceof PythonHostError)) throw error;
    console.error(`error: ${error.message}`);
    if (error.hint !== undefined) console.error(`hint: ${error.hint}`);
    return 1;
  }
}

if (import.meta.main) Deno.exit(await main());
