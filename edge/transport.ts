/** The certificates of the listeners that have one, by the part of the config that names their files. */
import type { Config } from './config.ts';
import { Certificate } from './tls.ts';

export type Listener = 'mqtt' | 'http';

export class Certificates {
  readonly #held = new Map<Listener, Certificate>();

  /** @throws EdgeError CERTIFICATE_INVALID, KEY_UNREADABLE */
  static open(config: Config, clockSynced: () => boolean, report: (line: string) => void): Certificates {
    const all = new Certificates();
    try {
      for (const name of ['mqtt', 'http'] as const) {
        const { tls } = config[name];
        if (tls.certFile === '') continue;
        const certificate = new Certificate(`${name}.tls`, tls, clockSynced, report);
        certificate.start();
        all.#held.set(name, certificate);
      }
      return all;
    } catch (error) {
      all.stop();
      throw error;
    }
  }

  /** For the listener's section of the config. */
  of<Tls extends object>(name: Listener, tls: Tls): Tls & { certificate: Certificate | undefined } {
    return { ...tls, certificate: this.#held.get(name) };
  }

  [Symbol.iterator](): IterableIterator<[Listener, Certificate]> {
    return this.#held.entries();
  }

  /**
   * Other files for a listener that has a certificate, and goes on asking its clients for theirs, or not.
   * @throws EdgeError CERTIFICATE_INVALID, KEY_UNREADABLE
   */
  point(name: Listener, { tls }: Config[Listener]): void {
    this.#held.get(name)?.point(tls);
  }

  reload(): void {
    for (const certificate of this.#held.values()) certificate.reload();
  }

  stop(): void {
    for (const certificate of this.#held.values()) certificate.stop();
  }
}
