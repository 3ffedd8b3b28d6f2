/**
 * Stand-in for `@std/streams`: its real sources from npm, with the documented types.
 *
 * @module
 */

// The npm package is JavaScript without types: everything that comes from it is `any`.
import * as std from "npm:deno-std@^1.4.0/streams/mod.js";

/** All bytes of a stream, once it has ended. */
export const toBytes: (stream: ReadableStream<Uint8Array>) => Promise<Uint8Array> = std.toBytes;

/** The whole text of a stream, once it has ended. */
export const toText: (stream: ReadableStream) => Promise<string> = std.toText;

/** How {@linkcode TextLineStream} splits. */
export interface TextLineStreamOptions {
  /** Whether a lone carriage return ends a line. */
  allowCR?: boolean;
}

/** Splits text into lines, at `\n` or `\r\n`. */
export interface TextLineStream extends TransformStream<string, string> {}

/** Makes a stream that splits text into lines. */
export const TextLineStream: new (options?: TextLineStreamOptions) => TextLineStream = std.TextLineStream;
