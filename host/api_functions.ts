/**
 * Answers Python's calls of exposed functions. Arguments and results travel as frames, with the same fidelity as those
 * of a backend's calls, but without handles and functions: there is no session that could hold them.
 *
 * ```text
 * request    frame {session, call, waits, blocksLoop} or {}, parts: a packed (args, kwargs)
 * answer     frame ["ok", value, tagged], parts    or    ["error", {name, message, stack}]
 * ```
 *
 * @module
 */

import { PythonHostError, ValueConversionError } from "../core/errors.ts";
import { encodeFrame, FrameDecoder } from "../core/frames.ts";
import { describeThrown } from "../core/thrown.ts";
import { decodePacked, encodeValue } from "../core/values.ts";
import { NotFoundError } from "./api_errors.ts";
import { type AskingCall, runAsked } from "../transports/asked_functions.ts";
import type { ExposedFunctions } from "./expose.ts";

/** The most bytes of the arguments of a call, and of its result. */
const MAX_FRAME_BYTES = 64 * 1024 * 1024;

/** What Python says of the call that asks; nothing at all when there is none, or it has ended. */
interface Asking {
  /** The session of its backend. */
  readonly session?: string;
  /** Its id. */
  readonly call: number;
  /** The labels of the sessions whose threads wait; null is the backend's own. */
  readonly waits: readonly (string | null)[];
  /** Whether the event loop waits. */
  readonly blocksLoop: boolean;
}

/** Answers one call. */
export async function answerFunction(
  functions: ExposedFunctions,
  object: string,
  name: string,
  request: Request,
): Promise<Response> {
  const fn = functions.find(object, name);
  if (fn === undefined) {
    throw new NotFoundError(`Cannot call "${object}.${name}": the host has not exposed it`, {
      hint: `The host program does so by: host.expose("${object}", { ${name} }).`,
    });
  }
  const { asking, args } = await readCall(request);
  return new Response(await answer(() => runAsked(() => fn(...args), asking)), {
    headers: { "content-type": "application/x-beep-frames", "cache-control": "no-store" },
  });
}

async function readCall(
  request: Request,
): Promise<{ asking: AskingCall | undefined; args: readonly unknown[] }> {
  const decoder = new FrameDecoder(MAX_FRAME_BYTES);
  for await (const chunk of request.body ?? []) {
    for (const { json, parts } of decoder.push(chunk)) {
      const { session, call, waits, blocksLoop } = JSON.parse(json) as Asking;
      const [args, kwargs] = decodePacked(parts, { handle: refuseHandle }) as [
        unknown[],
        Record<string, unknown>,
      ];
      return {
        asking: session === undefined
          ? undefined
          : { session, call, held: { sessions: waits, loop: blocksLoop } },
        args: Object.keys(kwargs).length === 0 ? args : [...args, kwargs],
      };
    }
  }
  throw new PythonHostError("argument", "Cannot read the arguments: the request ended before they came");
}

async function answer(run: () => Promise<unknown>): Promise<Uint8Array<ArrayBuffer>> {
  let frame: Uint8Array<ArrayBuffer>;
  try {
    const { json, parts, tagged } = encodeValue((await run()) ?? null, {
      handleId: () => refuse("a handle"),
      functionId: () => refuse("a function, or an iterator,"),
    });
    frame = encodeFrame(`["ok",${json},${tagged}]`, parts);
    if (frame.byteLength > MAX_FRAME_BYTES) refuse(`more than ${MAX_FRAME_BYTES} bytes`);
  } catch (error) {
    const { name, message, stack } = describeThrown(error);
    frame = encodeFrame(JSON.stringify(["error", { name: name || "Error", message, stack }]));
  }
  return frame;
}

function refuseHandle(): never {
  throw new PythonHostError(
    "argument",
    "Cannot read the arguments: a host function cannot be given a handle",
  );
}

function refuse(what: string): never {
  throw new ValueConversionError(`Cannot send ${what} as the result of a host function`, "$");
}
