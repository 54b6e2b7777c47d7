/** Checks of vehicles, put together: the parts know rules and rows, the config knows city and gates. */
import { sign } from 'node:crypto';
import type { ApiParts, Sample } from './api/parts.ts';
import type { HealthView } from './api/views.ts';
import type { Caps } from './caps.ts';
import { BundleHolder } from './checks/bundle.ts';
import { Checker } from './checks/checker.ts';
import { History } from './checks/history.ts';
import { sightingOf } from './checks/telemetry.ts';
import type { Config } from './config.ts';
import { EdgeError } from './errors.ts';
import type { Identity } from './identity.ts';
import type { Accept } from './intake/accept.ts';
import { Buckets } from './intake/buckets.ts';
import type { Stamp } from './intake/clock.ts';
import { type VerifyKey, verifyKey, verifyNow } from './intake/verify.ts';
import type { People } from './people.ts';
import { Checks, CityBundles, forgetChecks, knownChecks } from './store/checks.ts';
import type { Devices } from './store/devices.ts';
import type { Disk } from './store/disk.ts';
import type { Entries } from './store/entries.ts';
import type { SqlStatement, Store } from './store/store.ts';
import { publicKeyFromDid } from './wire/did.ts';
import type { PublicKey } from './wire/keys.ts';
import { REASONS } from './wire/vc/check.ts';
import type { Verify } from './wire/vc/proof.ts';

export type Checking = {
  checker: Checker;
  bundles: BundleHolder;
  checks: Checks;
  gates: Config['checks']['gates'];
  offer: Offer;
};
/** What comes from a vehicle. */
type Offer = (did: string, what: 'hello' | 'presentation', bytes: Uint8Array) => Promise<void>;

/** The rule of wire/keys.ts by OpenSSL: wire/vc has asked all that it leaves out. */
export function makeVerify(): Verify {
  // wire/vc hands out the same object for the same DID, and remembers so many of them.
  const keys = new WeakMap<PublicKey, VerifyKey>();
  return (key, message, signature) => {
    let found = keys.get(key);
    if (!found) {
      found = verifyKey(key);
      keys.set(key, found);
    }
    return verifyNow(found, message, signature);
  };
}

/** @throws EdgeError CONFIG_INVALID */
export function checkCity({ checks }: Config): void {
  if (checks.cityDid === '') {
    if (checks.gates.length > 0) throw new EdgeError('CONFIG_INVALID', 'checks.gates need checks.cityDid');
    return;
  }
  try {
    publicKeyFromDid(checks.cityDid);
  } catch (error) {
    throw new EdgeError('CONFIG_INVALID', `checks.cityDid: ${(error as EdgeError).detail}`);
  }
}

/**
 * undefined where no city is pinned.
 * @throws EdgeError CONFIG_INVALID
 */
export function startChecking(parts: {
  config: Config;
  identity: Identity;
  store: Store;
  devices: Devices;
  entries: Entries;
  accept: Accept;
  disk: Disk;
  now: () => Stamp;
  caps: Caps;
  publish: (topic: string, bytes: Uint8Array, qos: 0 | 1) => void;
  report: (line: string) => void;
}): Checking | undefined {
  const { config, identity, store, devices, entries, accept, disk, now, caps, publish, report } = parts;
  checkCity(config);
  const { cityDid, bundleFile, bundleUrl, maxRefusals, maxRate, ...rest } = config.checks;
  if (cityDid === '') return undefined;
  const { origin } = config.log;
  const verify = makeVerify();
  const checks = new Checks(store);
  const bundles = new BundleHolder({
    ...rest,
    cityDid,
    did: identity.did,
    origin,
    store: new CityBundles(store),
    file: bundleFile,
    url: bundleUrl,
    verify,
    now,
    report,
  });
  const refusals = new Buckets(maxRefusals / 60, maxRefusals);
  const rates = new Buckets(maxRate, Math.max(2, 2 * maxRate));
  const checker = new Checker({
    ...rest,
    origin,
    signer: { did: identity.did, sign: (bytes) => new Uint8Array(sign(null, bytes, identity.keys.privateKey)) },
    bundles,
    history: new History(checks, (did) => {
      const device = devices.get(did);
      const entry = device && device.counter.entries > 0 ? entries.get(device.counter.lastIdx) : undefined;
      // Empty where it was pruned or forgotten.
      return entry && entry.envelope.length > 0 ? sightingOf(entry.envelope) : undefined;
    }),
    verify,
    act: (work) => accept.act(work),
    disk,
    now,
    // A PUBACK to a challenge would hold up the answer behind it by Nagle's algorithm, 40 ms on many a vehicle's stack; a
    // challenge that is lost with its connection is asked for again.
    publish: (did, what, bytes) => publish(`check/${did}/${what}`, bytes, what === 'decision' ? 1 : 0),
    mayRefuse: () => refusals.tryTake(''),
    caps,
    report,
  });
  bundles.start();
  const offer: Offer = async (did, what, bytes) => {
    if (!rates.tryTake(did)) caps.hit('checks.maxRate');
    else if (what === 'hello') checker.hello(did, bytes);
    else await checker.present(did, bytes);
  };
  return { checker, bundles, checks, gates: rest.gates, offer };
}

export async function stopChecking({ checker, bundles }: Checking): Promise<void> {
  checker.stop();
  await bundles.stop();
}

/** What the API needs of it. What was decided can be read, also where no vehicles are checked any more. */
export function checkParts(checking: Checking | undefined, store: Store, people: People): Pick<ApiParts, 'checks'> {
  const on = (): Checking => {
    if (!checking) throw new EdgeError('CHECKS_OFF', OFF);
    return checking;
  };
  return {
    checks: {
      rows: checking?.checks ?? new Checks(store),
      ask: async (asked, left) => (await on().checker.ask(asked, left)).row,
      gates: () => checking?.gates.map(({ name, zone, purposes }) => ({ name, zone, purposes: [...purposes] })) ?? [],
      bundle: () => ({
        bundle: checking?.bundles.state() ?? null,
        problem: checking ? (checking.bundles.problem ?? null) : OFF,
      }),
      offerBundle: async (bytes, by) =>
        on().bundles.offer(bytes, 'api', (version) =>
          people.commit({ by, action: 'city-bundle.bring', on: `version ${version}` }),
        ),
    },
  };
}

const OFF = 'no city is pinned (checks.cityDid)';

/** What forgetting a vehicle takes: its rows, and what is remembered of a moment ago. */
export const forgettable = (checking: Checking | undefined, store: Store) => ({
  known: (subject: string): number => knownChecks(store, subject),
  destroy: (subject: string): SqlStatement[] => {
    checking?.checker.forgetRecent();
    return forgetChecks(subject);
  },
});

export function checkHealth(checking: Checking | undefined): HealthView['parts'][string] | undefined {
  if (!checking) return undefined;
  const { bundles } = checking;
  const state = bundles.state();
  const problem = bundles.problem;
  if (!state) return { ok: false, detail: problem ?? 'no city bundle has come yet: no vehicle is checked' };
  const { publish, refresh, staleness, total } = state.revocationLatencySeconds;
  const said = [
    `bundle ${state.version}, status ${state.statusAgeSeconds} s old (${state.freshness})`,
    `a revocation takes ${total} s at most (${publish} to publish + ${refresh} to refresh + ${staleness} allowed)`,
    ...(state.vouchedUntilMs === null ? ['the city does not vouch for this gateway'] : []),
    ...(problem === undefined ? [] : [problem]),
  ];
  const ok = state.freshness !== 'too old' && state.vouchedUntilMs !== null && problem === undefined;
  return { ok, detail: said.join('; ') };
}

const TIMED = 'How long decisions took, fsync included.';

export function checkSamples(checking: Checking | undefined, strangers: number): Sample[] {
  if (!checking) return [];
  const { checker, bundles } = checking;
  const { counts, latencies } = checker;
  const samples: Sample[] = [];
  const put = (type: Sample['type'], name: string, help: string, value: number, labels?: Record<string, string>) => {
    samples.push({ type, name: `sejong_edge_check${name}`, help, value, ...(labels && { labels }) });
  };
  put('counter', '_challenges_total', 'Challenges given to vehicles since start.', counts.challenges);
  for (const [code, n] of counts.hellosRefused)
    put('counter', '_hellos_refused_total', 'Vehicles that got no challenge, by reason.', n, { code });
  for (const [reason, n] of counts.decisions)
    put('counter', 's_total', 'Decisions about vehicles since start.', n, { decision: REASONS[reason], reason });
  put(
    'counter',
    '_unlogged_total',
    'Refusals beyond checks.maxRefusals: neither logged nor answered.',
    counts.unlogged,
  );
  put('counter', '_failures_total', 'Checks without a decision because it could not be kept.', counts.failed);
  for (const [le, n] of latencies) put('histogram', '_seconds_bucket', TIMED, n, { le });
  put('histogram', '_seconds_sum', TIMED, latencies.sumMs / 1000);
  put('histogram', '_seconds_count', TIMED, latencies.count);
  put('gauge', '_sessions', 'Challenges that are remembered.', checker.sessions);
  put('gauge', '_waiting', 'Requests that wait for a vehicle.', checker.waiting);
  put('gauge', '_strangers', 'Connections of vehicles that are not enrolled.', strangers);
  put('counter', '_bundles_taken_total', 'City bundles taken since start.', bundles.counts.taken);
  for (const [code, n] of bundles.counts.refused)
    put('counter', '_bundles_refused_total', 'City bundles refused since start, by reason.', n, { code });
  const state = bundles.state();
  if (state) {
    put('gauge', '_bundle_version', 'Version of the city bundle.', state.version);
    put('gauge', '_status_age_seconds', 'Age of the oldest status list in it.', state.statusAgeSeconds);
    put(
      'gauge',
      '_revocation_latency_seconds',
      'How late a revocation may reach a gate at the most.',
      state.revocationLatencySeconds.total,
    );
  }
  return samples;
}
