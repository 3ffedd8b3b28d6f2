/**
 * A program as short as a user's can be, for the time from its start to its first value.
 *
 * @module
 */

import { PythonHost } from "@beep/python-host";

await using host = await PythonHost.start({ transport: Deno.args[0] as "pipe" | "http" });
if (await host.evaluate<number>("1+1") !== 2) throw new Error("1+1 is not 2");
