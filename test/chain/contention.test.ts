/** A key that others use too, and a chain that is out of order for a day. */
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { parseGwei } from 'viem';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { findFraud, readStatements } from '../../edge/fraud.ts';
import { parseVerifierKey } from '../../edge/log/checkpoint.ts';
import { CHAIN_ID, ChainProxy, CITY, type Fate } from '../support/anvil.ts';
import { tempFolder, until } from '../support/temp.ts';
import { checkAnchors } from '../support/whole-truth.ts';
import { allAnchored, City, chainState, line, linesOf, Meter, rows, STILL } from './rig.ts';

const mining = (city: City, on: boolean): Promise<unknown> => city.chain.call('evm_setAutomine', on);
const mine = (city: City): Promise<unknown> => city.chain.call('evm_mine');
const nonceOf = (city: City): Promise<number> =>
  city.chain.client.getTransactionCount({ address: city.account.address });

describe('two gateways by mistake on one key', () => {
  it('of two logs take each other the nonces, and each ends with one anchor of its newest head', async () => {
    const city = await City.build();
    const first = await city.gateway();
    await allAnchored(first);
    const folder = tempFolder();
    cpSync(join(city.dataFolder, 'keys'), join(folder, 'keys'), { recursive: true });
    const origin = 'sejong.example/edge-2';
    const second = await city.gateway({}, { dataFolder: folder, log: { ...STILL, origin } });
    await allAnchored(second);
    const meters = [await Meter.at(first), await Meter.at(second)];
    for (let round = 0; round < 2; round++) {
      await mining(city, false);
      await Promise.all(meters.map((m) => m.send(2)));
      // Both have signed for the same nonce.
      await until(() => [first, second].every((g) => rows(g).at(-1)?.size === 3 + 2 * round), 'both on their way');
      const nonces = [first, second].map((g) => rows(g).at(-1)?.nonce);
      expect(nonces[0]).toBe(nonces[1]);
      await mining(city, true);
      await mine(city);
      await allAnchored(first);
      await allAnchored(second);
    }
    for (const gateway of [first, second]) {
      const { size } = gateway.parts.log;
      expect((await city.contract.head(gateway.info.origin)).size).toBe(size);
      const mined = rows(gateway).filter((r) => r.status === 'confirmed' || r.status === 'mined');
      expect(mined.map((r) => r.size)).toEqual([1, 3, 5]);
      expect(chainState(gateway)).toMatchObject({ reachable: true, pending: 0, problem: undefined });
    }
    expect([...rows(first), ...rows(second)].filter((r) => r.status === 'lost')).toHaveLength(2);
    expect(await city.chain.anchorsMined(city.contract.address)).toHaveLength(6);
    for (const gateway of [first, second]) {
      await gateway.finish();
      await checkAnchors(gateway.config.dataFolder, city.contract);
    }
  });

  it('of one log, a copy: one history is anchored, the other gateway stops signing, and what both signed is fraud', async () => {
    const city = await City.build();
    const before = await city.gateway();
    const { device } = await Meter.at(before);
    await allAnchored(before);
    await before.finish();
    const folder = join(tempFolder(), 'copy');
    cpSync(city.dataFolder, folder, { recursive: true });
    const both = [await city.gateway(), await city.gateway({}, { dataFolder: folder })];
    await mining(city, false);
    for (const gateway of both) {
      const meter = await Meter.at(gateway, device); // its counter goes on: other entries
      await meter.send(2);
      await meter.client.endAsync();
    }
    // A node that knows of the first one's transaction tells the second that it cannot follow.
    const refused = (g: (typeof both)[number]): boolean => linesOf(g, 'reverts with ForkedTree').length > 0;
    await until(() => both.every((g) => rows(g).length === 2 || refused(g)), 'both have tried');
    await mining(city, true);
    await mine(city);
    await until(() => both.some((g) => linesOf(g, 'LOG_BEHIND_CHAIN').length > 0), 'one of them sees it');
    const [loser, winner] = linesOf(both[0] as never, 'LOG_BEHIND_CHAIN').length > 0 ? both : both.toReversed();
    if (!winner || !loser) throw new Error('there are two');
    await allAnchored(winner);
    expect(loser.parts.checkpointer.held).toContain('holds another root than the log has');
    const meter = await Meter.at(loser, device);
    await meter.send(3); // readings are taken all the same
    await meter.client.endAsync();
    expect(loser.parts.log.latest?.size).toBe(3);
    expect(await city.chain.anchorsMined(city.contract.address)).toEqual([1, 3]);
    const key = parseVerifierKey(winner.parts.log.verifierKey);
    const notes = both.flatMap((g) => readStatements(g.parts.log.latest?.note as string, key));
    expect((await findFraud(notes, undefined))?.kind).toBe('checkpoints');
    await loser.finish();
    await winner.finish();
    await checkAnchors(winner.config.dataFolder, city.contract);
  });
});

it('a transaction of another program that waits beyond a gap of nonces takes the next one, and the newest head is anchored', async () => {
  const city = await City.build();
  const gateway = await city.gateway();
  const meter = await Meter.at(gateway);
  await allAnchored(gateway);
  const nonce = await nonceOf(city);
  const serializedTransaction = await city.account.signTransaction({
    type: 'eip1559',
    chainId: CHAIN_ID,
    nonce: nonce + 1,
    to: CITY.address,
    value: 1n,
    gas: 21_000n,
    maxFeePerGas: parseGwei('100'),
    maxPriorityFeePerGas: parseGwei('1'),
  });
  await city.chain.client.sendRawTransaction({ serializedTransaction });
  expect(await nonceOf(city), 'it waits for the gap to close').toBe(nonce);
  await meter.send(2);
  await allAnchored(gateway);
  await until(async () => (await nonceOf(city)) === nonce + 2, 'the gap is closed, and the other one mined');
  await meter.send(2);
  await allAnchored(gateway);
  expect(rows(gateway).map((r) => [r.size, r.nonce - nonce])).toEqual([
    [1, -1],
    [3, 0],
    [5, 2],
  ]);
  await city.finish(gateway, 1);
});

it('a chain that answers errors for 24 hours is asked quietly all the time, and one anchor of the newest head covers the day', async () => {
  const city = await City.build();
  const proxy = await ChainProxy.start(city.chain);
  const gateway = await city.gateway({ rpc: proxy.rpc, pollSeconds: 300, stuckSeconds: 300 });
  const meter = await Meter.at(gateway);
  const anchorer = gateway.parts.anchorer;
  if (!anchorer) throw new Error('a gateway without a chain');
  // An anchor is on its way when it begins.
  await mining(city, false);
  anchorer.wake();
  await until(() => rows(gateway)[0]?.status === 'sent', 'an anchor on its way');

  let ahead = 0;
  const [wall, monotonic] = [Date.now.bind(Date), performance.now.bind(performance)];
  vi.spyOn(Date, 'now').mockImplementation(() => wall() + ahead);
  vi.spyOn(performance, 'now').mockImplementation(() => monotonic() + ahead);
  onTestFinished(() => {
    vi.restoreAllMocks();
  });
  const faces: Fate[] = [{ error: 'internal error', code: -32_603 }, { status: 503, body: 'overloaded' }, 'drop'];
  const LOOK_MS = 300_000;
  const asked = proxy.asked.length;
  let looks = 0;
  for (; ahead < 24 * 3_600_000; ahead += LOOK_MS) {
    proxy.fate = () => faces[Math.floor(ahead / (8 * 3_600_000))] as Fate;
    const seen = proxy.asked.length;
    while (proxy.asked.length === seen) {
      anchorer.wake(); // as its timer does
      await new Promise((resolve) => setImmediate(resolve));
    }
    looks++;
    if (ahead % 21_600_000 === 0) await meter.send(2); // acknowledged, and under a checkpoint
  }
  expect(looks).toBe(288);
  expect(proxy.asked.length - asked, 'one question a look').toBeLessThan(looks + 10);
  expect(gateway.parts.log.size).toBe(9);
  expect(gateway.parts.log.latest?.size).toBe(9);
  expect(rows(gateway), 'nothing piles up').toHaveLength(1);
  expect(linesOf(gateway, 'CHAIN_AWAY'), 'each face of it is said once').toHaveLength(3);
  proxy.fate = () => 'forward';
  await mining(city, true);
  await mine(city);
  await until(() => {
    anchorer.wake();
    return chainState(gateway).headSize === 9 && rows(gateway).at(-1)?.status === 'confirmed';
  }, 'the newest head is anchored');
  await line(gateway, 'all is well again');
  expect(rows(gateway).map((r) => [r.size, r.status])).toEqual([
    [1, 'confirmed'],
    [9, 'confirmed'],
  ]);
  vi.restoreAllMocks();
  await city.finish(gateway);
});
