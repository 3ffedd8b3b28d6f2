/**
 * What decides whom a server over TCP can be reached by: its address, TLS, and the names it answers to.
 *
 * @module
 */

import { portOf } from "../core/endpoint.ts";

/** TLS of a server: paths of PEM files, which Python reads; the key never passes through this program. */
export interface ServerTls {
  /** The server's certificate, followed by its chain. */
  readonly certFile: string;
  /** The private key of the certificate, without a passphrase. */
  readonly keyFile: string;
  /** The authority whose certificates clients must have; without it clients need none, only the token. */
  readonly clientCaFile?: string | undefined;
}

/** The options of a server over TCP that decide who reaches it. */
export interface ListenOptions {
  /**
   * Address that an HTTP or RPC server binds. Beyond loopback only together with `listenBeyondLoopback`, `tls` and a
   * token.
   *
   * @default {"127.0.0.1"}
   */
  readonly host?: string | undefined;
  /** Says that `host` is meant to be reached from other machines. @default {false} */
  readonly listenBeyondLoopback?: boolean | undefined;
  /** Makes the server speak TLS 1.2 or later, and nothing else. */
  readonly tls?: ServerTls | undefined;
  /**
   * Names under which clients reach the server, beside those of this machine: `"box.lan"`, or `"box.lan:8443"` where
   * something forwards another port. A request for any other name is refused.
   */
  readonly allowedHosts?: readonly string[] | undefined;
  /** Values of `Origin` that are let in, such as `"https://app.example"`. @default {none: no web page is} */
  readonly allowedOrigins?: readonly string[] | undefined;
  /** Whether clients must know the token. Without it, whoever reaches the address runs code as you. @default {true} */
  readonly auth?: boolean | undefined;
}

const LOOPBACK_REGEXP = /^(localhost|127(\.\d{1,3}){3}|::1)$/;
// `name`, `name:port`, `[v6]`, `[v6]:port`: what can stand in a Host header, and nothing that could end one.
const HOST_NAME_REGEXP = /^([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?$/;

/** What the options are called where they are given. */
export interface ListenWords {
  readonly host: string;
  readonly listenBeyondLoopback: string;
  readonly tls: string;
  readonly token: string;
  readonly allowedHosts: string;
  readonly allowedOrigins: string;
}

const OPTION_WORDS: ListenWords = {
  host: "host",
  listenBeyondLoopback: "listenBeyondLoopback: true",
  tls: "tls",
  token: "a token",
  allowedHosts: "allowedHosts",
  allowedOrigins: "allowedOrigins",
};

/** Says what is wrong with the options as `[option, why]`; null when nothing is. */
export function refusalOf(
  options: ListenOptions,
  words: ListenWords = OPTION_WORDS,
): readonly [option: string, why: string] | null {
  const { host, listenBeyondLoopback, tls, auth, allowedHosts = [], allowedOrigins = [] } = options;
  if (host !== undefined && !LOOPBACK_REGEXP.test(host)) {
    const missing = [
      ...(listenBeyondLoopback === true ? [] : [words.listenBeyondLoopback]),
      ...(tls === undefined ? [words.tls] : []),
      ...(auth === false ? [words.token] : []),
    ];
    if (missing.length > 0) {
      return [
        `${words.host} "${host}"`,
        `it is not a loopback address, and to go beyond takes ${missing.join(", ")}`,
      ];
    }
  }
  const name = allowedHosts.find((one) => !HOST_NAME_REGEXP.test(one));
  if (name !== undefined) return [`${words.allowedHosts} "${name}"`, 'a name is "host" or "host:port"'];
  const origin = allowedOrigins.find((one) => !URL.canParse(one) || new URL(one).origin !== one);
  if (origin !== undefined) {
    return [`${words.allowedOrigins} "${origin}"`, 'an origin is "https://host" or "https://host:port"'];
  }
  return null;
}

/** What the server is told on its bootstrap line. */
export function listenFields(
  options: ListenOptions & { readonly port?: number | undefined },
): Record<string, unknown> {
  const { host = "127.0.0.1", port = 0, tls, listenBeyondLoopback, allowedHosts, allowedOrigins } = options;
  return {
    host: host === "localhost" ? "127.0.0.1" : host,
    port,
    ...(tls === undefined ? {} : { tls }),
    ...(listenBeyondLoopback === true ? { listenBeyondLoopback } : {}),
    ...(allowedHosts === undefined ? {} : { allowedHosts }),
    ...(allowedOrigins === undefined ? {} : { allowedOrigins }),
  };
}

/** What clients of this machine are given, and what they connect to, for the address that the server said it binds. */
export function reachableFrom(address: string): { readonly endpoint: string; readonly address: string } {
  const url = new URL(address);
  const { protocol, hostname } = url;
  const port = portOf(url);
  if (hostname === "0.0.0.0" || hostname === "[::]") {
    return {
      endpoint: `${protocol}//localhost:${port}`,
      address: `${protocol}//${hostname === "[::]" ? "[::1]" : "127.0.0.1"}:${port}`,
    };
  }
  const isLocal = LOOPBACK_REGEXP.test(hostname) || hostname === "[::1]";
  return { endpoint: isLocal ? `${protocol}//localhost:${port}` : address, address };
}
