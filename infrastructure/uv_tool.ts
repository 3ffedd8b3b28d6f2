/**
 * Where uv is: the user's own, or a private one that is installed from its wheel on request.
 *
 * @module
 */

import { join } from "@std/path";
import { EnvironmentError } from "../core/errors.ts";
import { childEnvironment, runChild } from "./child.ts";
import type { Context } from "./context.ts";
import { joinFor } from "./discovery.ts";
import { statIfThere } from "./files.ts";
import { Layout, prepareHome } from "./layout.ts";
import { readMarker, writeMarker } from "./marker.ts";
import { publish, stage } from "./staging.ts";
import { compareVersions, parseVersion } from "./versions.ts";

/** A uv that can be used. */
export interface UvTool {
  /** Its path. */
  readonly path: string;
  /** Its version. */
  readonly version: string;
  /** Whether it is the private one, which keeps its cache in the data directory. */
  readonly managed: boolean;
}

/** The oldest uv that has every option used here. */
const OLDEST_UV = "0.6.3";

/** The private uv: its version and the hashes of all its wheels. */
export const PINNED_UV = "0.13.9";
const PINNED_HASHES: readonly string[] = [
  "16963d19594e18d746a70c7fce82237bde4f2cac4cfcf0ca2b84796fe9d0c6e9",
  "2c45530751517d6c3bbc69a19473f6effe47cce047bede01ffd8af7ea7b36b25",
  "3eeeb51a267a2144640fcd8f38d4a2f63439b39bc47445fd84727c3fc462c843",
  "5435c5ce14a56431208ca0996416d310f1598e8c2c8ba707688985a16bb82dbe",
  "56ec37616c00220032fc7b8c9d0ef51367fd0d70d9cd6ddd841660f949f84fed",
  "66c512266d633bef48384a1f53003f41f2a8e7b36fe6e7fbfd3e0fd52d96fa63",
  "6a44b2ed8111d2f60d2b92627c5dccda3f7ed7570b18ce115e569cd68c28246b",
  "6b0c7b9f47a5d011939d61e324d3fe18a8bc155d8dd53add738709a92f290a7c",
  "6d5114bba238adddacb32fb11904f2b3ff4e988f8e9ff0d8d3b5e9822cf836b8",
  "7ec1e1dd9b6cb335c301afdf877989df384227313981850755a59561f75e4ab8",
  "a2ee66fe8b6608e1482ab1bde5799da04705c1cb40324c7f66054ecf46ae6e40",
  "a6e845f387e4ed55bb59342957a9179e24a631fcc7668bda3426ae1cef8ed4b9",
  "c16ed11e013557536b3e60065f1b912f6407bd6518e041b961e23ef9e6b4fbf5",
  "c5dbdb7c8737cd183a9dce95b39cfd1f3d54ec2a27a1bb58f160293f9ba2c805",
  "d7f459fe4fd247d830351c75686d3996ace3c6f3f728eb0e85a30b7ada0cef19",
  "db5c8df7145c21ffea9c0f74e38823bac3af60cbadf0e26b8633f08627b17bab",
  "dd6f4f93ddf8a668c73f0945f3638444b2140a4e15a3912067493fc6335543e4",
  "ecb6028d79dc96fbeafffe5c8af62a7099487ebc05a701e76714eebcffd06375",
  "eeb92051c2123b9730c46b04cc843cfa4bc7d7b0aec56df431a2215ef4cb0273",
];

/** Installs requirements with hashes into a bare directory, as pip's `--target` does. */
export type TargetInstaller = (
  target: string,
  requirements: readonly string[],
  signal?: AbortSignal,
) => Promise<void>;

/** Finds uv, and installs a private one. */
export class UvFinder {
  readonly #context: Context;
  readonly #explicit: string | undefined;
  readonly #versions = new Map<string, string | undefined>();

  /** Makes a finder; `explicit` is a path that is preferred to all others. */
  constructor(context: Context, explicit?: string) {
    this.#context = context;
    this.#explicit = explicit;
  }

  /** Whether a path was given, which must then be used. */
  get isExplicit(): boolean {
    return this.#explicit !== undefined;
  }

  get #name(): string {
    return this.#context.os === "windows" ? "uv.exe" : "uv";
  }

  get #toolDirectory(): string {
    return join(
      new Layout(this.#context.home).tools,
      `uv-${PINNED_UV}-${this.#context.os}-${this.#context.arch}`,
    );
  }

  #candidates(): string[] {
    const { os, environment } = this.#context;
    const paths: string[] = [];
    for (const path of [this.#explicit, environment("BEEP_UV"), environment("UV")]) {
      if (path) paths.push(path);
    }
    for (const directory of (environment("PATH") ?? "").split(os === "windows" ? ";" : ":")) {
      // A version manager's shim is never executed, for uv as for Python.
      if (directory !== "" && !/[\\/]shims[\\/]*$/.test(directory)) {
        paths.push(joinFor(os, directory, this.#name));
      }
    }
    const home = environment("HOME") ?? environment("USERPROFILE");
    if (home) paths.push(joinFor(os, home, ".local", "bin", this.#name));
    return paths;
  }

  /** The first uv that is there and new enough; undefined when there is none. */
  async find(signal?: AbortSignal): Promise<UvTool | undefined> {
    for (const path of this.#candidates()) {
      const version = await this.#versionOf(path, signal);
      if (version !== undefined) return { path, version, managed: false };
      if (path === this.#explicit) {
        throw new EnvironmentError(`Cannot use uv at "${path}": it is not there, or older than ${OLDEST_UV}`);
      }
    }
    return await this.#managed();
  }

  async #managed(): Promise<UvTool | undefined> {
    const { io } = this.#context;
    const marker = await readMarker<{ version: string }>(io, this.#toolDirectory, "tool");
    if (marker === undefined) return undefined;
    const path = await this.#binaryIn(this.#toolDirectory);
    return path === undefined ? undefined : { path, version: PINNED_UV, managed: true };
  }

  async #binaryIn(directory: string): Promise<string | undefined> {
    for (const folder of ["bin", "Scripts"]) {
      const path = join(directory, folder, this.#name);
      if (await statIfThere(this.#context.io, path) !== undefined) return path;
    }
    return undefined;
  }

  async #versionOf(path: string, signal: AbortSignal | undefined): Promise<string | undefined> {
    if (this.#versions.has(path)) return this.#versions.get(path);
    const { io, os, environment, logger } = this.#context;
    let version: string | undefined;
    try {
      if ((await statIfThere(io, path))?.isFile === true) {
        const env = childEnvironment(environment);
        const result = await runChild(io, os, path, { args: ["--version"], env, timeoutMs: 15_000, signal });
        version = parseUvVersion(result.stdout);
      }
    } catch (error) {
      signal?.throwIfAborted();
      logger.debug("Cannot use a uv", path, error);
    }
    this.#versions.set(path, version);
    return version;
  }

  /** Installs the private uv, by its pinned hash from the index that pip is set to use. */
  async bootstrap(install: TargetInstaller, signal?: AbortSignal): Promise<UvTool> {
    const existing = await this.#managed();
    if (existing !== undefined) return existing;
    const { io } = this.#context;
    await prepareHome(this.#context);
    await using staged = await stage(this.#context);
    const hashes = PINNED_HASHES.map((hash) => `--hash=sha256:${hash}`).join(" ");
    await install(staged.path, [`uv==${PINNED_UV} ${hashes}`], signal);
    if (await this.#binaryIn(staged.path) === undefined) {
      throw new EnvironmentError(`Cannot install uv ${PINNED_UV}: its wheel has no "${this.#name}"`);
    }
    await writeMarker(io, staged.path, {
      kind: "tool",
      sha256: PINNED_HASHES[0]!,
      details: { version: PINNED_UV },
    });
    const isWhole = async (directory: string): Promise<boolean> =>
      await readMarker(io, directory, "tool") !== undefined;
    await publish(this.#context, staged.path, this.#toolDirectory, isWhole);
    const made = await this.#managed();
    if (made === undefined) {
      throw new EnvironmentError(`Cannot use uv ${PINNED_UV}: it is gone after its installation`);
    }
    return made;
  }
}

/** The version in `uv 0.6.3 (…)`, when it is new enough. */
export function parseUvVersion(output: string): string | undefined {
  const text = /^uv (\d+\.\d+\.\d+)/.exec(output)?.[1];
  const version = text === undefined ? undefined : parseVersion(text);
  return version !== undefined && compareVersions(version, parseVersion(OLDEST_UV)!) >= 0 ? text : undefined;
}
