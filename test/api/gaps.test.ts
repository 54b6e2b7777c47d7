import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { MAX_GAPS } from '../../edge/store/counters.ts';
import { edge } from '../support/cli.ts';
import { startTestGateway, TestDevice, type TestGateway } from '../support/gateway.ts';
import { tempFolder, until } from '../support/temp.ts';

const offer = (gateway: TestGateway, device: TestDevice, seq: number, epoch = 1) =>
  gateway.parts.accept.offer(device.envelope({ seq, epoch }), { did: device.did, topic: 'test' });

type Gap = { epoch: number; first: number; last: number; count: number; reason?: string; index?: number };
type View = { counter: { gaps: Gap[] }; declaredGaps: Gap[] };
const view = async (gateway: TestGateway, { did }: TestDevice): Promise<View> =>
  (await gateway.api(`/devices/${did}`)).body as View;

const declare = (gateway: TestGateway, { did }: TestDevice, body: object, token?: string) =>
  gateway.api(`/devices/${did}/gaps`, { method: 'POST', body, ...(token === undefined ? {} : { token }) });

describe('a gap', () => {
  it('is seen while it is open, and once declared lost it is in the log and closed for ever', async () => {
    const gateway = await startTestGateway();
    const a = await new TestDevice('a').enrol(gateway);
    for (const seq of [0, 9]) await offer(gateway, a, seq);
    expect(await view(gateway, a)).toMatchObject({
      counter: { gaps: [{ epoch: 1, first: 1, last: 8, count: 8 }] },
      declaredGaps: [],
    });
    const viewer = await gateway.token('engineer');
    expect((await declare(gateway, a, { epoch: 1, first: 3, last: 5 }, viewer)).status).toBe(403);
    for (const not of [
      { epoch: 1, first: 0, last: 3 }, // 0 was received
      { epoch: 1, first: 8, last: 9 },
      { epoch: 2, first: 3, last: 5 },
      { epoch: 1, first: 5, last: 3 },
    ])
      expect((await declare(gateway, a, not)).body).toMatchObject({ status: 409, code: 'GAP_NOT_OPEN' });
    const { log } = gateway.parts;
    expect(log.size).toBe(3); // nothing was said for what was refused, and none of our counters went for it

    const declared = { epoch: 1, first: 3, last: 5, count: 3, reason: 'lost', index: 3 };
    const answer = await declare(gateway, a, { epoch: 1, first: 3, last: 5 });
    expect([answer.status, answer.body]).toEqual([201, declared]);
    expect(await view(gateway, a)).toMatchObject({
      counter: {
        gaps: [
          { epoch: 1, first: 1, last: 2, count: 2 },
          { epoch: 1, first: 6, last: 8, count: 3 },
        ],
      },
      declaredGaps: [declared],
    });
    expect((await declare(gateway, a, { epoch: 1, first: 3, last: 5 })).status).toBe(409);
    expect((await gateway.api('/entries/3')).body).toMatchObject({
      did: gateway.info.did,
      kind: 'gateway',
      sub: `urn:sejong:gateway:${gateway.info.origin}`,
      records: [
        { n: 'gap', vs: a.did },
        { n: 'gap-first', vs: '0000000100000003' },
        { n: 'gap-last', vs: '0000000100000005' },
        { n: 'gap-count', v: 3 },
        { n: 'gap-reason', vs: 'lost' },
      ],
    });
    const late = { code: 'REPLAY', detail: 'cti 1/4 was declared lost at entry 3' };
    expect(await offer(gateway, a, 4)).toMatchObject(late);
    expect(await offer(gateway, a, 2)).toMatchObject({ kind: 'accepted' });
    const truth = await gateway.finish();
    expect(truth.gaps).toEqual([{ did: a.did, epoch: 1, first: 3, last: 5, reason: 'lost', index: 3 }]);

    const again = await startTestGateway({ dataFolder: gateway.config.dataFolder });
    a.epoch = 1;
    expect(await again.parts.accept.offer(a.envelope({ seq: 5 }), { did: a.did, topic: 'test' })).toMatchObject({
      code: 'REPLAY',
      detail: 'cti 1/5 was declared lost at entry 3',
    });
    await again.finish();
  });

  it('that is given up beyond the cap is declared, never silently forgotten', async () => {
    const gateway = await startTestGateway();
    const a = await new TestDevice('a').enrol(gateway);
    for (let i = 0; i <= MAX_GAPS + 2; i++) await offer(gateway, a, i * 10);
    const { counter, declaredGaps } = await view(gateway, a);
    expect(counter.gaps.length).toBe(MAX_GAPS);
    expect(declaredGaps.map(({ first, last, reason }) => [first, last, reason])).toEqual([
      [11, 19, 'lost'],
      [1, 9, 'lost'],
    ]);
    expect((await offer(gateway, a, 5)) as object).toMatchObject({ code: 'REPLAY' });
    expect((await gateway.finish()).gaps.length).toBe(2);
  });

  it('is declared by itself when nothing filled it in time, if the config says so', async () => {
    const gateway = await startTestGateway({ clock: { source: 'synced' }, retention: { gapLostDays: 1e-7 } });
    const [a, b] = [await new TestDevice('a').enrol(gateway), await new TestDevice('b').enrol(gateway)];
    for (const seq of [0, 2, 7]) await offer(gateway, a, seq);
    await offer(gateway, b, 5, 3); // where it begins there is no gap
    await until(async () => (await view(gateway, a)).declaredGaps.length === 2, 'both are declared');
    expect((await view(gateway, a)).counter.gaps).toEqual([]);
    expect((await view(gateway, b)).declaredGaps).toEqual([]);
    await gateway.finish();
  });

  it('proves with the entries beside it that there is no reading between, and nothing less proves it', async () => {
    const gateway = await startTestGateway({ log: { checkpointSeconds: 0.1 } });
    const [a, b] = [await new TestDevice('a').enrol(gateway), await new TestDevice('b').enrol(gateway)];
    for (const seq of [0, 1, 6, 7]) await offer(gateway, a, seq);
    for (const seq of [1, 6]) await offer(gateway, b, seq);
    const first = (await declare(gateway, a, { epoch: 1, first: 2, last: 5 })).body as { index: number };
    await offer(gateway, a, 3, 2);
    await declare(gateway, a, { epoch: 2, first: 0, last: 2 });
    const { log } = gateway.parts;
    await until(() => log.latest?.size === log.size, 'a checkpoint over all');
    const folder = tempFolder();
    const file = async (index: number): Promise<string> => {
      const path = join(folder, `${index}.json`);
      writeFileSync(path, (await gateway.api(`/entries/${index}/receipt`)).text);
      return path;
    };
    const opening = async (index: number): Promise<string[]> => {
      const path = join(folder, `${index}.opening.json`);
      const { status, text } = await gateway.api(`/entries/${index}/opening`);
      writeFileSync(path, text);
      return status === 200 ? ['--opening', path] : []; // entry 0 is not sealed
    };
    const shut = async (...indexes: number[]) =>
      edge(['verify', '--gap', ...(await Promise.all(indexes.map(file))), '--key', log.verifierKey]);
    const verify = async (...indexes: number[]) => {
      const receipts = await Promise.all(indexes.map(file));
      const openings = (await Promise.all(indexes.toReversed().map(opening))).flat();
      return edge(['verify', '--gap', ...receipts, ...openings, '--key', log.verifierKey]);
    };
    expect(first.index).toBe(7);
    // Meters are sealed, and so is what the gateway says of them: without openings it shows nothing of them.
    const { code, stdout } = await shut(2, 7, 3);
    expect([code, stdout]).toEqual([1, expect.stringContaining('entry 2 is sealed: its opening is needed')]);
    expect(stdout).not.toContain(a.did);
    // Entries 1 to 4 are a/0, a/1, a/6, a/7; 5 and 6 are b/1 and b/6; 9 is a 2/3, and 10 its gap; 8 and 11 say who declared them.
    const holds = await verify(2, 7, 3);
    expect(holds.stdout).toContain(`no reading of ${a.did} has the 4 counters 1/2 to 1/5`);
    expect([holds.code, holds.stdout.trimEnd().split('\n').at(-1)]).toEqual([0, 'The proof holds.']);
    expect((await verify(4, 10, 9)).code, 'at the start of a boot').toBe(0);
    for (const [indexes, why] of [
      [[1, 7, 3], /counter 1\/0 is not the one before 1\/2/],
      [[2, 7, 4], /counter 1\/7 is not the one after 1\/5/],
      [[5, 7, 3], /entry 5 is of did:key/],
      [[2, 1, 3], /entry 1 is not by the gateway/],
      [[2, 0, 3], /entry 0 is no gap entry/],
    ] as const) {
      const { code, stdout } = await verify(...indexes);
      expect([code, stdout]).toEqual([1, expect.stringMatching(why)]);
    }
    // Nobody else can speak like the gateway: its sub is kept for it.
    const posing = { did: new TestDevice('x').did, kind: 'sensor', custody: 'device', sub: 'urn:sejong:gateway:x' };
    expect((await gateway.api('/devices', { method: 'POST', body: posing })).status).toBe(400);
    await gateway.finish();
  });
});
