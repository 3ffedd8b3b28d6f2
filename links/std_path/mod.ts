/**
 * Stand-in for `@std/path`: its real sources from npm, with the documented types.
 *
 * @module
 */

// The npm package is JavaScript without types: everything that comes from it is `any`.
import * as std from "npm:deno-std@^1.4.0/path/mod.js";

/** The path separator of this platform. */
export const SEPARATOR: "/" | "\\" = std.SEPARATOR;

/** The last part of a path, without `suffix` when it ends with it. */
export const basename: (path: string, suffix?: string) => string = std.basename;

/** A path without its last part. */
export const dirname: (path: string) => string = std.dirname;

/** The extension of a path, with its dot. */
export const extname: (path: string) => string = std.extname;

/** The path of a `file:` URL. */
export const fromFileUrl: (url: URL | string) => string = std.fromFileUrl;

/** Whether a path is absolute. */
export const isAbsolute: (path: string) => boolean = std.isAbsolute;

/** Joins paths and normalizes the result. */
export const join: (path: string, ...paths: string[]) => string = std.join;

/** A path without `.`, `..` and doubled separators. */
export const normalize: (path: string) => string = std.normalize;

/** The path that leads from one path to another. */
export const relative: (from: string, to: string) => string = std.relative;

/** Joins paths from the right until the result is absolute. */
export const resolve: (...pathSegments: string[]) => string = std.resolve;

/** The `file:` URL of an absolute path. */
export const toFileUrl: (path: string) => URL = std.toFileUrl;
