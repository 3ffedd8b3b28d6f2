/**
 * What killed hosts leave in the run directory goes, and what somebody uses stays.
 *
 * @module
 */

import { assertEquals, assertInstanceOf } from "@std/assert";
import { AddressInUseError } from "../../core/errors.ts";
import { SILENT_LOGGER } from "../../core/logger.ts";
import { removeLeftovers } from "../../servers/leftovers.ts";
import { claimSocket } from "../../servers/socket_address.ts";

async function names(directory: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(directory))).map(({ name }) => name).sort();
}

/** A socket file whose listener was killed: a listener of Deno's takes its file away when it is closed. */
async function deadSocket(path: string): Promise<void> {
  const listener = Deno.listen({ transport: "unix", path });
  await Deno.rename(path, `${path}.moved`);
  listener.close();
  await Deno.rename(`${path}.moved`, path);
}

Deno.test({
  name: "removeLeftovers() takes what nobody uses, once it is old enough, and nothing else",
  ignore: Deno.build.os === "windows",
  async fn() {
    const directory = await Deno.makeTempDir();
    const put = (name: string, text = ""): Promise<void> => Deno.writeTextFile(`${directory}/${name}`, text);
    await deadSocket(`${directory}/host-dead.sock`);
    const alive = Deno.listen({ transport: "unix", path: `${directory}/host-alive.sock` });
    await put("pipe-left.lock");
    await put("host-torn.api", '{"schema":1,"addr');
    await put("host-gone.api", JSON.stringify({ schema: 1, address: `unix:${directory}/gone.sock` }));
    await put("host-used.api", JSON.stringify({ schema: 1, address: `unix:${directory}/host-alive.sock` }));
    await put(`pipe-a.json.${crypto.randomUUID()}`);
    await put("pipe-a.json");
    await put("notes.txt");
    const claim = await claimSocket(directory, "claimed", SILENT_LOGGER);
    const before = await names(directory);

    await removeLeftovers(directory, SILENT_LOGGER);
    assertEquals(await names(directory), before); // too young
    await removeLeftovers(directory, SILENT_LOGGER, { ageMs: 0, most: 2 });
    await removeLeftovers(directory, SILENT_LOGGER, { ageMs: 0 });
    assertEquals(await names(directory), [
      "host-alive.sock",
      "host-used.api",
      "notes.txt",
      "pipe-a.json",
      "pipe-claimed.lock",
    ]);
    await Deno.remove(`${directory}/host-used.api`);
    alive.close();
    await claim[Symbol.asyncDispose]();
    await Deno.remove(directory, { recursive: true });
  },
});

Deno.test("a name can be claimed by one at a time, however often its lock comes and goes", async () => {
  const directory = await Deno.makeTempDir();
  let holders = 0;
  let claimed = 0;
  await Promise.all(Array.from({ length: 8 }, async () => {
    while (claimed < 40) {
      const claim = await claimSocket(directory, "name", SILENT_LOGGER).catch((error) => {
        assertInstanceOf(error, AddressInUseError);
      });
      if (claim === undefined) {
        await new Promise((resolve) => setTimeout(resolve, 1));
        continue;
      }
      assertEquals(++holders, 1);
      claimed++;
      await Promise.resolve();
      holders--;
      await claim[Symbol.asyncDispose]();
    }
  }));
  assertEquals(await names(directory), []);
  await Deno.remove(directory);
});
