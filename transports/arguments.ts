/**
 * The arguments of a request, as the wire takes them, and what they hold on to until it is answered.
 *
 * @module
 */

import type { PythonObjectHandle } from "../core/handles.ts";
import { JsonText, type RequestArguments } from "../core/protocol.ts";
import { encodeValue } from "../core/values.ts";
import type { Callbacks } from "./callbacks.ts";
import type { ClientHandles } from "./client_handles.ts";
import { plainRow } from "./plain.ts";

/** Arguments, ready to be sent. */
export interface EncodedArguments {
  /** The row of them. */
  readonly row: RequestArguments;
  /** Their binary parts. */
  readonly parts: readonly Uint8Array[];
  /** Whether the row contains tags. */
  readonly tagged: boolean;
  /** The handles in them, which must not be released while the call runs. */
  readonly handles: number[] | undefined;
}

const NO_PARTS: readonly Uint8Array[] = [];

/** Encodes the arguments of one client's requests. */
export class ArgumentEncoder {
  readonly #handles: ClientHandles;
  readonly #callbacks: Callbacks;
  // Encoding is synchronous, so one list of each serves all requests.
  #usedHandles: number[] | undefined;
  #usedFunctions: number[] = [];

  /** Takes the client's handles and functions, to which arguments may refer. */
  constructor(handles: ClientHandles, callbacks: Callbacks) {
    this.#handles = handles;
    this.#callbacks = callbacks;
  }

  /** Encodes a row; throws what keeps it from being sent, and then no function in it is registered. */
  encode(args: readonly unknown[]): EncodedArguments {
    const row = plainRow(args);
    if (row !== undefined) return { row, parts: NO_PARTS, tagged: false, handles: undefined };
    this.#usedHandles = undefined;
    this.#usedFunctions = [];
    try {
      // The row itself is the message's; a path begins at the value inside it.
      const { json, parts, tagged } = encodeValue(args, this.#context, { skip: 1 });
      return { row: new JsonText(json, args), parts, tagged, handles: this.#usedHandles };
    } catch (error) {
      this.#callbacks.takeBack(this.#usedFunctions);
      throw error;
    }
  }

  readonly #context = {
    handleId: (handle: PythonObjectHandle): number => {
      const id = this.#handles.idOf(handle);
      (this.#usedHandles ??= []).push(id);
      return id;
    },
    // deno-lint-ignore ban-types -- any function
    functionId: (fn: Function): number => {
      const id = this.#callbacks.idOf(fn as (...args: unknown[]) => unknown);
      this.#usedFunctions.push(id);
      return id;
    },
  };
}
