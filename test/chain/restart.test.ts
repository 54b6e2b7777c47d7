/** The sender, killed where it hurts: between signing, storing, sending, and writing down what became of it. */
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { expect, it } from 'vitest';
import { allAnchored, City, Meter, rows } from './rig.ts';

it('a kill at each point between persist, broadcast, mined and confirmed leaves one anchor of each head', {
  timeout: 90_000,
}, async () => {
  const city = await City.build();
  /** One run up to its death: the status of the row, and how many anchors the chain has then. */
  const killedAt = async (fault: string) => {
    await city.killedAt(fault);
    const db = new Database(join(city.dataFolder, 'edge.db'), { readonly: true });
    const found = db.prepare('SELECT status, nonce FROM transactions').all() as { status: string; nonce: number }[];
    db.close();
    return [found.map((r) => r.status), (await city.chain.anchorsMined(city.contract.address)).length];
  };
  await city.chain.call('evm_setAutomine', false);
  expect(await killedAt('transaction.after'), 'stored, not sent').toEqual([['signed'], 0]);
  expect(await killedAt('anchor.sent'), 'sent, and not written down').toEqual([['signed'], 0]);
  await city.chain.call('evm_mine');
  expect(await killedAt('transaction.before'), 'mined, and not written down').toEqual([['signed'], 1]);
  expect(await killedAt('transaction.after'), 'written down').toEqual([['mined'], 1]);
  await city.chain.call('evm_mine');
  expect(await killedAt('transaction.before'), 'final, and not written down').toEqual([['mined'], 1]);
  await city.chain.call('evm_setAutomine', true);

  const gateway = await city.gateway();
  await allAnchored(gateway);
  await (await Meter.at(gateway)).send(3);
  await allAnchored(gateway);
  expect(rows(gateway).map((r) => [r.size, r.status, r.hashes.length])).toEqual([
    [1, 'confirmed', 1],
    [4, 'confirmed', 1],
  ]);
  expect(await city.chain.anchorsMined(city.contract.address)).toEqual([1, 4]);
  await city.finish(gateway);
});
