/** A certificate authority of its own for each test run, and what it signs: right ones and wrong ones. */

import type { ServerTls } from "../../servers/mod.ts";
import * as x509 from "npm:@peculiar/x509@^1.14.3";

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const HOUR_MS = 3_600_000;

/** A certificate and its private key, as PEM text. */
export interface Certified {
  readonly cert: string;
  readonly key: string;
}

/** What differs from a certificate that is right for `localhost` and `127.0.0.1`. */
export interface CertificateChanges {
  readonly names?: readonly string[];
  readonly addresses?: readonly string[];
  readonly notBefore?: Date;
  readonly notAfter?: Date;
}

/** An authority that nobody trusts who was not told to. */
export class Authority {
  readonly #keys: CryptoKeyPair;
  readonly #certificate: x509.X509Certificate;

  private constructor(keys: CryptoKeyPair, certificate: x509.X509Certificate) {
    this.#keys = keys;
    this.#certificate = certificate;
  }

  static async create(name = "CN=Test authority"): Promise<Authority> {
    const keys = await newKeys();
    const certificate = await x509.X509CertificateGenerator.createSelfSigned({
      name,
      keys,
      signingAlgorithm: ALGORITHM,
      notBefore: new Date(Date.now() - HOUR_MS),
      notAfter: new Date(Date.now() + HOUR_MS),
      extensions: [
        new x509.BasicConstraintsExtension(true, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      ],
    });
    return new Authority(keys, certificate);
  }

  /** The authority's own certificate. */
  get pem(): string {
    return this.#certificate.toString("pem");
  }

  /** A certificate for a server or a client. */
  async certify(changes: CertificateChanges = {}): Promise<Certified> {
    const keys = await newKeys();
    const certificate = await x509.X509CertificateGenerator.create({
      subject: "CN=Test",
      issuer: this.#certificate.subject,
      publicKey: keys.publicKey,
      signingKey: this.#keys.privateKey,
      signingAlgorithm: ALGORITHM,
      notBefore: changes.notBefore ?? new Date(Date.now() - HOUR_MS),
      notAfter: changes.notAfter ?? new Date(Date.now() + HOUR_MS),
      extensions: [
        ...extensionsOf(changes),
        await x509.AuthorityKeyIdentifierExtension.create(this.#keys.publicKey),
      ],
    });
    return { cert: certificate.toString("pem"), key: await keyPem(keys) };
  }
}

/** A certificate that only itself vouches for. */
export async function selfSigned(changes: CertificateChanges = {}): Promise<Certified> {
  const keys = await newKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: "CN=Test",
    keys,
    signingAlgorithm: ALGORITHM,
    notBefore: new Date(Date.now() - HOUR_MS),
    notAfter: new Date(Date.now() + HOUR_MS),
    extensions: extensionsOf(changes),
  });
  return { cert: certificate.toString("pem"), key: await keyPem(keys) };
}

function extensionsOf(
  { names = ["localhost"], addresses = ["127.0.0.1"] }: CertificateChanges,
): x509.Extension[] {
  return [
    new x509.BasicConstraintsExtension(false, undefined, true),
    new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth]),
    new x509.SubjectAlternativeNameExtension([
      ...names.map((value) => ({ type: "dns" as const, value })),
      ...addresses.map((value) => ({ type: "ip" as const, value })),
    ]),
  ];
}

async function newKeys(): Promise<CryptoKeyPair> {
  return await crypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]) as CryptoKeyPair;
}

async function keyPem({ privateKey }: CryptoKeyPair): Promise<string> {
  return x509.PemConverter.encode(await crypto.subtle.exportKey("pkcs8", privateKey), "PRIVATE KEY");
}

/** A directory of PEM files, as a server wants them. */
export class PemFiles implements AsyncDisposable {
  /** The directory. */
  readonly path: string = Deno.makeTempDirSync({ prefix: "beep-tls-" });

  /** Writes a certificate and its key, with the authority of clients when there is one. */
  async write({ cert, key }: Certified, clientCa?: string): Promise<ServerTls> {
    const name = `${this.path}/${crypto.randomUUID()}`;
    await Deno.writeTextFile(`${name}.pem`, cert);
    await Deno.writeTextFile(`${name}.key`, key, { mode: 0o600 });
    if (clientCa === undefined) return { certFile: `${name}.pem`, keyFile: `${name}.key` };
    await Deno.writeTextFile(`${name}.ca`, clientCa);
    return { certFile: `${name}.pem`, keyFile: `${name}.key`, clientCaFile: `${name}.ca` };
  }

  /** Removes them all. */
  [Symbol.asyncDispose](): Promise<void> {
    return Deno.remove(this.path, { recursive: true });
  }
}
