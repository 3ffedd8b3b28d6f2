/** What the tests of the host share: a home of their own, and a venv that is made once. */

/** A fresh `BEEP_PYTHON_HOME`, set for as long as it lives. */
export async function makeHome(): Promise<{ path: string } & AsyncDisposable> {
  const path = await Deno.makeTempDir({ prefix: "beep-" });
  const before = Deno.env.get("BEEP_PYTHON_HOME");
  Deno.env.set("BEEP_PYTHON_HOME", path);
  return {
    path,
    async [Symbol.asyncDispose]() {
      if (before === undefined) Deno.env.delete("BEEP_PYTHON_HOME");
      else Deno.env.set("BEEP_PYTHON_HOME", before);
      await Deno.remove(path, { recursive: true });
    },
  };
}

/** Makes an empty venv below a home: the quickest environment there is. */
export async function makeVenv(home: string): Promise<string> {
  const path = `${home}/venv`;
  const { success, stderr } = await new Deno.Command("python3", {
    args: ["-I", "-m", "venv", "--without-pip", path],
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  return path;
}

/** A deadline for what takes milliseconds, except on a machine that stands still for a moment. */
export const DEADLINE_MS = 10_000;

/** Runs `work`, and says by how much it missed the deadline when it did. */
export async function inTime<T>(work: Promise<T>): Promise<T> {
  const started = performance.now();
  const result = await work;
  const took = performance.now() - started;
  if (took > DEADLINE_MS) throw new Error(`It took ${took.toFixed()} ms, the deadline is ${DEADLINE_MS} ms`);
  return result;
}
