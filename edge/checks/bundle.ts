/**
 * The newest word of the city: who may issue, what is revoked, what is allowed where. It comes by file, by URL or through
 * the API; whatever way it takes, the pinned key of the city decides, and never does an older one take the place of a
 * newer one, also after a restart. How old it is, is always said.
 */
import { type Stats, unwatchFile, watchFile } from 'node:fs';
import { open } from 'node:fs/promises';
import { EdgeError, errorLine } from '../errors.ts';
import type { CityBundles } from '../store/checks.ts';
import type { Commit } from '../store/devices.ts';
import { MAX_BUNDLE_BYTES, type OpenCityBundle, openCityBundle } from '../wire/vc/city-bundle.ts';
import { type GatewayCredential, validityAt } from '../wire/vc/credential.ts';
import type { Verify } from '../wire/vc/proof.ts';
import { timeOf } from '../wire/vc/shape.ts';

export type BundleOptions = {
  cityDid: string;
  /** This gateway, as the city names it. */
  did: string;
  origin: string;
  store: CityBundles;
  /** Empty: none. */
  file: string;
  url: string;
  refreshSeconds: number;
  fetchSeconds: number;
  verify: Verify;
  now: () => { receivedMs: number; clockSynced: boolean };
  report: (line: string) => void;
};

/** How late a revocation may reach a gate: what the city takes, what we take, and what is allowed when all links are cut. */
export type RevocationLatency = { publish: number; refresh: number; staleness: number; total: number };

export type BundleState = {
  version: number;
  digest: string;
  issuedMs: number;
  receivedMs: number;
  source: string;
  /** Of the oldest status list in it; of the bundle itself where it has none. */
  statusAgeSeconds: number;
  freshness: 'fresh' | 'stale' | 'too old';
  issuers: { did: string; name: string; kinds: string[] }[];
  /** Until when the city vouches for this gateway; null where it does not. */
  vouchedUntilMs: number | null;
  zones: string[];
  revocationLatencySeconds: RevocationLatency;
};

/** A dropped file is looked at so often. */
const LOOK_MS = 1000;
/** How far ahead of our clock a bundle may have been issued. */
const MAX_AHEAD_MS = 60_000;

export class BundleHolder {
  readonly #o: BundleOptions;
  #held: { open: OpenCityBundle; receivedMs: number; source: string } | undefined;
  #last: Promise<unknown> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;
  #fetching: AbortController | undefined;
  #stopped = false;
  /** What the last look at each source came to, where it was no use. */
  readonly #problems = new Map<string, string>();
  /** Counts since start, for metrics: by code, of bundles that were refused. */
  readonly counts = { taken: 0, refused: new Map<string, number>() };

  constructor(options: BundleOptions) {
    this.#o = options;
  }

  start(): void {
    const { store, file, url, cityDid, verify } = this.#o;
    const row = store.get(cityDid);
    if (row)
      try {
        const open = openCityBundle(row.bytes, { cityDid, verify });
        this.#held = { open, receivedMs: row.receivedMs, source: row.source };
      } catch (error) {
        // Written by a program that took more than this one does: it stays, and is the floor for what comes.
        this.#problem('store', error);
      }
    if (file !== '') {
      watchFile(file, { interval: LOOK_MS, persistent: false }, this.#look);
      void this.#readFile();
    }
    if (url !== '') void this.#fetchAndAgain();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    if (this.#o.file !== '') unwatchFile(this.#o.file, this.#look);
    clearTimeout(this.#timer);
    this.#fetching?.abort();
    await this.#last.catch(() => undefined);
  }

  get bundle(): OpenCityBundle | undefined {
    return this.#held?.open;
  }

  /** The newest problem of a source that is not over. */
  get problem(): string | undefined {
    return [...this.#problems.values()].at(-1);
  }

  /** What the city says of this gateway, for a zone, where it is valid now. */
  credentialFor(zone: string, nowMs: number): GatewayCredential | undefined {
    const { did, origin } = this.#o;
    return this.#held?.open.bundle.gateways.find(
      (g) =>
        g.credentialSubject.id === did &&
        g.credentialSubject.origin === origin &&
        g.credentialSubject.zones.includes(zone) &&
        validityAt(g, nowMs) === 'valid',
    );
  }

  /**
   * Takes it where it is newer than what is held; the same bytes again are fine.
   * @param commit writes it together with something else
   * @throws EdgeError CITY_BUNDLE_INVALID, BUNDLE_ROLLBACK, BUNDLE_CONFLICT, STORE_UNAVAILABLE
   */
  offer(bytes: Uint8Array, source: string, commit?: (version: number) => Commit): Promise<BundleState> {
    // One after the other: each is held against the one that is on disk.
    const taken = this.#last.then(() => this.#offer(bytes, source, commit));
    this.#last = taken.catch(() => undefined);
    return taken;
  }

  async #offer(bytes: Uint8Array, source: string, commit?: (version: number) => Commit): Promise<BundleState> {
    const { store, cityDid, verify, now } = this.#o;
    const row = store.get(cityDid);
    const held = row && { version: row.version, digest: Buffer.from(row.sha256).toString('base64url') };
    try {
      const open = openCityBundle(bytes, { cityDid, held, verify });
      const { receivedMs, clockSynced } = now();
      const ahead = timeOf(open.bundle.issued) - receivedMs;
      // It would be fresh for longer than the policy allows.
      if (clockSynced && ahead > MAX_AHEAD_MS)
        throw new EdgeError('CITY_BUNDLE_INVALID', `issued ${Math.round(ahead / 1000)} s from now`);
      if (open.digest !== this.#held?.open.digest) {
        const { version } = open.bundle;
        if (open.digest !== held?.digest) {
          const sha256 = Buffer.from(open.digest, 'base64url');
          await store.put({ city: cityDid, version, sha256, bytes, receivedMs, source }, commit?.(version));
        }
        this.#held = { open, receivedMs, source };
        this.counts.taken++;
      }
      this.#problems.delete(source);
      this.#problems.delete('store');
      return this.state() as BundleState;
    } catch (error) {
      const code = error instanceof EdgeError ? error.code : 'INTERNAL';
      this.counts.refused.set(code, (this.counts.refused.get(code) ?? 0) + 1);
      throw error;
    }
  }

  state(): BundleState | undefined {
    const held = this.#held;
    if (!held) return undefined;
    const { bundle, digest, statusLists } = held.open;
    const { policy } = bundle;
    const nowMs = this.#o.now().receivedMs;
    const looked = Math.min(...[...statusLists.values()].map((l) => l.validFrom), timeOf(bundle.issued));
    const statusAgeSeconds = Math.max(0, Math.floor((nowMs - looked) / 1000));
    const mine = bundle.gateways.filter(
      (g) => g.credentialSubject.id === this.#o.did && validityAt(g, nowMs) === 'valid',
    );
    return {
      version: bundle.version,
      digest,
      issuedMs: timeOf(bundle.issued),
      receivedMs: held.receivedMs,
      source: held.source,
      statusAgeSeconds,
      freshness:
        statusAgeSeconds <= policy.freshSeconds
          ? 'fresh'
          : statusAgeSeconds <= policy.maxStalenessSeconds
            ? 'stale'
            : 'too old',
      issuers: bundle.issuers,
      vouchedUntilMs: mine.length === 0 ? null : Math.max(...mine.map((g) => timeOf(g.validUntil))),
      zones: Object.keys(policy.zones),
      revocationLatencySeconds: this.#latency(policy),
    };
  }

  #latency(policy: { publishSeconds: number; maxStalenessSeconds: number }): RevocationLatency {
    const publish = policy.publishSeconds;
    const refresh = this.#o.url !== '' ? this.#o.refreshSeconds : this.#o.file !== '' ? LOOK_MS / 1000 : 0;
    const staleness = policy.maxStalenessSeconds;
    return { publish, refresh, staleness, total: publish + refresh + staleness };
  }

  readonly #look = (now: Stats): void => {
    if (now.mtimeMs !== 0) void this.#readFile();
  };

  async #readFile(): Promise<void> {
    const { file } = this.#o;
    await this.#take('file', async () => {
      const handle = await open(file, 'r').catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return undefined; // not dropped yet
        throw error;
      });
      if (!handle) return undefined;
      try {
        const { size } = await handle.stat();
        if (size > MAX_BUNDLE_BYTES) throw new EdgeError('CITY_BUNDLE_INVALID', `${file} has ${size} bytes`);
        return await handle.readFile();
      } finally {
        await handle.close();
      }
    });
  }

  async #fetchAndAgain(): Promise<void> {
    const { url, refreshSeconds, fetchSeconds } = this.#o;
    await this.#take('url', async () => {
      this.#fetching = new AbortController();
      const signal = AbortSignal.any([this.#fetching.signal, AbortSignal.timeout(fetchSeconds * 1000)]);
      const answer = await fetch(url, { signal, redirect: 'error', headers: { accept: 'application/json' } });
      if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
      return readCapped(answer);
    });
    if (!this.#stopped) this.#timer = setTimeout(() => void this.#fetchAndAgain(), refreshSeconds * 1000).unref();
  }

  /** What a source brings, if it brings something; what is wrong with it is said once. */
  async #take(source: 'file' | 'url', read: () => Promise<Uint8Array | undefined>): Promise<void> {
    try {
      const bytes = await read();
      if (bytes) await this.offer(bytes, source);
      else this.#problems.delete(source);
    } catch (error) {
      if (!this.#stopped) this.#problem(source, error);
    }
  }

  #problem(source: string, error: unknown): void {
    const line = `city bundle (${source}): ${errorLine(error)}`;
    if (this.#problems.get(source) === line) return;
    this.#problems.set(source, line);
    this.#o.report(`checks: ${line}`);
  }
}

async function readCapped(answer: Response): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of answer.body ?? []) {
    length += part.length;
    if (length > MAX_BUNDLE_BYTES) throw new EdgeError('CITY_BUNDLE_INVALID', `more than ${MAX_BUNDLE_BYTES} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts);
}
