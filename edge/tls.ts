/**
 * The certificate of one TLS listener, in files that somebody else renews: read at start, and again when a file changes
 * or {@link Certificate.reload} is called. What is read is believed only as a whole; a bad new one leaves the old one in
 * use, and says so. TLS 1.2 with forward secrecy and AEAD, or 1.3 (RFC 9325 sections 3.1.1 and 4.2).
 */
import { createHash, createPrivateKey, X509Certificate } from 'node:crypto';
import { type FSWatcher, readFileSync, watch } from 'node:fs';
import { dirname } from 'node:path';
import { createSecureContext, type SecureContextOptions, type TlsOptions } from 'node:tls';
import { EdgeError, errorLine } from './errors.ts';
import { readPrivate } from './keystore.ts';

/** Part of the config. No certFile: there is no such listener. */
export type TlsFiles = { certFile: string; keyFile: string; caFile: string };

/** A certificate with fewer days left than this is an alarm. */
const WARN_DAYS = 14;
const DAY_MS = 86_400_000;
/** After a file has changed: certificate and key are two files, and seldom written at once. */
const SETTLE_MS = 500;
/** Links into other folders (as certbot makes them) change where nobody watches, so the files are looked at, too. */
const LOOK_MS = 60_000;
const MAX_BYTES = 1024 * 1024;
const MAX_CAS = 100;

const CIPHERS = [
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'TLS_AES_128_GCM_SHA256',
  ...['ECDSA', 'RSA'].flatMap((key) =>
    ['AES128-GCM-SHA256', 'AES256-GCM-SHA384', 'CHACHA20-POLY1305'].map((cipher) => `ECDHE-${key}-${cipher}`),
  ),
].join(':');

type Held = { fingerprint: string; context: SecureContextOptions; leaf: X509Certificate };

export class Certificate {
  readonly #name: string;
  #files: TlsFiles;
  readonly #report: (line: string) => void;
  readonly #clockSynced: () => boolean;
  #held: Held | undefined;
  #problem: string | undefined;
  #refused = '';
  #watchers: FSWatcher[] = [];
  #timer: NodeJS.Timeout | undefined;
  #settling: NodeJS.Timeout | undefined;
  readonly #users = new Set<(context: SecureContextOptions) => void>();
  readonly counts = { taken: 0, refused: 0 };

  /** @param name of the listener, as the config calls it; @param clockSynced without it, dates are not judged */
  constructor(name: string, files: TlsFiles, clockSynced: () => boolean, report: (line: string) => void) {
    this.#name = name;
    this.#files = { ...files };
    this.#clockSynced = clockSynced;
    this.#report = report;
  }

  /** @throws EdgeError CERTIFICATE_INVALID, KEY_UNREADABLE */
  start(): void {
    this.#held = this.#read();
    this.#watch();
    this.#timer = setInterval(() => this.reload(), LOOK_MS).unref();
  }

  /**
   * Other files from now on; where they are not good, those before stay.
   * @throws EdgeError CERTIFICATE_INVALID, KEY_UNREADABLE
   */
  point({ certFile, keyFile, caFile }: TlsFiles): void {
    const before = this.#files;
    this.#files = { certFile, keyFile, caFile };
    try {
      this.#read();
    } catch (error) {
      this.#files = before;
      throw error;
    }
    for (const watcher of this.#watchers.splice(0)) watcher.close();
    this.#watch();
    this.reload();
  }

  #watch(): void {
    const files = this.#paths;
    for (const folder of new Set(files.map((path) => dirname(path))))
      try {
        const watcher = watch(folder, () => {
          clearTimeout(this.#settling);
          this.#settling = setTimeout(() => this.reload(), SETTLE_MS).unref();
        });
        watcher.on('error', () => undefined); // it is looked at all the same
        this.#watchers.push(watcher.unref());
      } catch {
        // No more watches are to be had: as above.
      }
  }

  stop(): void {
    for (const watcher of this.#watchers.splice(0)) watcher.close();
    clearInterval(this.#timer);
    clearTimeout(this.#settling);
    this.#users.clear();
  }

  /** For the server that uses it: now, and whenever there is another one. */
  get options(): TlsOptions {
    return {
      ...(this.#held as Held).context,
      ...(this.#files.caFile === '' ? {} : { requestCert: true }),
    };
  }

  onChange(use: (context: SecureContextOptions) => void): void {
    this.#users.add(use);
  }

  /** Looks at the files again. Never throws: what is wrong is said once, and in {@link health}. */
  reload(): void {
    const held = this.#held as Held;
    let next: Held;
    try {
      next = this.#read();
      if (next.fingerprint === held.fingerprint) {
        if (this.#problem) this.#report(`${this.#name}: the certificate in use is back in its files`);
        this.#problem = undefined;
        this.#refused = '';
        return;
      }
      if (this.#clockSynced() && next.leaf.validToDate.getTime() <= Date.now())
        throw new EdgeError(
          'CERTIFICATE_INVALID',
          `${this.#files.certFile} ended on ${next.leaf.validToDate.toISOString()}`,
        );
      for (const use of this.#users) use(next.context);
    } catch (error) {
      this.#problem = error instanceof EdgeError ? error.detail : errorLine(error);
      if (this.#refused === this.#problem) return;
      this.#refused = this.#problem;
      this.counts.refused++;
      this.#report(`${this.#name}: ${errorLine(error)} The certificate that was read before stays in use.`);
      return;
    }
    this.#held = next;
    this.#problem = undefined;
    this.#refused = '';
    this.counts.taken++;
    this.#report(`${this.#name}: a new certificate, valid until ${next.leaf.validToDate.toISOString()}`);
  }

  /** Unix milliseconds. */
  get validToMs(): number {
    return (this.#held as Held).leaf.validToDate.getTime();
  }

  health(): { ok: boolean; detail: string } {
    const days = Math.floor((this.validToMs - Date.now()) / DAY_MS);
    const until = `valid until ${new Date(this.validToMs).toISOString()}`;
    const soon = this.#clockSynced() && days < WARN_DAYS;
    return {
      ok: this.#problem === undefined && !soon,
      detail: [
        `certificate ${until}${soon ? (days < 0 ? ': it has ended' : `: ${days} days are left`) : ''}`,
        ...(this.#problem === undefined ? [] : [`the new one is refused: ${this.#problem}`]),
      ].join('; '),
    };
  }

  get #paths(): string[] {
    const { certFile, keyFile, caFile } = this.#files;
    return [certFile, keyFile, ...(caFile === '' ? [] : [caFile])];
  }

  #read(): Held {
    const { certFile, keyFile, caFile } = this.#files;
    const key = readPrivate(keyFile);
    const cert = readPem(certFile);
    const ca = caFile === '' ? undefined : readPem(caFile);
    const leaf = parse(certFile, cert)[0] as X509Certificate;
    let privateKey: ReturnType<typeof createPrivateKey>;
    try {
      privateKey = createPrivateKey(key);
    } catch {
      // Whatever OpenSSL says of it, it might quote it.
      throw new EdgeError('KEY_UNREADABLE', `${keyFile} is not a private key in PEM without a passphrase`);
    }
    if (!leaf.checkPrivateKey(privateKey))
      throw new EdgeError('CERTIFICATE_INVALID', `${keyFile} is not the key of ${certFile}`);
    const cas = ca === undefined ? undefined : parse(caFile, ca);
    const notCa = cas?.find((c) => !c.ca);
    if (notCa) throw new EdgeError('CERTIFICATE_INVALID', `${caFile}: ${notCa.subject} is not a CA`);
    const context: SecureContextOptions = {
      key,
      cert,
      // Only these, and none of those that the system trusts.
      ...(cas ? { ca: cas.map((c) => c.toString()) } : {}),
      minVersion: 'TLSv1.2',
      ciphers: CIPHERS,
      honorCipherOrder: true,
    };
    try {
      createSecureContext(context);
    } catch (error) {
      throw new EdgeError('CERTIFICATE_INVALID', `${certFile}: ${(error as Error).message}`);
    }
    const fingerprint = createHash('sha256')
      .update(`${cert}\0${key}\0${ca ?? ''}`)
      .digest('hex');
    return { fingerprint, context, leaf };
  }
}

function readPem(path: string): string {
  try {
    const text = readFileSync(path, 'utf8');
    if (text.length > MAX_BYTES) throw new Error(`larger than ${MAX_BYTES} bytes`);
    return text;
  } catch (error) {
    throw new EdgeError('CERTIFICATE_INVALID', `${path}: ${(error as Error).message}`);
  }
}

function parse(path: string, pem: string): X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
  if (blocks.length === 0 || blocks.length > MAX_CAS)
    throw new EdgeError('CERTIFICATE_INVALID', `${path} has ${blocks.length} certificates in PEM`);
  try {
    return blocks.map((block) => new X509Certificate(block));
  } catch (error) {
    throw new EdgeError('CERTIFICATE_INVALID', `${path}: ${(error as Error).message}`);
  }
}
