import { describe, expect, it } from 'vitest';
import type { DistrictRowView } from '../../edge/api/district.ts';
import type { SeriesView } from '../../edge/api/series.ts';
import { Series, thin } from '../../edge/api/series.ts';
import { Entries } from '../../edge/store/entries.ts';
import { encodeEnvelope } from '../../edge/wire/envelope.ts';
import { newEntry, openLog } from '../log/rig.ts';
import { startTestGateway, TestDevice, type TestGateway } from '../support/gateway.ts';
import { tempFolder, until } from '../support/temp.ts';

type Answer = { version: number; devices: DistrictRowView[] };
const district = async (gateway: TestGateway, since = 0): Promise<Answer> =>
  (await gateway.api(`/district?since=${since}`)).body as Answer;
/** Asks until there is something new; rows are looked at once a second. */
async function news(gateway: TestGateway, since: number): Promise<Answer> {
  let answer = await district(gateway, since);
  await until(async () => {
    answer = await district(gateway, since);
    return answer.devices.length > 0;
  }, 'a row changes');
  return answer;
}

describe('/district', () => {
  it('has a row for each device with its last value, and then those that changed', async () => {
    const gateway = await startTestGateway();
    const meter = await new TestDevice('district', 'meter').enrol(gateway);
    const sensor = await new TestDevice('district-2', 'sensor').enrol(gateway);
    await new TestDevice('district-3', 'sensor').enrol(gateway);
    const client = await meter.connect(gateway);
    await meter.publish(client, meter.envelope({ seq: 5 }));
    await meter.publish(client, meter.envelope({ seq: 9, records: meter.records(1234) }));
    await meter.publish(client, Buffer.from('bad'));
    const first = await district(gateway);
    const { lastMs } = first.devices[1] as DistrictRowView;
    expect(first.devices).toMatchObject([
      { did: gateway.info.did, kind: 'gateway', lastIndex: 0 },
      { did: meter.did, lastIndex: 2, gaps: 3 },
      { did: sensor.did, entries: 0, lastIndex: null, lastMs: null, last: null },
      { gaps: 0, quarantined: 0 },
    ]);
    expect(first.devices[1]).toEqual({
      ...{ did: meter.did, kind: 'meter', sub: meter.sub, label: null, status: 'active', custody: 'device' },
      ...{ entries: 2, lastIndex: 2, lastMs, gaps: 3, quarantined: 1, silent: false },
      last: { n: '1-0:1.8.0', u: 'Wh', v: 1234 }, // sealed in the log, and shown as /entries shows it
    });
    expect((await district(gateway, first.version)).devices).toEqual([]);

    const other = await sensor.connect(gateway);
    await sensor.publish(other, sensor.envelope());
    const second = await news(gateway, first.version);
    expect(second.devices).toMatchObject([{ did: sensor.did, last: { n: 'temperature', u: 'Cel', v: 21.5 } }]);
    await gateway.api(`/devices/${meter.did}/suspend`, { method: 'POST' });
    const third = await news(gateway, second.version);
    // The gateway said so, in an entry of its own.
    expect(third.devices.map(({ did }) => did)).toEqual([gateway.info.did, meter.did]);
    expect(third.devices[1]).toMatchObject({ status: 'suspended' });

    await gateway.api('/forget', { method: 'POST', body: { subject: meter.sub } });
    const row = (await district(gateway)).devices.find(({ did }) => did === meter.did);
    expect(row, 'what was destroyed is not shown from here').toMatchObject({ lastIndex: 2, last: null });
    await gateway.finish();
    const again = await startTestGateway({ dataFolder: gateway.config.dataFolder });
    expect((await district(again, third.version)).devices, 'a version of an earlier run').toHaveLength(4);
    await again.finish();
  });

  it('lets others have their turn while it looks at thousands of devices', async () => {
    const gateway = await startTestGateway();
    const { devices } = gateway.parts;
    const dids = Array.from({ length: 2_000 }, (_, i) => `did:key:z6Mk${i}`);
    await Promise.all(
      dids.map((did, i) => devices.enrol({ did, kind: 'meter', custody: 'device', sub: `urn:x:${i}` }, Date.now())),
    );
    let turns = 0;
    let answered = false;
    const count = (): void => {
      turns++;
      if (!answered) setImmediate(count);
    };
    count();
    const answer = await district(gateway);
    answered = true;
    expect(answer.devices).toHaveLength(2_001);
    expect(turns).toBeGreaterThanOrEqual(20);
    expect((await gateway.api(`/district?since=${answer.version}`)).text).toBe(
      `{"version":${answer.version},"devices":[]}`,
    );
    await gateway.finish();
  });
});

/** A meter with a reading a minute from T0 on, but for a pause of ten hours after the first hour. */
const T0 = 1_790_000_000;
const timeOf = (i: number): number => T0 + i * 60 + (i < 60 ? 0 : 36_000);

describe('/devices/{did}/series', () => {
  const series = async (gateway: TestGateway, device: TestDevice, query: Record<string, string | number>) => {
    const text = new URLSearchParams(query as Record<string, string>);
    const answer = await gateway.api(`/devices/${device.did}/series?${text}`);
    expect(answer.status, answer.text).toBe(200);
    return answer.body as SeriesView;
  };
  const iso = (seconds: number): string => new Date(seconds * 1000).toISOString();
  const NAME = '1-0:1.8.0';

  it('is the values by the time of the reading, of an entry out of order, of packs with times of their own', async () => {
    const gateway = await startTestGateway();
    const device = await new TestDevice('series').enrol(gateway);
    const client = await device.connect(gateway);
    expect(await series(gateway, device, { name: NAME })).toMatchObject({ points: [], names: [], entries: 0 });
    const send = (i: number, epoch: number, seq: number, records = device.records(1000 + i)) =>
      device.publish(client, device.envelope({ iat: timeOf(i), epoch, seq, records }));
    for (let i = 0; i < 120; i++) if (i !== 50) await send(i, i < 80 ? 1 : 7, i < 80 ? i : i - 80);
    await send(50, 1, 50); // a device that drains its buffer
    const all = await series(gateway, device, { name: NAME });
    expect(all).toMatchObject({
      ...{ name: NAME, unit: 'Wh', names: [{ n: NAME, u: 'Wh' }], sampled: false, entries: 120 },
      ...{ toMs: timeOf(119) * 1000 + 1, fromMs: timeOf(119) * 1000 + 1 - 86_400_000 },
    });
    expect(all.points).toEqual(Array.from({ length: 120 }, (_, i) => [timeOf(i) * 1000, 1000 + i]));
    const part = await series(gateway, device, { name: NAME, from: iso(timeOf(40)), to: iso(timeOf(90)) });
    expect(part).toMatchObject({ points: all.points.slice(40, 90), entries: 50 });
    const pause = { name: NAME, from: iso(timeOf(59) + 1), to: iso(timeOf(60)) };
    expect(await series(gateway, device, pause)).toMatchObject({ points: [], entries: 0, unit: 'Wh' });
    expect(await series(gateway, device, { name: 'else' })).toMatchObject({ points: [], unit: null });
    expect(await series(gateway, device, {})).toMatchObject({ name: null, points: [], names: [{ n: NAME, u: 'Wh' }] });
    const few = await series(gateway, device, { name: NAME, points: 10 });
    expect(few.points.length).toBeLessThanOrEqual(10);
    expect([few.points[0], few.points.at(-1)]).toEqual([all.points[0], all.points.at(-1)]);

    for (const query of ['points=1', 'points=2001', 'from=x', 'name=', 'nme=a'])
      expect((await gateway.api(`/devices/${device.did}/series?${query}`)).status, query).toBe(400);
    expect((await gateway.api(`/devices/${new TestDevice('nobody').did}/series`)).status).toBe(404);

    const day = await new TestDevice('series-day', 'sensor').enrol(gateway);
    const records = [0, -60, -120].map((t) => ({ n: 'temperature', u: 'Cel', v: 20 - t, ...(t ? { t } : {}) }));
    await day.publish(await day.connect(gateway), day.envelope({ iat: T0, records: records.slice(0, 2) }));
    const told = await series(gateway, day, { name: 'temperature' });
    expect(told.points).toEqual([
      [(T0 - 60) * 1000, 80],
      [T0 * 1000, 20],
    ]);
    await gateway.finish();
  });

  it('picks points where there is too much, near where they should be, in few looks', async () => {
    const { store, log } = await openLog(tempFolder());
    const N = 12_000;
    const claims = { iss: new TestDevice('series-long').did, sub: 'urn:x:1' };
    // Three boots; unsigned, because only what is in them matters here.
    const rows = Array.from({ length: N }, (_, i) => {
      const counter = { epoch: 1 + Math.floor(i / 5000), seq: i % 5000 };
      const records = [{ n: 'temperature', u: 'Cel', v: i }];
      const envelope = encodeEnvelope({ ...claims, ...counter, iat: timeOf(i) }, records, () => new Uint8Array(64));
      return newEntry(i, { ...counter, envelope });
    });
    await log.append(rows, []);
    const entries = new Entries(store);
    const ask = (fromMs: number, toMs?: number, points = 500) =>
      new Series(entries, { device: 1, name: 'temperature', fromMs: fromMs * 1000, toMs, points }).read();
    const all = await ask(T0);
    expect(all).toMatchObject({ sampled: true, toMs: timeOf(N - 1) * 1000 + 1 });
    expect(all.points.length).toBeGreaterThan(450); // there is nothing to pick in the pause
    expect(all.points.length).toBeLessThanOrEqual(500);
    expect(all.entries, 'looks').toBeLessThan(3_000);
    const step = (all.toMs - all.fromMs) / 500;
    const times = all.points.map(([ms]) => ms as number);
    expect(times).toEqual(all.points.map(([, v]) => timeOf(v as number) * 1000));
    expect(times).toEqual([...new Set(times)].sort((a, b) => a - b));
    const pauses = times.filter((ms, i) => i > 0 && ms - (times[i - 1] as number) > 3 * step);
    expect(pauses).toHaveLength(1);
    const hour = await ask(timeOf(9000), timeOf(9060) * 1000);
    expect(hour).toMatchObject({ sampled: false, entries: 60, points: { length: 60 } });
  });

  it('is thinned so that the least and the greatest stay', () => {
    const wave = Array.from({ length: 5000 }, (_, i): [number, number] => [i * 1000, Math.sin(i / 40)]);
    (wave[1234] as [number, number])[1] = 99;
    (wave[4321] as [number, number])[1] = -99;
    for (const most of [2, 3, 50, 501]) {
      const few = thin(wave, most);
      expect(few.length).toBeLessThanOrEqual(most);
      expect(few.map(([, v]) => v)).toEqual(expect.arrayContaining([99, -99]));
      expect(few.every(([ms], i) => i === 0 || ms > (few[i - 1]?.[0] as number))).toBe(true);
    }
    expect(thin(wave, 5000)).toEqual(wave);
    expect(thin([], 5)).toEqual([]);
    const same: [number, number][] = Array.from({ length: 9 }, (_, i) => [7, i]);
    expect(thin(same, 2)).toEqual([[7, 8]]);
  });
});
