/**
 * Which paths of an archive may be written. Pure.
 *
 * @module
 */

import { ArchiveFault } from "./archive.ts";

const WINDOWS_DEVICE_REGEXP = /^(con|prn|aux|nul|clock\$|com[0-9]|lpt[0-9])(\..*)?$/i;
// deno-lint-ignore no-control-regex
const CONTROL_REGEXP = /[\x00-\x1f\x7f]/;

/** The parts of a path in an archive, when all are harmless. Throws {@linkcode ArchiveFault}. */
export function safeParts(path: string, os: string): string[] {
  const fault = (why: string): ArchiveFault => new ArchiveFault(`"${path.slice(0, 200)}" ${why}`);
  if (path.startsWith("/")) throw fault("is absolute");
  if (CONTROL_REGEXP.test(path)) throw fault("has a control character");
  if (path.includes("\\")) throw fault("has a backslash");
  if (path.includes(":")) throw fault("has a colon, which names a drive or a stream on Windows");
  const parts = path.replace(/\/$/, "").split("/");
  for (const part of parts) {
    if (part === "" || part === "." || part === "..") throw fault(`has the part "${part}"`);
    if (
      os === "windows" && (WINDOWS_DEVICE_REGEXP.test(part) || /[. ]$/.test(part) || /[<>"|?*]/.test(part))
    ) {
      throw fault(`has the part "${part}", which Windows takes for something else`);
    }
  }
  return parts;
}

/** Where a link leads to, from the root of the archive. Throws when that is outside, or not relative. */
export function linkDestination(parts: readonly string[], target: string): string[] {
  const fault = (why: string): ArchiveFault => new ArchiveFault(`link "${parts.join("/")}" ${why}`);
  if (target === "" || target.startsWith("/") || /[\\:]/.test(target) || CONTROL_REGEXP.test(target)) {
    throw fault(`leads to "${target.slice(0, 200)}", which is not a plain relative path`);
  }
  const result = parts.slice(0, -1);
  for (const part of target.replace(/\/$/, "").split("/")) {
    if (part === "." || part === "") continue;
    if (part !== "..") result.push(part);
    else if (result.pop() === undefined) throw fault(`leads outside, to "${target.slice(0, 200)}"`);
  }
  return result;
}

/** The form in which names are compared where the file system makes no difference between cases. */
export function collisionKey(path: string, os: string): string {
  return os === "windows" || os === "darwin" ? path.normalize("NFC").toLowerCase() : path;
}
