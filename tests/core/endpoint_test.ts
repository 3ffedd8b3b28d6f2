import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import {
  checkPipeEndpoint,
  checkSocketPath,
  checkUrlEndpoint,
  dataDirectory,
  type DirectoryEnvironment,
  entryFileName,
  formatRunEntry,
  isPipeName,
  MAX_SOCKET_PATH_BYTES,
  parseRunEntry,
  portOf,
  runDirectory,
  type RunEntry,
} from "../../core/endpoint.ts";
import { ConnectError, ProtocolError } from "../../core/errors.ts";

function environment(os: string, values: Record<string, string>): DirectoryEnvironment {
  return { os, get: (name) => values[name] };
}

const DIRECTORIES: readonly [string, string, Record<string, string>, string, string][] = [
  [
    "BEEP_PYTHON_HOME wins everywhere",
    "linux",
    { BEEP_PYTHON_HOME: "/b", XDG_DATA_HOME: "/x", XDG_RUNTIME_DIR: "/r", HOME: "/h" },
    "/b",
    "/b/run",
  ],
  [
    "Linux without XDG variables",
    "linux",
    { HOME: "/h" },
    "/h/.local/share/beep/python-host",
    "/h/.local/share/beep/python-host/run",
  ],
  [
    "Linux with XDG variables",
    "linux",
    { HOME: "/h", XDG_DATA_HOME: "/d", XDG_RUNTIME_DIR: "/run/user/1" },
    "/d/beep/python-host",
    "/run/user/1/beep-python-host",
  ],
  [
    "a variable that is set to nothing counts as not set",
    "linux",
    { BEEP_PYTHON_HOME: "", HOME: "/h", XDG_DATA_HOME: "", XDG_RUNTIME_DIR: "" },
    "/h/.local/share/beep/python-host",
    "/h/.local/share/beep/python-host/run",
  ],
  [
    "macOS",
    "darwin",
    { HOME: "/Users/u" },
    "/Users/u/Library/Application Support/beep/python-host",
    "/Users/u/Library/Application Support/beep/python-host/run",
  ],
  [
    "Windows",
    "windows",
    { LOCALAPPDATA: "C:\\L", XDG_RUNTIME_DIR: "ignored" },
    "C:\\L\\beep\\python-host",
    "C:\\L\\beep\\python-host\\run",
  ],
  [
    "Windows without LOCALAPPDATA",
    "windows",
    { USERPROFILE: "C:\\U" },
    "C:\\U\\AppData\\Local\\beep\\python-host",
    "C:\\U\\AppData\\Local\\beep\\python-host\\run",
  ],
];

for (const [name, os, values, data, run] of DIRECTORIES) {
  Deno.test(`dataDirectory() and runDirectory(): ${name}`, () => {
    assertEquals(dataDirectory(environment(os, values)), data);
    assertEquals(runDirectory(environment(os, values)), run);
  });
}

Deno.test("dataDirectory() says what to set when there is no home", () => {
  for (const os of ["linux", "darwin", "windows"]) {
    const error = assertThrows(() => dataDirectory(environment(os, {})), ConnectError);
    assertStringIncludes(error.hint!, "BEEP_PYTHON_HOME");
  }
});

Deno.test("isPipeName() accepts names and nothing that could leave the directory", () => {
  for (const name of ["beep-python-pipe", "a", "A.b_c-9", "x".repeat(64)]) {
    assertEquals(isPipeName(name), true, name);
  }
  for (const name of ["", ".hidden", "-x", "../x", "a/b", "a\\b", "a b", "a\0", "ü", "x".repeat(65), "a\n"]) {
    assertEquals(isPipeName(name), false, JSON.stringify(name));
  }
});

Deno.test("checkPipeEndpoint() takes names and absolute paths", () => {
  for (const endpoint of ["name", "/tmp/s", "\\\\.\\pipe\\x", "C:\\x\\y"]) {
    assertEquals(checkPipeEndpoint(endpoint), endpoint);
  }
  for (const endpoint of ["", "a/b", "./s", "../x", "~/s"]) {
    assertThrows(() => checkPipeEndpoint(endpoint), ConnectError, "Cannot use pipe endpoint");
  }
});

Deno.test("checkUrlEndpoint() takes http and https, and no credentials", () => {
  assertEquals(portOf(checkUrlEndpoint("http://localhost:5678")), 5678);
  assertEquals(portOf(checkUrlEndpoint("http://localhost")), 80);
  assertEquals(portOf(checkUrlEndpoint("https://host/")), 443);
  for (const endpoint of ["", "localhost:5678", "ftp://x", "unix:/s"]) {
    assertThrows(() => checkUrlEndpoint(endpoint), ConnectError);
  }
  const secrets = [
    "http://user:secret@h",
    "http://h/?t=secret",
    "http://h/secret",
    "http://h#secret",
    "h?t=secret",
    "ftp://h#secret",
  ];
  for (const endpoint of secrets) {
    const error = assertThrows(() => checkUrlEndpoint(endpoint), ConnectError);
    assertEquals(Deno.inspect(error).includes("secret"), false, endpoint);
  }
});

Deno.test("entryFileName() names the file of a server", () => {
  assertEquals(entryFileName("pipe", "beep-python-pipe"), "pipe-beep-python-pipe.json");
  assertEquals(entryFileName("http", 5678), "http-5678.json");
});

Deno.test("parseRunEntry() reads what formatRunEntry() wrote", () => {
  const entry: RunEntry = {
    schema: 1,
    transport: "pipe",
    endpoint: "ü",
    address: "/tmp/ü s",
    pid: 7,
    token: "t",
  };
  assertEquals(parseRunEntry(formatRunEntry(entry), "p"), entry);
});

Deno.test("parseRunEntry() refuses what is no entry, naming the file", () => {
  const whole = { schema: 1, transport: "pipe", endpoint: "e", address: "a", pid: 1, token: "" };
  for (const text of ["", "{", "null", "[]", "1", JSON.stringify({ ...whole, schema: 2 })]) {
    assertThrows(() => parseRunEntry(text, "/run/x.json"), ProtocolError, "/run/x.json");
  }
  for (const key of Object.keys(whole)) {
    const { [key as keyof typeof whole]: _, ...rest } = whole;
    assertThrows(() => parseRunEntry(JSON.stringify(rest), "/run/x.json"), ProtocolError, "/run/x.json");
  }
});

Deno.test("checkSocketPath() counts bytes, not characters", () => {
  const longest = "/" + "x".repeat(MAX_SOCKET_PATH_BYTES - 1);
  assertEquals(checkSocketPath(longest), longest);
  assertThrows(() => checkSocketPath(longest + "x"), ConnectError, "104 bytes long, the most is 103");
  assertThrows(() => checkSocketPath("/" + "ü".repeat(52)), ConnectError, "105 bytes long");
});
