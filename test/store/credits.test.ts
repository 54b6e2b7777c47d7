import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type CreditEvent, CreditEvents } from '../../edge/store/credit-events.ts';
import { type CertificateRow, CreditRows, saveCertificate } from '../../edge/store/credits.ts';
import { Store } from '../../edge/store/store.ts';
import { onTestFinished } from '../support/ends.ts';
import { tempFolder } from '../support/temp.ts';

const POINT = `0x${'ab'.repeat(32)}`;
const DAY = 86_400 * 20_000;
const PLACE = { chainId: 31_337, contract: `0x${'01'.repeat(20)}` };

const certificate = (hour: number, over: Partial<CertificateRow> = {}): CertificateRow => ({
  ...{
    point: 'urn:sejong:mp:1',
    slot: DAY + hour * 3600,
    version: 0,
    id: `c${hour}-${over.version ?? 0}`,
    pointId: POINT,
  },
  ...{
    device: 1,
    wh: 100 + hour,
    startIdx: 1,
    startIat: 0,
    startWh: 0,
    endIdx: 2,
    endIat: 0,
    endWh: 0,
    shape: 'reading',
  },
  ...{ flags: '[]', state: 'ready', code: null, detail: null, madeMs: 1 },
  ...over,
});

const event = (block: number, name: string, over: Partial<CreditEvent>): CreditEvent => ({
  ...{ block, logIndex: 0, part: 0, contract: PLACE.contract, event: name, tx: `0x${'00'.repeat(32)}`, time: block },
  ...{ token: `0x${'ab'.repeat(24)}01${'00'.repeat(7)}`, point: POINT, slot: null, version: 0, wh: null, data: '{}' },
  ...over,
});
const minted = (block: number, hour: number, version = 0): CreditEvent =>
  event(block, 'Minted', { slot: DAY + hour * 3600, wh: 100 + hour, version, part: hour });
const block = (number: number) => ({ number, hash: `0x${number.toString(16).padStart(64, '0')}`, time: number });

async function open(): Promise<{ rows: CreditRows; events: CreditEvents; states: () => string[] }> {
  const store = await Store.open(join(tempFolder(), 'edge.db'));
  onTestFinished(() => store.close());
  const rows = new CreditRows(store);
  const states = (): string[] =>
    store.all<{ state: string }>('SELECT state FROM certificates ORDER BY slot').map(({ state }) => state);
  return { rows, events: new CreditEvents(store), states };
}

describe('rows of certificates', () => {
  it('are counted by what the followed events say, also when those are taken back', async () => {
    const { rows, events } = await open();
    await rows.write([
      saveCertificate(certificate(0)),
      saveCertificate(certificate(1)),
      saveCertificate(certificate(2, { state: 'refused', code: 'CREDIT_OVER_CAPACITY' })),
    ]);
    const nothing = { minted: 0, withdrawn: 0, mintedWh: 0, claimedWh: 0, residualWh: 0 };
    expect(rows.counts()).toEqual({ ...nothing, ready: 2, refused: 1 });
    await events.follow(PLACE, undefined, [minted(5, 0)], block(5), 1);
    expect(rows.counts()).toEqual({ ...nothing, ready: 1, refused: 1, minted: 1, mintedWh: 100 });
    const claim = event(6, 'ClaimSingle', { slot: DAY, wh: 30 });
    await events.follow(PLACE, block(5), [claim, { ...minted(6, 1), logIndex: 1 }], block(6), 1);
    expect(rows.counts()).toEqual({ ...nothing, ready: 0, refused: 1, minted: 2, mintedWh: 201, claimedWh: 30 });
    await events.follow(PLACE, block(5), [], block(7), 1);
    expect(rows.counts()).toEqual({ ...nothing, ready: 1, refused: 1, minted: 1, mintedWh: 100 });
    const withdrawn = event(8, 'Withdrawn', { slot: DAY, version: 1, wh: 100 });
    await events.follow(PLACE, block(7), [withdrawn], block(8), 1);
    expect(rows.counts()).toMatchObject({ minted: 0, withdrawn: 1, mintedWh: 0 });
  });

  it('are settled in a block that is old enough, and open again when the chain is read anew', async () => {
    const { rows, events, states } = await open();
    await rows.write([saveCertificate(certificate(0)), saveCertificate(certificate(1))]);
    await events.follow(PLACE, undefined, [minted(5, 0), minted(9, 1)], block(9), 1);
    await rows.write(rows.settleUntil(5));
    expect(states()).toEqual(['settled', 'ready']);
    expect(rows.ready(9)).toEqual([]);
    expect(rows.list({ state: 'minted', limit: 9 })).toHaveLength(2);
    await events.follow(PLACE, undefined, [minted(3, 1)], block(3), 2);
    await rows.write([...rows.unsettle(), ...rows.settleUntil(3)]);
    expect(states()).toEqual(['ready', 'settled']);
    expect(rows.ready(9).map(({ id }) => id)).toEqual(['c0-0']);
  });
});
