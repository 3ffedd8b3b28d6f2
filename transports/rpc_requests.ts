/**
 * Requests as the typed procedures of the schema.
 *
 * What is plain travels in the fields that the schema has for it; arguments that hold values travel as they were
 * encoded, in `native`. Answers are asked for in `native` too: they are the messages that every wire of this library
 * carries.
 *
 * @module
 */

import {
  JsonText,
  type Operation as OperationName,
  type RequestMessage,
  type RequestOptions,
} from "../core/protocol.ts";

/** A procedure of `PythonService` with one response, as a client of Connect-ES names it. */
export type UnaryMethod =
  | "evaluate"
  | "importModule"
  | "createObject"
  | "callMethod"
  | "getAttribute"
  | "setAttribute"
  | "disposeHandles"
  | "toFloatArray"
  | "toFloatArray2D"
  | "isModuleAvailable"
  | "wrapValue"
  | "openSubsession"
  | "closeSession"
  | "cancel"
  | "ping"
  | "getStats"
  | "send";

/** A request, ready to be sent. */
export interface TypedRequest {
  /** The number of the call. */
  readonly id: number;
  /** Whether the server answers it: a `resume` is an answer itself. */
  readonly isAnswered: boolean;
  /** The procedure. */
  readonly method: UnaryMethod;
  /** Its request message. */
  readonly message: Record<string, unknown>;
  /** Roughly its bytes. */
  readonly size: number;
  /** Whether it says something before its reply, which only a stream can carry. */
  readonly hasEvents: boolean;
  /** Whether it is answered at once, so that it need not wait for anything. */
  readonly isImmediate: boolean;
}

type Fields = (row: readonly unknown[]) => Record<string, unknown> | undefined;

interface Procedure {
  readonly method: UnaryMethod;
  /** The fields of a plain row; undefined when it needs `native`. */
  readonly fields: Fields;
  readonly isImmediate?: true;
}

const BY_HANDLE: Fields = (row) => ({ handleId: BigInt(row[0] as number) });
const NATIVE: Fields = () => undefined;

/** A field of text beside others. What is no text, or none that UTF-8 can carry, would be made into another one by a field. */
function text(field: string, value: unknown, others?: Record<string, unknown>): ReturnType<Fields> {
  return typeof value === "string" && value.isWellFormed() ? { ...others, [field]: value } : undefined;
}

const PROCEDURES: Readonly<Record<OperationName, Procedure>> = {
  evaluate: { method: "evaluate", fields: (row) => row.length === 1 ? text("code", row[0]) : undefined },
  import: { method: "importModule", fields: ([name]) => text("name", name) },
  create: { method: "createObject", fields: NATIVE },
  call: { method: "callMethod", fields: NATIVE },
  get: { method: "getAttribute", fields: (row) => text("attributeName", row[1], BY_HANDLE(row)) },
  set: { method: "setAttribute", fields: NATIVE },
  release: {
    method: "disposeHandles",
    fields: ([ids]) => ({ handleIds: (ids as readonly number[]).map(BigInt) }),
  },
  floats: { method: "toFloatArray", fields: BY_HANDLE },
  floats2d: { method: "toFloatArray2D", fields: BY_HANDLE },
  available: { method: "isModuleAvailable", fields: ([name]) => text("name", name) },
  wrap: { method: "wrapValue", fields: NATIVE },
  ping: { method: "ping", fields: () => ({}), isImmediate: true },
  stats: { method: "getStats", fields: () => ({}), isImmediate: true },
  cancel: { method: "cancel", fields: ([id]) => ({ callId: BigInt(id as number) }), isImmediate: true },
  resume: { method: "send", fields: NATIVE, isImmediate: true },
  converters: { method: "send", fields: NATIVE },
  open_session: { method: "openSubsession", fields: ([label]) => ({ label }), isImmediate: true },
  close_session: { method: "closeSession", fields: ([label]) => ({ label: label ?? "" }), isImmediate: true },
};

/** `ENCODING_NATIVE` of the schema. */
const NATIVE_ENCODING = 1;
const RESULT_MODES = { value: 1, handle: 2, arrow: 3 } as const;
const EVENT_OPTIONS = ["stdout", "stderr", "log", "progress", "display"] as const;
// The fields around what a request holds.
const OVERHEAD_BYTES = 128;
const encoder = new TextEncoder();

/** Makes the typed form of a request. `sequence` is 0 for one that has no place in an order. */
export function typedRequest(
  request: RequestMessage,
  parts: readonly Uint8Array[],
  sequence: number,
): TypedRequest {
  const [id, operation, args, given = {}] = request;
  const procedure = PROCEDURES[operation];
  const isText = args instanceof JsonText;
  const plain = isText || parts.length > 0 ? undefined : procedure.fields(args);
  let size = OVERHEAD_BYTES;
  let message: Record<string, unknown>;
  if (plain !== undefined) {
    message = plain;
    if (typeof plain.code === "string") size += plain.code.length;
  } else {
    const json = encoder.encode(isText ? args.text : JSON.stringify(args));
    message = { native: { json, parts, isTagged: given.tagged === 1 } };
    size += json.byteLength;
    for (const part of parts) size += part.byteLength;
  }
  const hasEvents = EVENT_OPTIONS.some((name) => given[name] === 1);
  if (procedure.method === "send") message.operation = operation;
  message.options = callOptions(id, given, sequence);
  return {
    id,
    isAnswered: id !== 0,
    method: procedure.method,
    message,
    size,
    hasEvents,
    isImmediate: procedure.isImmediate === true,
  };
}

function callOptions(id: number, given: RequestOptions, sequence: number): Record<string, unknown> {
  const options: Record<string, unknown> = { encoding: NATIVE_ENCODING };
  if (id !== 0) options.callId = BigInt(id);
  if (sequence > 0) options.sequence = BigInt(sequence);
  if (given.result !== undefined) options.resultMode = RESULT_MODES[given.result];
  if (given.session !== undefined) options.sessionLabel = given.session;
  if (given.parent !== undefined) options.parentCallId = BigInt(given.parent);
  if (given.concurrent === 1) options.concurrent = true;
  if (given.input === 1) options.input = true;
  for (const name of EVENT_OPTIONS) if (given[name] === 1) options[name] = true;
  return options;
}

/** Numbers the requests of each line of calls, so that the server can run them in the order in which they were sent. */
export class Sequences {
  readonly #last = new Map<string, number>();

  /** The place of a request; 0 when it has none. */
  next([, operation, , options = {}]: RequestMessage): number {
    if (PROCEDURES[operation].isImmediate || options.concurrent === 1) return 0;
    const line = `${options.parent ?? ""}/${options.session ?? ""}`;
    const sequence = (this.#last.get(line) ?? 0) + 1;
    this.#last.set(line, sequence);
    return sequence;
  }

  /** Forgets the lines that the callbacks of a call made; it has ended. */
  forget(callId: number): void {
    if (this.#last.size < 2) return;
    for (const line of this.#last.keys()) if (line.startsWith(`${callId}/`)) this.#last.delete(line);
  }
}
