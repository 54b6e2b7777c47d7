/** Plants that come online after a day without a link: what their first day says, and that it is said once. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type Billed, billedOf, DAY, DAY_BOUNDARIES, HOUR, type RegisterReading } from '../../edge/wire/boundary.ts';
import { keyTypeOf } from '../../edge/wire/did.ts';
import { decodeEnvelope, type Envelope } from '../../edge/wire/envelope.ts';
import { CREDIT_PLANTS } from '../../firmware-sim/credit-plants.ts';
import { readOptions, UsageError } from '../../firmware-sim/options.ts';
import type { Counts } from '../../firmware-sim/run.ts';
import {
  CreditPlant,
  type CreditSort,
  creditCapacityW,
  ROLLOVER_WH,
  registeredW,
} from '../../firmware-sim/worlds/credit-plant.ts';
import { SEJONG, sunElevation } from '../../firmware-sim/worlds/sun.ts';
import type { Measured } from '../../firmware-sim/worlds/world.ts';
import { startTestGateway } from '../support/gateway.ts';
import type { TestBroker } from './broker.ts';
import { startBroker, temporaryFolder } from './harness.ts';

const MAIN = new URL('../../firmware-sim/main.ts', import.meta.url).pathname;
const SORTS: readonly CreditSort[] = [
  ...(['honest', 'swapped-out', 'swapped-in', 'rollover', 'liar', 'duplicate', 'profile', 'storage'] as const),
];
/** Night and day, summer and winter, and both sides of an hour and of a UTC day. */
const STARTS = [
  '2026-06-21T00:00:00Z',
  '2026-06-21T00:00:03Z',
  '2026-11-25T08:33:10Z',
  '2026-12-21T03:59:59Z',
  '2027-03-20T15:00:01Z',
  '2026-11-25T23:59:59.999Z',
].map((text) => Date.parse(text));

const plantOf = (sort: CreditSort, start: number, seed = 77, saved = ''): CreditPlant =>
  new CreditPlant({ sort, seed, weather: 5, start }, saved);
const billed = (m: Measured): Billed => {
  const found = billedOf(m);
  if (!found) throw new Error(`no shape that a certificate is made of: ${JSON.stringify(m)}`);
  return found;
};
const wh = (m: Measured): number => (billed(m) as RegisterReading).registerWh;
const isAtBoundary = ({ iat }: Measured): boolean => Math.abs(iat - Math.round(iat / HOUR) * HOUR) <= 60;
const hourOf = ({ iat }: Measured): number => Math.round(iat / HOUR);
const steps = (registers: readonly number[]): number[] =>
  registers.slice(1).map((register, i) => register - (registers[i] as number));
const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);

describe.each(STARTS)('a first day that ends at %i', (start) => {
  const firstDay = (sort: CreditSort, seed = 77): Measured[] => [...plantOf(sort, start, seed).due()];
  const lastHour = Math.floor(start / 1000 / HOUR);

  it.each(SORTS)('of %s is made of what certificates are made of, over and not in the future', (sort) => {
    for (const m of firstDay(sort)) {
      billed(m);
      expect(m.iat * 1000).toBeLessThanOrEqual(start);
      expect(m.iat * 1000).toBeGreaterThan(start - (sort === 'profile' ? 2 * DAY : DAY + 2 * HOUR) * 1000);
    }
  });

  it.each(['honest', 'rollover', 'liar', 'storage'] as const)(
    'of %s has each of 25 full hours once, in order',
    (sort) => {
      const day = firstDay(sort);
      expect(day.filter((m) => !isAtBoundary(m))).toEqual([]);
      expect(day.map(hourOf)).toEqual(Array.from({ length: DAY_BOUNDARIES }, (_, i) => lastHour - 24 + i));
    },
  );

  it('has daylight in it, whatever the hour: hours that give, below what is registered, and nights that give nothing', () => {
    for (const seed of [1, 2, 3, 4, 5]) {
      const day = firstDay('honest', seed);
      const energy = steps(day.map(wh));
      const capacity = creditCapacityW({ sort: 'honest', seed });
      expect(registeredW(plantOf('honest', start, seed).plan)).toBe(capacity);
      expect(Math.max(...energy)).toBeLessThanOrEqual(capacity * 1.05);
      expect(energy.filter((e) => e > 0).length).toBeGreaterThanOrEqual(8);
      for (const [i, e] of energy.entries()) {
        const [from, to] = [day[i] as Measured, day[i + 1] as Measured].map(({ iat }) => iat * 1000) as [
          number,
          number,
        ];
        const isNight = [from, (from + to) / 2, to].every((ms) => sunElevation(ms, SEJONG) < -1);
        if (isNight) expect(e).toBe(0);
      }
      // The sums telescope: what the hours give is what the register shows.
      expect(sum(energy)).toBe(wh(day.at(-1) as Measured) - wh(day[0] as Measured));
    }
  });

  it('of a swapped meter ends between two hours that give, and goes on there with the other one from its first register', () => {
    const [out, into] = [plantOf('swapped-out', start), plantOf('swapped-in', start)];
    const [before, after] = [[...out.due()], [...into.due()]];
    const [final, initial] = [before.at(-1) as Measured, after[0] as Measured];
    expect([final, initial].map(isAtBoundary)).toEqual([false, false]);
    expect(Math.floor(final.iat / HOUR)).toBe(Math.floor(initial.iat / HOUR));
    expect(initial.iat).toBeGreaterThan(final.iat);
    expect([out.swapRegisterWh, into.swapRegisterWh]).toEqual([wh(final), wh(initial)]);
    expect(wh(initial)).toBeLessThan(1000);
    // Together all full hours, each meter on its side of the swap.
    const hours = [...before.slice(0, -1), ...after.slice(1)];
    expect(hours.map(hourOf)).toEqual(Array.from({ length: DAY_BOUNDARIES }, (_, i) => lastHour - 24 + i));
    for (const day of [before, after]) expect(sum(steps(day.map(wh)))).toBeGreaterThan(0);
    for (const energy of [...steps(before.map(wh)), ...steps(after.map(wh))]) expect(energy).toBeGreaterThanOrEqual(0);
  });

  it('of a register that begins anew falls once, in daylight, and what it falls by is explained by its modulus', () => {
    const energy = steps(firstDay('rollover').map(wh));
    const falls = energy.filter((e) => e < 0);
    expect(falls.length).toBe(1);
    expect((falls[0] as number) + ROLLOVER_WH).toBeGreaterThan(0);
    expect((falls[0] as number) + ROLLOVER_WH).toBeLessThanOrEqual(
      creditCapacityW({ sort: 'rollover', seed: 77 }) * 1.05,
    );
  });

  it('of a liar has hours above what is registered, and hours below it that give', () => {
    for (const seed of [1, 2, 3, 4, 5]) {
      const cap = registeredW(plantOf('liar', start, seed).plan) * 1.05;
      const energy = steps(firstDay('liar', seed).map(wh));
      expect(energy.filter((e) => e > cap).length).toBeGreaterThan(0);
      expect(energy.filter((e) => e > 0 && e <= cap).length).toBeGreaterThan(0);
    }
  });

  it('of a duplicate is said twice, word by word', () => {
    const day = firstDay('duplicate');
    expect(day.length).toBe(2 * DAY_BOUNDARIES);
    expect(day.slice(DAY_BOUNDARIES)).toEqual(day.slice(0, DAY_BOUNDARIES));
  });

  it('of a profile is the last full UTC day in one pack, and what it says live bills nothing', () => {
    const plant = plantOf('profile', start);
    const day = [...plant.due()];
    expect(day.length).toBe(1);
    const profile = billed(day[0] as Measured);
    if (profile.shape !== 'profile') throw new Error('no profile');
    expect(profile.day).toBe(Math.floor(start / 1000 / DAY) - 1);
    expect(sum(steps(profile.registersWh))).toBeGreaterThan(0);
    expect(billedOf({ iat: start / 1000, records: plant.sample(start) })).toBeUndefined();
    // The next one when this UTC day is over, and it begins where this one ended.
    const midnight = Math.ceil((start + 1) / 1000 / DAY) * DAY * 1000;
    for (let ms = start; ms < midnight; ms += 7_200_000) plant.sample(ms);
    expect([...plant.due()]).toEqual([]);
    const again = plantOf('profile', start, 77, plant.state());
    again.sample(midnight + 5000);
    const next = [...again.due()].map(billed);
    expect(next).toEqual([{ shape: 'profile', day: profile.day + 1, registersWh: expect.any(Array) }]);
    expect((next[0] as typeof profile).registersWh[0]).toBe(profile.registersWh.at(-1));
  });

  it.each(SORTS)('of %s goes on where a crash has left it, and is over once it was said', (sort) => {
    const whole = firstDay(sort);
    for (const taken of [0, 1, Math.floor(whole.length / 2), whole.length]) {
      const plant = plantOf(sort, start);
      const first: Measured[] = [];
      const due = plant.due()[Symbol.iterator]();
      for (let next = due.next(); first.length < taken && !next.done; next = first.length < taken ? due.next() : next)
        first.push(next.value);
      const saved = taken === 0 ? '' : plant.state();
      // An hour later, with another weather: the first day stays what it was.
      const next = new CreditPlant(
        { sort, seed: 77, weather: taken === 0 ? 5 : 6, start: taken === 0 ? start : start + 3_600_000 },
        saved,
      );
      const rest = [...next.due()];
      expect([...first, ...rest]).toEqual(whole);
      expect([...next.due()]).toEqual([]);
    }
  });
});

it('a meter with a load profile that was off for longer than a day leaves out the day that it cannot speak of', () => {
  const start = Date.parse('2026-11-25T08:33:10Z');
  const plant = plantOf('profile', start);
  expect([...plant.due()].length).toBe(1);
  const again = plantOf('profile', start, 77, plant.state());
  for (const text of ['2026-11-27T12:00:00Z', '2026-11-28T00:00:01Z', '2026-11-28T20:00:00Z'])
    again.sample(Date.parse(text));
  expect([...again.due()]).toEqual([]);
  again.sample(Date.parse('2026-11-29T00:00:01Z'));
  expect([...again.due()].map(billed)).toMatchObject([
    { shape: 'profile', day: Date.parse('2026-11-28Z') / 1000 / DAY },
  ]);
});

describe('command line', () => {
  it.each([
    [['--credit-plants', 'honest,thief'], 'names "thief"'],
    [['--credit-owners', '0x12'], 'has "0x12", which is no account'],
    [['credits', '--buffer', '20'], '--buffer is at least 64 with credit plants'],
  ])('says what is wrong with %j', (args, line) => {
    const read = () => readOptions([...args, '--origin', 'x', '--no-enroll'], {});
    expect(read).toThrow(UsageError);
    expect(read).toThrow(line);
  });
});

function runSim(args: readonly string[], env: Record<string, string> = {}) {
  const child: ChildProcess = fork(
    MAIN,
    [...args, '--meters', '0', '--plants', '0', '--vehicles', '0', '--seed', '7', '--quiet'],
    { stdio: ['ignore', 'pipe', 'pipe', 'ipc'], env: { ...process.env, SEJONG_TOKEN: '', ...env } },
  );
  onTestFinished(() => void child.kill('SIGKILL'));
  let stdout = '';
  let stderr = '';
  child.stdout?.on('data', (chunk) => (stdout += chunk));
  child.stderr?.on('data', (chunk) => (stderr += chunk));
  return once(child, 'close').then(([code]) => ({
    code: code as number,
    stderr,
    counts: JSON.parse(stdout.trimEnd().split('\n').at(-1) as string) as Counts,
  }));
}

const byDevice = (broker: TestBroker): Map<string, Envelope[]> => Map.groupBy(broker.firsts(), ({ iss }) => iss);

it('as processes, they send their day first and in order, then live readings; a second boot sends no day again', async () => {
  const broker = await startBroker();
  const state = temporaryFolder();
  const args = ['credits', '--mqtt', broker.url, '--origin', 'sejong.example/test', '--no-enroll', '--state', state];
  const before = Math.floor(Date.now() / 1000);
  const first = await runSim([...args, '--for', '2', '--every', '0.4']);
  expect(first).toMatchObject({
    code: 0,
    stderr: '',
    counts: { devices: CREDIT_PLANTS.length + 1, buffered: 0, missed: 0 },
  });
  broker.check();
  const devices = byDevice(broker);
  expect(devices.size).toBe(CREDIT_PLANTS.length + 1);
  const between = Math.floor(Date.now() / 1000);
  // Both meters of one plant, and one plant that signs with P-256.
  expect(new Set([...devices.values()].map(([e]) => e?.sub)).size).toBe(CREDIT_PLANTS.length);
  expect([...devices.keys()].filter((did) => keyTypeOf(did) === 'P-256').length).toBe(1);
  for (const envelopes of devices.values()) {
    const day = envelopes.filter(({ iat }) => iat < before);
    const live = envelopes.slice(day.length);
    expect(envelopes.slice(0, day.length)).toEqual(day);
    for (const envelope of day) billed(envelope);
    for (const { iat } of live) expect(iat >= before && iat <= between).toBe(true);
    const registers = [...day.slice(-1), ...live].flatMap(billedOf).filter((b) => b?.shape === 'reading');
    for (const step of steps(registers.map((b) => b.registerWh))) expect(step).toBeGreaterThanOrEqual(0);
  }
  const seen = broker.received.length;
  const second = await runSim([...args, '--for', '1', '--every', '0.4']);
  expect(second).toMatchObject({ code: 0, stderr: '' });
  broker.check();
  const more = broker.received.slice(seen).map(({ bytes }) => decodeEnvelope(bytes));
  expect(more.length).toBeGreaterThan(CREDIT_PLANTS.length);
  for (const { iss, iat, epoch } of more) {
    expect(iat).toBeGreaterThanOrEqual(between);
    expect(epoch).toBeGreaterThan(devices.get(iss)?.[0]?.epoch as number);
  }
});

it('at a gateway, each is enrolled as what it is, all is taken, and the meter is swapped with both of its registers', async () => {
  const gateway = await startTestGateway();
  const { info } = gateway;
  const state = temporaryFolder();
  const account = `0x${'5e'.repeat(20)}`;
  const run = async () =>
    runSim(
      [
        ...['--credit-plants', CREDIT_PLANTS.join(), '--credit-owners', `${account},,`, '--state', state],
        ...['--mqtt', info.mqtt, '--api', info.http, '--for', '1.5', '--every', '0.5'],
      ],
      { SEJONG_TOKEN: await gateway.token('operator') },
    );
  const first = await run();
  expect(first).toMatchObject({ code: 0, stderr: '', counts: { buffered: 0, honestRefused: 0 } });
  const { devices, quarantine } = gateway.parts;
  expect(quarantine.held).toBe(0);
  const of = (word: string) => devices.list().filter(({ label }) => label?.startsWith(`credit plant ${word}: `));
  expect(of('honest')).toMatchObject([{ kind: 'plant', custody: 'device', owner: account, energySource: 'solar' }]);
  expect(of('rollover')).toMatchObject([{ registerModulusWh: ROLLOVER_WH, owner: null }]);
  expect(of('storage')).toMatchObject([{ kind: 'storage' }]);
  const [old, heir] = of('swapped');
  expect(old).toMatchObject({ status: 'replaced', replacedBy: heir?.did, sub: heir?.sub });
  const { body } = await gateway.api(`/devices/${old?.did}`);
  const said = JSON.stringify(body);
  const ofDevice = (did: string | undefined): Envelope[] =>
    Array.from({ length: gateway.parts.log.size }, (_, i) => gateway.parts.entries.get(i)?.envelope as Uint8Array)
      .map((bytes) => decodeEnvelope(bytes))
      .filter(({ iss }) => iss === did);
  const [final, initial] = [ofDevice(old?.did).at(-1), ofDevice(heir?.did)[0]] as [Envelope, Envelope];
  expect(said).toContain(String(wh(final)));
  expect(said).toContain(String(wh(initial)));
  // Once more from the same folder: nothing is swapped again, nothing refused.
  const entries = ofDevice(old?.did).length;
  expect(await run()).toMatchObject({ code: 0, stderr: '', counts: { buffered: 0, honestRefused: 0 } });
  expect(ofDevice(old?.did).length).toBe(entries);
  expect(devices.list().filter(({ status }) => status === 'replaced').length).toBe(1);
  await gateway.finish();
});
