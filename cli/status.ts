/**
 * `status`: the servers that are running, and whether they answer.
 *
 * @module
 */

import { SILENT_LOGGER } from "../core/logger.ts";
import { hostRunDirectory } from "../servers/directories.ts";
import { removeDeadEntries } from "../servers/run_entries.ts";
import type { Command } from "npm:commander@^15.1.0";
import { ask, runningEntries } from "./running.ts";

/** One line of the table; tokens are not shown. */
interface StatusRow {
  readonly transport: string;
  readonly endpoint: string;
  readonly process: number;
  readonly state: string;
}

/** Adds the verb. */
export function addStatusVerb(program: Command, report: (exitCode: number) => void): void {
  program.command("status")
    .description("Show the servers of this user and whether they answer.")
    .option("--json", "print JSON, one array of objects")
    .action(async (flags: { json?: boolean }) => report(await status(flags.json === true)));
}

async function status(json: boolean): Promise<number> {
  await removeDeadEntries(hostRunDirectory(), SILENT_LOGGER, Infinity);
  const rows = await Promise.all((await runningEntries()).map(async (entry): Promise<StatusRow> => {
    const answer = await ask(entry);
    if ("backend" in answer) await answer.backend.close();
    const state = "info" in answer
      ? `Python ${answer.info.pythonVersion}`
      : `does not answer (${answer.error.code})`;
    return { transport: entry.transport, endpoint: entry.endpoint, process: entry.pid, state };
  }));
  if (json) console.log(JSON.stringify(rows));
  else if (rows.length === 0) console.log("No server is running.");
  else console.table(rows);
  return 0;
}
