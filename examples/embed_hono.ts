/**
 * The host's API inside a Hono server that exists already, under a path of its own and with the server's own rules:
 * who is signed in may look, who is an owner may do everything.
 *
 * Run with: deno run -A examples/embed_hono.ts
 */

import { createHostApi, Infrastructure } from "@beep/python-host";
import { assertEquals } from "@std/assert";
import { Hono } from "npm:hono@^4.13.19";

const roles: Readonly<Record<string, string>> = { "Bearer ada": "owner", "Bearer bob": "reader" };

await using api = createHostApi({ environments: new Infrastructure.VenvManager() }, {
  authorize(request) {
    const role = roles[request.headers.get("authorization") ?? ""];
    return role === "owner" || (role === "reader" && { allow: ["environments:read", "runtimes:read"] });
  },
});

const app = new Hono();
app.get("/", (context) => context.text("A server that was there before"));
app.mount("/python", api.fetch);

/** Asks the server as one of its users. */
async function ask(user: string, path: string, init: RequestInit = {}): Promise<[number, unknown]> {
  const headers = { authorization: `Bearer ${user}`, "content-type": "application/json" };
  const response = await app.request(path, { ...init, headers });
  const text = await response.text();
  return [response.status, response.headers.get("content-type")?.includes("json") ? JSON.parse(text) : text];
}

assertEquals(await ask("bob", "/"), [200, "A server that was there before"]);

const body = JSON.stringify({ name: "embedded" });
const [refused] = await ask("bob", "/python/environments/ensure", { method: "POST", body });
const [made] = await ask("ada", "/python/environments/ensure", { method: "POST", body });
assertEquals([refused, made], [403, 200]);

const [, { environments }] = await ask("bob", "/python/environments") as [
  number,
  { environments: { name: string }[] },
];
console.log(`bob sees: ${environments.map(({ name }) => name).join(", ")}`);
assertEquals((await ask("nobody", "/python/environments"))[0], 401);
assertEquals(await ask("ada", "/python/environments/embedded", { method: "DELETE" }), [200, {
  deleted: true,
}]);
