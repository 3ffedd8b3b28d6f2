/**
 * The private endpoint on which one server's Python reaches its host.
 *
 * ```text
 * run directory (0700)     host-….sock       the host's API, for whoever knows the token
 *                          host-….api (0600) {schema, address, token}: the path goes to Python, the token never does
 * ```
 *
 * Where there are no Unix sockets it is a loopback port.
 *
 * @module
 */

import type { Logger } from "../core/logger.ts";
import { ensurePrivateDirectory, hostRunDirectory, joinPath } from "../servers/directories.ts";
import type { HostApiAccess } from "../servers/mod.ts";
import { claimSocket, type SocketClaim } from "../servers/socket_address.ts";
import { BearerToken } from "./api_token.ts";
import type { HostCapability } from "./api_capabilities.ts";
import type { ApiServices } from "./api_route.ts";
import { RunningWork } from "./api_work.ts";

/** Opens an endpoint; it is closed by disposing it. */
export async function openPrivateApi(
  services: ApiServices,
  granted: ReadonlySet<HostCapability>,
  logger: Logger,
): Promise<HostApiAccess> {
  await using undo = new AsyncDisposableStack();
  const directory = hostRunDirectory();
  await ensurePrivateDirectory(directory);
  await removeDeadFiles(directory);
  const token = new BearerToken();
  const closing = new AbortController();
  const work = new RunningWork();
  let app: ReturnType<typeof load> | undefined;
  const load = async () => {
    const { createApp } = await import("./api_app.ts");
    const authorize = (request: Request) => Promise.resolve(token.isIn(request) ? granted : undefined);
    return createApp({ services, authorize, closing: closing.signal, work, logger });
  };
  const handler = async (request: Request, info: Deno.ServeHandlerInfo<Deno.Addr>) =>
    await (await (app ??= load()))(request, info);

  const listener = await listen(directory, handler, closing.signal, logger);
  const { server, claim, address } = listener;
  // A host that has nothing else to do may end; its servers end with it.
  server.unref();
  const path = joinPath(directory, `host-${crypto.getRandomValues(new Uint8Array(8)).toHex()}.api`);
  undo.defer(async () => {
    server.ref(); // its end is waited for
    closing.abort();
    await server.finished;
    await work.settled();
    await claim?.[Symbol.asyncDispose]();
    await removeIfThere(path);
  });
  const text = JSON.stringify({ schema: 1, address, token: token.text });
  await Deno.writeTextFile(path, `${text}\n`, { createNew: true, mode: 0o600 });
  const kept = undo.move();
  let closed: Promise<void> | undefined;
  return {
    path,
    removeNow(): void {
      claim?.removeNow();
      Deno.removeSync(path);
    },
    async [Symbol.asyncDispose](): Promise<void> {
      await (closed ??= kept.disposeAsync());
    },
  };
}

interface Listener {
  readonly server: Deno.HttpServer;
  readonly address: string;
  readonly claim: SocketClaim | undefined;
}

async function listen(
  directory: string,
  handler: (request: Request, info: Deno.ServeHandlerInfo<Deno.Addr>) => Promise<Response>,
  signal: AbortSignal,
  logger: Logger,
): Promise<Listener> {
  const onListen = (): void => {};
  if (Deno.build.os === "windows") {
    const server = Deno.serve({ hostname: "127.0.0.1", port: 0, signal, onListen }, handler);
    return { server, claim: undefined, address: `http://127.0.0.1:${server.addr.port}` };
  }
  const claim = await claimSocket(directory, undefined, logger);
  try {
    const server = Deno.serve({ path: claim.path, transport: "unix", signal, onListen }, handler);
    await Deno.chmod(claim.path, 0o600);
    return { server, claim, address: `unix:${claim.path}` };
  } catch (error) {
    await claim[Symbol.asyncDispose]();
    throw error;
  }
}

/** Removes what hosts have left that were killed: files whose socket refuses. */
async function removeDeadFiles(directory: string): Promise<void> {
  for await (const { name } of Deno.readDir(directory)) {
    if (!name.endsWith(".api")) continue;
    const path = joinPath(directory, name);
    const socket = await addressIn(path);
    if (socket === undefined || !socket.startsWith("unix:") || !await refuses(socket.slice(5))) continue;
    if (socket.slice(5).startsWith(directory)) await removeIfThere(socket.slice(5));
    await removeIfThere(path);
  }
}

async function addressIn(path: string): Promise<string | undefined> {
  try {
    const { address } = JSON.parse(await Deno.readTextFile(path));
    return typeof address === "string" ? address : undefined;
  } catch (error) {
    // Gone in the meantime, or being written just now.
    if (error instanceof Deno.errors.NotFound || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

async function refuses(path: string): Promise<boolean> {
  try {
    (await Deno.connect({ transport: "unix", path })).close();
    return false;
  } catch (error) {
    return error instanceof Deno.errors.ConnectionRefused || error instanceof Deno.errors.NotFound;
  }
}

async function removeIfThere(path: string): Promise<void> {
  try {
    await Deno.remove(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
