/** Starts a server that has a child, closes it, and prints the child's process id; or prints the flags it needs. */

import { PermissionNeededError } from "../../../core/errors.ts";
import { launch } from "../../../servers/start.ts";

const [python, home, main] = Deno.args as [string, string, string];
const sources = {
  load: () => Promise.resolve({ "__main__.py": main }),
  hash: "0123456789abcdef",
  version: "0.0.0",
};
try {
  let output = "";
  const server = await launch(
    { python, env: { STAND_IN: "children" }, onStdout: (text) => void (output += text) },
    { sources, sourcesRoot: `${home}/servers`, runDirectory: `${home}/run` },
  );
  await server.close();
  console.log(JSON.stringify([server.pid, Number(output.match(/child (\d+)/)![1])]));
} catch (error) {
  if (!(error instanceof PermissionNeededError)) throw error;
  console.log(JSON.stringify(error.flags));
}
