/**
 * Three lines against a running host: `deno run -A jsr:@beep/python-host/cli start http`.
 *
 * Run with: deno run -A examples/connect.ts [endpoint]
 */

import { PythonHostHttp } from "@beep/python-host";
import { assertEquals } from "@std/assert";

await using python = new PythonHostHttp(Deno.args[0] ?? "http://localhost:5678");
const value = await python.evaluate<number>("sum(n * n for n in numbers)", { numbers: [1, 2, 3] });
console.log(value);

assertEquals(value, 14);
