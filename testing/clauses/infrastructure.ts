/**
 * Clauses about Python that asks its host: Infrastructure through the `evaluate` of any backend.
 *
 * @module
 */

import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import type { PythonHostBackend } from "../../core/backend.ts";
import { PythonError } from "../../core/errors.ts";
import type { Clause, ClauseContext } from "../clause.ts";

function clause(id: string, sentence: string, body: (context: ClauseContext) => Promise<void>): Clause {
  return { id: `infrastructure/${id}`, sentence, marks: ["python", "host"], body };
}

/** A name that no other clause uses, nor an earlier run of this one. */
function freshName(): string {
  return `contract-${crypto.randomUUID().slice(0, 8)}`;
}

/** Runs `body` with the name of an environment that is made for it and removed after it. */
async function withEnvironment(
  backend: PythonHostBackend,
  body: (name: string) => Promise<void>,
): Promise<void> {
  await backend.initialize();
  const name = freshName();
  await backend.evaluate("from beep_host.infrastructure import *\nVenvManager().ensure(name)\nNone", {
    name,
  });
  try {
    await body(name);
  } finally {
    await backend.evaluate("VenvManager().delete(name, force=True)", { name });
  }
}

async function raised(backend: PythonHostBackend, code: string, locals = {}): Promise<PythonError> {
  return await assertRejects(() => backend.evaluate(code, locals), PythonError);
}

/** See the module comment. */
export const INFRASTRUCTURE: readonly Clause[] = [
  clause("list", "environments are listed with their names and paths", async ({ backend }) => {
    await withEnvironment(backend, async (name) => {
      const listed = await backend.evaluate<unknown[][]>(
        `
        from beep_host.infrastructure import VenvManager
        [(environment.name, environment.path) for environment in VenvManager().list()]
        `,
      );
      const path = listed.find(([listedName]) => listedName === name)?.[1];
      assert(typeof path === "string" && path.includes(name));
    });
  }),
  clause("life", "an environment is made, found, used and removed", async ({ backend }) => {
    await backend.initialize();
    const name = freshName();
    const steps = await backend.evaluate<unknown[]>(
      `
      import os, subprocess
      from beep_host.infrastructure import VenvManager
      environments = VenvManager()
      made = environments.ensure(name)
      prefix = subprocess.run([made.python, "-I", "-c", "import sys; print(sys.prefix)"], capture_output=True, text=True)
      [
        os.path.realpath(prefix.stdout.strip()) == os.path.realpath(made.path),
        environments.ensure(name) == made,
        environments.status(name).packages,
        environments.verify(name),
        environments.delete(name),
        environments.exists(name),
        environments.delete(name),
      ]
      `,
      { name },
    );
    assertEquals(steps, [true, true, [], [], true, false, false]);
  }),
  clause("original", "the original's own words run as they stand", async ({ backend }) => {
    await backend.initialize();
    const provider = freshName();
    const answers = await backend.evaluate<unknown[]>(
      `
      import clr
      clr.AddReference('Beep.Python.Runtime')
      from Beep.Python.RuntimeEngine.Infrastructure import VenvManager
      venvs = VenvManager()
      path = venvs.EnsureProviderEnvironment(provider)
      executable = path + "/bin/python"
      [
        isinstance(path, str),
        venvs.GetProviderPackages(provider),
        venvs.VerifyPackagesInstalled(executable, [], provider, None),
        venvs.ComputeProviderVenvName("llama-rocm", "org/model"),
        venvs.DeleteVirtualEnvironment(path),
        venvs.DeleteVirtualEnvironment(path),
      ]
      `,
      { provider },
    );
    assertEquals(answers, [true, {}, true, "llama-rocm-org-model", true, false]);
  }),
  clause(
    "original-other",
    "another assembly is refused by the stand-in for Python.NET",
    async ({ backend }) => {
      await backend.initialize();
      const error = await raised(backend, "import clr\nclr.AddReference('Some.Other.Assembly')");
      assertEquals(error.pythonType, "FileNotFoundError");
      assertStringIncludes(error.message, "Python.NET is not installed");
    },
  ),
  clause("errors", "what fails raises by type", async ({ backend }) => {
    await backend.initialize();
    await backend.evaluate("from beep_host.infrastructure import VenvManager, RuntimeManager, ServerManager");
    const cases = [
      ["VenvManager().status('there-is-none')", "EnvironmentNotFoundError"],
      ["VenvManager().ensure('../outside')", "EnvironmentNameError"],
      ["VenvManager().status('..')", "EnvironmentNameError"],
      ["RuntimeManager().find('==2.1')", "RuntimeNotFoundError"],
      ["ServerManager().get('server-0')", "NotFoundError"],
      ["ServerManager().start('there-is-none')", "EnvironmentNotFoundError"],
      ["VenvManager().ensure('x', installer='conda')", "InvalidRequestError"],
    ] as const;
    for (const [code, type] of cases) {
      const error = await raised(backend, code);
      assertEquals([code, error.pythonType, error.pythonModule], [code, type, "beep_host.infrastructure"]);
    }
  }),
  clause("exists", "an environment is not created over another", async ({ backend }) => {
    await withEnvironment(backend, async (name) => {
      const error = await raised(backend, "VenvManager().create(name)", { name });
      assertEquals(error.pythonType, "EnvironmentExistsError");
    });
  }),
  clause("progress", "a long operation tells the caller's call how it goes on", async ({ backend }) => {
    await backend.initialize();
    const name = freshName();
    const told: string[] = [];
    const events = await backend.evaluate<string[]>(
      `
      from beep_host.infrastructure import VenvManager
      stages = []
      VenvManager().ensure(name, on_progress=lambda event: stages.append(event.stage))
      VenvManager().delete(name)
      stages
      `,
      { name },
      { onProgress: ({ message }) => void told.push(message ?? "") },
    );
    assert(events.includes("create") && events.includes("done"));
    assertEquals(told.map((line) => line.split(":")[0]), events);
  }),
  clause("progress-raises", "an exception of on_progress ends the operation", async ({ backend }) => {
    await backend.initialize();
    const name = freshName();
    const error = await raised(
      backend,
      `
      from beep_host.infrastructure import VenvManager
      VenvManager().ensure(name, on_progress=lambda event: 1 / 0)
      `,
      { name },
    );
    assertEquals(error.pythonType, "ZeroDivisionError");
    assertEquals(
      await backend.evaluate("VenvManager().delete(name, force=True)\nVenvManager().exists(name)", { name }),
      false,
    );
  }),
  clause("async", "the asynchronous forms can be awaited, many at once", async ({ backend }) => {
    await withEnvironment(backend, async (name) => {
      const found = await backend.evaluate(
        `
        import asyncio
        environments = AsyncVenvManager()
        [one.name for one in await asyncio.gather(*[environments.status(name) for _ in range(5)])]
        `,
        { name },
      );
      assertEquals(found, Array(5).fill(name));
    });
  }),
  clause("threads", "threads that user code starts reach the host", async ({ backend }) => {
    await withEnvironment(backend, async (name) => {
      const found = await backend.evaluate(
        `
        from concurrent.futures import ThreadPoolExecutor
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda _: VenvManager().exists(name), range(8)))
        found
        `,
        { name },
      );
      assertEquals(found, Array(8).fill(true));
    });
  }),
  clause(
    "processes",
    "children of multiprocessing reach the host, and errors come back whole",
    async ({ backend }) => {
      await withEnvironment(backend, async (name) => {
        const found = await backend.evaluate(
          `
        import multiprocessing
        answers = []
        for method in multiprocessing.get_all_start_methods():
            with multiprocessing.get_context(method).Pool(1) as pool:
                answers.append(pool.apply(VenvManager.exists, (VenvManager(), name)))
                try:
                    pool.apply(VenvManager.status, (VenvManager(), "there-is-none"))
                except EnvironmentNotFoundError as error:
                    answers.append(error.code)
        answers
        `,
          { name },
        );
        assert(Array.isArray(found) && found.length > 0 && found.length % 2 === 0);
        assertEquals(found, Array(found.length / 2).fill([true, "environment"]).flat());
      });
    },
  ),
  clause("at-once", "two backends that ensure the same environment at once get the same", async (context) => {
    const first = context.backend;
    const second = await context.connect();
    await Promise.all([first.initialize(), second.initialize()]);
    const name = freshName();
    const code = "from beep_host.infrastructure import VenvManager\nVenvManager().ensure(name).path";
    const [one, two] = await Promise.all([first.evaluate(code, { name }), second.evaluate(code, { name })]);
    assertEquals(one, two);
    assertEquals(await first.evaluate("VenvManager().delete(name)", { name }), true);
  }),
  clause("secret", "the token is in no variable and in no argument", async ({ backend }) => {
    await backend.initialize();
    assertEquals(
      await backend.evaluate(
        `
        import json, os, stat, sys
        path = os.environ["BEEP_HOST_API"]
        with open(path) as file:
            token = json.load(file)["token"]
        held = [*os.environ.values(), *sys.argv, *sys.orig_argv] if hasattr(sys, "orig_argv") else [*os.environ.values(), *sys.argv]
        [len(token) >= 64, any(token in text for text in held), os.name == "nt" or stat.S_IMODE(os.stat(path).st_mode) == 0o600]
        `,
      ),
      [true, false, true],
    );
  }),
  clause("cancel", "a call that waits for the host can be cancelled", async ({ backend }) => {
    await backend.initialize();
    await backend.evaluate(
      "from beep_host.infrastructure import VenvManager\nVenvManager().list()\nimport time",
    );
    const name = freshName();
    const controller = new AbortController();
    // The progress of the operation tells that it has begun; it must not end by itself before it is cancelled.
    const call = backend.evaluate(
      `
      def hold(event):
          time.sleep(0.01)
      while True:
          VenvManager().ensure(name, on_progress=hold)
          VenvManager().delete(name, force=True)
      `,
      { name },
      { signal: controller.signal, onProgress: () => controller.abort(new Error("enough")) },
    );
    await assertRejects(() => call, Error, "enough");
    assertEquals(await backend.evaluate("VenvManager().delete(name, force=True)\n1 + 1", { name }), 2);
  }),
];
