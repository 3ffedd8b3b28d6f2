/** What the tests of this folder share: real servers, raw connections to them, and a healthy client that watches. */

import type { PythonHostBackend } from "../../core/backend.ts";
import { type PythonServer, type ServerOptions, startServer } from "../../servers/mod.ts";
import { PythonHostHttp } from "../../transports/http.ts";
import { PythonHostPipe } from "../../transports/pipe.ts";
import { PythonHostRpc } from "../../transports/rpc.ts";

/** The interpreter that the servers run on. */
export const PYTHON: string = await findPython();

async function findPython(): Promise<string> {
  const { stdout } = await new Deno.Command(Deno.env.get("BEEP_TEST_PYTHON") ?? "python3", {
    args: ["-I", "-c", "import sys; print(sys.executable)"],
  }).output();
  return new TextDecoder().decode(stdout).trim();
}

/** Starts a real server. */
export async function start(options: Partial<ServerOptions> = {}): Promise<PythonServer> {
  return await startServer({ python: PYTHON, ...options });
}

/** A backend with the server's own token. */
export function connect(server: PythonServer): PythonHostBackend {
  const { address, token } = server;
  switch (server.transport) {
    case "pipe":
      return new PythonHostPipe(address, { token });
    case "http":
      return new PythonHostHttp(address, { token });
    case "rpc": {
      const protocol = server.info.connectAddress === undefined ? "connect" : "grpc";
      return new PythonHostRpc(address, { token, protocol });
    }
  }
}

/** A raw connection to the server. */
export async function open(server: Pick<PythonServer, "transport" | "address">): Promise<Deno.Conn> {
  if (server.transport === "pipe") return await openSocket(server.address);
  const { hostname, port } = new URL(server.address);
  return await Deno.connect({ hostname, port: Number(port) });
}

async function openSocket(path: string): Promise<Deno.Conn> {
  for (;;) {
    try {
      return await Deno.connect({ transport: "unix", path });
    } catch (error) {
      // Too many wait to be accepted; where the test gives up, it does so by its own limits.
      if (!(error instanceof Deno.errors.WouldBlock)) throw error;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
}

/** Whether the other side ends the connection within so many milliseconds; whatever it says first is dropped. */
export async function isEndedWithin(connection: Deno.Conn, milliseconds: number): Promise<boolean> {
  const late = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => late.resolve(false), milliseconds);
  const buffer = new Uint8Array(4096);
  const drained = (async () => {
    try {
      while (await connection.read(buffer) !== null) { /* until its end */ }
    } catch {
      // Reset by the other side, or closed by the test after it was late.
    }
    return true;
  })();
  try {
    return await Promise.race([drained, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * The most that an answer, or the end of a connection, is waited for, where either comes at once. A machine that is busy with other
 * work may hold up any process for a second or two.
 */
export const PATIENCE_MS = 20_000;

/** Reads until the other side ends or the time is up; what came is given as Latin-1 text. */
export async function readAll(
  connection: Deno.Conn,
  timeoutMs = PATIENCE_MS,
): Promise<{ text: string; ended: boolean }> {
  const buffer = new Uint8Array(64 * 1024);
  let text = "";
  let ended = true;
  const timer = setTimeout(() => {
    ended = false;
    connection.close();
  }, timeoutMs);
  try {
    for (let count = await connection.read(buffer); count !== null; count = await connection.read(buffer)) {
      text += String.fromCharCode(...buffer.subarray(0, count));
    }
  } catch (error) {
    // A reset is an end too; anything else but our own time limit is not expected.
    if (ended && !(error instanceof Deno.errors.ConnectionReset)) throw error;
  } finally {
    clearTimeout(timer);
  }
  return { text, ended };
}

/** Closes a connection that may be closed already. */
export function closeQuietly(connection: Deno.Conn): void {
  try {
    connection.close();
  } catch (error) {
    if (!(error instanceof Deno.errors.BadResource)) throw error;
  }
}

/** Writes everything, as far as the other side takes it; false when it ended the connection. */
export async function writeAll(connection: Deno.Conn, bytes: Uint8Array): Promise<boolean> {
  try {
    for (let rest = bytes; rest.byteLength > 0;) rest = rest.subarray(await connection.write(rest));
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.BrokenPipe || error instanceof Deno.errors.ConnectionReset) return false;
    throw error;
  }
}

/**
 * The most that a healthy client may wait while others misbehave. It takes milliseconds; who had to wait for a stranger would wait as
 * long as that one may take, 10 s.
 */
export const HEALTHY_MS = 5_000;

/**
 * Calls the server over and over while `body` runs, and checks each answer against its own question: what a stranger
 * sends must neither delay a client nor reach it. Gives the longest wait.
 */
export async function beside(server: PythonServer, body: () => Promise<void>): Promise<number> {
  await using healthy = connect(server);
  await healthy.evaluate("secret = 'mine'");
  let isOver = false;
  let slowest = 0;
  let slowestCall = 0;
  const calls = (async () => {
    for (let i = 0; !isOver; i++) {
      const began = performance.now();
      const answer = await healthy.evaluate<string>("f'{secret}:{i}'", { i });
      const took = performance.now() - began;
      if (took > slowest) [slowest, slowestCall] = [took, i];
      if (answer !== `mine:${i}`) throw new Error(`The healthy client got "${answer}" for call ${i}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  })();
  // It is waited for only at the end, and may fail before.
  calls.catch(() => {});
  try {
    await body();
  } finally {
    isOver = true;
    await calls;
  }
  if (slowest > HEALTHY_MS) {
    throw new Error(
      `The healthy client waited ${Math.round(slowest)} ms for the answer to call ${slowestCall}`,
    );
  }
  return slowest;
}
