/**
 * Shows progress to a person: one live line with a bar on a terminal, plain lines where there is none.
 *
 * @module
 */

import type { ProgressEvent, ProgressListener, ProgressStage } from "./progress_events.ts";

/** Where progress is shown, and how. */
export interface ProgressPrinterOptions {
  /** Takes what is printed. @default {standard error} */
  readonly write?: (text: string) => void;
  /** Whether it is a terminal, so that a line can be written over. @default {whether standard error is one} */
  readonly terminal?: boolean;
  /** The width of the terminal, in characters. @default {what the terminal says, else 80} */
  readonly columns?: number;
}

/** Shows progress until it is disposed. */
export interface ProgressPrinter extends Disposable {
  /** To be passed as `onProgress`. */
  readonly listener: ProgressListener;
}

const STAGE_WORDS: Readonly<Record<ProgressStage, string>> = {
  discover: "Looking for Python",
  lock: "Preparing",
  download: "Downloading",
  extract: "Unpacking",
  verify: "Checking",
  create: "Creating",
  install: "Installing into",
  publish: "Finishing",
  done: "Ready:",
};

const UNITS: readonly string[] = ["B", "KB", "MB", "GB", "TB"];

/** Bytes as a person reads them: `12.3 MB`. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < UNITS.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`;
}

/** The event as one line of at most `columns` characters, with a bar where the total is known. */
export function formatProgress(event: ProgressEvent, columns = 80): string {
  const amount = formatAmount(event);
  const head = `${STAGE_WORDS[event.stage]} ${event.subject}`;
  const message = event.message === undefined ? "" : `: ${event.message.trim()}`;
  if (event.done === undefined || event.total === undefined || event.total === 0) {
    return fit(`${head}${message}${amount === "" ? "" : ` ${amount}`}`, columns);
  }
  const share = Math.min(event.done / event.total, 1);
  const tail = ` ${String(Math.floor(share * 100)).padStart(3)}% ${amount}`;
  const room = columns - tail.length;
  const width = Math.max(8, Math.min(30, room - head.length - 3));
  const filled = Math.round(share * width);
  const bar = ` [${"=".repeat(filled)}${" ".repeat(width - filled)}]`;
  return fit(`${fit(head, Math.max(room - bar.length, 8))}${bar}${tail}`, columns);
}

function formatAmount(event: ProgressEvent): string {
  if (event.done === undefined) return "";
  const show = (value: number): string => event.unit === "files" ? `${value} files` : formatBytes(value);
  const total = event.total === undefined ? "" : ` of ${show(event.total)}`;
  const rate = event.bytesPerSecond === undefined ? "" : `, ${formatBytes(event.bytesPerSecond)}/s`;
  return show(event.done) + total + rate;
}

function fit(text: string, columns: number): string {
  // deno-lint-ignore no-control-regex -- what installers print may move the cursor; here it must not.
  const plain = text.replace(/\x1b\[[0-9;]*[A-Za-z]|[\x00-\x1f\x7f]/g, "");
  return plain.length <= columns ? plain : `${plain.slice(0, Math.max(columns - 1, 0))}…`;
}

/** A plain log says how far a long stage is at these steps. */
const PLAIN_STEP = 0.25;

/** Makes a printer. Dispose of it when the work is done, so that the last line stays and the cursor is below it. */
export function createProgressPrinter(options: ProgressPrinterOptions = {}): ProgressPrinter {
  const write = options.write ??
    ((text: string): void => void Deno.stderr.writeSync(new TextEncoder().encode(text)));
  const terminal = options.terminal ?? Deno.stderr.isTerminal();
  return terminal ? barPrinter(write, options.columns) : plainPrinter(write);
}

function terminalWidth(): number {
  try {
    return Deno.consoleSize().columns;
  } catch {
    // Not every terminal tells its size.
    return 80;
  }
}

function barPrinter(write: (text: string) => void, columns: number | undefined): ProgressPrinter {
  let open = false;
  const listener = (event: ProgressEvent): void => {
    // One column is left free, for some terminals break the line when the last one is filled.
    const line = formatProgress(event, (columns ?? terminalWidth()) - 1);
    write(`\r\x1b[2K${line}`);
    open = true;
    if (event.stage !== "done") return;
    write("\n");
    open = false;
  };
  return {
    listener,
    [Symbol.dispose](): void {
      if (open) write("\n");
      open = false;
    },
  };
}

function plainPrinter(write: (text: string) => void): ProgressPrinter {
  let last = "";
  let step = 0;
  const listener = (event: ProgressEvent): void => {
    const key = `${event.stage} ${event.subject}`;
    const share = event.total === undefined || event.total === 0 ? 0 : (event.done ?? 0) / event.total;
    const current = Math.floor(share / PLAIN_STEP);
    if (key === last && current <= step) return;
    last = key;
    step = current;
    write(`${STAGE_WORDS[event.stage]} ${event.subject} ${formatAmount(event)}`.trimEnd() + "\n");
  };
  return { listener, [Symbol.dispose](): void {} };
}
