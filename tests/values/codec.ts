/**
 * A real Python that encodes and decodes values, and the environments in which these tests run it.
 *
 * @module
 */

import { ValueConversionError } from "../../core/errors.ts";
import { encodeFrame, FrameDecoder } from "../../core/frames.ts";
import { type HandleOwner, PythonObjectHandle } from "../../core/handles.ts";
import { decodePacked, decodeTagged, encodeValue } from "../../core/values.ts";

/** What `codec.py` answers, undecoded. */
export interface RawReply {
  readonly kind: string;
  readonly value: unknown;
  readonly parts: readonly Uint8Array<ArrayBuffer>[];
}

/** How Python is to write a value. */
export type Form = "packed" | "tagged" | "inline" | "plain";

const owner: HandleOwner = {
  get backend(): never {
    throw new Error("The codec has no backend");
  },
  releaseHandle: () => Promise.resolve(),
  releaseHandleSoon: () => {},
};

/** One `codec.py`, ended by disposal. */
export class Codec implements AsyncDisposable {
  readonly functions: ((...args: never[]) => unknown)[] = [];
  readonly #child: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #waiting: ((reply: RawReply) => void)[] = [];
  readonly #reading: Promise<void>;

  constructor(python: string) {
    const script = new URL("./codec.py", import.meta.url).pathname;
    const command = new Deno.Command(python, {
      args: ["-X", "utf8", "-B", script],
      stdin: "piped",
      stdout: "piped",
    });
    this.#child = command.spawn();
    this.#writer = this.#child.stdin.getWriter();
    this.#reading = this.#read();
  }

  async #read(): Promise<void> {
    const decoder = new FrameDecoder();
    for await (const chunk of this.#child.stdout) {
      for (const { json, parts } of decoder.push(chunk)) {
        const [kind, value] = JSON.parse(json);
        this.#waiting.shift()!({ kind, value, parts });
      }
    }
    for (const settle of this.#waiting) settle({ kind: "failure", value: "Python ended", parts: [] });
  }

  /** Sends JSON text and gives the reply; calls may overlap, replies come in order. */
  send(json: string, parts: readonly Uint8Array[] = []): Promise<RawReply> {
    const { promise, resolve } = Promise.withResolvers<RawReply>();
    this.#waiting.push(resolve);
    // A write fails when Python has ended, and then `#read` answers every call.
    this.#writer.write(encodeFrame(json, parts)).catch(() => {});
    return promise;
  }

  /** The value of a reply; throws what an error reply means. */
  decode({ kind, value, parts }: RawReply): unknown {
    const context = {
      handle: (id: number, typeName: string) => new PythonObjectHandle(owner, id, typeName),
    };
    if (kind === "ok") return value;
    if (kind === "packed") return decodePacked(parts, context);
    if (kind === "tagged") return decodeTagged(value, parts, context);
    if (kind === "error") {
      const { message, path } = value as { message: string; path?: string };
      throw new ValueConversionError(message, path ?? "no path");
    }
    throw new Error(`codec.py: ${value}`);
  }

  /** A value as JSON for `send`, by itself. */
  encode(value: unknown): { json: string; parts: readonly Uint8Array<ArrayBuffer>[]; tagged: boolean } {
    return encodeValue(value, {
      handleId: (handle) => handle.id,
      functionId: (fn) => this.functions.push(fn) - 1,
    });
  }

  /** Runs statements in the module `__main__` of Python. */
  async exec(code: string): Promise<void> {
    this.decode(await this.send(JSON.stringify(["exec", code])));
  }

  /** What an expression becomes in JavaScript. */
  async evaluate(code: string, options: { mode?: string; form?: Form } = {}): Promise<unknown> {
    const { mode = "auto", form = "packed" } = options;
    return this.decode(await this.send(JSON.stringify(["encode", code, mode, form])));
  }

  /** What an expression about `value` gives, when `value` is what the argument became in Python. */
  async check(value: unknown, code: string): Promise<unknown> {
    const { json, parts } = this.encode(value);
    return this.decode(await this.send(`["check",${json},${JSON.stringify(code)}]`, parts));
  }

  /** What a value is after a journey to Python and back. */
  async echo(value: unknown, form: Form = "packed", mode = "auto"): Promise<unknown> {
    const { json, parts } = this.encode(value);
    return this.decode(await this.send(`["echo",${json},"${mode}","${form}"]`, parts));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writer.close().catch(() => {}); // closed already when Python has ended
    await this.#reading;
    await this.#child.status;
  }
}

/** The Python of these tests: `BEEP_TEST_PYTHON`, or the first `python3` of PATH. */
export function testPython(): string {
  return Deno.env.get("BEEP_TEST_PYTHON") ?? "python3";
}
