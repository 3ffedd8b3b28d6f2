/**
 * What a logger is: four functions that take a message and its facts. `console` is one.
 *
 * @module
 */

/** Told what the library does; tokens never reach it. Silent unless one is passed. */
export interface Logger {
  /** What helps to find a fault in the library. */
  debug(message: string, ...facts: unknown[]): void;
  /** What a user may want to know. */
  info(message: string, ...facts: unknown[]): void;
  /** What was mended or passed over, and perhaps should not have been. */
  warn(message: string, ...facts: unknown[]): void;
  /** What failed without a caller to tell. */
  error(message: string, ...facts: unknown[]): void;
}

/** The logger that says nothing. */
export const SILENT_LOGGER: Logger = {
  debug: (): void => {},
  info: (): void => {},
  warn: (): void => {},
  error: (): void => {},
};
