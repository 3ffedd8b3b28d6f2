// The clauses of the contract about Python that asks its host, over every transport.

import { CLAUSES } from "../../testing/clauses/mod.ts";
import { testBackendContract } from "../../testing/mod.ts";
import { PythonHostHttp, PythonHostPipe, PythonHostRpc } from "../../transports/mod.ts";
import { makeHome, ownerOptions, startHosted } from "./_hosted.ts";

const BACKENDS = { pipe: PythonHostPipe, http: PythonHostHttp, rpc: PythonHostRpc } as const;

for (const [transport, Backend] of Object.entries(BACKENDS)) {
  testBackendContract({
    name: `Infrastructure through ${transport}`,
    marks: ["python", "host"],
    clauses: CLAUSES.filter(({ marks }) => marks.includes("host")),
    start: async () => {
      await using stack = new AsyncDisposableStack();
      const home = stack.use(await makeHome());
      const server = stack.use(await startHosted(home, transport as keyof typeof BACKENDS));
      const kept = stack.move();
      return {
        connect: () => new Backend(server.address, ownerOptions(server)),
        [Symbol.asyncDispose]: () => kept.disposeAsync(),
      };
    },
  });
}
