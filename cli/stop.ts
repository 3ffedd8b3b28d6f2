/**
 * `stop http|pipe|rpc`: ends a server that another program has started.
 *
 * @module
 */

import type { Command } from "npm:commander@^15.1.0";
import { portOf, type RunEntry } from "../core/endpoint.ts";
import { PythonHostError } from "../core/errors.ts";
import { hostRunDirectory } from "../servers/directories.ts";
import { addClientTlsFlags, clientTls, type ClientTlsFlags } from "./client_tls.ts";
import { ask, runningEntries } from "./running.ts";
import { addressFor, type CliTransport, parsePort, type ServerAddress, TRANSPORTS } from "./verb.ts";

/** A server gives itself two seconds; its owner kills it half a second later. */
const STOP_TIMEOUT_MS = 5_000;

interface StopFlags extends ServerAddress, ClientTlsFlags {}

/** Adds the verb. */
export function addStopVerb(program: Command, report: (exitCode: number) => void): void {
  const command = program.command("stop")
    .description("End a server of this user.")
    .addArgument(program.createArgument("<transport>", "kind of wire").choices(TRANSPORTS))
    .option("--port <number>", "port of HTTP or RPC (default: 5678, 50051)", parsePort)
    .option("--name <name>", "name or path of the pipe (default: beep-python-pipe)");
  addClientTlsFlags(command)
    .action(async (transport: CliTransport, flags: StopFlags) => report(await stop(transport, flags)));
}

async function stop(transport: CliTransport, flags: StopFlags): Promise<number> {
  const tls = await clientTls(flags);
  const { name, port } = addressFor(transport, flags);
  const entries = await runningEntries();
  const entry = entries.find((one) =>
    one.transport === transport &&
    (name === undefined ? portOf(new URL(one.address)) === Number(port) : one.endpoint === name)
  );
  const endpoint = name ?? `port ${port}`;
  if (entry === undefined) {
    throw new PythonHostError(
      "connect",
      `Cannot stop the ${transport} server at ${endpoint}: none is running`,
      {
        hint: "The verb `status` lists those that are.",
      },
    );
  }
  const answer = await ask(entry, tls);
  if ("error" in answer) throw answer.error;
  const { pid } = answer.info;
  await answer.backend.close();
  // The number in an entry may since have gone to another process, and who answers may be another server.
  if (pid !== entry.pid) {
    throw new PythonHostError(
      "connect",
      `Cannot stop the ${transport} server at ${endpoint}: process ${pid} answers there, and ${entry.pid} is entered`,
    );
  }
  using watcher = Deno.watchFs(hostRunDirectory());
  Deno.kill(pid, "SIGTERM");
  await waitUntilRemoved(watcher, entry);
  console.log(`Stopped ${entry.endpoint}, process ${pid}.`);
  return 0;
}

/** The program that started a server removes its entry when the process has ended. */
async function waitUntilRemoved(watcher: Deno.FsWatcher, entry: RunEntry): Promise<void> {
  const timer = setTimeout(() => watcher.close(), STOP_TIMEOUT_MS);
  const isThere = async (): Promise<boolean> => {
    return (await runningEntries()).some(({ pid, token }) => pid === entry.pid && token === entry.token);
  };
  try {
    if (!await isThere()) return;
    for await (const _change of watcher) {
      if (!await isThere()) return;
    }
  } finally {
    clearTimeout(timer);
  }
  throw new PythonHostError(
    "timeout",
    `Cannot stop process ${entry.pid}: it is still there after ${STOP_TIMEOUT_MS} ms`,
    {
      hint: "The program that started it may have been stopped; end that one.",
    },
  );
}
