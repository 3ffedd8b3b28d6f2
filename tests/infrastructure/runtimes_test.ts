/** What a request that nothing meets is told. */

import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { PythonNotFoundError } from "../../core/errors.ts";
import { RuntimeManager } from "../../infrastructure/mod.ts";

Deno.test("ensure() of what is neither here nor to be had says what was looked at, and what could be had", async () => {
  const home = await Deno.makeTempDir({ prefix: "beep-" });
  try {
    const runtimes = new RuntimeManager({ home });
    const error = await assertRejects(() => runtimes.ensure(">=9"), PythonNotFoundError);
    assertEquals(error.candidates.every(({ path, reason }) => path !== "" && reason !== ""), true);
    assertStringIncludes(error.hint ?? "", "can be downloaded either");
  } finally {
    await Deno.remove(home, { recursive: true });
  }
});
