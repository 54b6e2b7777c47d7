/** A CA of its own for each test, and what it signs: made by another X.509 implementation than the one under test. */
import './reflect.ts';
import { webcrypto } from 'node:crypto';
import { chmodSync, renameSync, writeFileSync } from 'node:fs';
import * as x509 from '@peculiar/x509';

x509.cryptoProvider.set(webcrypto as unknown as Parameters<typeof x509.cryptoProvider.set>[0]);
const ECDSA = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const DAY_MS = 86_400_000;
const { ExtendedKeyUsage, KeyUsageFlags } = x509;

export type Issued = { cert: string; key: string };
type Over = { dids?: readonly string[]; days?: number; client?: boolean };

async function pem(key: webcrypto.CryptoKey): Promise<string> {
  const der = await webcrypto.subtle.exportKey('pkcs8', key);
  return x509.PemConverter.encode(der, 'PRIVATE KEY');
}

export class TestCa {
  readonly #keys: webcrypto.CryptoKeyPair;
  readonly #cert: x509.X509Certificate;
  #serial = 1;

  private constructor(keys: webcrypto.CryptoKeyPair, cert: x509.X509Certificate) {
    this.#keys = keys;
    this.#cert = cert;
  }

  static async make(name = 'test CA'): Promise<TestCa> {
    const keys = await webcrypto.subtle.generateKey(ECDSA, true, ['sign', 'verify']);
    const cert = await x509.X509CertificateGenerator.createSelfSigned({
      serialNumber: '01',
      name: `CN=${name}`,
      notBefore: new Date(Date.now() - DAY_MS),
      notAfter: new Date(Date.now() + 3650 * DAY_MS),
      signingAlgorithm: ECDSA,
      keys: keys as never,
      extensions: [
        new x509.BasicConstraintsExtension(true, undefined, true),
        new x509.KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      ],
    });
    return new TestCa(keys, cert);
  }

  get pem(): string {
    return this.#cert.toString('pem');
  }

  /** For localhost, or for a client with these DIDs in its subjectAltName. */
  async issue({ dids = [], days = 90, client = dids.length > 0 }: Over = {}): Promise<Issued> {
    const keys = await webcrypto.subtle.generateKey(ECDSA, true, ['sign', 'verify']);
    const cert = await x509.X509CertificateGenerator.create({
      serialNumber: (++this.#serial).toString(16).padStart(4, '0'),
      subject: `CN=${client ? 'client' : 'localhost'} ${this.#serial}`,
      issuer: this.#cert.subject,
      notBefore: new Date(Date.now() - 400 * DAY_MS),
      notAfter: new Date(Date.now() + days * DAY_MS),
      signingAlgorithm: ECDSA,
      publicKey: keys.publicKey as never,
      signingKey: this.#keys.privateKey as never,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.ExtendedKeyUsageExtension([client ? ExtendedKeyUsage.clientAuth : ExtendedKeyUsage.serverAuth]),
        new x509.SubjectAlternativeNameExtension([
          ...(client
            ? []
            : [{ type: 'dns', value: 'localhost' } as const, { type: 'ip', value: '127.0.0.1' } as const]),
          ...dids.map((value) => ({ type: 'url', value }) as const),
          { type: 'dns', value: 'other.example' },
        ]),
      ],
    });
    return { cert: cert.toString('pem'), key: await pem(keys.privateKey) };
  }
}

/** Whole or not at all, as whoever renews certificates does it. */
export function writePair(
  folder: string,
  { cert, key }: Issued,
  ca?: string,
): Record<'certFile' | 'keyFile', string> & { caFile: string } {
  const put = (name: string, text: string): string => {
    const path = `${folder}/${name}`;
    writeFileSync(`${path}.new`, text);
    chmodSync(`${path}.new`, 0o600);
    renameSync(`${path}.new`, path);
    return path;
  };
  return {
    keyFile: put('tls.key', key),
    certFile: put('tls.crt', cert),
    caFile: ca === undefined ? '' : put('clients.crt', ca),
  };
}
