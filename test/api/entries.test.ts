import { describe, expect, it } from 'vitest';
import type { EntryView } from '../../edge/api/views.ts';
import { parseReceipt } from '../../edge/log/receipt.ts';
import { type Step, verifyReceipt } from '../../edge/verify.ts';
import { startTestGateway, TestDevice, type TestGateway } from '../support/gateway.ts';
import { until } from '../support/temp.ts';

type Page = { entries: EntryView[]; size: number };

const page = async (gateway: TestGateway, query: string): Promise<Page> => {
  const { status, body, text } = await gateway.api(`/entries?${query}`);
  expect(status, text).toBe(200);
  return body as Page;
};

/** All pages of a query, as a client that knows nothing but "go on after the last one". */
async function walk(gateway: TestGateway, query: string, limit: number): Promise<number[]> {
  const seen: number[] = [];
  for (let after = ''; ; ) {
    const { entries } = await page(gateway, `${query}&limit=${limit}${after}`);
    expect(entries.length).toBeLessThanOrEqual(limit);
    seen.push(...entries.map((e) => e.index));
    if (entries.length === 0) return seen;
    after = `&after=${seen.at(-1)}`;
  }
}

describe('/entries', () => {
  it('shows each reading as it was signed, decoded, and with its envelope', async () => {
    const gateway = await startTestGateway({ clock: { source: 'synced' } });
    const device = await new TestDevice('shown', 'sensor').enrol(gateway);
    const client = await device.connect(gateway);
    const records = [
      { n: 'temperature', u: 'Cel', t: 1_790_000_000, v: 21.5 },
      { n: 'door', vb: true },
      { n: 'name', vs: '세종' },
      { n: 'raw', vd: Uint8Array.of(0, 255, 16) },
      { n: 'large', v: Number.MAX_SAFE_INTEGER },
      { n: 'negative', v: -7 },
    ];
    const before = Date.now();
    const envelope = device.envelope({ records, epoch: 3, seq: 4_294_967_295 });
    await device.publish(client, envelope);
    const { body } = await gateway.api('/entries/1');
    expect(body).toEqual({
      index: 1,
      did: device.did,
      kind: 'sensor',
      custody: 'device',
      sub: device.sub,
      iat: 1_790_000_000,
      epoch: 3,
      seq: 4_294_967_295,
      receivedMs: expect.any(Number),
      clock: 'synced',
      records: records.map((r) => ('vd' in r ? { n: 'raw', vd: 'AP8Q' } : r)),
      envelope: Buffer.from(envelope).toString('base64'),
    });
    const { receivedMs } = body as EntryView;
    expect(receivedMs).toBeGreaterThanOrEqual(before);
    expect(receivedMs).toBeLessThanOrEqual(Date.now());
    expect(await page(gateway, 'after=0')).toEqual({ entries: [body], size: 2 });
    const genesis = (await gateway.api('/entries/0')).body as EntryView;
    expect(genesis).toMatchObject({ did: gateway.info.did, kind: 'gateway', custody: 'gateway' });
    expect(genesis.records).toContainEqual({ n: 'origin', vs: gateway.info.origin });
    await gateway.finish();
  });

  it('is paged by every filter so that nothing comes twice and nothing is missed', async () => {
    const gateway = await startTestGateway();
    const devices = await Promise.all(['a', 'b', 'c'].map((n) => new TestDevice(n, 'sensor').enrol(gateway)));
    const clients = await Promise.all(devices.map((d) => d.connect(gateway)));
    const publish = async (n: number, seqs: number[]): Promise<void> => {
      const device = devices[n] as TestDevice;
      await Promise.all(seqs.map((seq) => device.publish(clients[n] as never, device.envelope({ seq }))));
    };
    // In bursts, so that many have the same time of receipt; b drains a buffer out of order.
    await Promise.all([publish(0, [0, 1, 2, 3, 4, 5, 6, 7]), publish(1, [0, 9]), publish(2, [0, 1])]);
    await publish(1, [4, 5, 6]);
    await Promise.all([publish(0, [8, 9, 10]), publish(1, [1, 2, 3, 7])]);
    const { entries: all } = await page(gateway, 'limit=1000');
    expect(all.map((e) => e.index)).toEqual(all.map((_, i) => i));
    expect(all).toHaveLength(23);

    const byTime = (x: EntryView, y: EntryView): number => x.receivedMs - y.receivedMs || x.index - y.index;
    const byCounter = (x: EntryView, y: EntryView): number => x.epoch - y.epoch || x.seq - y.seq;
    const times = [...new Set(all.map((e) => e.receivedMs))];
    const ends = [times[0], times[Math.floor(times.length / 2)], times.at(-1)] as number[];
    const iso = (ms: number): string => new Date(ms).toISOString();
    const queries: [string, EntryView[]][] = [['', all]];
    for (const from of [undefined, ...ends])
      for (const to of [undefined, ...ends, (ends[2] as number) + 1]) {
        const within = all.filter(
          (e) => e.receivedMs >= (from ?? 0) && e.receivedMs < (to ?? Number.POSITIVE_INFINITY),
        );
        const query = `${from ? `from=${iso(from)}` : ''}${to ? `&to=${iso(to)}` : ''}`;
        if (query !== '') queries.push([query, within.toSorted(byTime)]);
        for (const { did } of devices)
          queries.push([`device=${did}&${query}`, within.filter((e) => e.did === did).toSorted(byCounter)]);
      }
    queries.push(['newest=true', all.toReversed()]);
    for (const { did } of devices)
      queries.push([
        `newest=true&device=${did}`,
        all
          .filter((e) => e.did === did)
          .toSorted(byCounter)
          .reverse(),
      ]);
    for (const [query, expected] of queries)
      for (const limit of [1, 3, 1000])
        expect(await walk(gateway, query, limit), `${query} by ${limit}`).toEqual(expected.map((e) => e.index));
    expect((await page(gateway, '')).entries).toHaveLength(23); // the default limit is 100
    await gateway.finish();
  });

  it('takes times of any zone, and refuses a place to go on from that is in no such list', async () => {
    const gateway = await startTestGateway();
    const [a, b] = await Promise.all(['a', 'b'].map((n) => new TestDevice(n).enrol(gateway)));
    const [x, y] = await Promise.all([a?.connect(gateway), b?.connect(gateway)]);
    await a?.publish(x as never, a.envelope());
    await b?.publish(y as never, b.envelope());
    const { receivedMs } = (await gateway.api('/entries/1')).body as EntryView;
    const seoul = `${new Date(receivedMs + 9 * 3_600_000).toISOString().slice(0, -1)}%2B09:00`;
    expect((await page(gateway, `device=${a?.did}&from=${seoul}`)).entries).toHaveLength(1);
    expect((await page(gateway, `device=${a?.did}&to=${seoul}`)).entries).toHaveLength(0);
    const code = async (query: string) => {
      const { status, body } = await gateway.api(`/entries?${query}`);
      return [status, (body as { code: string }).code];
    };
    for (const after of [0, 2, 3, 999]) // others' entries, or nobody's
      expect(await code(`device=${a?.did}&after=${after}`)).toEqual([400, 'REQUEST_INVALID']);
    expect(await code('from=2020-01-01T00:00:00Z&after=999')).toEqual([404, 'NOT_FOUND']);
    expect((await page(gateway, 'after=999')).entries).toEqual([]);
    expect((await page(gateway, 'from=2999-01-01T00:00:00Z')).entries).toEqual([]);
    await gateway.finish();
  });
});

describe('/entries/{index}/receipt', () => {
  const check = async (text: string, key: string): Promise<string[]> => {
    const steps: Step[] = [];
    expect(await verifyReceipt(text, key, undefined, (step) => steps.push(step))).toBeUndefined();
    expect(steps.every((step) => step.ok)).toBe(true);
    return steps.map((step) => step.name);
  };

  it('proves every entry in both formats, at sizes around a tile', async () => {
    const gateway = await startTestGateway({ log: { checkpointSeconds: 3600, checkpointEntries: 1_000_000 } });
    const device = await new TestDevice('receipts', 'sensor').enrol(gateway);
    const client = await device.connect(gateway);
    const key = (await gateway.api('/log/key', { token: null })).text;
    for (const size of [2, 3, 256, 257, 300]) {
      const more = Array.from({ length: size - gateway.parts.log.size }, () => device.envelope());
      await Promise.all(more.map((envelope) => device.publish(client, envelope)));
      await gateway.parts.log.makeCheckpoint(Date.now());
      for (const index of new Set([0, 1, 2, 127, 128, 254, 255, 256, 257, size - 1].filter((i) => i < size))) {
        const json = await gateway.api(`/entries/${index}/receipt`);
        expect(json.headers.get('content-type')).toMatch(/^application\/json/);
        expect((await gateway.api(`/entries/${index}/receipt?format=json`)).text).toBe(json.text);
        const proof = await gateway.api(`/entries/${index}/receipt?format=tlog-proof`);
        expect(proof.headers.get('content-type')).toBe('text/plain; charset=utf-8');
        expect(proof.headers.get('content-disposition')).toBe(`attachment; filename="entry-${index}.tlog-proof"`);
        expect(proof.text.startsWith('c2sp.org/tlog-proof@v1\n')).toBe(true);
        expect(parseReceipt(proof.text)).toEqual(parseReceipt(json.text));
        const { envelope } = (await gateway.api(`/entries/${index}`)).body as EntryView;
        expect(json.body).toMatchObject({ format: 'sejong-edge/receipt@1', index, entry: envelope });
        expect(json.body).not.toHaveProperty('anchor');
        if (index % 127 === 0 || index === size - 1)
          for (const text of [json.text, proof.text]) expect(await check(text, key)).toHaveLength(5);
      }
    }
    await gateway.finish({ verifyOneIn: 20 });
  });

  it('is kept by its holder: it verifies when the gateway is gone', async () => {
    const gateway = await startTestGateway();
    const device = await new TestDevice('kept').enrol(gateway);
    const client = await device.connect(gateway);
    await device.publish(client, device.envelope());
    await until(() => (gateway.parts.log.latest?.size ?? 0) > 1, 'a checkpoint covers it');
    const { text } = await gateway.api('/entries/1/receipt');
    const key = (await gateway.api('/log/key', { token: null })).text;
    await gateway.finish();
    await check(text, key);
    // And proves nothing else.
    const receipt = JSON.parse(text) as { index: number; entry: string; checkpoint: string };
    const said: Step[] = [];
    const fails = (changed: object) =>
      verifyReceipt(JSON.stringify({ ...receipt, ...changed }), key, undefined, (step) => said.push(step));
    expect(await fails({ index: 0 })).toBe('inclusion');
    expect(await fails({ checkpoint: receipt.checkpoint.replace('\n2\n', '\n3\n') })).toBe('checkpoint signature');
  });

  it('says NOT_IN_CHECKPOINT until a checkpoint covers the entry', async () => {
    const gateway = await startTestGateway({ log: { checkpointSeconds: 3600, checkpointEntries: 1_000_000 } });
    const device = await new TestDevice('waiting').enrol(gateway);
    const client = await device.connect(gateway);
    await device.publish(client, device.envelope());
    for (const format of ['json', 'tlog-proof'])
      expect((await gateway.api(`/entries/1/receipt?format=${format}`)).body).toMatchObject({
        status: 409,
        code: 'NOT_IN_CHECKPOINT',
      });
    expect((await gateway.api('/entries/1')).status).toBe(200);
    await gateway.parts.log.makeCheckpoint(Date.now());
    expect((await gateway.api('/entries/1/receipt')).status).toBe(200);
    await gateway.finish();
  });
});
