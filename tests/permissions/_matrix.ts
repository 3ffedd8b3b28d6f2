/** The sets of permissions that the README documents, each with a program that needs exactly that. */

/** Where a program finds what it works with. */
export interface Scene {
  /** `BEEP_PYTHON_HOME` of the program. */
  readonly home: string;
  /** The interpreter of an environment. */
  readonly python: string;
  /** The directory of that environment. */
  readonly environment: string;
  /** A running server over HTTP. */
  readonly http: { readonly port: string; readonly address: string; readonly token: string };
  /** A running server over RPC. */
  readonly rpc: { readonly port: string; readonly address: string; readonly token: string };
  /** A running server on the pipe `documented`. */
  readonly pipe: { readonly path: string; readonly token: string };
}

/** One row of the table. */
export interface Row {
  /** What the README calls it. */
  readonly name: string;
  /** The flags, one for each kind of permission. */
  flags(scene: Scene): readonly string[];
  /** The program, which prints 42; `LIBRARY` stands for the path of the module. */
  program(scene: Scene): string;
  /** Whether connecting is a step of its own, after the start. */
  readonly connectsLater?: true;
}

const print = (backend: string): string =>
  `await using python = ${backend};\nconsole.log(await python.evaluate("6 * 7"));`;

export const ROWS: readonly Row[] = [
  {
    name: "connect over HTTP with a token",
    flags: ({ http }) => [`--allow-net=127.0.0.1:${http.port}`],
    program: ({ http }) =>
      `import { PythonHostHttp } from "LIBRARY/transports/mod.ts";\n` +
      print(`new PythonHostHttp("${http.address}", { token: "${http.token}" })`),
  },
  {
    name: "connect over HTTP, the token looked up",
    flags: (
      { http, home },
    ) => [`--allow-net=127.0.0.1:${http.port}`, `--allow-read=${home}/run`, "--allow-env"],
    program: ({ http }) =>
      `import { PythonHostHttp } from "LIBRARY/transports/mod.ts";\n` +
      print(`new PythonHostHttp("http://localhost:${http.port}")`),
  },
  {
    name: "connect over RPC with a token",
    flags: ({ rpc }) => [`--allow-net=127.0.0.1:${rpc.port}`],
    program: ({ rpc }) =>
      `import { PythonHostRpc } from "LIBRARY/transports/mod.ts";\n` +
      print(`new PythonHostRpc("${rpc.address}", { token: "${rpc.token}" })`),
  },
  {
    name: "connect over RPC, the token looked up",
    flags: (
      { rpc, home },
    ) => [`--allow-net=127.0.0.1:${rpc.port}`, `--allow-read=${home}/run`, "--allow-env"],
    program: ({ rpc }) =>
      `import { PythonHostRpc } from "LIBRARY/transports/mod.ts";\n` +
      print(`new PythonHostRpc("http://localhost:${rpc.port}")`),
  },
  {
    name: "connect to a pipe by its name",
    flags: ({ home, pipe }) => [
      `--allow-net=unix:${pipe.path}`,
      `--allow-read=${home}/run`,
      `--allow-write=${home}/run`,
      "--allow-env",
    ],
    program: () =>
      `import { PythonHostPipe } from "LIBRARY/transports/mod.ts";\n` +
      print(`new PythonHostPipe("documented")`),
  },
  {
    name: "connect to a pipe by its path, with a token",
    flags: (
      { pipe },
    ) => [`--allow-net=unix:${pipe.path}`, `--allow-read=${pipe.path}`, `--allow-write=${pipe.path}`],
    program: ({ pipe }) =>
      `import { PythonHostPipe } from "LIBRARY/transports/mod.ts";\n` +
      print(`new PythonHostPipe("${pipe.path}", { token: "${pipe.token}" })`),
  },
  {
    name: "start a server on a pipe of a name, and connect to it",
    connectsLater: true,
    flags: ({ home, python, environment }) => [
      `--allow-run=${python}`,
      `--allow-read=${home},${environment}`,
      `--allow-write=${home}`,
      `--allow-net=unix:${home}/run/fresh.sock`,
      "--allow-env",
    ],
    program: ({ python }) =>
      `import { startServer } from "LIBRARY/servers/mod.ts";
import { PythonHostPipe } from "LIBRARY/transports/mod.ts";
await using server = await startServer({ python: "${python}", name: "fresh" });\n` +
      print(`new PythonHostPipe("fresh")`),
  },
  {
    name: "start a server over HTTP, and connect to it",
    connectsLater: true,
    flags: ({ home, python, environment }) => [
      `--allow-run=${python}`,
      `--allow-read=${home},${environment}`,
      `--allow-write=${home}`,
      "--allow-net=127.0.0.1",
      "--allow-env",
    ],
    program: ({ python }) =>
      `import { startServer } from "LIBRARY/servers/mod.ts";
import { PythonHostHttp } from "LIBRARY/transports/mod.ts";
await using server = await startServer({ python: "${python}", transport: "http" });\n` +
      print(`new PythonHostHttp(server.endpoint)`),
  },
  {
    name: "PythonHost.start in an environment that is named by its path",
    flags: ({ home, python, environment }) => [
      `--allow-run=${python}`,
      `--allow-read=${home},${environment}`,
      `--allow-write=${home}`,
      "--allow-net",
      "--allow-env",
    ],
    program: ({ environment }) =>
      `import { PythonHost } from "LIBRARY/mod.ts";\n` +
      print(`await PythonHost.start({ environment: { path: "${environment}" } })`),
  },
  {
    name: "PythonHost.start over HTTP, without what reaches back to the host",
    flags: ({ home, python, environment }) => [
      `--allow-run=${python}`,
      `--allow-read=${home},${environment}`,
      `--allow-write=${home}`,
      "--allow-net=127.0.0.1",
      "--allow-env",
    ],
    program: ({ environment }) =>
      `import { PythonHost } from "LIBRARY/mod.ts";\n` +
      print(
        `await PythonHost.start({ environment: { path: "${environment}" }, transport: "http", infrastructure: false })`,
      ),
  },
  {
    name: "find a Python, make an environment and start in it",
    flags: (
      { home },
    ) => ["--allow-run", "--allow-read", `--allow-write=${home}`, "--allow-net", "--allow-env"],
    program: () =>
      `import { PythonHost } from "LIBRARY/mod.ts";\n` +
      print(`await PythonHost.start({ environment: "documented", download: "never" })`),
  },
];
