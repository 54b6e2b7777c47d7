/** The checker over a real store: random talk of several vehicles, restarts and failing disks in the middle of it. */
import { expect, it } from 'vitest';
import { Caps } from '../../edge/caps.ts';
import { BundleHolder } from '../../edge/checks/bundle.ts';
import { Checker } from '../../edge/checks/checker.ts';
import { History } from '../../edge/checks/history.ts';
import { Checks, CityBundles } from '../../edge/store/checks.ts';
import { type Challenge, type Decision, decodeChallenge, decodeDecision } from '../../edge/wire/vc/check.ts';
import { Meter, Path } from '../intake/path.ts';
import { tempFolder } from '../support/temp.ts';
import { GATES, INNER, ORIGIN, TestCity, TestVehicle, verify } from './rig.ts';

type Said = { did: string; what: 'challenge' | 'decision' | 'error'; bytes: Uint8Array };

/** A gateway's checks without broker and API around them. */
async function checkerOver(path: Path, city: TestCity, bundle?: Uint8Array) {
  const gateway = new Meter('gateway');
  const now = () => ({ receivedMs: Date.now(), monoMs: Math.floor(performance.now()), clockSynced: true });
  const bundles = new BundleHolder({
    cityDid: city.did,
    did: gateway.did,
    origin: ORIGIN,
    store: new CityBundles(path.store),
    file: '',
    url: '',
    refreshSeconds: 60,
    fetchSeconds: 1,
    verify,
    now,
    report: () => undefined,
  });
  bundles.start();
  if (bundle) await bundles.offer(bundle, 'test');
  const said: Said[] = [];
  const checks = new Checks(path.store);
  const checker = new Checker({
    origin: ORIGIN,
    signer: { did: gateway.did, sign: gateway.sign },
    gates: GATES,
    bundles,
    history: new History(checks, () => undefined),
    verify,
    act: (work) => path.accept.act(work),
    disk: { room: Number.POSITIVE_INFINITY, give: () => undefined },
    now,
    publish: (did, what, bytes) => said.push({ did, what, bytes }),
    mayRefuse: () => true,
    caps: new Caps(),
    maxSessions: 1000,
    maxWaiting: 10,
    keepRows: 100_000,
    report: () => undefined,
  });
  return { checker, checks, said };
}

const HELLO = Buffer.from(JSON.stringify({ gate: INNER.name, purpose: 'entry' }));

it('never uses a nonce twice and never says what is not on disk, whatever fails and however often it starts', async () => {
  const folder = tempFolder();
  const city = new TestCity();
  const bundle = city.bundle([new Meter('gateway').did], Date.now());
  let path = await Path.open(folder);
  let { checker, checks, said } = await checkerOver(path, city, bundle);
  const vehicles = Array.from(
    { length: 5 },
    (_, i) => new TestVehicle(city, `s${i}`, Date.now(), { registration: `s${i}` }),
  );
  let seed = 5;
  const random = (below: number): number => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fffffff;
    return (seed >> 8) % below;
  };
  const of = <X>(list: readonly X[]): X => list[random(list.length)] as X;
  const open: { vehicle: TestVehicle; challenge: Challenge }[] = [];
  const messages: { did: string; bytes: Uint8Array }[] = [];
  const decided: Decision[] = [];
  const collect = (): void => {
    for (const { did, what, bytes } of said.splice(0)) {
      if (what === 'decision') decided.push(decodeDecision(bytes));
      const vehicle = vehicles.find((v) => v.did === did) as TestVehicle;
      if (what === 'challenge') open.push({ vehicle, challenge: decodeChallenge(bytes) });
    }
  };
  for (let round = 0; round < 70; round++) {
    const mend = random(12) === 0 ? await breakChecks(path) : undefined;
    // Many at once, and some of them the same: they go to disk in one group.
    const waiting: Promise<unknown>[] = [];
    for (let i = random(6); i >= 0; i--) {
      const action = random(10);
      if (action < 3 || open.length === 0) checker.hello(of(vehicles).did, HELLO);
      else if (action < 7) {
        const { vehicle, challenge } = of(open.slice(-8));
        const { message } = vehicle.presentation(challenge, Date.now(), { telemetry: null });
        messages.push({ did: vehicle.did, bytes: message });
        waiting.push(checker.present(vehicle.did, message));
      } else if (messages.length > 0) {
        const { did, bytes } = of(messages.slice(-20));
        waiting.push(checker.present(random(8) === 0 ? of(vehicles).did : did, bytes));
      }
      collect();
    }
    await Promise.all(waiting);
    collect();
    await mend?.();
    if (random(30) === 0) {
      path = await path.reopen();
      ({ checker, checks, said } = await checkerOver(path, city));
    }
  }
  // Each decision that was said has its row, and each nonce one row at the most that used it up.
  const rows = checks.list(100_000, Number.MAX_SAFE_INTEGER);
  const used = rows.flatMap((r) => (r.nonce ? [Buffer.from(r.nonce).toString('base64url')] : []));
  expect(new Set(used).size).toBe(used.length);
  expect(decided.length).toBe(rows.length);
  const passed = decided.filter((d) => d.decision === 'ALLOW');
  expect(passed.length).toBeGreaterThan(10);
  expect(new Set(passed.map((d) => d.nonces.gateway)).size).toBe(passed.length);
  for (const { nonces } of passed) expect(used).toContain(nonces.gateway);
  for (const reason of ['OK', 'NONCE_USED', 'NONCE_UNKNOWN'])
    expect(decided.filter((d) => d.reason === reason).length, reason).toBeGreaterThan(0);
  await path.finish();
});

it('decides in the order of arrival, though all of them are on their way to the disk at once', async () => {
  const city = new TestCity();
  const path = await Path.open(tempFolder());
  const { checker, said } = await checkerOver(path, city, city.bundle([new Meter('gateway').did], Date.now()));
  const vehicle = new TestVehicle(city, 'many', Date.now());
  for (let i = 0; i < 4; i++) checker.hello(vehicle.did, HELLO);
  const challenges = said.splice(0).map(({ bytes }) => decodeChallenge(bytes));
  // What is not on disk yet counts for the next one.
  const at = [0, 0, -1000, 0];
  const answers = [2, 1, 2, 3].map((counter, i) => {
    const telemetry = vehicle.telemetry(Date.now() + (at[i] as number));
    return vehicle.presentation(challenges[i] as Challenge, Date.now(), { counter, telemetry }).message;
  });
  await Promise.all(answers.map((bytes) => checker.present(vehicle.did, bytes)));
  const reasons = said.map(({ bytes }) => decodeDecision(bytes).reason);
  expect(reasons).toEqual(['OK', 'COUNTER_REPLAY', 'COUNTER_FORK', 'OK']);
  await path.finish();
});

it('gives no decision that the disk does not take, and says so', async () => {
  const city = new TestCity();
  const path = await Path.open(tempFolder());
  const { checker, checks, said } = await checkerOver(path, city, city.bundle([new Meter('gateway').did], Date.now()));
  const vehicle = new TestVehicle(city, 'full', Date.now());
  checker.hello(vehicle.did, HELLO);
  const challenge = decodeChallenge(said.splice(0)[0]?.bytes as Uint8Array);
  const { message } = vehicle.presentation(challenge, Date.now(), { telemetry: null });
  const mend = await breakChecks(path);
  expect(await checker.present(vehicle.did, message)).toBeUndefined();
  expect(said.splice(0).map(({ what, bytes }) => [what, JSON.parse(Buffer.from(bytes).toString()).code])).toEqual([
    ['error', 'STORE_UNAVAILABLE'],
  ]);
  await mend();
  // The nonce is burnt all the same: better one more hello than one pass too many.
  await checker.present(vehicle.did, message);
  expect(decodeDecision(said[0]?.bytes as Uint8Array).reason).toBe('NONCE_USED');
  expect(checks.counts()).toEqual([{ decision: 'DENY', reason: 'NONCE_USED', n: 1 }]);
  await path.finish();
});

/** Each such write now fails in SQLite itself, until mended. */
async function breakChecks(path: Path): Promise<() => Promise<void>> {
  const run = (sql: string): Promise<void> => path.store.write({ statements: [{ sql, params: [] }] });
  await run("CREATE TRIGGER broken BEFORE INSERT ON checks BEGIN SELECT raise(ABORT, 'disk on fire'); END");
  return () => run('DROP TRIGGER broken');
}
