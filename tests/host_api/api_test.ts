/** The host's API over HTTP, driven by a client that is generated from its own OpenAPI document. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { Validator } from "npm:@seriousme/openapi-schema-validator@^2.9.1";
import { createHostApi, type HostApi, type HostApiOptions } from "../../host/mod.ts";
import { makeHome } from "./_hosted.ts";
import { generateClient, type OpenApiClient, type OpenApiDocument } from "./_openapi_client.ts";

/** Sends a request as whoever knows the token. */
function sender(api: HostApi, token = api.token): (path: string, init?: RequestInit) => Promise<Response> {
  return async (path, init = {}) => {
    const headers = new Headers(init.headers);
    headers.set("authorization", `Bearer ${token}`);
    return await api.fetch(new Request(`http://host.example${path}`, { ...init, headers }));
  };
}

async function documentOf(api: HostApi): Promise<OpenApiDocument> {
  return await (await sender(api)("/openapi.json")).json();
}

async function clientOf(api: HostApi): Promise<OpenApiClient> {
  return generateClient(await documentOf(api), sender(api));
}

/** An API over a home of its own. */
async function makeApi(options: HostApiOptions = {}) {
  const home = await makeHome();
  const api = createHostApi({ environments: home.environments }, options);
  return {
    home,
    api,
    async [Symbol.asyncDispose]() {
      await api[Symbol.asyncDispose]();
      await home[Symbol.asyncDispose]();
    },
  };
}

Deno.test("the OpenAPI document is a valid one of version 3.1", async () => {
  await using made = await makeApi();
  const document = await documentOf(made.api);
  assertMatch(document.openapi, /^3\.1\./);
  const { valid, errors } = await new Validator().validate(document as unknown as Record<string, unknown>);
  assertEquals([valid, errors], [true, undefined]);
  const ids = Object.values(document.paths).flatMap((operations) =>
    Object.values(operations).map(({ operationId }) => operationId)
  );
  assertEquals(new Set(ids).size, ids.length);
});

Deno.test("a generated client takes environments through their whole life", async () => {
  await using made = await makeApi();
  const client = await clientOf(made.api);
  assertEquals((await client.listEnvironments!()).value, { environments: [] });
  const created = await client.createEnvironment!({ body: { name: "life" } });
  assertEquals([created.status, created.value.name, created.value.state], [201, "life", "ready"]);
  assertEquals((await client.ensureEnvironment!({ body: { name: "life" } })).value.path, created.value.path);
  const again = await client.createEnvironment!({ body: { name: "life" } });
  assertEquals([again.status, again.value.error.reason], [409, "exists"]);
  const status = await client.getEnvironment!({ name: "life" });
  assertEquals(status.value.packages, []);
  const script = `${made.home.path}/script.py`;
  await Deno.writeTextFile(script, "import sys; print(sys.prefix); sys.exit(int(sys.argv[1]))");
  const run = await client.runInEnvironment!({ name: "life", body: { script, args: ["3"] } });
  assertEquals([run.value.code, run.value.stdout.trim()], [3, created.value.path]);
  assertEquals(
    (await client.verifyEnvironment!({ name: "life", body: { packages: ["nothing"] } })).value.problems,
    [
      'package "nothing" is not installed',
    ],
  );
  assertEquals((await client.deleteEnvironment!({ name: "life" })).value, { deleted: true });
  assertEquals((await client.deleteEnvironment!({ name: "life" })).value, { deleted: false });
  const missing = await client.getEnvironment!({ name: "life" });
  assertEquals([missing.status, missing.value.error.type], [404, "EnvironmentError"]);
});

Deno.test("a generated client names providers and makes their environments", async () => {
  await using made = await makeApi();
  const client = await clientOf(made.api);
  const query = { provider: "llama", modelId: "org/model", computeBackend: "rocm" };
  assertEquals((await client.providerName!(query)).value, {
    name: "llama-rocm-org-model",
    computeBackend: "rocm",
  });
  const made2 = await client.ensureProviderEnvironment!({
    body: { provider: "llama", computeBackend: "cpu" },
  });
  assertEquals(made2.value.name, "llama-cpu");
});

Deno.test("a generated client finds runtimes and sets the default", async () => {
  await using made = await makeApi();
  const client = await clientOf(made.api);
  const { runtimes } = (await client.listRuntimes!()).value;
  assert(runtimes.length > 0);
  const found = await client.findRuntime!({ body: { request: ">=3.9" } });
  assertEquals(found.value, runtimes[0]);
  assertEquals(
    (await client.ensureRuntime!({ body: { request: ">=3.9", download: "never" } })).value,
    found.value,
  );
  const none = await client.findRuntime!({ body: { request: "==2.0" } });
  assertEquals([none.status, none.value.error.type], [404, "PythonNotFoundError"]);
  assert(none.value.error.candidates.length > 0);
  assertEquals((await client.setDefaultRuntime!({ body: { request: found.value.executable } })).value, {
    request: found.value.executable,
  });
  assertEquals((await client.setDefaultRuntime!({ body: { request: null } })).value, { request: ">=3.9" });
  assertEquals((await client.deleteRuntime!({ id: "../../etc" })).status, 404);
  assert(Array.isArray((await client.listAvailableRuntimes!()).value.runtimes));
});

Deno.test("a generated client starts, finds and stops servers, which hold their environment", async () => {
  await using made = await makeApi();
  const client = await clientOf(made.api);
  assertEquals((await client.startServer!({ body: { environment: "served" } })).status, 404);
  await client.ensureEnvironment!({ body: { name: "served" } });
  const { status, value: server } = await client.startServer!({
    body: { environment: "served", transport: "http" },
  });
  assertEquals([status, server.environment, server.owner], [201, "served", "api"]);
  assertEquals(await fetch(`${server.endpoint}/health`).then((response) => response.json()), {
    status: "ok",
  });
  assertEquals((await client.listServers!()).value.servers, [server]);
  assertEquals((await client.getServer!({ id: server.id })).value, server);
  const held = await client.deleteEnvironment!({ name: "served" });
  assertEquals([held.status, held.value.error.reason], [409, "in-use"]);
  assertEquals((await client.stopServer!({ id: server.id })).value, { deleted: true });
  assertEquals((await client.stopServer!({ id: server.id })).status, 404);
  assertEquals((await client.deleteEnvironment!({ name: "served" })).value, { deleted: true });
});

Deno.test("disposing the API ends the servers that were started through it", async () => {
  await using home = await makeHome();
  let endpoint = "";
  {
    await using api = createHostApi({ environments: home.environments });
    const client = await clientOf(api);
    await client.ensureEnvironment!({ body: { name: "served" } });
    endpoint =
      (await client.startServer!({ body: { environment: "served", transport: "http" } })).value.endpoint;
  }
  const error = await fetch(`${endpoint}/health`).catch((error: unknown) => error);
  assert(error instanceof TypeError);
});

Deno.test("a long operation is told as lines of JSON and as server-sent events", async () => {
  await using made = await makeApi();
  const ask = async (name: string, accept: string): Promise<[string, string]> => {
    const response = await sender(made.api)("/environments", {
      method: "POST",
      headers: { accept, "content-type": "application/json" },
      body: JSON.stringify({ name }),
    });
    return [response.headers.get("content-type")!, await response.text()];
  };
  const [linesType, text] = await ask("lines", "application/x-ndjson");
  assertEquals(linesType, "application/x-ndjson");
  const lines = text.trim().split("\n").map((line) => JSON.parse(line));
  assertEquals(lines.at(-1).result.name, "lines");
  assert(lines.slice(0, -1).some(({ progress }) => progress.stage === "create"));
  const [eventsType, events] = await ask("events", "text/event-stream, application/json;q=0.5");
  assertEquals(eventsType, "text/event-stream");
  assertMatch(events, /^event: progress\ndata: \{.*\}\n\n/);
  assertMatch(events, /event: result\ndata: \{"name":"events".*\}\n\n$/);
  const [, failed] = await ask("events", "text/event-stream");
  assertMatch(failed, /event: error\ndata: \{"type":"EnvironmentError".*"reason":"exists".*\}\n\n$/);
});

Deno.test("who goes away ends the operation", async () => {
  await using made = await makeApi();
  const response = await sender(made.api)("/environments", {
    method: "POST",
    headers: { accept: "application/x-ndjson", "content-type": "application/json" },
    body: JSON.stringify({ name: "left", packages: ["six"] }),
  });
  const reader = response.body!.getReader();
  await reader.read();
  await reader.cancel();
  // A lock on the name is free only when the operation has ended, and has left nothing.
  assertEquals(await made.home.environments.delete("left", { force: true }), false);
});

Deno.test("without the token nothing is told", async () => {
  await using made = await makeApi();
  for (const token of ["", "x", `${made.api.token}x`, made.api.token.slice(1)]) {
    for (const path of ["/openapi.json", "/environments", "/functions"]) {
      const response = await sender(made.api, token)(path);
      assertEquals([response.status, response.headers.get("www-authenticate")], [401, "Bearer"]);
      assertEquals((await response.json()).error.type, "AuthenticationError");
    }
  }
  const basic = await made.api.fetch(
    new Request("http://host.example/environments", {
      headers: { authorization: `Basic ${made.api.token}` },
    }),
  );
  assertEquals(basic.status, 401);
  await basic.body?.cancel();
});

Deno.test("capabilities narrow what may be done, by the token and by authorize", async () => {
  await using made = await makeApi({ infrastructure: { allow: ["environments:read"] } });
  const client = await clientOf(made.api);
  assertEquals((await client.listEnvironments!()).status, 200);
  const refused = await client.createEnvironment!({ body: { name: "x" } });
  assertEquals([refused.status, refused.value.error.code], [403, "not-granted"]);
  assertStringIncludes(refused.value.error.message, "environments:write");

  await using api = createHostApi({ environments: made.home.environments }, {
    authorize: (request) => {
      if (request.headers.get("x-role") === "reader") return { allow: ["runtimes:read"] };
      return request.headers.get("x-role") === "owner";
    },
  });
  assertEquals(api.token, "");
  const statusFor = async (role: string, path: string): Promise<number> => {
    const response = await api.fetch(
      new Request(`http://host.example${path}`, { headers: { "x-role": role } }),
    );
    await response.body?.cancel();
    return response.status;
  };
  assertEquals(await statusFor("nobody", "/environments"), 401);
  assertEquals(await statusFor("reader", "/environments"), 403);
  assertEquals(await statusFor("reader", "/runtimes/default"), 200);
  assertEquals(await statusFor("owner", "/environments"), 200);
});

Deno.test("what is not a request of the document is refused as such", async () => {
  await using made = await makeApi();
  const send = sender(made.api);
  const post = async (path: string, body: string, type = "application/json"): Promise<[number, string]> => {
    const response = await send(path, { method: "POST", body, headers: { "content-type": type } });
    return [response.status, (await response.json()).error.message];
  };
  for (
    const [path, body, status, part] of [
      ["/environments", "{", 400, "not JSON"],
      ["/environments", "{}", 400, "name"],
      ["/environments", '{"name":"x","nmae":1}', 400, "nmae"],
      ["/environments", '{"name":7}', 400, "name"],
      ["/environments", '{"name":"a/b"}', 400, "letters"],
      ["/environments/ensure", '{"name":"CON"}', 400, "Windows"],
      ["/environments/ensure", '{"packages":"numpy"}', 400, "packages"],
      ["/servers", '{"environment":"x","infrastructure":{"allow":["everything"]}}', 400, "infrastructure"],
      ["/nothing", "{}", 404, "no such operation"],
    ] as const
  ) {
    const [actual, message] = await post(path, body);
    assertEquals([path, body, actual], [path, body, status]);
    assertStringIncludes(message, part);
  }
  assertEquals((await post("/environments", '{"name":"x"}', "text/plain"))[0], 400);
  assertEquals((await post("/environments", `{"name":"${"x".repeat(17 * 1024 * 1024)}"}`))[0], 413);
});
