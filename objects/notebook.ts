/**
 * Shows MIME bundles in a Deno notebook.
 *
 * @module
 */

import type { MimeBundle } from "../core/call_events.ts";

/** The method by which Deno's notebooks ask a value how to show it: `Deno.jupyter.$display`. */
const DISPLAY = Symbol.for("Jupyter.display");

/**
 * Makes a value of a bundle that a Deno notebook shows as the last expression of a cell.
 *
 * @example An image
 * ```ts
 * import { forNotebook } from "@beep/python-host";
 * import { assertEquals } from "@std/assert";
 *
 * const shown = forNotebook({ "image/png": new Uint8Array([137, 80]), "text/plain": "plot" });
 * const display = Reflect.get(shown, Symbol.for("Jupyter.display")) as () => Promise<unknown>;
 * assertEquals(await display(), { "image/png": "iVA=", "text/plain": "plot" });
 * ```
 */
export function forNotebook(bundle: MimeBundle): MimeBundle {
  const shown = { ...bundle };
  // Not enumerable: whoever lists the MIME types must not find it.
  Object.defineProperty(shown, DISPLAY, { value: () => Promise.resolve(mediaBundle(bundle)) });
  return shown;
}

/** Notebooks carry JSON: binary forms go as base64. */
function mediaBundle(bundle: MimeBundle): Record<string, unknown> {
  const media: Record<string, unknown> = {};
  for (const [type, form] of Object.entries(bundle)) {
    media[type] = form instanceof Uint8Array ? form.toBase64() : form;
  }
  return media;
}
