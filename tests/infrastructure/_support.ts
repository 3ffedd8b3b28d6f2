/**
 * What the tests of provisioning share: a home that is cleaned up, environments that say only what they should.
 *
 * @module
 */

import { Context, type ContextOptions, type EnvironmentValues, type Io } from "../../infrastructure/mod.ts";
import { denoIo } from "../../infrastructure/io.ts";

/** A new directory, removed at the end. */
export async function temporary(name = ""): Promise<{ path: string } & AsyncDisposable> {
  const path = await Deno.makeTempDir({ prefix: `beep_infra_${name}` });
  return {
    path,
    async [Symbol.asyncDispose](): Promise<void> {
      await Deno.remove(path, { recursive: true });
    },
  };
}

/** Gives exactly these variables. */
export function only(values: Readonly<Record<string, string>>): EnvironmentValues {
  return (name) => values[name];
}

/** This process's variables, but nothing that would make discovery look at the user's home. */
export function quiet(extra: Readonly<Record<string, string>> = {}): EnvironmentValues {
  const kept = /^(PATH|LANG|LC_ALL|TMPDIR|SSL_.*|PIP_.*|REQUESTS_CA_BUNDLE|.*_proxy|.*_PROXY|HOME)$/;
  return (name) => extra[name] ?? (kept.test(name) ? Deno.env.get(name) : undefined);
}

/** A context for tests. */
export function context(home: string, options: ContextOptions = {}): Context {
  return new Context({ environment: only({}), ...options, home });
}

/** The real world, but that every started process is counted. */
export function countingIo(): { io: Io; spawned: string[] } {
  const spawned: string[] = [];
  const io: Io = {
    ...denoIo,
    spawn(executable, options) {
      spawned.push(executable);
      return denoIo.spawn(executable, options);
    },
  };
  return { io, spawned };
}

/** The number that a variable gives, so that a soak can ask for more than the gate. */
export function amount(variable: string, standard: number): number {
  const value = Number(Deno.env.get(variable));
  return Number.isInteger(value) && value > 0 ? value : standard;
}

/** Numbers that look random and are the same for the same seed. */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let value = state;
    value = Math.imul(value ^ (value >>> 15), value | 1);
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61);
    return ((value ^ (value >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Every path below a directory, sorted. */
export async function tree(root: string, relative = ""): Promise<string[]> {
  const found: string[] = [];
  for await (const entry of Deno.readDir(relative === "" ? root : `${root}/${relative}`)) {
    const path = relative === "" ? entry.name : `${relative}/${entry.name}`;
    found.push(path);
    if (entry.isDirectory) found.push(...await tree(root, path));
  }
  return found.sort();
}
