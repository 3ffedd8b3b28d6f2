/**
 * A long operation as a stream of its progress and, last, of its result or error: lines of JSON, or server-sent events.
 *
 * ```text
 * application/x-ndjson      {"progress":{…}}\n … {"result":{…}}\n            or {"error":{…}}\n
 * text/event-stream         event: progress\ndata: {…}\n\n … event: result    or event: error
 * ```
 *
 * @module
 */

import type { ProgressEvent, ProgressListener } from "../infrastructure/mod.ts";
import { errorBody } from "./api_errors.ts";

/** The content types of streams. */
export type StreamType = "application/x-ndjson" | "text/event-stream";

/** Progress that nobody has read yet is dropped beyond this: the newest tells more than the oldest. */
const MAX_UNREAD = 256;

/** The kind of stream that an `Accept` header asks for, or undefined when it asks for none. */
export function streamTypeOf(accept: string | undefined): StreamType | undefined {
  for (const range of (accept ?? "").split(",")) {
    const type = range.split(";")[0]!.trim().toLowerCase();
    if (type === "application/x-ndjson" || type === "text/event-stream") return type;
  }
  return undefined;
}

/** Runs an operation, and gives the response that tells of it. A reader who goes away calls `cancel`. */
export function streamOperation(
  type: StreamType,
  run: (onProgress: ProgressListener) => Promise<unknown>,
  cancel: (reason: unknown) => void,
): Response {
  const encoder = new TextEncoder();
  const format = type === "application/x-ndjson" ? ndjson : serverSentEvent;
  let isOpen = true;
  const body = new ReadableStream<Uint8Array>({
    async start(controller): Promise<void> {
      const say = (event: string, data: unknown): void => {
        if (isOpen) controller.enqueue(encoder.encode(format(event, data)));
      };
      // Not awaited by the stream's machinery: `start` must return before it hands out anything.
      await Promise.resolve();
      void (async (): Promise<void> => {
        try {
          say(
            "result",
            await run((event: ProgressEvent) => {
              if ((controller.desiredSize ?? 0) > -MAX_UNREAD) say("progress", event);
            }),
          );
        } catch (error) {
          say("error", errorBody(error).error);
        }
        if (isOpen) controller.close();
        isOpen = false;
      })();
    },
    cancel(reason): void {
      isOpen = false;
      cancel(reason);
    },
  });
  return new Response(body, {
    headers: { "content-type": type, "cache-control": "no-store", "x-content-type-options": "nosniff" },
  });
}

function ndjson(event: string, data: unknown): string {
  return `${JSON.stringify({ [event]: data })}\n`;
}

function serverSentEvent(event: string, data: unknown): string {
  return `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}
