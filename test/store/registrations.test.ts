import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Block, MAX_BLOCKS } from '../../edge/store/followed.ts';
import { foldEvents, Registrations, type RegistryEvent } from '../../edge/store/registrations.ts';
import { Store } from '../../edge/store/store.ts';
import { onTestFinished } from '../support/ends.ts';
import { tempFolder } from '../support/temp.ts';

const PLACE = { chainId: 1, contract: '0x01' };
const key = (n: number): string => `0x${n.toString(16).padStart(64, '0')}`;
const block = (number: number, branch = 0): Block => ({ number, hash: key(number * 1000 + branch), time: number });

const registered = (at: number, device: number, index = 0): RegistryEvent => ({
  event: 'registered',
  block: at,
  logIndex: index,
  device: key(device),
  time: at,
  meteringPoint: key(99),
  owner: '0x00',
  kind: 'meter',
  energySource: '',
  capacityW: 0,
  custody: 'device',
  validFrom: 0,
  validUntil: null,
});
const status = (at: number, device: number, to: 'suspended' | 'active' | 'revoked', index = 0): RegistryEvent => ({
  event: 'status',
  block: at,
  logIndex: index,
  device: key(device),
  time: at,
  status: to,
  replacedBy: null,
});

async function open(path = join(tempFolder(), 'edge.db')) {
  const store = await Store.open(path);
  onTestFinished(() => store.close());
  return { store, table: new Registrations(store) };
}

describe('the table of the registry', () => {
  it('holds what the events add up to, and how far they were followed', async () => {
    const { table } = await open();
    expect(table.meta).toBeUndefined();
    expect(table.blocks()).toEqual([]);
    await table.follow(
      PLACE,
      undefined,
      [registered(3, 1), registered(3, 2, 1), status(4, 1, 'suspended')],
      block(5),
      7,
    );
    expect(table.of(key(1))).toMatchObject({
      status: 'suspended',
      since: 4,
      block: 4,
      validUntil: null,
      kind: 'meter',
    });
    expect(table.of(key(2))).toMatchObject({ status: 'active', since: 3, block: 3 });
    expect(table.of(key(3))).toBeUndefined();
    expect(table.meta).toEqual({ ...PLACE, syncedMs: 7 });
    expect(table.blocks()).toEqual([block(5)]);
    expect(table.counts()).toEqual({ events: 3, devices: 2 });
  });

  it('exchanges a branch for another in one step', async () => {
    const { table } = await open();
    await table.follow(PLACE, undefined, [registered(3, 1)], block(3), 1);
    await table.follow(PLACE, block(3), [status(5, 1, 'revoked')], block(5), 1);
    await table.follow(PLACE, block(3), [status(4, 1, 'suspended')], block(6, 1), 1);
    expect(table.of(key(1))).toMatchObject({ status: 'suspended', block: 4 });
    expect(table.blocks()).toEqual([block(6, 1), block(3)]);
    await table.follow(PLACE, undefined, [], block(0, 2), 1);
    expect(table.counts()).toEqual({ events: 0, devices: 0 });
    expect(table.blocks()).toEqual([block(0, 2)]);
  });

  it('remembers so many blocks and no more', async () => {
    const { table } = await open();
    for (let n = 1; n <= MAX_BLOCKS + 5; n++) await table.follow(PLACE, block(n - 1), [], block(n), 1);
    const held = table.blocks();
    expect(held).toHaveLength(MAX_BLOCKS);
    expect(held[0]).toEqual(block(MAX_BLOCKS + 5));
    expect(held.at(-1)).toEqual(block(6));
  });

  it('is, after any branches, what the last branch alone would have made it', async () => {
    const { table } = await open();
    const event = fc.constantFrom('register', 'suspended', 'active', 'revoked') as fc.Arbitrary<
      'register' | 'suspended' | 'active' | 'revoked'
    >;
    // One branch: from which height it leaves the one before, and what happens to which device in each block.
    const branch = fc.record({ from: fc.nat(8), blocks: fc.array(fc.tuple(event, fc.nat(2)), { maxLength: 6 }) });
    await fc.assert(
      fc.asyncProperty(fc.array(branch, { minLength: 1, maxLength: 5 }), async (branches) => {
        await table.follow(PLACE, undefined, [], block(0), 1);
        let chain: { block: Block; event: RegistryEvent | undefined }[] = [{ block: block(0), event: undefined }];
        for (const [b, { from, blocks }] of branches.entries()) {
          chain = chain.slice(0, from + 1);
          const ancestor = chain.at(-1)?.block as Block;
          const added = blocks.map(([what, device], i) => {
            const n = ancestor.number + 1 + i;
            return {
              block: block(n, b + 1),
              event: what === 'register' ? registered(n, device) : status(n, device, what),
            };
          });
          chain.push(...added);
          const head = chain.at(-1)?.block as Block;
          await table.follow(
            PLACE,
            ancestor,
            added.map(({ event: e }) => e),
            head,
            1,
          );
        }
        for (const device of [0, 1, 2]) {
          const events = chain.flatMap(({ event: e }) => (e?.device === key(device) ? [e] : []));
          expect(table.of(key(device))).toEqual(foldEvents(events));
        }
        expect(table.blocks()[0]).toEqual(chain.at(-1)?.block);
      }),
      { numRuns: 60 },
    );
  });

  it('never lets what is final become anything else, whatever the events say', () => {
    const history = [registered(1, 1), status(2, 1, 'revoked'), status(3, 1, 'active'), registered(4, 1)];
    expect(foldEvents(history)).toMatchObject({ status: 'revoked', since: 2 });
    expect(foldEvents([status(2, 1, 'revoked')])).toBeUndefined();
  });
});
