/** What the tests of gRPC share: an environment with grpcio, made once and kept in the cache directory of the tests. */

const PACKAGES = ["grpcio", "grpcio-tools", "grpcio-health-checking", "grpcio-reflection", "protobuf"];

/** Far more than an installation takes; it only keeps the gate from hanging on a network that swallows packets. */
const INSTALL_TIMEOUT_MS = 4 * 60_000;

/** The interpreter of an environment with grpcio; null, with the reason on the console, when it cannot be had. */
export async function grpcPython(): Promise<string | null> {
  const given = Deno.env.get("BEEP_TEST_GRPC_PYTHON");
  if (given !== undefined) return given;
  using _cache = await openCache();
  const directory = `${cacheDirectory()}/grpc`;
  const python = `${directory}/bin/python`;
  if (await succeeds(python, "-c", "import grpc_tools, grpc_health, grpc_reflection")) return python;
  const isMade = await succeeds("python3", "-m", "venv", "--clear", directory) &&
    await succeeds(python, "-m", "pip", "install", "-q", ...PACKAGES);
  if (isMade) return python;
  console.log("skipped: no environment with grpcio can be made here");
  return null;
}

/** Where the tests keep what takes long to make. */
export function cacheDirectory(): string {
  const base = Deno.env.get("XDG_CACHE_HOME") ?? `${Deno.env.get("HOME") ?? "/tmp"}/.cache`;
  return `${base}/beep-python-host-tests`;
}

/** Holds the cache directory: of the processes that test at the same time, one makes what is missing, and the others wait. */
export async function openCache(): Promise<Disposable> {
  const directory = cacheDirectory();
  await Deno.mkdir(directory, { recursive: true });
  const file = await Deno.open(`${directory}/lock`, { create: true, write: true });
  await file.lock(true);
  return file;
}

async function succeeds(command: string, ...args: string[]): Promise<boolean> {
  const signal = AbortSignal.timeout(INSTALL_TIMEOUT_MS);
  try {
    return (await new Deno.Command(command, { args, stdout: "null", stderr: "null", signal }).output())
      .success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
