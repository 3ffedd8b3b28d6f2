/**
 * A process that outlives a step of the gate is named.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { pipeHolders } from "../../tools/pipe_holders.ts";

Deno.test({
  name: "pipeHolders - names who holds a pipe of this process, and not who holds another",
  ignore: Deno.build.os !== "linux",
  async fn() {
    const start = (stdout: "piped" | "null") =>
      new Deno.Command("sleep", { args: ["1000"], stdin: "null", stdout, stderr: "null" }).spawn();
    const [holder, other] = [start("piped"), start("null")];
    const named = await pipeHolders();
    for (const child of [holder, other]) {
      child.kill("SIGKILL");
      await child.status;
    }
    await holder.stdout.cancel();
    const pids = [holder.pid, other.pid].map(String);
    const found = named.filter((line) => pids.includes(line.split(" ")[0]!));
    assertEquals(found.map((line) => line.replace(/ \S*sleep /, " sleep ")), [`${holder.pid} sleep 1000`]);
  },
});
