import { expect, it } from 'vitest';
import type { Reading } from '../../edge/drivers/driver.ts';
import { Enrolment } from '../../edge/intake/enrolment.ts';
import { loadProfiles } from '../../edge/profiles/load.ts';
import { Marks } from '../../edge/store/marks.ts';
import { decodeEnvelope } from '../../edge/wire/envelope.ts';
import { tempFolder } from '../support/temp.ts';
import { Meter, Path } from './path.ts';

const AT = 1_790_000_000_500;
const wh = (v: number): Reading['records'] => [{ n: '1-0:1.8.0', u: 'Wh', v }];

const open = async () => {
  const path = await Path.open(tempFolder());
  const meter = new Meter('line');
  await path.enrol(meter, 'gateway');
  return { path, meter };
};
const read = (path: Path, { did }: Meter, v: number, over: Partial<Reading> = {}, atMs = AT) => {
  const device = path.devices.get(did);
  if (!device) throw new Error('not enrolled');
  return path.custodian.submitReading(device, 'serial', { records: wh(v), quality: 'Good', atMs, ...over });
};
const entry = (path: Path, index: number) => decodeEnvelope(new Uint8Array(path.entries.get(index)?.envelope ?? []));
const quality = (path: Path, index: number) => entry(path, index).records.find(({ n }) => n === 'quality')?.vs;

it('of a device on a line is signed with the time at which it was read, and with what it is worth', async () => {
  const { path, meter } = await open();
  expect(await read(path, meter, 100)).toEqual({ kind: 'accepted', index: 1 });
  expect(entry(path, 1)).toMatchObject({ iat: 1_790_000_000, iss: meter.did });
  expect(entry(path, 1).records).toEqual([...wh(100), { n: 'quality', vs: 'Good' }]);
  await read(path, meter, 90, { quality: 'Uncertain: the clock of the meter is not set' }, AT + 10_000);
  expect(quality(path, 2)).toBe('Uncertain: the clock of the meter is not set; 1-0:1.8.0 fell from 100 to 90 Wh');
  await read(path, meter, 101, {}, AT + 20_000);
  expect(quality(path, 3)).toBe('Good');
  await path.finish();
});

it('is compared with the last good one also after a restart', async () => {
  const { path, meter } = await open();
  await read(path, meter, 100);
  await read(path, meter, 5, {}, AT + 10_000);
  const again = await path.reopen();
  await read(again, meter, 6, {}, AT + 20_000);
  expect(quality(again, 3)).toBe('Uncertain: 1-0:1.8.0 fell from 100 to 6 Wh');
  await read(again, meter, 100, {}, AT + 30_000);
  expect(quality(again, 4)).toBe('Good');
  await again.finish();
});

it('that its profile does not expect lies in quarantine with its time and marks, and uses up no counter', async () => {
  const { path, meter } = await open();
  const outcome = await read(path, meter, 1, { records: [{ n: '1-0:1.8.0', u: 'kWh', v: 1 }], marks: { cursor: 7 } });
  expect(outcome).toMatchObject({ kind: 'quarantined', code: 'PROFILE_MISMATCH' });
  const [row] = path.quarantine.list(10, Number.MAX_SAFE_INTEGER);
  expect(row).toMatchObject({ topic: 'serial/senml', did: meter.did });
  expect(JSON.parse(Buffer.from(row?.bytes ?? []).toString())).toEqual([
    { n: '1-0:1.8.0', u: 'kWh', v: 1, t: 1_790_000_000 },
  ]);
  const device = path.devices.get(meter.did);
  expect(new Marks(path.store).of(device?.id ?? -1)).toEqual({ cursor: 7 });
  await read(path, meter, 2);
  expect(device?.counter.gaps).toEqual([]);
  await path.finish();
});

it('of a device that publishes SenML is signed as it was said, with a word where its register fell', async () => {
  const { path, meter } = await open();
  const say = (v: number, resent = false) =>
    path.custodian.offerSenml(meter.did, `up/${meter.did}/senml`, Buffer.from(JSON.stringify(wh(v))), resent);
  await say(100);
  expect(entry(path, 1).records).toEqual(wh(100));
  expect(await say(90)).toEqual({ kind: 'accepted', index: 2 });
  expect(entry(path, 2).records).toEqual([
    ...wh(90),
    { n: 'quality', vs: 'Uncertain: 1-0:1.8.0 fell from 100 to 90 Wh' },
  ]);
  expect(await say(90, true)).toEqual({ kind: 'known', index: 2 });
  await path.finish();
});

it('that an earlier log had acknowledged is carried over, whatever profiles say of it now', async () => {
  const path = await Path.open(tempFolder());
  const car = new Meter('car', 'vehicle');
  await path.enrol(car);
  const off = car.envelope({ records: [{ n: 'Vehicle.CurrentLocation.Latitude', u: 'lat', v: 91 }] });
  const stamp = { receivedMs: AT, monoMs: 0, clockSynced: true };
  const outcome = await path.accept.carry(off, { did: car.did, topic: car.topic }, stamp);
  expect(outcome).toMatchObject({ kind: 'accepted' });
  const next = car.envelope({ records: [{ n: 'Vehicle.CurrentLocation.Latitude', u: 'lat', v: 91 }] });
  expect(await path.accept.offer(next, { did: car.did, topic: car.topic })).toMatchObject({
    code: 'PROFILE_MISMATCH',
    detail: 'Vehicle.CurrentLocation.Latitude is 91 lat, and its range is -90 to 90',
  });
  await path.finish();
});

it('of a line is only of a device whose kind is that of its profile, and several kinds may share a metering point', async () => {
  const { path, meter } = await open();
  const made = new Meter('inverter', 'inverter');
  const enrolment = new Enrolment(path.devices, () => made.did, loadProfiles());
  await expect(enrolment.serialDevice({ did: meter.did, kind: 'inverter', sub: '' })).rejects.toThrow(
    `serial device ${meter.did} is enrolled as meter, its profile is for inverter`,
  );
  expect(await enrolment.serialDevice({ did: '', kind: 'meter', sub: meter.sub })).toBe(meter.did);
  expect(await enrolment.serialDevice({ did: '', kind: 'inverter', sub: meter.sub })).toBe(made.did);
  await path.finish();
});
