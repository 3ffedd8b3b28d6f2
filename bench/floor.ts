/**
 * Starts a program of `floors/`: the least that the same kind of work can cost.
 *
 * @module
 */

/** A running floor, and the first line that it printed. */
export interface Floor {
  /** The process. */
  readonly child: Deno.ChildProcess;
  /** What it says of itself: `ready`, or its port. */
  readonly line: string;
}

/** Starts a script and waits for its first line. */
export async function startFloor(python: string, script: string, args: string[] = []): Promise<Floor> {
  const path = new URL(`./floors/${script}`, import.meta.url).pathname;
  const child = new Deno.Command(python, { args: ["-I", "-S", path, ...args], stdout: "piped" }).spawn();
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  await reader.cancel();
  return { child, line: new TextDecoder().decode(value).trim() };
}
