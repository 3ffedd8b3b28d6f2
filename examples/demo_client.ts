/**
 * One of the demo's three client programs. It knows a transport and an endpoint; everything else it asks Python to do,
 * and Python asks the host: an environment, a package in it, a server that runs there, and their end.
 *
 * Run by the demo: deno run -A examples/demo_client.ts <transport> <endpoint> <package> <name>
 */

import { type PythonHostBackend, PythonHostHttp, PythonHostPipe, PythonHostRpc } from "@beep/python-host";
import { assert, assertEquals } from "@std/assert";

const [transport, endpoint, wheel, name] = Deno.args;
const Backend = { http: PythonHostHttp, pipe: PythonHostPipe, rpc: PythonHostRpc }[transport!];
assert(Backend !== undefined && name !== undefined, "Give a transport, an endpoint, a package and a name");
await using backend: PythonHostBackend = new Backend(endpoint);
await backend.initialize();

await backend.evaluate("from beep_host.infrastructure import PackageInstaller, ServerManager, VenvManager");

// The environment, and a package in it.
await backend.evaluate("VenvManager().create(name)", { name });
assertEquals(await backend.evaluate("PackageInstaller(name).install(wheel).name", { name, wheel }), name);
assert(await backend.evaluate("name in [one.name for one in VenvManager().list()]", { name }));
const installed = await backend.evaluate("[one.name for one in PackageInstaller(name).list()]", { name });
assertEquals(installed, ["beep-demo"]);

// Code in it, through a server that the host starts there.
const server = await backend.evaluate<{ id: string; endpoint: string }>(
  `
  server = ServerManager().start(name, "http")
  {"id": server.id, "endpoint": server.endpoint}
  `,
  { name },
);
{
  await using inside = new PythonHostHttp(server.endpoint);
  await inside.initialize();
  console.log(
    await inside.evaluate("import beep_demo\nbeep_demo.greet(who)", { who: transport }),
  );
}

// And nothing of it stays.
await backend.evaluate("ServerManager().stop(server.id)");
assertEquals(await backend.evaluate("VenvManager().delete(name)", { name }), true);
assertEquals(await backend.evaluate("VenvManager().exists(name)", { name }), false);
