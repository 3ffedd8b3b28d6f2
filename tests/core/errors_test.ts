import { assert, assertEquals, assertInstanceOf, assertStringIncludes } from "@std/assert";
import * as errors from "../../core/errors.ts";
import {
  PythonError,
  type PythonExceptionInfo,
  PythonHostError,
  ServerExitedError,
} from "../../core/errors.ts";

function exception(changes: Partial<PythonExceptionInfo> = {}): PythonExceptionInfo {
  return {
    type: "ValueError",
    module: "builtins",
    bases: ["builtins.ValueError", "builtins.Exception"],
    message: "no",
    arguments: ["no"],
    frames: [],
    notes: ["a note"],
    traceback: "Traceback …",
    ...changes,
  };
}

/** One instance of each class, made as its users make it. */
const INSTANCES: readonly PythonHostError[] = [
  new errors.PythonHostError("argument", "Cannot use x: it is wrong"),
  new errors.PythonError(exception()),
  new errors.CallTimeoutError("evaluate Python code", 5),
  new errors.CallNotInterruptedError("evaluate Python code", 5),
  new errors.ValueConversionError("Cannot convert it", "$.a"),
  new errors.StaleHandleError("Cannot use handle 1"),
  new errors.ConnectError("Cannot connect"),
  new errors.AuthenticationError("Cannot connect"),
  new errors.ConnectionClosedError("Cannot use backend"),
  new errors.ServerExitedError("go on", { code: 1, signal: null, stderrTail: "" }),
  new errors.ServerStartError("Cannot start server"),
  new errors.CrashLoopError(6, 60_000),
  new errors.AddressInUseError("port 80", "Cannot listen at port 80"),
  new errors.ProtocolError("remote", "Cannot read frame"),
  new errors.PermissionNeededError("start", ["--allow-run"]),
  new errors.PythonNotFoundError(">=3.9", []),
  new errors.EnvironmentError("Cannot make environment"),
  new errors.CommandError("install", { command: ["pip"], exitCode: 1, output: "no" }),
  new errors.DownloadError("Cannot download it", "https://host/x"),
  new errors.HashMismatchError("https://host/x", "00", "11"),
];

Deno.test("every exported error class has an instance in these tests", () => {
  const classes = Object.values(errors).filter((value) =>
    typeof value === "function" && (value === PythonHostError || value.prototype instanceof PythonHostError)
  );
  const made = new Set(INSTANCES.map((error) => error.constructor));
  assertEquals(classes.filter((value) => !made.has(value)).map((value) => value.name), []);
});

for (const error of INSTANCES) {
  const name = error.constructor.name;

  Deno.test(`${name} is a PythonHostError with its own name, a code and a message of std's style`, () => {
    assertInstanceOf(error, PythonHostError);
    assertInstanceOf(error, Error);
    assertEquals(error.name, name);
    assertStringIncludes(error.stack!, name);
    assert(error.code.length > 0);
    if (error instanceof PythonError) return; // its message is Python's
    assert(/^[A-Z]/.test(error.message), error.message);
    assert(!/\.$/.test(error.message), error.message);
  });
}

Deno.test("PythonHostError.toString() puts the hint on a line of its own", () => {
  const error = new errors.ConnectError("Cannot connect", { hint: "Start a server." });
  assertEquals(`${error}`, "ConnectError: Cannot connect\nhint: Start a server.");
  assertEquals(
    Object.keys(new errors.ConnectError("Cannot connect")).includes("hint"),
    false,
    "and shows none",
  );
  assertEquals(error.message, "Cannot connect");
  assertEquals(`${new errors.ConnectError("Cannot connect")}`, "ConnectError: Cannot connect");
});

Deno.test("PythonHostError keeps a cause, also one that is undefined or null", () => {
  const cause = new Error("below");
  assert(new errors.ConnectError("Cannot connect", { cause }).cause === cause);
  assert("cause" in new errors.ConnectError("Cannot connect", { cause: undefined }));
  assert(!("cause" in new errors.ConnectError("Cannot connect")));
});

Deno.test("PythonError shows what is known of the exception", () => {
  const group = exception({
    type: "ExceptionGroup",
    exceptions: [exception(), exception({ type: "KeyError" })],
  });
  const error = new PythonError(group);
  assertEquals(error.message, "ExceptionGroup: no");
  assertEquals([error.pythonType, error.pythonModule, error.pythonMessage], [
    "ExceptionGroup",
    "builtins",
    "no",
  ]);
  assertEquals([error.notes, error.traceback, error.frames], [["a note"], "Traceback …", []]);
  assertEquals(error.exceptions.map(({ pythonType }) => pythonType), ["ValueError", "KeyError"]);
  assertEquals(new PythonError(exception()).exceptions, []);
});

Deno.test("PythonError.isInstance() takes bare names for builtins", () => {
  const error = new PythonError(exception({ bases: ["m.Mine", "builtins.KeyError"] }));
  assertEquals(
    ["KeyError", "builtins.KeyError", "m.Mine", "Mine", "Exception"].map((name) => error.isInstance(name)),
    [
      true,
      true,
      true,
      false,
      false,
    ],
  );
});

Deno.test("PythonError has the explicit cause, or else the context, as its cause", () => {
  const inner = exception({ type: "KeyError" });
  const other = exception({ type: "OSError" });
  const causes = [{ cause: inner }, { context: inner }, { cause: inner, context: other }];
  for (const changes of causes) {
    const { cause } = new PythonError(exception(changes));
    assertInstanceOf(cause, PythonError);
    assertEquals(cause.pythonType, "KeyError");
  }
  assertEquals("cause" in new PythonError(exception()), false);
});

Deno.test("ServerExitedError tells how the process ended and what it said last", () => {
  const bySignal = new ServerExitedError("go on", { code: 139, signal: "SIGSEGV", stderrTail: "Fatal\n" });
  assertEquals(bySignal.message, "Cannot go on: the Python server was ended by SIGSEGV\n[stderr]\nFatal");
  const byCode = new ServerExitedError("go on", { code: 7, signal: null, stderrTail: " " });
  assertEquals(byCode.message, "Cannot go on: the Python server exited with code 7");
  assertEquals([byCode.exitCode, byCode.signal], [7, null]);
});

Deno.test("PermissionNeededError lists all flags, ready to be used", () => {
  const error = new errors.PermissionNeededError("start", ["--allow-run=python", "--allow-net"]);
  assertStringIncludes(error.hint!, "--allow-run=python --allow-net");
});

Deno.test("PythonNotFoundError shows each Python that was looked at and why it was refused", () => {
  const error = new errors.PythonNotFoundError(">=3.9", [{
    path: "/p",
    source: "PATH",
    reason: "it is 3.8",
  }]);
  assertStringIncludes(error.message, '">=3.9"');
  assertStringIncludes(error.message, "/p (PATH): it is 3.8");
});
