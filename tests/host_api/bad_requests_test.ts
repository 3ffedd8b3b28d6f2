/**
 * What the host's API answers to requests that cannot be meant: a status that says whose fault it is, and no more than
 * that.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { createHostApi, EnvironmentError, type HostApi } from "../../mod.ts";
import { type Home, makeHome } from "./_hosted.ts";

interface Case {
  readonly request: string;
  readonly body?: string | Uint8Array<ArrayBuffer>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly status: number;
  readonly says?: RegExp;
}

const BAD: readonly Case[] = [
  { request: "POST /environments", body: '{"name":', status: 400, says: /not JSON/ },
  { request: "POST /environments", body: "[]", status: 400 },
  { request: "POST /environments", body: "null", status: 400 },
  { request: "POST /environments", body: '{"name":"a","__proto__":{"x":1}}', status: 400, says: /__proto__/ },
  { request: "POST /environments", body: '{"name":"a","name":"../x"}', status: 400, says: /name/ },
  { request: "POST /environments", body: "[".repeat(200_000), status: 400 },
  // A name that arrived damaged would otherwise be another name.
  { request: "POST /environments", body: Uint8Array.of(0x22, 0xff, 0x22), status: 400, says: /not JSON/ },
  { request: "POST /environments", body: "{}", headers: { "content-type": "text/plain" }, status: 400 },
  { request: "GET /environments/..%2F..%2Fetc", status: 400, says: /name/ },
  { request: "DELETE /environments/..%2F..%2Ftmp", status: 400, says: /name/ },
  { request: "GET /environments/a%00b", status: 400, says: /name/ },
  { request: "GET /environments/%ff", status: 400, says: /name/ },
  { request: "GET /environments/__proto__", status: 400, says: /name/ },
  { request: "GET /environments/constructor", status: 404 },
  { request: "GET /environments/", status: 404 },
  { request: "GET //environments", status: 404 },
  { request: "OPTIONS /environments", status: 405, says: /it takes GET, POST/ },
  { request: "PATCH /environments/one", status: 405, says: /it takes GET, DELETE/ },
  { request: "DELETE /environments/one?force=1", status: 400 },
  {
    request: "POST /environments/one/uninstall",
    body: '{"packages":["nope"]}',
    status: 400,
    says: /has no nope/,
  },
  {
    request: "POST /environments/ensure",
    body: '{"name":"q","lock":"six==1","packages":["a"]}',
    status: 400,
  },
  { request: "POST /environments/ensure", body: '{"name":"q","python":"/nonexist"}', status: 404 },
  { request: "POST /environments/one/run", body: '{"module":"json","env":{"A=B":"x"}}', status: 400 },
  { request: "POST /environments/one/run", body: '{"module":"json","args":["a\\u0000b"]}', status: 400 },
  { request: "POST /environments/one/run", body: '{"module":"json","cwd":"/nonexist"}', status: 400 },
  { request: "POST /runtimes/install", body: '{"request":"9.9"}', status: 400, says: /none is known/ },
  {
    request: "POST /servers",
    body: '{"environment":"one","port":5}',
    status: 400,
    says: /a pipe has no port/,
  },
  { request: "POST /servers", body: '{"environment":"one","name":"../x"}', status: 400 },
  { request: "POST /servers", body: '{"environment":"one","transport":"http","name":"x"}', status: 400 },
  { request: "DELETE /servers/none", status: 404 },
  { request: "POST /functions/__proto__/constructor", body: "x", status: 404 },
];

/** What would make an installer do something else than install: options, files, several lines. */
const NO_REQUIREMENTS: readonly string[] = [
  "-r /etc/passwd",
  " --requirement=/etc/passwd",
  "-c /etc/passwd",
  "-e /tmp",
  "--index-url=http://elsewhere",
  "six\n-r /etc/passwd",
  "six\r--pre",
];

async function ask(api: HostApi, one: Case): Promise<Response> {
  const [method, path] = one.request.split(" ");
  return await api.fetch(
    new Request(`http://localhost${path}`, {
      method: method!,
      headers: {
        authorization: `Bearer ${api.token}`,
        "content-type": "application/json",
        ...one.headers,
      },
      ...(one.body === undefined ? {} : { body: one.body }),
    }),
  );
}

async function withOne(home: Home): Promise<void> {
  await home.environments.ensure({ name: "one", packages: [] });
}

Deno.test("each bad request is answered as one, and the host goes on", async () => {
  await using home = await makeHome();
  await withOne(home);
  await using api = createHostApi({ environments: home.environments });
  for (const one of BAD) {
    const response = await ask(api, one);
    const { error } = await response.json();
    assertEquals(response.status, one.status, `${one.request}: ${JSON.stringify(error)}`);
    if (one.says !== undefined) assert(one.says.test(error.message), `${one.request}: ${error.message}`);
    if (one.status === 405) assert(response.headers.get("allow") !== null);
  }
  const { state } = await (await ask(api, { request: "GET /environments/one", status: 200 })).json();
  assertEquals(state, "ready");
});

Deno.test("no file is read and no option set by what is given as a package", async () => {
  await using home = await makeHome();
  await withOne(home);
  await using api = createHostApi({ environments: home.environments });
  for (const line of NO_REQUIREMENTS) {
    const body = JSON.stringify({ packages: [line] });
    const response = await ask(api, { request: "POST /environments/one/install", body, status: 400 });
    const text = await response.text();
    assertEquals(response.status, 400, text);
    assert(!text.includes("root:"), text);
    const lock = JSON.stringify({ name: "locked", lock: `six==1.0\n${line}` });
    if (/-r|-c|-e/.test(line) && !line.includes("\r")) {
      const refused = await ask(api, { request: "POST /environments/ensure", body: lock, status: 400 });
      assertEquals([line, refused.status], [line, 400]);
      await refused.body?.cancel();
    }
    if (/^\s*--?(pre|index)/.test(line) || line.includes("--pre")) continue; // options of an installer's files
    for (
      const call of [
        () => home.environments.ensure({ name: "other", packages: [line] }),
        () => home.environments.install("one", [line]),
        () => home.environments.ensure({ name: "other", packages: [], constraints: [line] }),
      ]
    ) {
      assertEquals((await assertRejects(call, EnvironmentError)).reason, "input", line);
    }
  }
});

Deno.test("a deadline of more than 24 days is none that ends at once", async () => {
  await using home = await makeHome();
  await withOne(home);
  const { code, timedOut } = await home.environments.run("one", {
    module: "json.tool",
    args: ["--help"],
    timeoutMs: 3_000_000_000,
  });
  assertEquals([code, timedOut], [0, false]);
});

Deno.test("who ensures and deletes one name at once gets what there is, or nothing", async () => {
  await using home = await makeHome();
  await using api = createHostApi({ environments: home.environments });
  const ensure: Case = {
    request: "POST /environments/ensure",
    body: '{"name":"race","packages":[]}',
    status: 200,
  };
  const remove: Case = { request: "DELETE /environments/race", status: 200 };
  for (let round = 0; round < 3; round++) {
    const answers = await Promise.all(
      [ensure, remove, ensure, remove, ensure, remove].map((one) => ask(api, one)),
    );
    for (const answer of answers) assertEquals(answer.status, 200, await answer.text());
    const after = await ask(api, { request: "GET /environments/race", status: 200 });
    const { state } = await after.json();
    assert(after.status === 404 || state === "ready", String(state));
  }
  assertEquals((await ask(api, ensure)).status, 200);
});
