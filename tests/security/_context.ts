/** The real server's sources, with directories of a test's own. */

import { LIBRARY_VERSION } from "../../core/protocol.ts";
import { PYTHON_SOURCES_HASH } from "../../servers/_python_hash.gen.ts";
import type { LaunchContext } from "../../servers/start.ts";

/** What `launch` needs to start the real server below `home`. */
export function pythonSourcesContext(home: string): LaunchContext {
  return {
    sources: {
      load: async () => (await import("../../servers/_python.gen.ts")).PYTHON_SOURCES,
      hash: PYTHON_SOURCES_HASH,
      version: LIBRARY_VERSION,
    },
    sourcesRoot: `${home}/servers`,
    runDirectory: `${home}/run`,
  };
}
