/**
 * The backend over HTTP: one `fetch` for the calls of a tick. Works through whatever carries HTTP, and on every system
 * with few permissions.
 *
 * @module
 */

import { checkUrlEndpoint, DEFAULT_HTTP_URL } from "../core/endpoint.ts";
import { DEFAULT_MAX_FRAME_BYTES } from "../core/frames.ts";
import { PythonHostClient } from "./client.ts";
import type { ClientOptions } from "./client_options.ts";
import { HttpWire } from "./http_wire.ts";
import { locateUrl } from "./locate_url.ts";
import { checkClientTls, type ClientTls } from "./tls.ts";
import type { Wire } from "./wire.ts";

/** Options of {@linkcode PythonHostHttp}. */
export interface PythonHostHttpOptions extends ClientOptions {
  /** For an `https:` URL: whom to trust beside the authorities of the system, and what to show. */
  tls?: ClientTls | undefined;
}

/**
 * A backend that reaches its server by HTTP.
 *
 * Requires `--allow-net` for the server's host and port; to look up the token of a server of the same user also
 * `--allow-read` and `--allow-env`.
 *
 * @example Evaluate on a running server
 * ```ts ignore
 * import { PythonHostHttp } from "jsr:@beep/python-host";
 * import { assertEquals } from "jsr:@std/assert";
 *
 * await using python = new PythonHostHttp("http://localhost:5678");
 * assertEquals(await python.evaluate("1 + 1"), 2);
 * ```
 */
export class PythonHostHttp extends PythonHostClient {
  /** The kind of wire. */
  readonly transport = "http" as const;
  readonly #url: URL;
  readonly #token: string | undefined;
  readonly #maxFrameBytes: number;
  readonly #tls: ClientTls;

  /**
   * Makes a backend; nothing is connected until `initialize` or the first call.
   *
   * @param url Where the server listens. For this machine the run directory is looked into, unless a token is given:
   * it names the token and the very address.
   */
  constructor(url: string = DEFAULT_HTTP_URL, options: PythonHostHttpOptions = {}) {
    super(options);
    this.#url = checkUrlEndpoint(url);
    checkClientTls(options.tls);
    this.#tls = options.tls ?? {};
    this.#token = options.token;
    this.#maxFrameBytes = options.maxFrameBytes ?? DEFAULT_MAX_FRAME_BYTES;
  }

  /** Makes a pool of connections. */
  protected override createWire(): Wire {
    return new HttpWire(
      (signal) => locateUrl("http", this.#url, this.#token, signal),
      this.#maxFrameBytes,
      this.#tls,
    );
  }
}
