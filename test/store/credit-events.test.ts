/** What was followed of credits, as rows: what of a slot counts as claimed, and what a reorg takes back. */
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { type CreditEvent, CreditEvents } from '../../edge/store/credit-events.ts';
import { Store } from '../../edge/store/store.ts';
import { onTestFinished } from '../support/ends.ts';
import { tempFolder } from '../support/temp.ts';

const word = (n: number): string => `0x${n.toString(16).padStart(64, '0')}`;
const block = (number: number, branch = 0) => ({ number, hash: word(number * 1000 + branch), time: 1000 + number });
const PLACE = { chainId: 1, contract: '0x01' };
const SLOT = 1_795_507_200;
/** Of a day, and of a month's residual. */
const token = (type: bigint): string => `0x${((type << 56n) | 7n).toString(16).padStart(64, '0')}`;

const event = (at: number, over: Partial<CreditEvent>): CreditEvent => ({
  ...{ block: at, logIndex: 0, part: 0, contract: '0x01', event: 'ClaimSingle', tx: word(at), time: 1000 + at },
  ...{ token: token(1n), point: word(5), slot: SLOT, version: 0, wh: 0, data: '{}', ...over },
});
const minted = (at: number, certified: number, wh: number, version = 0): CreditEvent =>
  event(at, {
    event: 'Minted',
    wh,
    version,
    data: JSON.stringify({ firstSlot: SLOT - 3600, amounts: [9, certified] }),
  });

async function open() {
  const store = await Store.open(join(tempFolder(), 'edge.db'));
  onTestFinished(() => store.close());
  const table = new CreditEvents(store);
  let changes = 0;
  table.onChanged = () => changes++;
  const follow = (after: number | undefined, events: CreditEvent[], head: number, branch = 0) =>
    table.follow(PLACE, after === undefined ? undefined : block(after), events, block(head, branch), 5);
  return { table, follow, changes: () => changes };
}

it('what of a slot counts as claimed is what was debited of its newest certificate, and all claims since', async () => {
  const { table, follow } = await open();
  expect(table.claimedOf(word(5), SLOT)).toBe(0);
  await follow(undefined, [minted(1, 500, 480)], 1);
  expect([table.pointOf(token(1n)), table.claimedOf(word(5), SLOT)]).toEqual([word(5), 20]);
  await follow(1, [event(2, { wh: 100 }), event(2, { wh: 30, logIndex: 1 })], 2);
  expect(table.claimedOf(word(5), SLOT)).toBe(150);
  // Certified anew, with less: all of that is debited, and what is claimed from now on comes on top.
  await follow(2, [minted(3, 400, 250, 1), event(4, { wh: 1 })], 4);
  expect(table.claimedOf(word(5), SLOT)).toBe(151);
  await follow(4, [event(5, { wh: 7, token: token(2n) })], 5);
  expect(table.claimedOf(word(5), SLOT), 'a residual claimed is no hour claimed').toBe(151);
  expect(table.claimedOf(word(5), SLOT, 2), 'as it was').toBe(150);
  expect(table.claimedOf(word(5), SLOT + 3600)).toBe(0);
  expect(table.claimedOf(word(6), SLOT)).toBe(0);
});

it('a reorg takes rows back, and who looks at them is told, also where nothing comes in their place', async () => {
  const { table, follow, changes } = await open();
  await follow(undefined, [minted(1, 500, 500)], 1);
  await follow(1, [event(3, { wh: 100 })], 3);
  const before = changes();
  await follow(3, [], 9);
  expect(changes()).toBe(before);
  await follow(1, [], 4, 1);
  expect([changes(), table.counts().events, table.claimedOf(word(5), SLOT)]).toEqual([before + 1, 1, 0]);
  expect(table.blocks()[0]).toEqual(block(4, 1));
});

it('knows moduli and keys by the newest word of the contract', async () => {
  const { table, follow } = await open();
  const set = (at: number, modulus: number) =>
    event(at, {
      event: 'ModulusSet',
      point: null,
      slot: null,
      token: null,
      data: JSON.stringify({ device: word(9), modulus }),
    });
  await follow(
    undefined,
    [set(1, 100), set(2, 1e8), event(3, { event: 'KeyShown', point: null, data: JSON.stringify({ device: word(9) }) })],
    3,
  );
  expect([table.modulusOf(word(9)), table.isKeyShown(word(9))]).toEqual([1e8, true]);
  expect([table.modulusOf(word(8)), table.isKeyShown(word(8))]).toEqual([undefined, false]);
  await follow(3, [set(4, 0)], 4);
  expect(table.modulusOf(word(9))).toBeUndefined();
});
