/** An index of packages on this machine: one that has a package, and one that never answers. */

import { findPython } from "./_hosted.ts";

/** The package that the index has. */
export const PACKAGE = "beep-test-tiny";

const WHEEL = "beep_test_tiny-1.0-py3-none-any.whl";

const MAKE_WHEEL = `
import io, sys, zipfile
data = io.BytesIO()
with zipfile.ZipFile(data, "w") as wheel:
    about = "beep_test_tiny-1.0.dist-info/"
    wheel.writestr("beep_test_tiny.py", "")
    wheel.writestr(about + "METADATA", "Metadata-Version: 2.1\\nName: beep-test-tiny\\nVersion: 1.0\\n")
    wheel.writestr(about + "WHEEL", "Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
    wheel.writestr(about + "RECORD", "".join(f"{name},,\\n" for name in wheel.namelist()) + about + "RECORD,,\\n")
sys.stdout.buffer.write(data.getvalue())
`;

/** Serves an index with `PACKAGE` in it. */
export async function startIndex(): Promise<{ readonly url: string } & AsyncDisposable> {
  const { stdout: wheel } = await new Deno.Command(await findPython(), { args: ["-I", "-c", MAKE_WHEEL] })
    .output();
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, ({ url }) => {
    const { pathname } = new URL(url);
    if (pathname === `/${WHEEL}`) return new Response(wheel);
    if (pathname !== `/simple/${PACKAGE}/`) return new Response("no such package", { status: 404 });
    return new Response(`<a href="/${WHEEL}">${WHEEL}</a>`, { headers: { "content-type": "text/html" } });
  });
  return {
    url: `http://127.0.0.1:${server.addr.port}/simple`,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

/** Listens like an index, and never answers: an installer that asks it waits for as long as installers wait. */
export function startSilentIndex(): { readonly url: string } & AsyncDisposable {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const connections: Deno.Conn[] = [];
  const accepted = (async () => {
    for await (const connection of listener) connections.push(connection);
  })();
  return {
    url: `http://127.0.0.1:${listener.addr.port}/simple`,
    async [Symbol.asyncDispose]() {
      listener.close();
      await accepted;
      for (const connection of connections) connection.close();
    },
  };
}
