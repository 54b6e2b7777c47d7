import { expect, it } from 'vitest';
import type { VitalView } from '../../edge/api/vitals.ts';
import { startTestGateway, TestDevice } from '../support/gateway.ts';
import { until } from '../support/temp.ts';

it('/vitals has a look a second, and goes on after the last one', async () => {
  const gateway = await startTestGateway();
  const vitals = async (after = 0) =>
    ((await gateway.api(`/vitals?after=${after}`)).body as { everyMs: number; vitals: VitalView[] }).vitals;
  const [first] = await vitals();
  expect(first).toEqual({
    ms: expect.any(Number),
    entriesPerSecond: 0,
    entries: 1,
    checkpointSize: expect.any(Number),
    anchoredSize: null,
    oldestUnanchoredSeconds: null,
    connected: 0,
    quarantined: 0,
    lastCommitMs: expect.any(Number),
    diskFreeBytes: expect.any(Number),
    diskLevel: 'ok',
    clockSynced: expect.any(Boolean),
    openAlarms: 0,
    certificatesMinted: null,
  });
  const device = await new TestDevice('vitals', 'sensor').enrol(gateway);
  const client = await device.connect(gateway);
  for (let i = 0; i < 10; i++) await device.publish(client, device.envelope());
  await device.publish(client, Buffer.from('bad'));
  const { ms } = first as VitalView;
  await until(
    async () => (await vitals(ms)).some(({ entries, quarantined }) => entries === 11 && quarantined === 1),
    'seen',
  );
  const later = await vitals(ms);
  expect(later.every((v, i) => v.ms > (later[i - 1]?.ms ?? ms))).toBe(true);
  const seen = later.find(({ entries }) => entries === 11) as VitalView;
  expect(seen.connected).toBe(1);
  const rates = later.reduce((sum, v, i) => sum + (v.entriesPerSecond * (v.ms - (later[i - 1]?.ms ?? ms))) / 1000, 0);
  expect(rates).toBeCloseTo(10, 0);
  await gateway.finish();
});
