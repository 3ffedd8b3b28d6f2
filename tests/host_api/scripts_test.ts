/** Scripts that are started in an environment, and ask the host. */

import { assertEquals, assertStringIncludes } from "@std/assert";
// The host's module gives scripts their way to it; importing the whole is what users do.
import { Infrastructure, PythonHost } from "../../mod.ts";
import { makeHome } from "./_hosted.ts";

const SCRIPT = `
import json, os, sys
from beep_host.infrastructure import NotGrantedError, ServerManager, VenvManager
environments = VenvManager()
names = [one.name for one in environments.list()]
try:
    environments.ensure("made-by-script")
    names.append("made")
except NotGrantedError:
    names.append("refused")
with open(os.environ["BEEP_HOST_API"]) as file:
    token = json.load(file)["token"]
names.append(any(token in text for text in [*os.environ.values(), *sys.argv]))
print(json.dumps(names))
`;

/** A home with an environment and a script. */
async function prepare() {
  const home = await makeHome();
  const environments = new Infrastructure.VenvManager();
  await environments.ensure({ name: "scripts", packages: [] });
  const script = `${home.path}/script.py`;
  await Deno.writeTextFile(script, SCRIPT);
  return { environments, script, home, [Symbol.asyncDispose]: () => home[Symbol.asyncDispose]() };
}

Deno.test("a script with access asks the host, and never sees the token", async () => {
  await using made = await prepare();
  const { environments, script, home } = made;
  const result = await environments.run("scripts", { script, infrastructure: true });
  assertEquals([result.stderr, JSON.parse(result.stdout)], ["", ["scripts", "made", false]]);
  assertEquals((await environments.status("made-by-script")).state, "ready");
  assertEquals(Array.from(Deno.readDirSync(`${home.path}/run`), ({ name }) => name), []);
});

Deno.test("a script's access can be narrowed, and is not there unless it is asked for", async () => {
  await using made = await prepare();
  const { environments, script } = made;
  const narrow = await environments.run("scripts", {
    script,
    infrastructure: { allow: ["environments:read"] },
  });
  assertEquals(JSON.parse(narrow.stdout), ["scripts", "refused", false]);
  const none = await environments.run("scripts", { script });
  assertEquals(none.code, 1);
  assertStringIncludes(none.stderr, "beep_host");
});

Deno.test("the user's own PYTHONPATH stays", async () => {
  await using made = await prepare();
  const { environments, home } = made;
  const folder = `${home.path}/modules`;
  await Deno.mkdir(folder);
  await Deno.writeTextFile(`${folder}/own_module.py`, "VALUE = 7\n");
  const script = `${home.path}/both.py`;
  await Deno.writeTextFile(script, "import beep_host.infrastructure, own_module; print(own_module.VALUE)");
  const result = await environments.run("scripts", {
    script,
    infrastructure: true,
    env: { PYTHONPATH: folder },
  });
  assertEquals([result.stderr, result.stdout.trim()], ["", "7"]);
});

Deno.test("Python runs a script that asks the host with its starter's own grants", async () => {
  await using made = await prepare();
  await using host = await PythonHost.start({
    environment: "scripts",
    infrastructure: { allow: ["environments:read", "environments:run"] },
  });
  const output = await host.evaluate<string>(
    "from beep_host.infrastructure import VenvManager\nVenvManager().run('scripts', path, infrastructure=True).stdout",
    { path: made.script },
  );
  assertEquals(JSON.parse(output), ["scripts", "refused", false]);
});
