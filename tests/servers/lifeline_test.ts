/** No server outlives the program that started it, however that ends. */

import { assert, assertEquals } from "@std/assert";
import { isAlive, waitUntilGone } from "./_launch.ts";

interface Owned {
  readonly home: string;
  readonly pids: readonly number[];
}

async function runOwner(
  how: string,
  act: (owner: Deno.ChildProcess, owned: Owned) => Promise<void>,
): Promise<Owned> {
  const owner = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", new URL("./testdata/owner.ts", import.meta.url).href, how],
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const reader = owner.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while (!text.includes("\n")) {
    const { value, done } = await reader.read();
    assert(!done, "the owner ended before it had started its server");
    text += value;
  }
  const owned: Owned = JSON.parse(text);
  await act(owner, owned);
  await owner.status;
  await reader.cancel();
  await waitUntilGone(...owned.pids);
  return owned;
}

for (const signal of ["SIGKILL", "SIGTERM", "SIGINT"] as const) {
  Deno.test({
    name: `a server and its children end with an owner that ${signal} ends`,
    // Elsewhere the server's own watch over its stdin does it, which the stand-in has not.
    ignore: Deno.build.os !== "linux",
    async fn() {
      const { home } = await runOwner("wait", async (owner, { pids }) => {
        for (const pid of pids) assert(await isAlive(pid));
        owner.kill(signal);
      });
      await Deno.remove(home, { recursive: true });
    },
  });
}

for (const how of ["exit", "throw", "forget"]) {
  Deno.test({
    name: `a server and its children end with an owner that ends by itself: ${how}`,
    ignore: Deno.build.os !== "linux",
    async fn() {
      const { home } = await runOwner(how, () => Promise.resolve());
      if (how !== "throw") {
        // The program could still tidy up; an uncaught error gives it no chance to.
        const names = await Array.fromAsync(Deno.readDir(`${home}/run`), (entry) => entry.name);
        assertEquals(names, []);
      }
      await Deno.remove(home, { recursive: true });
    },
  });
}
