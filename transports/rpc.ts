/**
 * The backend over RPC: the Connect protocol, or gRPC, in the schema that clients of any language use.
 *
 * @module
 */

import { checkUrlEndpoint, DEFAULT_RPC_URL } from "../core/endpoint.ts";
import { PythonHostError } from "../core/errors.ts";
import { DEFAULT_MAX_FRAME_BYTES } from "../core/frames.ts";
import { PythonHostClient } from "./client.ts";
import type { ClientOptions } from "./client_options.ts";
import { locateUrl } from "./locate_url.ts";
import type { RpcProtocol } from "./rpc_link.ts";
import { RpcWire } from "./rpc_wire.ts";
import { checkClientTls, type ClientTls } from "./tls.ts";
import type { Wire } from "./wire.ts";

/** Options of {@linkcode PythonHostRpc}. */
export interface PythonHostRpcOptions extends ClientOptions {
  /**
   * What is spoken: `"connect"`, or `"grpc"`, which a server answers that was started for it. Left out, it is what the
   * server is entered with in the run directory; `"connect"` when it is not looked up there.
   */
  protocol?: RpcProtocol | undefined;
  /** For an `https:` URL: whom to trust beside the authorities of the system, and what to show. */
  tls?: ClientTls | undefined;
}

/**
 * A backend that reaches its server by RPC. It keeps one stream open for its session, which ends with it.
 *
 * Requires `--allow-net` for the server's host and port; to look up the token of a server of the same user also
 * `--allow-read` and `--allow-env`; for gRPC also what `node:http2` needs, `--allow-env`.
 *
 * @example Evaluate on a running server
 * ```ts ignore
 * import { PythonHostRpc } from "jsr:@beep/python-host";
 * import { assertEquals } from "jsr:@std/assert";
 *
 * await using python = new PythonHostRpc("http://localhost:50051");
 * assertEquals(await python.evaluate("1 + 1"), 2);
 * ```
 */
export class PythonHostRpc extends PythonHostClient {
  /** The kind of wire. */
  readonly transport = "rpc" as const;
  readonly #url: URL;
  readonly #options: PythonHostRpcOptions;

  /**
   * Makes a backend; nothing is connected until `initialize` or the first call.
   *
   * @param url Where the server listens. For this machine the run directory is looked into, unless a token is given:
   * it names the token and the very address.
   */
  constructor(url: string = DEFAULT_RPC_URL, options: PythonHostRpcOptions = {}) {
    super(options);
    this.#url = checkUrlEndpoint(url);
    const { protocol } = options;
    if (protocol !== undefined && protocol !== "connect" && protocol !== "grpc") {
      throw new PythonHostError("argument", `Cannot use protocol "${protocol}": known are connect, grpc`);
    }
    checkClientTls(options.tls);
    this.#options = options;
  }

  /** Makes a client of the schema. */
  protected override createWire(): Wire {
    const { protocol, maxFrameBytes = DEFAULT_MAX_FRAME_BYTES, tls = {}, token } = this.#options;
    return new RpcWire((signal) => locateUrl("rpc", this.#url, token, signal), {
      protocol,
      maxFrameBytes,
      tls,
    });
  }
}
