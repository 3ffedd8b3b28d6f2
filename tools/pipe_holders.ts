/**
 * Who keeps the output of a step open that has ended: a red gate has to say so itself.
 *
 * @module
 */

/** The processes that hold an end of a pipe which this one has made, as `pid command`; on Linux, elsewhere none. */
export async function pipeHolders(): Promise<string[]> {
  if (Deno.build.os !== "linux") return [];
  // What this process was started with, it has from its parent, and others may have it too.
  const standard = await Promise.all([0, 1, 2].map((fd) => readLink(`/proc/self/fd/${fd}`)));
  const inherited = new Set([...standard, ...await pipesOf(Deno.ppid)]);
  const ours = new Set((await pipesOf(Deno.pid)).filter((pipe) => !inherited.has(pipe)));
  const holders: string[] = [];
  for await (const { name } of Deno.readDir("/proc")) {
    const pid = Number(name);
    if (Number.isNaN(pid) || pid === Deno.pid) continue;
    if (!(await pipesOf(pid)).some((pipe) => ours.has(pipe))) continue;
    const command = await Deno.readTextFile(`/proc/${pid}/cmdline`).catch(() => ""); // it ends just now
    holders.push(`${pid} ${command.replaceAll("\0", " ").trim().slice(0, 500)}`);
  }
  return holders;
}

async function pipesOf(pid: number): Promise<string[]> {
  const links: string[] = [];
  try {
    for await (const { name } of Deno.readDir(`/proc/${pid}/fd`)) {
      links.push(await readLink(`/proc/${pid}/fd/${name}`));
    }
  } catch {
    // It has ended, or belongs to another user, whose processes hold no pipe of ours.
  }
  return links.filter((link) => link.startsWith("pipe:"));
}

/** Where a link leads; nowhere when it is gone, as that of a file which was open for a moment. */
async function readLink(path: string): Promise<string> {
  return await Deno.readLink(path).catch(() => "");
}
