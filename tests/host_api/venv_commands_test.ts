/** The venv commands of the original's plan, as its clients would send them. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { startServer } from "../../servers/mod.ts";
import { findPython, type Home, makeHome, startHosted } from "./_hosted.ts";

/** What a command answers. */
interface Answer {
  readonly path?: string;
  readonly name?: string;
  readonly success?: boolean;
  readonly environments?: readonly { readonly name: string; readonly path: string }[];
}

/** Sends commands over a wire; gives the answer, or the error's text. */
type Send = (command: "create" | "delete" | "install" | "list", payload?: object) => Promise<Answer | string>;

async function checkLife(home: Home, send: Send): Promise<void> {
  const created = await send("create", { providerName: "my-provider-cpu", modelId: null }) as Answer;
  assertEquals([created.success, created.name], [true, "my-provider-cpu"]);
  assert(created.path !== undefined && (await Deno.stat(created.path)).isDirectory);
  const listed = await send("list") as Answer;
  assertEquals(listed.environments?.map(({ name, path }) => [name, path]), [[created.name, created.path]]);
  assertEquals((await home.environments.status("my-provider-cpu")).state, "ready");
  assertEquals(await send("delete", { path: created.path }), { success: true });
  assertEquals(await send("delete", { providerName: "my-provider-cpu" }), { success: false });
  assertStringIncludes(await send("create") as string, "providerName");
  assertStringIncludes(await send("install", { providerName: "x" }) as string, "packages");
}

Deno.test("the venv commands over HTTP", async () => {
  await using home = await makeHome();
  await using server = await startHosted(home, "http");
  await checkLife(home, async (command, payload = {}) => {
    const response = await fetch(`${server.address}/api/venv/${command}`, {
      method: command === "list" ? "GET" : "POST",
      headers: { authorization: `Bearer ${server.token}`, "content-type": "application/json" },
      ...(command === "list" ? {} : { body: JSON.stringify(payload) }),
    });
    const answer = await response.json();
    assertEquals(response.ok, answer.error === undefined);
    return answer.error ?? answer;
  });
});

Deno.test("the venv commands over HTTP have a status for each failure", async () => {
  await using home = await makeHome();
  await using server = await startHosted(home, "http", { allow: ["environments:read"] });
  const ask = async (method: string, path: string, payload?: object): Promise<[number, string]> => {
    const response = await fetch(`${server.address}${path}`, {
      method,
      headers: { authorization: `Bearer ${server.token}`, "content-type": "application/json" },
      ...(payload === undefined ? {} : { body: JSON.stringify(payload) }),
    });
    const { type = "" } = await response.json();
    return [response.status, type];
  };
  assertEquals(await ask("GET", "/api/venv/list"), [200, ""]);
  assertEquals(await ask("POST", "/api/venv/create", { name: "x" }), [403, "NotGrantedError"]);
  assertEquals(await ask("POST", "/api/venv/create", {}), [400, "ArgumentError"]);
  assertEquals((await ask("POST", "/api/venv/list", {}))[0], 405);
  await using bare = await startServer({ python: await findPython(), transport: "http" });
  const refused = await fetch(`${bare.address}/api/venv/list`, {
    headers: { authorization: `Bearer ${bare.token}` },
  });
  assertEquals([refused.status, (await refused.json()).type], [403, "HostUnavailableError"]);
});

Deno.test(
  "the venv commands over newline JSON on a pipe",
  { ignore: Deno.build.os === "windows" },
  async () => {
    await using home = await makeHome();
    const hostApi = await home.servers.access(true);
    await using server = await startServer({
      python: await findPython(),
      transport: "pipe",
      auth: false,
      hostApi,
    });
    using connection = await Deno.connect({ transport: "unix", path: server.address });
    const lines = connection.readable.pipeThrough(new TextDecoderStream()).getReader();
    const writer = connection.writable.getWriter();
    let rest = "";
    await checkLife(home, async (command, payload = {}) => {
      await writer.write(
        new TextEncoder().encode(`${JSON.stringify({ command: `venv_${command}`, payload })}\n`),
      );
      while (!rest.includes("\n")) rest += (await lines.read()).value ?? "";
      const end = rest.indexOf("\n");
      const { result, error } = JSON.parse(rest.slice(0, end));
      rest = rest.slice(end + 1);
      return error ?? result;
    });
    lines.releaseLock();
    writer.releaseLock();
  },
);

Deno.test("the venv commands over RPC, in PascalCase", async () => {
  await using home = await makeHome();
  await using server = await startHosted(home, "rpc");
  const methods = { create: "Create", delete: "Delete", install: "Install", list: "List" };
  await checkLife(home, async (command, payload = {}) => {
    const response = await fetch(`${server.address}/rpc/VenvService/${methods[command]}Environment`, {
      method: "POST",
      headers: { authorization: `Bearer ${server.token}`, "content-type": "application/json" },
      body: JSON.stringify(withKeys(payload, (key) => key[0]!.toUpperCase() + key.slice(1))),
    });
    const answer = withKeys(await response.json(), (key) => key[0]!.toLowerCase() + key.slice(1));
    assertEquals(response.ok, answer.error === undefined);
    return (answer.error as string | undefined) ?? answer as Answer;
  });
});

/** A value with all keys respelled. */
function withKeys<T>(value: T, spell: (key: string) => string): T & Record<string, unknown> {
  if (Array.isArray(value)) return value.map((item) => withKeys(item, spell)) as never;
  if (typeof value !== "object" || value === null) return value as never;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [spell(key), withKeys(item, spell)]),
  ) as never;
}
