/**
 * TLS on the client's side: whom it trusts, and what it shows of itself.
 *
 * @module
 */

import { portOf } from "../core/endpoint.ts";
import { AuthenticationError, ConnectError, type PythonHostError } from "../core/errors.ts";

/** How a client knows its server, and the server its client; everything is PEM text, not a path. */
export interface ClientTls {
  /** Certificates of authorities to trust beside those of the system: your own CA, say. */
  readonly caCerts?: readonly string[] | undefined;
  /** The client's certificate with its chain, for a server that wants one. */
  readonly cert?: string | undefined;
  /** The private key of `cert`. */
  readonly key?: string | undefined;
}

/** Checks what can be checked before a connection. */
export function checkClientTls(tls: ClientTls | undefined): void {
  // Deno takes text without a certificate for no certificate at all, and blames the server for it.
  const other = tls?.caCerts?.findIndex((pem) => !pem.includes("-----BEGIN CERTIFICATE-----")) ?? -1;
  if (other !== -1) {
    throw new ConnectError(`Cannot use TLS option "caCerts": item ${other} holds no certificate in PEM`, {
      hint: "Give the text of the file, not its path.",
    });
  }
  if ((tls?.cert === undefined) === (tls?.key === undefined)) return;
  throw new ConnectError(`Cannot use TLS option "${tls?.cert === undefined ? "key" : "cert"}" alone`, {
    hint: "A certificate and its private key are given together.",
  });
}

/** The part of the options of `Deno.createHttpClient` that is about TLS. */
export function httpClientTls(
  { caCerts, cert, key }: ClientTls,
): { caCerts?: string[] } & Partial<Deno.TlsCertifiedKeyPem> {
  return {
    ...(caCerts === undefined ? {} : { caCerts: [...caCerts] }),
    ...(cert === undefined || key === undefined ? {} : { cert, key }),
  };
}

const CLIENT_REFUSED = [
  "it refuses this client's certificate, or wants one",
  "Pass a certificate that the server's authority has signed by the option `tls: { cert, key }`.",
] as const;

/** What rustls says in the errors of `fetch`, and what it means for a user. */
const CAUSES: readonly (readonly [pattern: RegExp, what: string, hint: string])[] = [
  [
    /invalid peer certificate: (UnknownIssuer|CaUsedAsEndEntity|BadSignature)/,
    "no authority that is trusted here vouches for its certificate",
    "Pass the certificate of your own authority by the option `tls: { caCerts: [pem] }`.",
  ],
  [
    /invalid peer certificate: (certificate expired|certificate not valid yet|Expired|NotValidYet)/,
    "its certificate has expired, or is not valid yet",
    "Renew the server's certificate, and look at the clocks of both machines.",
  ],
  [
    /invalid peer certificate: (certificate not valid for name|NotValidForName)/,
    "its certificate is that of another name",
    "Use a name that stands in the certificate, or make one for this name.",
  ],
  [/invalid peer certificate/, "its certificate cannot be accepted", "The cause says why."],
  [
    /fatal alert: (CertificateRequired|CertificateUnknown|BadCertificate|UnknownCA|CertificateExpired|HandshakeFailure|AccessDenied|DecryptError)/i,
    ...CLIENT_REFUSED,
  ],
];

/** The typed error for a `fetch` that failed by TLS; null when it failed by something else. */
export function tlsError(cause: unknown, endpoint: string): PythonHostError | null {
  const text = textOf(cause);
  for (const [pattern, what, hint] of CAUSES) {
    if (pattern.test(text)) {
      return new AuthenticationError(`Cannot connect to "${endpoint}" by TLS: ${what}`, { cause, hint });
    }
  }
  if (!/received corrupt message|InvalidContentType|unexpected message|tls handshake eof/i.test(text)) {
    return null;
  }
  return new ConnectError(`Cannot connect to "${endpoint}" by TLS: what listens there does not speak it`, {
    cause,
    hint: "Use an http: URL for a server that was started without TLS.",
  });
}

/** How long a server may take to show whether it accepts a connection. */
const ANSWER_MS = 2_000;

/**
 * Asks once more by TLS alone, for clients that say less about what was wrong; null when nothing is wrong with it. The
 * server must be one that speaks first, as one of HTTP/2 does.
 */
export async function tlsTrouble(
  address: string,
  endpoint: string,
  tls: ClientTls,
): Promise<PythonHostError | null> {
  const url = new URL(address);
  const hostname = url.hostname.replace(/^\[(.*)\]$/, "$1");
  let timer: ReturnType<typeof setTimeout> | undefined;
  let isShaken = false;
  try {
    using connection = await Deno.connectTls({
      hostname,
      port: portOf(url),
      alpnProtocols: ["h2"],
      ...httpClientTls(tls),
    });
    const late = new Promise<"late">((resolve) => timer = setTimeout(() => resolve("late"), ANSWER_MS));
    const heard = connection.handshake().then(() => {
      isShaken = true;
      return connection.read(new Uint8Array(1));
    });
    heard.catch(() => {}); // after the time limit nobody waits for it any more
    return await Promise.race([heard, late]) === null ? clientRefused(endpoint) : null;
  } catch (error) {
    // A client's certificate is looked at after the client's part of the handshake; some servers just hang up then.
    return tlsError(error, endpoint) ?? (isShaken ? clientRefused(endpoint, error) : null);
  } finally {
    clearTimeout(timer);
  }
}

function clientRefused(endpoint: string, cause?: unknown): AuthenticationError {
  return new AuthenticationError(`Cannot connect to "${endpoint}" by TLS: ${CLIENT_REFUSED[0]}`, {
    cause,
    hint: CLIENT_REFUSED[1],
  });
}

/** The messages of an error and its causes. */
function textOf(error: unknown): string {
  return error instanceof Error ? `${error.message}\n${textOf(error.cause)}` : "";
}
