import { join } from 'node:path';
import { expect, it } from 'vitest';
import { openSalvaged } from '../../edge/log/salvage.ts';
import { asidesOf } from '../../edge/store/aside.ts';
import { Marks, saveMark } from '../../edge/store/marks.ts';
import { type Step, verifyReceipt } from '../../edge/verify.ts';
import { isHashEnvelope } from '../../edge/wire/hash-envelope.ts';
import { STILL } from '../chain/rig.ts';
import { edge } from '../support/cli.ts';
import { startTestGateway, TestDevice, type TestGateway } from '../support/gateway.ts';
import { harm } from './harm.ts';

const offer = (gateway: TestGateway, device: TestDevice, envelope: Uint8Array) =>
  gateway.parts.accept.offer(envelope, { did: device.did, topic: 'test' });
const of = (device: TestDevice, count: number): Uint8Array[] =>
  Array.from({ length: count }, (_, i) => device.envelope({ records: [{ n: 'Vehicle.Speed', u: 'km/h', v: i }] }));

it('are carried over and sealed anew, prove what they are over from the old file, and come back of nobody who was forgotten', async () => {
  const first = await startTestGateway({ log: STILL });
  const { dataFolder } = first.config;
  const [car, gone] = [
    await new TestDevice('car', 'vehicle').enrol(first),
    await new TestDevice('gone', 'vehicle').enrol(first),
  ];
  const [proven, provenGone] = [of(car, 20), of(gone, 20)];
  for (const [i, envelope] of proven.entries()) {
    await offer(first, car, envelope);
    await offer(first, gone, provenGone[i] as Uint8Array);
  }
  await first.parts.log.makeCheckpoint(Date.now());
  const { size } = first.parts.log;
  const [unsigned, unsignedGone] = [of(car, 10), of(gone, 10)];
  for (const [i, envelope] of unsigned.entries()) {
    await offer(first, car, envelope);
    await offer(first, gone, unsignedGone[i] as Uint8Array);
  }
  // A gap of a sealed device, which the gateway speaks of in its own name.
  const late = car.envelope({ seq: 35, records: [{ n: 'Vehicle.Speed', u: 'km/h', v: 1 }] });
  await offer(first, car, late);
  await first.api(`/devices/${car.did}/gaps`, { method: 'POST', body: { epoch: 1, first: 30, last: 34 } });
  expect((await first.api('/forget', { method: 'POST', body: { subject: gone.did } })).body).toMatchObject({
    entries: 30,
  });
  const salts = new Set(first.parts.entries.page(0, 1000).map(({ salt }) => Buffer.from(salt ?? []).toString('hex')));
  await first.finish({ verifyOneIn: 20 });

  // As after a power cut before the last checkpoint, which harmed a page.
  const path = join(dataFolder, 'edge.db');
  harm(path, `DELETE FROM checkpoints WHERE size > ${size}`);

  const gateway = await startTestGateway({ dataFolder, log: STILL });
  const { entries, log, devices } = gateway.parts;
  expect(log.origin).toMatch(/\/2\/\d+-[0-9a-f]{16}$/);
  const rows = entries.page(0, 1000);
  const sealed = rows.filter(({ entry }) => isHashEnvelope(new Uint8Array(entry)));
  expect(sealed.map(({ device, seq }) => [devices.byId(device)?.did, seq])).toEqual([
    ...unsigned.map((_, i) => [car.did, 20 + i]),
    [car.did, 35],
    [gateway.info.did, expect.any(Number)],
  ]);
  expect(
    sealed.some(({ salt }) => salts.has(Buffer.from(salt as Uint8Array).toString('hex'))),
    'fresh salts',
  ).toBe(false);
  expect((await gateway.api(`/devices/${car.did}`)).body).toMatchObject({ declaredGaps: [{ first: 30, last: 34 }] });
  expect(gateway.lines.some((line) => line.includes('10 no longer readable'))).toBe(true);

  // From the file: a receipt of the log before, with what it is over where that was not forgotten.
  const [aside] = asidesOf(path) as [string];
  const opened = openSalvaged(aside);
  const key = opened.log.verifierKey;
  opened.close();
  for (const [index, steps] of [
    [5, ['seal', 'device signature']],
    [6, ['seal']],
  ] as const) {
    const { code, stdout } = await edge(['salvage', aside, '--index', String(index)]);
    expect(code).toBe(0);
    const said: Step[] = [];
    expect(await verifyReceipt(stdout, key, undefined, (s) => said.push(s))).toBeUndefined();
    expect(said.map(({ name }) => name).filter((name) => ['seal', 'device signature'].includes(name))).toEqual(steps);
  }
  const truth = await gateway.finish();
  expect(unsigned.every((envelope) => truth.holds(envelope))).toBe(true);
  expect([...provenGone, ...unsignedGone].some((envelope) => truth.holds(envelope))).toBe(false);
});

it('takes over what drivers kept with their readings: a log begun anew reads no load profile twice, and takes no replay', async () => {
  const first = await startTestGateway({ log: STILL });
  const { dataFolder } = first.config;
  const meter = await new TestDevice('meter').enrol(first);
  const id = first.parts.devices.get(meter.did)?.id as number;
  const along = [saveMark(id, 'cursor', 1_606_230_000), saveMark(id, 'ic-4d4d4d0000bc614e', 2 ** 32 - 1)];
  await first.parts.accept.offer(meter.envelope({}), { did: meter.did, topic: 'test' }, along);
  await first.parts.log.makeCheckpoint(Date.now());
  await first.finish();
  const path = join(dataFolder, 'edge.db');
  harm(path);

  const second = await startTestGateway({ dataFolder, log: STILL });
  expect(second.parts.log.origin).not.toBe(first.parts.log.origin);
  const now = second.parts.devices.get(meter.did)?.id as number;
  expect(new Marks(second.parts.store).of(now)).toEqual({ cursor: 1_606_230_000, 'ic-4d4d4d0000bc614e': 2 ** 32 - 1 });
  await second.finish();
});
