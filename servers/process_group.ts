/**
 * Ends what a server's process left behind in its group: children that user code started and forgot.
 *
 * @module
 */

import type { Logger } from "../core/logger.ts";

/** Kills the group without the `os` module, so that a bare interpreter is up in a few milliseconds. */
const KILL_GROUP = `import posix, sys
try:
    posix.killpg(int(sys.argv[1]), 9)
except ProcessLookupError:
    pass`;

/**
 * Sends `SIGKILL` to every process of the group. Called right after its leader ended: the number of a group is not
 * given away again while a member lives, and was in use a moment ago when none does.
 */
export async function killProcessGroup(group: number, python: string, logger: Logger): Promise<void> {
  // On Windows Deno's own job object holds the children.
  if (Deno.build.os === "windows") return;
  if (Deno.permissions.querySync({ name: "run" }).state === "granted") {
    try {
      Deno.kill(-group, "SIGKILL");
    } catch (error) {
      // No such process: the usual case, nothing was left.
      if (!(error instanceof Deno.errors.NotFound)) logger.warn(`Cannot end process group ${group}`, error);
    }
    return;
  }
  // A signal to a group needs `--allow-run` for everything; the interpreter that we may run can send it instead.
  try {
    const { success, stderr } = await new Deno.Command(python, {
      args: ["-I", "-S", "-c", KILL_GROUP, String(group)],
      stdin: "null",
      stdout: "null",
      stderr: "piped",
      clearEnv: true,
    }).output();
    if (!success) logger.warn(`Cannot end process group ${group}`, new TextDecoder().decode(stderr));
  } catch (error) {
    logger.warn(`Cannot end process group ${group}`, error); // the interpreter was removed meanwhile, say
  }
}
