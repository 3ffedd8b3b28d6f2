/** A program that stands still for a while, as in a long computation of its own, is not told that Python did. */

import { assertEquals } from "@std/assert";
import { makePlace, rejection } from "./_servers.ts";

const GRACE_MS = 3_000;

for (const transport of ["pipe", "http", "rpc"] as const) {
  Deno.test({
    name:
      `a call that Python stopped while the program stood still for longer than the grace time has been stopped: ${transport}`,
    ignore: Deno.build.os === "windows",
    async fn() {
      await using place = await makePlace();
      await using host = await place.start({ transport, limits: { interruptGraceMs: GRACE_MS } });
      const controller = new AbortController();
      const begun = Promise.withResolvers<void>();
      const call = rejection(
        host.evaluate("begun()\nwhile True: pass", { begun: () => begun.resolve() }, {
          signal: controller.signal,
        }),
      );
      await begun.promise;
      await host.ping(); // by then the function's answer has been taken
      controller.abort("enough");
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, GRACE_MS + 500);
      assertEquals(await call, "enough");
      assertEquals(await host.evaluate("1 + 1"), 2);
    },
  });
}
