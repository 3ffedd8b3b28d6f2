/**
 * What is written into the files of an environment, and what is read back out of it: no credentials, and pins that can
 * be installed again.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { join } from "@std/path";
import { conceal, lacksCredentials, reveal } from "../../infrastructure/credentials.ts";
import { readIndexSettings, uvSelection } from "../../infrastructure/index_settings.ts";
import { frozen, listPackages } from "../../infrastructure/installed_packages.ts";
import { expectSuccess } from "../../infrastructure/child.ts";
import { VenvManager } from "../../infrastructure/mod.ts";
import { withRequirementFiles } from "../../infrastructure/requirement_files.ts";
import { canonicalRequirements } from "../../infrastructure/specification.ts";
import { specify } from "../../infrastructure/specify.ts";
import { CommandError, PythonHostError } from "../../core/errors.ts";
import { assertRejects, assertThrows } from "@std/assert";
import { context, only, quiet, temporary } from "./_support.ts";

Deno.test("credentials in requirements are concealed, and given to the installer all the same", async () => {
  const lines: Record<string, string> = {
    "--index-url https://me:s3cret@host/simple": "--index-url https://***@host/simple",
    "a @ git+https://t0ken@host/a.git": "a @ git+https://***@host/a.git",
    "a @ https://:s3cret@host/a.whl": "a @ https://***@host/a.whl",
    "a @ git+ssh://git@host/a.git": "a @ git+ssh://git@host/a.git",
    "a @ git+ssh://git:s3cret@host/a.git": "a @ git+ssh://***@host/a.git",
    "a @ https://host/a@1.whl": "a @ https://host/a@1.whl",
  };
  for (const [line, shown] of Object.entries(lines)) {
    assertEquals(conceal(line), shown);
    assertEquals(reveal(shown), line);
  }
  const foreign = "--index-url https://***@elsewhere/simple";
  assertEquals([reveal(foreign), lacksCredentials(foreign)], ["--index-url https://elsewhere/simple", true]);

  await using scratch = await temporary("credentials_");
  const made = context(scratch.path);
  const [line] = canonicalRequirements(["--index-url https://me:s3cret@host/simple"]);
  const text = await withRequirementFiles(
    made,
    { requirements: [line!] },
    async ({ requirements }) => await Deno.readTextFile(requirements),
  );
  assertEquals(text, "--index-url https://me:s3cret@host/simple\n");
  const failing = (): Promise<never> =>
    Promise.reject(new CommandError("install packages", { command: ["pip"], exitCode: 1, output: "401" }));
  const failure = await assertRejects(
    () => withRequirementFiles(made, { requirements: [foreign] }, failing),
    CommandError,
  );
  assert(failure.hint!.includes("not kept"));
});

Deno.test("no file of an environment holds the credentials of its requirements", async () => {
  await using scratch = await temporary("credentials_");
  const home = join(scratch.path, "home");
  const file = join(scratch.path, "requirements.txt");
  await Deno.writeTextFile(file, "--extra-index-url https://me:s3cret@localhost:1/simple\n");
  const environments = new VenvManager({ home, environment: quiet(), installer: "pip" });
  const made = await environments.ensure({ name: "kept", requirementsFiles: [file] });
  assertEquals(made.requirements, ["--extra-index-url https://***@localhost:1/simple"]);
  const found = await new Deno.Command("grep", { args: ["-rl", "s3cret", home] }).output();
  assertEquals(new TextDecoder().decode(found.stdout), "");
});

Deno.test("freeze() gives what can be installed again: commits, folders, hashes, and no pip", async () => {
  await using scratch = await temporary("freeze_");
  const put = async (name: string, version: string, direct?: unknown): Promise<void> => {
    const path = join(scratch.path, `${name}-${version}.dist-info`);
    await Deno.mkdir(path);
    await Deno.writeTextFile(
      join(path, "METADATA"),
      `Metadata-Version: 2.1\nName: ${name}\nVersion: ${version}\n\n`,
    );
    if (direct !== undefined) await Deno.writeTextFile(join(path, "direct_url.json"), JSON.stringify(direct));
  };
  await put("Plain", "1.0");
  await put("pip", "24.0");
  await put("setuptools", "68.0");
  const vcs_info = { vcs: "git", commit_id: "0123abcd", requested_revision: "main" };
  await put("vcs", "1", { url: "https://host/vcs.git", vcs_info, subdirectory: "python" });
  await put("archive", "2", { url: "https://host/a.whl", archive_info: { hash: "sha256=ff" } });
  await put("newer", "2", { url: "https://host/b.whl", archive_info: { hashes: { sha256: "ee" } } });
  await put("folder", "3", { url: "file:///src/folder", dir_info: {} });
  const packages = await listPackages(context("/h"), scratch.path);
  const lines = [
    "archive @ https://host/a.whl#sha256=ff",
    "folder @ file:///src/folder",
    "newer @ https://host/b.whl#sha256=ee",
    "Plain==1.0",
    "vcs @ git+https://host/vcs.git@0123abcd#subdirectory=python",
  ];
  assertEquals(frozen(packages, { version: "3.11.2", requirements: [] }), lines);
  assertEquals(
    frozen(packages, { version: "3.12.0", requirements: ["pip>=23"] }),
    [...lines.slice(0, 3), "pip==24.0", "Plain==1.0", "setuptools==68.0", lines[4]!],
  );
});

Deno.test("variables by which uv takes other packages are part of what an environment is", async () => {
  const index = async (values: Readonly<Record<string, string>>): Promise<string> => {
    const made = context("/h", { environment: only(values) });
    const defaults = { python: () => Promise.resolve("3"), pip: false, index: undefined };
    return (await specify(made, { packages: ["six"] }, defaults)).index;
  };
  const plain = await index({});
  assertEquals(await index({ UV_HTTP_TIMEOUT: "3", UV_CACHE_DIR: "/c" }), plain);
  const seen = new Set([plain]);
  for (
    const name of ["UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_FIND_LINKS", "UV_EXCLUDE_NEWER", "UV_CONSTRAINT"]
  ) {
    seen.add(await index({ [name]: "https://me:s3cret@host/simple" }));
  }
  assertEquals(seen.size, 6);
  assert([...seen].every((text) => !text.includes("s3cret")));
  // Settings of a caller are stronger than variables that say where packages come from.
  const made = context("/h", { environment: only({ UV_INDEX: "https://host/" }) });
  assertEquals(uvSelection({}, made), {});
  assertEquals(uvSelection(await readIndexSettings(made), made), { UV_INDEX: "https://host/" });
});

Deno.test("a disk that is full for an installer is the same error as one that is full for us", () => {
  const says: readonly string[] = [
    "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device: '/x'",
    "error: Failed to install: a.whl\n  Caused by: failed to copy file: No space left on device (os error 28)",
    "OSError: [Errno 122] Disk quota exceeded",
    "error: There is not enough space on the disk. (os error 112)",
  ];
  const result = { code: 1, signal: null, stdout: "", timedOut: false };
  for (const stderr of says) {
    const failure = assertThrows(
      () => expectSuccess("install packages", ["pip"], { ...result, stderr }),
      PythonHostError,
      "no space is left",
    );
    assertEquals(failure.code, "disk-full");
    assert(failure.cause instanceof CommandError);
  }
  assertThrows(
    () => expectSuccess("install packages", ["pip"], { ...result, stderr: "ERROR: no matching" }),
    CommandError,
  );
});
