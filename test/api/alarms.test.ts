import { describe, expect, it } from 'vitest';
import type { AlarmView } from '../../edge/api/alarms.ts';
import type { DistrictRowView } from '../../edge/api/district.ts';
import type { VitalView } from '../../edge/api/vitals.ts';
import { startTestGateway, TestDevice, type TestGateway } from '../support/gateway.ts';
import { until } from '../support/temp.ts';

type Answer = { open: number; alarms: AlarmView[] };
const list = async (gateway: TestGateway, query = ''): Promise<Answer> =>
  (await gateway.api(`/alarms?${query}`)).body as Answer;
/** Waits until there is such an alarm. */
async function find(gateway: TestGateway, is: (alarm: AlarmView) => boolean, what: string): Promise<AlarmView> {
  let found: AlarmView | undefined;
  await until(async () => {
    found = (await list(gateway)).alarms.find(is);
    return found !== undefined;
  }, what);
  return found as AlarmView;
}
const openOf = (code: string, where: string) => (alarm: AlarmView) =>
  alarm.code === code && alarm.where === where && alarm.clearedMs === null;
const overOf = (id: number) => (alarm: AlarmView) => alarm.id === id && alarm.clearedMs !== null;

const QUICK = { healthSeconds: 0.1, silentSeconds: 1 };

/** Reads /events?kinds=alarm from a place on; `next` answers each as [code, where, whether it is over]. */
async function readAlarms(gateway: TestGateway, from?: string) {
  const stop = new AbortController();
  const answer = await fetch(`${gateway.info.http}/events?kinds=alarm${from === undefined ? '' : `&from=${from}`}`, {
    headers: { authorization: `Bearer ${await gateway.token('viewer')}` },
    signal: stop.signal,
  });
  expect(answer.status).toBe(200);
  const body = (answer.body as ReadableStream<Uint8Array>).getReader();
  let text = '';
  const reader = {
    lastId: '',
    next: async (): Promise<AlarmView> => {
      for (let end = text.indexOf('\n\n'); end < 0; end = text.indexOf('\n\n')) {
        const { value } = await body.read();
        text += Buffer.from(value as Uint8Array).toString();
      }
      const block = text.slice(0, text.indexOf('\n\n'));
      text = text.slice(block.length + 2);
      if (block.startsWith(':')) return reader.next();
      reader.lastId = /^id: (.*)$/m.exec(block)?.[1] as string;
      expect(block).toMatch(/^event: alarm$/m);
      return JSON.parse(/^data: (.*)$/m.exec(block)?.[1] as string) as AlarmView;
    },
    close: () => stop.abort(),
  };
  return reader;
}

describe('alarms', () => {
  it('tell of a device that is silent until it speaks, over a restart, in each place that shows it', async () => {
    let gateway = await startTestGateway({ alarms: QUICK, clock: { source: 'synced' } });
    const { dataFolder } = gateway.config;
    const device = await new TestDevice('silent', 'sensor').enrol(gateway);
    await new TestDevice('never', 'sensor').enrol(gateway);
    const events = await readAlarms(gateway);
    const client = await device.connect(gateway);
    for (let i = 0; i < 4; i++) await device.publish(client, device.envelope());
    const raised = await events.next();
    expect(raised).toEqual({
      ...{ id: expect.any(Number), code: 'DEVICE_SILENT', part: 'devices', where: device.did, severity: 'warning' },
      ...{ title: expect.any(String), todo: expect.stringContaining('revoke'), times: 1, byPerson: false },
      detail: expect.stringMatching(/^4 entries, the last one 4 at \d{4}-.*Z, usually every \d+\.\d s$/),
      ...{ raisedMs: expect.any(Number), lastMs: expect.any(Number), clearedMs: null },
    });
    const place = events.lastId;
    expect(place).toMatch(/,alarm:\d+$/);
    expect(await list(gateway)).toEqual({ open: 1, alarms: [raised] });
    expect((await gateway.api(`/devices/${device.did}`)).body).toMatchObject({ silent: true });
    await until(async () => {
      const { vitals } = (await gateway.api('/vitals')).body as { vitals: VitalView[] };
      return vitals.at(-1)?.openAlarms === 1;
    }, 'it is in the vitals');
    expect((await gateway.api('/metrics')).text).toContain('sejong_edge_alarms_open{severity="warning"} 1');
    const { devices } = (await gateway.api('/district')).body as { devices: DistrictRowView[] };
    expect(devices.map(({ silent }) => silent)).toEqual([false, true, false]);
    expect((await gateway.api(`/alarms/${raised.id}/clear`, { method: 'POST' })).body).toMatchObject({
      code: 'ALARM_STATE',
    });
    events.close();
    await gateway.close();

    gateway = await startTestGateway({ dataFolder, alarms: QUICK, clock: { source: 'synced' } });
    expect((await list(gateway, 'open=true')).alarms).toEqual([raised]);
    const later = await readAlarms(gateway, place);
    await device.publish(await device.connect(gateway), device.envelope());
    const over = await later.next();
    expect(over).toMatchObject({ id: raised.id, clearedMs: expect.any(Number) });
    expect(await list(gateway, 'open=true')).toEqual({ open: 0, alarms: [] });
    expect(await list(gateway, 'open=false')).toEqual({ open: 0, alarms: [over] });
    const again = await later.next(); // it spoke once, and is silent again
    expect([again.where, again.clearedMs, again.id > raised.id]).toEqual([device.did, null, true]);
    later.close();
    // A place of before there were alarms is good still.
    const old = await readAlarms(gateway, 'entry:0,checkpoint:0,anchor:0,quarantine:0');
    await gateway.api(`/devices/${device.did}/suspend`, { method: 'POST' });
    expect(await old.next()).toMatchObject({ id: again.id, clearedMs: expect.any(Number) });
    old.close();
    await gateway.finish();
  });

  it('tell of what speaks of a cloned key, until it is dropped or a person says so; forgotten with the device', async () => {
    const gateway = await startTestGateway({ alarms: QUICK, clock: { source: 'synced' } });
    const device = await new TestDevice('cloned', 'meter').enrol(gateway);
    const client = await device.connect(gateway);
    await device.publish(client, device.envelope({ seq: 5 }));
    await device.publish(client, device.envelope({ seq: 5, records: device.records(77) }));
    await device.publish(client, device.envelope({ epoch: 0, seq: 1 }));
    await device.publish(client, device.envelope({ epoch: 0, seq: 2 }));
    const clone = await find(gateway, openOf('EQUIVOCATION', device.did), 'equivocation');
    expect(clone).toMatchObject({ severity: 'alarm', part: 'quarantine', times: 1, byPerson: true });
    const replay = await find(gateway, openOf('REPLAY', device.did), 'replay');
    expect(replay).toMatchObject({ severity: 'warning', byPerson: true });

    const { quarantine } = (await gateway.api('/quarantine')).body as { quarantine: { id: number; code: string }[] };
    const { id } = quarantine.find(({ code }) => code === 'EQUIVOCATION') as { id: number };
    await gateway.api(`/quarantine/${id}/drop`, { method: 'POST' });
    await find(gateway, overOf(clone.id), 'nothing of it lies there any more');
    const clear = () => gateway.api(`/alarms/${replay.id}/clear`, { method: 'POST' });
    expect((await clear()).body).toMatchObject({ id: replay.id, clearedMs: expect.any(Number) });
    expect((await clear()).body).toMatchObject({ code: 'ALARM_STATE' });
    expect((await gateway.api('/alarms/999/clear', { method: 'POST' })).body).toMatchObject({ code: 'NOT_FOUND' });
    await device.publish(client, device.envelope({ epoch: 0, seq: 3 }));
    const next = await find(gateway, openOf('REPLAY', device.did), 'another one');
    expect(next.id).not.toBe(replay.id);

    const { body } = await gateway.api('/forget', { method: 'POST', body: { subject: device.sub } });
    expect(body).toMatchObject({ complete: true });
    expect((await list(gateway)).alarms.filter(({ code }) => code !== 'DEVICE_SILENT')).toEqual([]);
    const { audits } = await gateway.finish();
    expect(audits.map(({ action }) => action)).toEqual(expect.arrayContaining(['forget']));
  });

  it('tell once of a part that is not well, by its own code, and of a clock that nobody vouches for as a warning', async () => {
    const elsewhere = await startTestGateway();
    const key = (await elsewhere.api('/witness/key', { token: null })).text.trim();
    await elsewhere.close();
    const gateway = await startTestGateway({
      alarms: { ...QUICK, healthSeconds: 0.3 },
      clock: { source: 'unsynced' },
      log: {
        witnesses: [{ key, url: 'http://127.0.0.1:1/witness' }],
        quorum: 1,
        witnessTimeoutSeconds: 0.2,
      },
    });
    const device = await new TestDevice('well', 'sensor').enrol(gateway);
    await device.publish(await device.connect(gateway), device.envelope());
    const away = await find(gateway, openOf('WITNESS_AWAY', 'witnesses'), 'the witness is away');
    expect(away).toMatchObject({ part: 'witnesses', severity: 'alarm', byPerson: false });
    const clock = await find(gateway, openOf('CLOCK_UNSYNCED', 'clock'), 'the clock');
    expect(clock.severity).toBe('warning');
    expect(
      gateway.lines.some((line) => line.includes('WITNESS_AWAY')),
      'it was said, too',
    ).toBe(true);
    // What was said has had its time, and is no second alarm.
    const told = (await list(gateway)).alarms.map(({ code, where, clearedMs }) => [code, where, clearedMs === null]);
    expect(told.sort()).toEqual([
      ['CLOCK_UNSYNCED', 'clock', true],
      ['WITNESS_AWAY', 'witnesses', true],
    ]);
    await gateway.finish();
  });
});
