import { assert, assertEquals, assertInstanceOf, assertStringIncludes } from "@std/assert";
import {
  AuthenticationError,
  ConnectionClosedError,
  ProtocolError,
  PythonError,
  PythonHostError,
  StaleHandleError,
  ValueConversionError,
} from "../../core/errors.ts";
import { errorFromPayload, WIRE_ERROR_CODES } from "../../transports/reply_errors.ts";

const EXPECTED = {
  python: [PythonError, "python"],
  conversion: [ValueConversionError, "conversion"],
  "stale-handle": [StaleHandleError, "stale-handle"],
  cancelled: [ConnectionClosedError, "closed"],
  protocol: [ProtocolError, "protocol"],
  version: [ProtocolError, "version"],
  limit: [ProtocolError, "limit"],
  authentication: [AuthenticationError, "authentication"],
  argument: [PythonHostError, "argument"],
} as const;

Deno.test("every code that docs/PROTOCOL.md names has a class, and no other code has one", async () => {
  const protocol = await Deno.readTextFile(new URL("../../docs/PROTOCOL.md", import.meta.url));
  const sentence = protocol.match(/Error codes: ([^.]+)\./)![1]!.replaceAll(/\([^)]*\)/g, "");
  const documented = Array.from(sentence.matchAll(/`([a-z-]+)`/g), ([, code]) => code!);
  assert(documented.length >= 7, sentence);
  assertEquals(documented.filter((code) => !WIRE_ERROR_CODES.includes(code)), []);
  assertEquals([...WIRE_ERROR_CODES].sort(), Object.keys(EXPECTED).sort());
});

Deno.test("every code of the Python server has a class", async () => {
  const source = await Deno.readTextFile(
    new URL("../../servers/python/beep_host/errors.py", import.meta.url),
  );
  const codes = Array.from(source.matchAll(/^ {4}code(?:: str)? = "([a-z-]+)"/gm), ([, code]) => code!);
  assert(codes.length >= 6, codes.join());
  assertEquals(codes.filter((code) => !WIRE_ERROR_CODES.includes(code)), []);
});

for (const [code, [errorClass, expectedCode]] of Object.entries(EXPECTED)) {
  Deno.test(`errorFromPayload() makes a ${errorClass.name} of code ${code}`, () => {
    const error = errorFromPayload({ code, message: "Cannot do it", hint: "Do it so.", path: "$.a" }, "act");
    assertEquals<unknown>(error.constructor, errorClass);
    assertEquals(error.code, expectedCode);
    if (code !== "cancelled") {
      assertStringIncludes(error.message, "Cannot do it");
      assertEquals(error.hint, "Do it so.");
    }
  });
}

Deno.test("errorFromPayload() says the path of a conversion once", () => {
  for (const message of ["Cannot convert it", "Cannot convert it (at $.a[3])"]) {
    const error = errorFromPayload({ code: "conversion", message, path: "$.a[3]" }, "act");
    assertEquals(error.message, "Cannot convert it (at $.a[3])");
    assertInstanceOf(error, ValueConversionError);
    assertEquals(error.path, "$.a[3]");
  }
});

Deno.test("errorFromPayload() fills what a server left out of an exception", () => {
  const error = errorFromPayload({ code: "python", message: "boom", exception: { type: "Odd" } }, "act");
  assertInstanceOf(error, PythonError);
  assertEquals([error.pythonType, error.pythonMessage, error.notes, error.frames], ["Odd", "boom", [], []]);
});

Deno.test("errorFromPayload() makes a protocol error of what is no error, and of codes that it does not know", () => {
  for (const payload of [null, undefined, 1, "x", [], {}, { code: 1, message: "m" }, { code: "python" }]) {
    const error = errorFromPayload(payload, "act");
    assertInstanceOf(error, ProtocolError);
    assertEquals([error.code, error.fault], ["protocol", "remote"]);
  }
  for (const code of ["toString", "__proto__", "brand-new"]) {
    assertStringIncludes(
      errorFromPayload({ code, message: "m" }, "act").message,
      `unknown error code "${code}": m`,
    );
  }
});
