/** Looks at processes and their resources, without starting any where the system shows them as files. */

import { isAlive } from "../servers/_launch.ts";

const HAS_PROC = Deno.build.os === "linux";

/** Whether a process runs; a zombie does not. */
export async function isRunning(pid: number): Promise<boolean> {
  if (!HAS_PROC) return await isAlive(pid);
  return !["", "Z", "X"].includes(stateOf(pid));
}

/** The letter of a process's state; empty when there is none. Linux only. */
function stateOf(pid: number | string): string {
  try {
    const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
    return stat.slice(stat.lastIndexOf(")") + 2)[0] ?? "";
  } catch (error) {
    // It ended, or ended while it was read.
    if (error instanceof Deno.errors.NotFound || String(error).includes("os error 3")) return "";
    throw error;
  }
}

/** Waits until the processes are gone, and gives how long that took in milliseconds; fails after the deadline. */
export async function goneWithin(pids: readonly number[], deadlineMs: number): Promise<number> {
  const begun = performance.now();
  for (const pid of pids) {
    while (await isRunning(pid)) {
      if (performance.now() - begun > deadlineMs) {
        for (const left of pids) if (await isRunning(left)) Deno.kill(left, "SIGKILL");
        throw new Error(`Process ${pid} is still alive after ${deadlineMs} ms`);
      }
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }
  return performance.now() - begun;
}

/** How many descriptors a process has open: sockets, and all others. Linux only. */
export function descriptorsOf(pid: number | "self"): { sockets: number; others: number } {
  const count = { sockets: 0, others: 0 };
  for (const { name } of Deno.readDirSync(`/proc/${pid}/fd`)) {
    try {
      const target = Deno.readLinkSync(`/proc/${pid}/fd/${name}`);
      count[target.startsWith("socket:") ? "sockets" : "others"]++;
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error; // closed meanwhile
    }
  }
  return count;
}

/** How many threads the system counts in a process. Linux only. */
export function threadsOf(pid: number | "self"): number {
  return Array.from(Deno.readDirSync(`/proc/${pid}/task`)).length;
}

/** Bytes of a process in memory. Linux only. */
export function memoryOf(pid: number | "self"): number {
  return Number(Deno.readTextFileSync(`/proc/${pid}/statm`).split(" ")[1]) * 4096;
}

/** The zombies among the children of a process. Linux only. */
export function zombiesOf(parent: number): number[] {
  const zombies: number[] = [];
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(name) || stateOf(name) !== "Z") continue;
    try {
      const stat = Deno.readTextFileSync(`/proc/${name}/stat`);
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      if (Number(fields[1]) === parent) zombies.push(Number(name));
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error; // reaped meanwhile
    }
  }
  return zombies;
}
