import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { SubjectView } from '../../edge/api/care-views.ts';
import { startTestGateway, TestDevice, type TestGateway } from '../support/gateway.ts';

const HOUR = 3600;
/** The last full hour. */
const newest = (): number => Math.floor(Date.now() / 1000 / HOUR) * HOUR;

/** 61 days and a little more of a household, a reading shortly before each full hour. */
async function liveAlone(gateway: TestGateway, name: string, lastDay?: number): Promise<TestDevice> {
  const meter = await new TestDevice(name).enrol(gateway);
  const client = await meter.connect(gateway);
  const until = newest();
  let register = 1_000_000;
  const sent: Promise<unknown>[] = [];
  for (let i = 0; i <= 61 * 24; i++) {
    // The last day is like one of those before, unless it is said how it was.
    const like = i > 60 * 24 ? i - 30 * 24 : i;
    const asUsual = like % 24 >= 15 && like % 24 < 22 ? 40 : 200 + ((like * 7919) % 300);
    if (i > 0) register += i > 60 * 24 ? (lastDay ?? asUsual) : asUsual;
    const iat = until - (61 * 24 - i) * HOUR - 20;
    sent.push(meter.publish(client, meter.envelope({ iat, records: meter.records(register) })));
  }
  await Promise.all(sent);
  return meter;
}

const subjects = async (gateway: TestGateway, token?: string): Promise<SubjectView[]> => {
  const answer = await gateway.api('/care', token === undefined ? {} : { token });
  expect(answer.status, answer.text).toBe(200);
  return (answer.body as { subjects: SubjectView[] }).subjects;
};
const post = (gateway: TestGateway, path: string, body: object, token?: string) =>
  gateway.api(path, { method: 'POST', body, ...(token === undefined ? {} : { token }) });
const consent = 'herself, on paper, 2026-11-25, welfare office of Jochiwon';

describe('living-alone care', () => {
  it('looks only after those who asked, by their own days, and lets a grade out and nothing else', async () => {
    const gateway = await startTestGateway();
    const still = await liveAlone(gateway, 'still', 41);
    const well = await liveAlone(gateway, 'well');
    expect(await subjects(gateway)).toEqual([]);

    for (const { did } of [still, well]) {
      const begun = await post(gateway, '/care', { did, consent });
      expect(begun.status, begun.text).toBe(201);
    }
    const engineer = await gateway.token('engineer');
    const found = await subjects(gateway, engineer);
    expect(found).toMatchObject([
      { did: still.did, grade: 'very-unusual', reason: 'quiet-for-long', days: 60, decision: null, untilMs: null },
      { did: well.did, grade: 'usual', reason: 'as-usual', days: 60 },
    ]);
    // Its shape is all that can get out: no figure of what was measured.
    for (const subject of found)
      expect(Object.keys(subject).sort()).toEqual(
        ['days', 'decision', 'did', 'grade', 'gradedMs', 'label', 'reason', 'sinceMs', 'sub', 'untilMs'].sort(),
      );

    // A person decides, under the person's own name; a flow can't.
    const path = `/care/${still.did}/decision`;
    expect((await post(gateway, path, { decision: 'visit' }, engineer)).status).toBe(403);
    expect((await gateway.api('/care', { token: await gateway.token('viewer') })).status).toBe(403);
    expect((await post(gateway, path, { decision: 'perhaps' })).body).toMatchObject({ code: 'REQUEST_INVALID' });
    const decided = await post(gateway, path, { decision: 'visit', note: 'Ms Kim goes there now' });
    expect(decided.body).toMatchObject({
      decision: { decision: 'visit', grade: 'very-unusual', by: 'test operator', note: 'Ms Kim goes there now' },
    });

    // Over a restart it is as it was.
    await gateway.close();
    const again = await startTestGateway({ dataFolder: gateway.config.dataFolder });
    expect(await subjects(again)).toMatchObject([
      { grade: 'very-unusual', decision: { decision: 'visit' } },
      { grade: 'usual', decision: null },
    ]);

    // Withdrawn, and forgotten: nothing is looked at any more, and nothing of it is left on the disk.
    expect((await post(again, `/care/${well.did}/withdraw`, {})).status).toBe(204);
    expect((await post(again, `/care/${well.did}/withdraw`, {})).body).toMatchObject({ code: 'CARE_UNKNOWN' });
    expect(await subjects(again)).toMatchObject([{ did: still.did }]);
    const forgotten = await post(again, '/forget', { subject: still.sub });
    expect(forgotten.body).toMatchObject({ others: expect.any(Number), complete: true });
    expect(await subjects(again)).toEqual([]);
    expect((await post(again, path, { decision: 'none' })).body).toMatchObject({ code: 'CARE_UNKNOWN' });
    const { audits } = await again.finish({ verifyOneIn: 50 });
    // What was said of who was forgotten went with it.
    expect(audits.map(({ action }) => action)).toEqual(['care.begin', 'care.withdraw', 'forget']);
    for (const file of ['edge.db', 'edge.db-wal'])
      expect(readIf(join(gateway.config.dataFolder, file))).not.toContain('Ms Kim goes there now');
  });

  it('is refused for what is in the open, for what is no household, and for nobody', async () => {
    const gateway = await startTestGateway();
    const [plant, car, meter] = await Promise.all([
      new TestDevice('plant', 'plant').enrol(gateway),
      new TestDevice('car', 'vehicle').enrol(gateway),
      new TestDevice('home').enrol(gateway),
    ]);
    for (const [did, code, detail] of [
      [plant.did, 'CARE_UNFIT', /in the open/],
      [car.did, 'CARE_UNFIT', /does not bill/],
      [new TestDevice('nobody').did, 'DEVICE_UNKNOWN', /did:key/],
    ] as const) {
      const { body } = await post(gateway, '/care', { did, consent });
      expect(body).toMatchObject({ code, detail: expect.stringMatching(detail) });
    }
    expect((await post(gateway, '/care', { did: meter.did })).body).toMatchObject({ code: 'REQUEST_INVALID' });
    expect((await post(gateway, '/care', { did: meter.did, consent, untilMs: 1 })).body).toMatchObject({
      code: 'CARE_UNFIT',
    });
    // A meter that has said nothing yet can be looked after; nothing is known of it.
    const soon = Date.now() + 86_400_000;
    const begun = await post(gateway, '/care', { did: meter.did, consent, untilMs: soon });
    expect(begun.body).toMatchObject({ grade: 'unknown', reason: 'no-readings', days: 0, untilMs: soon });
    expect((await post(gateway, '/care', { did: meter.did, consent })).body).toMatchObject({ code: 'CARE_UNFIT' });
    await gateway.finish();
  });

  it('ends by itself with the consent', async () => {
    const gateway = await startTestGateway();
    const meter = await new TestDevice('home').enrol(gateway);
    const untilMs = Date.now() + 400;
    expect((await post(gateway, '/care', { did: meter.did, consent, untilMs })).status).toBe(201);
    await expect.poll(() => subjects(gateway)).toEqual([]);
    expect((await gateway.finish()).audits.map(({ action }) => action)).toEqual(['care.begin', 'care.expire']);
  });
});

function readIf(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
