/**
 * The host's API as a program of its own: `deno run -A examples/embed_serve.ts [port]`.
 *
 * It prints where it listens and the token that every request must show.
 */

import { createHostApi, Infrastructure } from "@beep/python-host";

await using api = createHostApi({ environments: new Infrastructure.VenvManager() });
await using server = Deno.serve({
  hostname: "127.0.0.1",
  port: Number(Deno.args[0] ?? 8080),
  onListen: ({ port }) => console.log(JSON.stringify({ url: `http://127.0.0.1:${port}`, token: api.token })),
}, api.fetch);
Deno.addSignalListener("SIGINT", () => void server.shutdown());
await server.finished;
