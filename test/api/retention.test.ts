import { describe, expect, it } from 'vitest';
import { openCheckpoint, parseVerifierKey } from '../../edge/log/checkpoint.ts';
import { leafHash } from '../../edge/log/merkle.ts';
import { verifyReceipt } from '../../edge/verify.ts';
import { startTestGateway, TestDevice, type TestGateway } from '../support/gateway.ts';
import { until } from '../support/temp.ts';

const MOMENT = 1e-9; // days: whatever was received is old at once

const offer = (gateway: TestGateway, device: TestDevice, envelope = device.envelope()) =>
  gateway.parts.accept.offer(envelope, { did: device.did, topic: 'test' });

describe('retention by age', () => {
  it('prunes what is old and vouched for, tells where from on all is there, and proves all the rest', async () => {
    const gateway = await startTestGateway({ clock: { source: 'synced' }, log: { checkpointSeconds: 3600 } });
    const [a, b] = [await new TestDevice('a').enrol(gateway), await new TestDevice('b', 'sensor').enrol(gateway)];
    const envelopes = Array.from({ length: 700 }, (_, i) => (i % 3 === 0 ? b : a).envelope());
    await Promise.all(envelopes.map((e, i) => offer(gateway, i % 3 === 0 ? b : a, e)));
    expect((await gateway.api('/log/minimum-index', { token: null })).text).toBe('0\n');
    await gateway.finish({ verifyOneIn: 20 });

    const again = await startTestGateway({
      dataFolder: gateway.config.dataFolder,
      clock: { source: 'synced' },
      retention: { days: MOMENT },
    });
    const { log, accept, entries, retention } = again.parts;
    await until(() => log.minimumIndex === 512, 'two whole tiles are pruned');
    expect(retention.counts).toEqual({ pruned: 511, thinned: 0 });
    const index = await again.api('/log/minimum-index', { token: null });
    expect([index.text, index.headers.get('content-type')]).toEqual(['512\n', 'text/plain; charset=utf-8']);

    // What is gone says so, and what is known of it is still told.
    for (const path of ['/entries/1', '/entries/511', '/entries/7/receipt', '/log/tile/entries/000'])
      expect((await again.api(path)).body, path).toMatchObject({ status: 410, code: 'ENTRY_PRUNED' });
    expect((await again.api('/log/tile/entries/001.p/9')).status).toBe(410);
    expect((await again.api('/log/tile/0/000')).status).toBe(200);
    const page = (await again.api('/entries?after=0&limit=4')).body as { entries: Record<string, unknown>[] };
    expect(page.entries[1]).toEqual({
      index: 2,
      did: a.did,
      kind: 'meter',
      custody: 'device',
      sub: a.sub,
      epoch: 1,
      seq: 0,
      receivedMs: expect.any(Number),
      clock: 'synced',
      sealed: true,
      records: [],
      pruned: true,
      leafHash: expect.stringMatching(/^[A-Za-z0-9+/]{43}=$/),
    });
    expect(page.entries[3]).toMatchObject({
      kind: 'sensor',
      leafHash: Buffer.from(leafHash(envelopes[3] as Uint8Array)).toString('base64'),
    });
    expect(page.entries[3]).not.toHaveProperty('sealed');
    const events = await fetch(
      `${again.info.http}/events?from=entry:1,checkpoint:1,anchor:1,quarantine:1&kinds=entry`,
      {
        headers: { authorization: `Bearer ${await again.token('viewer')}` },
      },
    );
    const reader = (events.body as ReadableStream<Uint8Array>).getReader();
    expect(Buffer.from((await reader.read()).value as Uint8Array).toString()).toContain('"pruned":true');
    await reader.cancel();

    // The genesis entry and all from the minimum index on are there, and their receipts hold.
    for (const i of [0, 512, 640, 700]) {
      const { text, status } = await again.api(`/entries/${i}/receipt`);
      expect(status).toBe(200);
      expect(await verifyReceipt(text, log.verifierKey, undefined, () => undefined)).toBeUndefined();
    }
    expect((await again.api('/log/tile/entries/002.p/189')).status).toBe(200);
    const { text } = await again.api('/log/checkpoint');
    const { size } = openCheckpoint(text, parseVerifierKey(log.verifierKey));
    expect(size).toBeGreaterThanOrEqual(512);

    // The same bytes are the same entry still, and other bytes of the same counter are not.
    expect(await offer(again, a, envelopes[1] as Uint8Array)).toEqual({ kind: 'known', index: 2 });
    const other = a.envelope({ seq: 0, records: a.records(77) });
    expect(await offer(again, a, other)).toMatchObject({ code: 'EQUIVOCATION', seq: 0 });
    expect(entries.get(2)?.envelope.length).toBe(0);
    await accept.idle();
    const { pruned, entries: n } = await again.finish({ verifyOneIn: 20 });
    expect([pruned.size, n]).toEqual([511, 701]);

    const third = await startTestGateway({ dataFolder: gateway.config.dataFolder, clock: { source: 'synced' } });
    expect(await offer(third, a)).toMatchObject({ kind: 'accepted', index: 701 });
    await third.finish({ verifyOneIn: 20 });
  });

  it('waits for a clock that is known to be right, and for a checkpoint', async () => {
    const gateway = await startTestGateway({ clock: { source: 'unsynced' }, retention: { days: MOMENT } });
    const a = await new TestDevice('a').enrol(gateway);
    await Promise.all(Array.from({ length: 600 }, () => offer(gateway, a)));
    await until(() => (gateway.parts.log.latest?.size ?? 0) === 601, 'a checkpoint over all');
    gateway.parts.retention.wake();
    await gateway.parts.retention.stop();
    expect(gateway.parts.log.minimumIndex).toBe(0);
    await gateway.finish({ verifyOneIn: 20 });
    // Times of an unsynced clock prove nothing, even after it was set: only an entry after them with a good one does.
    const { dataFolder } = gateway.config;
    const again = await startTestGateway({ dataFolder, clock: { source: 'synced' }, retention: { days: MOMENT } });
    again.parts.retention.wake();
    await until(() => again.parts.log.latest?.size === 601, 'still the same');
    expect(again.parts.log.minimumIndex).toBe(0);
    await offer(again, a);
    await until(() => again.parts.log.minimumIndex === 512, 'now they are known to be old');
    await again.finish();
  });
});
