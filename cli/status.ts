/**
 * `status`: the servers that are running, and whether they answer.
 *
 * @module
 */

import { SILENT_LOGGER } from "../core/logger.ts";
import { hostRunDirectory } from "../servers/directories.ts";
import { removeDeadEntries } from "../servers/run_entries.ts";
import type { Command } from "npm:commander@^15.1.0";
import { addClientTlsFlags, clientTls, type ClientTlsFlags } from "./client_tls.ts";
import { ask, runningEntries } from "./running.ts";

/** One line of the table; tokens are not shown. */
interface StatusRow {
  readonly transport: string;
  readonly endpoint: string;
  readonly process: number;
  readonly state: string;
}

interface StatusFlags extends ClientTlsFlags {
  readonly json?: true;
}

/** Adds the verb. */
export function addStatusVerb(program: Command, report: (exitCode: number) => void): void {
  const command = program.command("status")
    .description("Show the servers of this user and whether they answer.")
    .option("--json", "print JSON, one array of objects");
  addClientTlsFlags(command).action(async (flags: StatusFlags) => report(await status(flags)));
}

async function status({ json, ...flags }: StatusFlags): Promise<number> {
  const tls = await clientTls(flags);
  await removeDeadEntries(hostRunDirectory(), SILENT_LOGGER, Infinity);
  const hints = new Set<string>();
  const rows = await Promise.all((await runningEntries()).map(async (entry): Promise<StatusRow> => {
    const answer = await ask(entry, tls);
    if ("backend" in answer) await answer.backend.close();
    else if (answer.error.hint !== undefined) hints.add(answer.error.hint);
    const state = "info" in answer
      ? `Python ${answer.info.pythonVersion}`
      : `does not answer (${answer.error.code})`;
    return { transport: entry.transport, endpoint: entry.endpoint, process: entry.pid, state };
  }));
  if (json) console.log(JSON.stringify(rows));
  else if (rows.length === 0) console.log("No server is running.");
  else {
    console.table(rows);
    for (const hint of hints) console.error(`hint: ${hint}`);
  }
  return 0;
}
