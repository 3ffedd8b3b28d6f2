/** A page in a real browser cannot reach a server of its user: not with the token, and not one that wants none (cases S2, S3). */

import { assert, assertEquals } from "@std/assert";
import type { PythonServer } from "../../servers/mod.ts";
import { connect, start } from "./_servers.ts";

/** The programs that will do, the smallest first. */
const BROWSERS = ["chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"];
const DEADLINE_MS = 60_000;

const browser = await findBrowser();

async function findBrowser(): Promise<string | null> {
  for (const name of [Deno.env.get("BEEP_TEST_BROWSER") ?? "", ...BROWSERS]) {
    try {
      if (name !== "" && (await new Deno.Command(name, { args: ["--version"] }).output()).success) {
        return name;
      }
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  return null;
}

/** What the page tries on each server; each tells what it could read, or that it could not. */
const PAGE = `<!doctype html><title>evil</title><script type="module">
const { targets } = await (await fetch("/targets")).json();
const body = JSON.stringify({ expression: "import builtins; builtins.reached = True" });
const read = async (url, init) => {
  try {
    const response = await fetch(url, init);
    return response.type === "opaque" ? "opaque" : "read " + response.status + " " + await response.text();
  } catch (error) {
    return "blocked";
  }
};
const submit = (action, enctype, name, value) => new Promise((resolve) => {
  const frame = document.body.appendChild(document.createElement("iframe"));
  frame.name = "frame" + Math.random();
  const form = document.body.appendChild(document.createElement("form"));
  Object.assign(form, { action, enctype, method: "post", target: frame.name });
  const field = form.appendChild(document.createElement("input"));
  Object.assign(field, { name, value });
  // The first load may be that of the empty frame.
  setTimeout(() => {
    const text = frame.contentDocument?.body?.textContent ?? "";
    resolve(text === "" ? "blocked" : "seen " + text);
  }, 700);
  form.submit();
});
const results = {};
await Promise.all(targets.map(async ({ name, base, token }) => {
  const auth = { authorization: "Bearer " + token };
  const json = { "content-type": "application/json" };
  const call = base + "/api/eval";
  results[name] = {
    health: await read(base + "/health"),
    "fetch with token": await read(call, { method: "POST", headers: { ...auth, ...json }, body }),
    "fetch without token": await read(call, { method: "POST", headers: json, body }),
    "fetch with credentials": await read(call, { method: "POST", credentials: "include", body }),
    "fetch of a simple type": await read(call, { method: "POST", headers: { "content-type": "text/plain" }, body }),
    "fetch of no type": await read(call, { method: "POST", body: new Blob([body]) }),
    "no-cors": await read(call, { method: "POST", mode: "no-cors", body }),
    "no-cors with a JSON blob": await read(call, { method: "POST", mode: "no-cors", body: new Blob([body], { type: "application/json" }) }),
    "frames": await read(base + "/beep/v1/call", { method: "POST", headers: { ...auth, "content-type": "application/x-beep-frames" }, body }),
    beacon: (navigator.sendBeacon(call, new Blob([body], { type: "application/json" })), "sent"),
    form: await submit(call, "text/plain", body.slice(0, -1) + ', "x": "', '"}'),
    "form of fields": await submit(call, "application/x-www-form-urlencoded", "expression", "1"),
    image: await new Promise((resolve) => {
      const image = new Image();
      image.onload = () => resolve("read"); image.onerror = () => resolve("blocked");
      image.src = base + "/api/eval?expression=1";
    }),
    script: await new Promise((resolve) => {
      const script = document.createElement("script");
      script.onload = () => resolve("read"); script.onerror = () => resolve("blocked");
      script.src = base + "/health"; document.head.append(script);
    }),
    socket: await new Promise((resolve) => {
      const socket = new WebSocket(base.replace("http:", "ws:") + "/api/eval");
      socket.onopen = () => resolve("open"); socket.onerror = () => resolve("blocked");
    }),
  };
}));
await fetch("/report", { method: "POST", body: JSON.stringify(results) });
</script>`;

/** What is right for each; an opaque answer tells nothing, and a beacon gets none. */
const ALLOWED = ["blocked", "opaque", "sent"];

/** Runs the browser on a URL until `done` settles; every name but the page's own leads to this machine. */
async function browse(url: string, done: Promise<unknown>): Promise<void> {
  const profile = await Deno.makeTempDir({ prefix: "beep-browser-" });
  const child = new Deno.Command(browser!, {
    args: [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-dev-shm-usage",
      "--no-proxy-server",
      "--host-resolver-rules=MAP evil.example 127.0.0.1, MAP rebound.example 127.0.0.1",
      "--remote-debugging-port=0", // keeps it open
      `--user-data-dir=${profile}`,
      url,
    ],
    detached: true,
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => late.reject(new Error(`The page did not report within ${DEADLINE_MS} ms`)),
    DEADLINE_MS,
  );
  try {
    await Promise.race([
      done,
      late.promise,
      child.status.then(({ code, signal }) =>
        Promise.reject(new Error(`The browser ended with code ${code}, signal ${signal}`))
      ),
    ]);
  } finally {
    clearTimeout(timer);
    killGroup(child.pid);
    await child.status;
    await removeProfile(profile);
  }
}

/** Ends a browser with its helpers. One that could not go on is gone already, and why is what is to be told. */
function killGroup(pid: number): void {
  try {
    Deno.kill(-pid, "SIGKILL");
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** Its helpers may still write for a moment after the browser has gone. */
async function removeProfile(profile: string): Promise<void> {
  for (let tries = 0;; tries++) {
    try {
      return await Deno.remove(profile, { recursive: true });
    } catch (error) {
      if (tries > 400) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

async function wasReached(server: PythonServer): Promise<boolean> {
  await using backend = connect(server);
  return await backend.evaluate<boolean>("import builtins; hasattr(builtins, 'reached')");
}

function browserTest(name: string, fn: () => Promise<void>): void {
  const reason = "no Chromium on this machine";
  Deno.test({ name: browser === null ? `${name} (ignored: ${reason})` : name, ignore: browser === null, fn });
}

browserTest("case S3: a page cannot call a server, read from it or be answered by it", async () => {
  await using careful = await start({ transport: "http" });
  await using open = await start({ transport: "http", auth: false });
  const report = Promise.withResolvers<Record<string, Record<string, string>>>();
  // Shows that the browser really sends what the page asks for: the servers are what refuses it.
  const arrived: string[] = [];
  await using control = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    async (request) => {
      arrived.push(
        `${request.method} ${new URL(request.url).pathname} ${request.headers.get("content-type")}`,
      );
      await request.body?.cancel();
      return new Response("not ours", { status: 403 });
    },
  );
  const targets = [careful, open, { address: `http://127.0.0.1:${control.addr.port}`, token: "" }].flatMap((
    { address, token },
    i,
  ) =>
    [address, address.replace("127.0.0.1", "localhost")].map((base) => ({
      name: `${["with a token", "without a token", "the control"][i]} at ${new URL(base).hostname}`,
      base,
      token,
    }))
  );
  await using page = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    const { pathname } = new URL(request.url);
    if (pathname === "/targets") return Response.json({ targets });
    if (pathname !== "/report") return new Response(PAGE, { headers: { "content-type": "text/html" } });
    report.resolve(await request.json());
    return new Response();
  });
  await browse(`http://evil.example:${page.addr.port}/`, report.promise);
  const results = await report.promise;
  assertEquals(Object.keys(results).length, targets.length);
  for (const [target, tries] of Object.entries(results)) {
    assert(Object.keys(tries).length >= 15);
    for (const [what, came] of Object.entries(tries)) {
      assert(ALLOWED.includes(came), `${what}, ${target}: ${came}`);
    }
  }
  for (
    const sent of ["GET /health null", "OPTIONS /api/eval null", "POST /api/eval text/plain;charset=UTF-8"]
  ) {
    assert(arrived.includes(sent), `the browser sent no ${sent}: ${arrived.join(", ")}`);
  }
  assertEquals([await wasReached(careful), await wasReached(open)], [false, false]);
});

browserTest("case S2: a name that is made to point here gets no further than any other", async () => {
  // The attacker's page and the server have the same port and, for the browser, the same origin.
  await using open = await start({ transport: "http", auth: false });
  const { port } = new URL(open.address);
  const origin = `http://rebound.example:${port}`;
  const { stdout } = await new Deno.Command(browser!, {
    args: [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-dev-shm-usage",
      "--no-proxy-server",
      "--host-resolver-rules=MAP rebound.example 127.0.0.1",
      "--dump-dom",
      `${origin}/health`,
    ],
    stdin: "null",
    stderr: "null",
    signal: AbortSignal.timeout(DEADLINE_MS),
  }).output();
  const shown = new TextDecoder().decode(stdout);
  assert(!shown.includes('"status":"ok"'), shown);
  assert(shown.includes("no name of this server") || shown.includes("421"), shown);
});
