/**
 * Installs a Python from its archive, so that it is either whole or not there, whenever a process dies.
 *
 * ```text
 * CHECK ─whole?─► HIT
 *   │no
 * LOCK ► CHECK ► SWEEP ► DOWNLOAD ► EXTRACT ► FIX UP ► PROBE ► MARK ► PUBLISH
 * ```
 *
 * @module
 */

import { basename, join } from "@std/path";
import { DownloadError, EnvironmentError, HashMismatchError } from "../core/errors.ts";
import type { Context } from "./context.ts";
import { archiveName, archiveUrls, type Distribution, distributionKey } from "./distributions.ts";
import { download, type DownloadLimits } from "./download.ts";
import { moveToTrash } from "./environment_store.ts";
import { extract, type Extracted, ExtractError } from "./extract.ts";
import { listIfThere, removeIfThere, statIfThere } from "./files.ts";
import { fixUp, forceToDisk } from "./fix_up.ts";
import { Layout, prepareHome } from "./layout.ts";
import { lock } from "./locking.ts";
import { compareManifest, type Marker, readMarker, verifyOncePerBoot, writeMarker } from "./marker.ts";
import { requirePermissions } from "./permissions.ts";
import { probe } from "./probe.ts";
import type { ProgressListener } from "./progress_events.ts";
import { publish, stage, sweepStaging } from "./staging.ts";

/** What the marker of an installed runtime adds. */
export interface InstalledDetails {
  /** What it was installed from. */
  readonly distribution: Distribution;
  /** Its interpreter, from its directory. */
  readonly executable: string;
}

/** A runtime on disk. */
export interface InstalledRuntime {
  /** The name of its directory. */
  readonly id: string;
  /** Its directory. */
  readonly path: string;
  /** Its interpreter. */
  readonly executable: string;
  /** What it was installed from. */
  readonly distribution: Distribution;
}

/** How a runtime is installed. */
export interface RuntimeInstallOptions {
  /** Where archives are, instead of the official places: URLs that stand for `…/releases/download`. */
  readonly mirrors?: readonly string[];
  /** How patient downloads are. */
  readonly limits?: DownloadLimits;
  /** How long another process is waited for, in milliseconds. @default {300000} */
  readonly lockDeadlineMs?: number;
  /** Ends the work, and rejects with the signal's reason. */
  readonly signal?: AbortSignal;
  /** Told of progress. */
  readonly onProgress?: ProgressListener;
}

/** Parts of an archive that are of no use here; `terminfo` has names that differ only in case. */
const SKIPPED: readonly string[] = ["share/terminfo", "lib/terminfo", "share/man"];

/** How often the work is begun again when somebody sweeps it away. */
const SWEPT_ATTEMPTS = 5;

/** Installs, opens and removes runtimes below `pythons/`. */
export class RuntimeInstaller {
  readonly #context: Context;

  /** Makes the installer of a data directory. */
  constructor(context: Context) {
    this.#context = context;
  }

  get #layout(): Layout {
    return new Layout(this.#context.home);
  }

  /** The directory of an id. */
  path(id: string): string {
    if (!/^[A-Za-z0-9][A-Za-z0-9._+-]{0,200}$/.test(id)) {
      throw new EnvironmentError(`Cannot use runtime id "${id.slice(0, 100)}": it is none of this library's`);
    }
    return join(this.#layout.pythons, id);
  }

  async #marker(path: string): Promise<Marker<InstalledDetails> | undefined> {
    return await readMarker<InstalledDetails>(this.#context.io, path, "runtime");
  }

  /** All installed runtimes that have their marker; nothing is started. */
  async list(): Promise<InstalledRuntime[]> {
    if (this.#context.homeIfKnown === undefined) return [];
    const ids = await listIfThere(this.#context.io, this.#layout.pythons);
    const found = await Promise.all(
      ids.filter((id) => !id.endsWith(".verified")).map(async (id) => {
        const marker = await this.#marker(join(this.#layout.pythons, id));
        return marker === undefined ? undefined : toInstalled(join(this.#layout.pythons, id), marker);
      }),
    );
    return found.filter((runtime) => runtime !== undefined);
  }

  /** What is wrong with an installed runtime: every file is compared. */
  async verify(id: string): Promise<string[]> {
    const path = this.path(id);
    const marker = await this.#marker(path);
    return marker === undefined
      ? ["it is not installed"]
      : await compareManifest(this.#context.io, path, marker);
  }

  /** The runtime of a distribution, when it is there and whole (its files are compared once per boot). */
  async hit(distribution: Distribution): Promise<InstalledRuntime | undefined> {
    const path = this.path(distributionKey(distribution));
    const marker = await this.#marker(path);
    if (marker === undefined || marker.sha256 !== distribution.sha256) return undefined;
    const problems = await verifyOncePerBoot(this.#context.io, path, marker);
    if (problems.length === 0) return toInstalled(path, marker);
    this.#context.logger.warn("A runtime must be installed again", path, problems.slice(0, 3));
    return undefined;
  }

  /** Installs a distribution, unless it is there and whole. */
  async install(distribution: Distribution, options: RuntimeInstallOptions = {}): Promise<InstalledRuntime> {
    const { signal, onProgress } = options;
    signal?.throwIfAborted();
    const existing = await this.#hitIfReadable(distribution);
    if (existing !== undefined) return existing;
    await this.#requirePermissions(distribution, options);
    await prepareHome(this.#context);
    onProgress?.({ stage: "lock", subject: distributionKey(distribution) });
    const until = async (): Promise<boolean> => await this.hit(distribution) !== undefined;
    using held = await lock(this.#context, this.#layout.lock, {
      signal,
      deadlineMs: options.lockDeadlineMs,
      until,
    });
    const made = await this.hit(distribution);
    if (made !== undefined) return made;
    const exclusive = held?.exclusive === true;
    if (exclusive) await this.#sweep();
    return await this.#installFrom(distribution, exclusive, options);
  }

  /** What may not even be read is no hit; all that is missing is then said at once. */
  async #hitIfReadable(distribution: Distribution): Promise<InstalledRuntime | undefined> {
    try {
      return await this.hit(distribution);
    } catch (error) {
      if (error instanceof Deno.errors.NotCapable) return undefined;
      throw error;
    }
  }

  async #requirePermissions(distribution: Distribution, options: RuntimeInstallOptions): Promise<void> {
    const urls = archiveUrls(distribution, this.#context.environment, options.mirrors).filter((url) =>
      URL.canParse(url)
    );
    const local = this.#context.offline || urls.some((url) => url.startsWith("file:"));
    const home = [this.#context.home];
    const netAny = local ? [] : urls.map((url) => new URL(url).host);
    await requirePermissions(`install Python ${distribution.version}`, { read: home, write: home, netAny });
  }

  async #sweep(): Promise<void> {
    await sweepStaging(this.#context);
    for (const id of await listIfThere(this.#context.io, this.#layout.pythons)) {
      if (id.endsWith(".verified")) continue;
      const path = join(this.#layout.pythons, id);
      if (await this.#marker(path) === undefined) await moveToTrash(this.#context, path);
    }
  }

  async #installFrom(
    distribution: Distribution,
    exclusive: boolean,
    options: RuntimeInstallOptions,
  ): Promise<InstalledRuntime> {
    const { io } = this.#context;
    const final = this.path(distributionKey(distribution));
    const archive = join(this.#layout.archives, `${distribution.sha256}.tar.gz`);
    let swept = 0;
    for (let attempt = 1;; attempt++) {
      const cached = await statIfThere(io, archive) !== undefined;
      if (!cached) await this.#fetch(distribution, archive, exclusive, options);
      await using staged = await stage(this.#context);
      try {
        const extracted = await this.#extract(archive, staged.path, options);
        if (extracted.sha256 !== distribution.sha256) {
          // An archive that went bad in the cache is thrown out, and fetched once more.
          await removeIfThere(io, archive);
          if (attempt === 1) continue;
          throw new HashMismatchError(archive, distribution.sha256, extracted.sha256);
        }
        if ("fault" in extracted) throw extracted.fault;
        await this.#finish(distribution, staged.path, extracted, options);
        options.onProgress?.({ stage: "publish", subject: basename(final) });
        await publish(
          this.#context,
          staged.path,
          final,
          (directory) => this.#isWhole(directory, distribution),
        );
      } catch (error) {
        // Where locks do not work, a process with working ones may have taken this for left behind.
        if (!await staged.isSwept() || ++swept > SWEPT_ATTEMPTS) throw error;
        this.#context.logger.warn("Somebody swept what was being installed: once more", staged.path, error);
        continue;
      }
      const installed = await this.hit(distribution);
      if (installed === undefined) {
        throw new EnvironmentError(`Cannot use "${final}": it was altered as soon as it was installed`);
      }
      options.onProgress?.({ stage: "done", subject: basename(final) });
      return installed;
    }
  }

  async #isWhole(directory: string, distribution: Distribution): Promise<boolean> {
    const marker = await this.#marker(directory);
    if (marker === undefined || marker.sha256 !== distribution.sha256) return false;
    return (await compareManifest(this.#context.io, directory, marker)).length === 0;
  }

  async #fetch(
    distribution: Distribution,
    archive: string,
    exclusive: boolean,
    options: RuntimeInstallOptions,
  ): Promise<void> {
    await this.#context.io.mkdir(this.#layout.archives, { recursive: true, mode: 0o700 });
    // Without a lock two processes may be here at once; each then writes a part of its own.
    const base = join(this.#layout.archives, distribution.sha256);
    const part = exclusive ? `${base}.part` : `${base}.${crypto.randomUUID()}.part`;
    try {
      await download(this.#context, {
        urls: archiveUrls(distribution, this.#context.environment, options.mirrors),
        sha256: distribution.sha256,
        target: archive,
        part,
        subject: archiveName(distribution),
        limits: options.limits,
        signal: options.signal,
        onProgress: options.onProgress,
      });
    } finally {
      if (!exclusive) {
        await removeIfThere(this.#context.io, part);
        await removeIfThere(this.#context.io, `${part}.json`);
      }
    }
  }

  /** Unpacks; content that is refused comes back with the hash, since a bad hash explains it. */
  async #extract(
    archive: string,
    target: string,
    options: RuntimeInstallOptions,
  ): Promise<Extracted | { readonly sha256: string; readonly fault: DownloadError }> {
    const { signal, onProgress } = options;
    const total = (await statIfThere(this.#context.io, archive))?.size;
    const subject = basename(archive);
    let told = 0;
    const onBytes = (done: number): void => {
      if (done - told < 1 << 20 && done !== total) return;
      told = done;
      onProgress?.({ stage: "extract", subject, done, ...(total === undefined ? {} : { total }) });
    };
    try {
      return await extract(this.#context, archive, target, { skip: SKIPPED, signal, onBytes });
    } catch (error) {
      if (!(error instanceof ExtractError)) throw error;
      const fault = new DownloadError(`Cannot unpack "${archive}": ${error.message}`, archive, {
        cause: error,
      });
      return { sha256: error.sha256, fault };
    }
  }

  async #finish(
    distribution: Distribution,
    staged: string,
    extracted: Extracted,
    options: RuntimeInstallOptions,
  ): Promise<void> {
    const { signal, onProgress } = options;
    const final = this.path(distributionKey(distribution));
    const executable = await fixUp(this.#context, { distribution, staged, final, files: extracted.files });
    onProgress?.({ stage: "verify", subject: basename(final) });
    const answer = await probe(this.#context, join(staged, executable), { signal, timeoutMs: 30_000 });
    if ("reason" in answer) {
      throw new EnvironmentError(
        `Cannot use Python ${distribution.version} for "${distribution.triple}": ${answer.reason}`,
        {
          hint:
            "The build does not fit this machine: set UV_LIBC, or install a Python by the system's own means.",
        },
      );
    }
    if (answer.facts.version !== distribution.version) {
      throw new EnvironmentError(
        `Cannot use Python ${distribution.version}: its archive holds version ${answer.facts.version}`,
      );
    }
    await forceToDisk(this.#context.io, staged, extracted.files);
    const details: InstalledDetails = { distribution, executable };
    await writeMarker(this.#context.io, staged, { kind: "runtime", sha256: distribution.sha256, details });
  }

  /** Removes an installed runtime. Gives false when there is none. */
  async uninstall(
    id: string,
    options: { signal?: AbortSignal; lockDeadlineMs?: number } = {},
  ): Promise<boolean> {
    const path = this.path(id);
    if (await statIfThere(this.#context.io, path) === undefined) return false;
    using _held = await lock(this.#context, this.#layout.lock, options);
    await moveToTrash(this.#context, path);
    await removeIfThere(this.#context.io, `${path}.verified`);
    return true;
  }
}

function toInstalled(path: string, marker: Marker<InstalledDetails>): InstalledRuntime {
  const { distribution, executable } = marker.details;
  return { id: basename(path), path, executable: join(path, executable), distribution };
}
