import { join } from 'node:path';
import Database from 'better-sqlite3';
import { type Hex, keccak256, parseGwei, parseTransaction, toHex } from 'viem';
import { describe, expect, it } from 'vitest';
import { registerData } from '../../edge/chain/contract.ts';
import { sendOnce } from '../../edge/chain/setup.ts';
import { CHAIN_ID, ChainProxy, CITY, type Fate, ORIGIN } from '../support/anvil.ts';
import { until } from '../support/temp.ts';
import { checkAnchors } from '../support/whole-truth.ts';
import { allAnchored, City, chainState, healthOf, line, linesOf, Meter, rows } from './rig.ts';

const SEND = 'eth_sendRawTransaction';

/** Nothing is mined until somebody mines. */
const stopMining = (city: City): Promise<unknown> => city.chain.call('evm_setAutomine', false);
const mine = (city: City): Promise<unknown> => city.chain.call('evm_mine');
async function mineAgain(city: City): Promise<void> {
  await city.chain.call('evm_setAutomine', true);
  await mine(city);
}

/** Another program with the same key. */
async function foreignTransaction(city: City, nonce: number, gwei = '100'): Promise<Hex> {
  const serializedTransaction = await city.account.signTransaction({
    type: 'eip1559',
    chainId: CHAIN_ID,
    nonce,
    to: CITY.address,
    value: 1n,
    gas: 21_000n,
    maxFeePerGas: parseGwei(gwei),
    maxPriorityFeePerGas: parseGwei(gwei),
  });
  return city.chain.client.sendRawTransaction({ serializedTransaction });
}

const nextNonce = ({ chain, account: { address } }: City): Promise<number> =>
  chain.client.getTransactionCount({ address });
const fees = (raw: Hex) => {
  const { nonce, maxFeePerGas, maxPriorityFeePerGas, data } = parseTransaction(raw);
  return { nonce, data, maxFeePerGas: maxFeePerGas as bigint, maxPriorityFeePerGas: maxPriorityFeePerGas as bigint };
};

describe('the transaction of an anchor', () => {
  it('is in the store, signed, before it goes out; and the same bytes go out after a restart', async () => {
    const city = await City.build();
    const proxy = await ChainProxy.start(city.chain);
    const stored: unknown[] = [];
    proxy.fate = ({ method }): Fate => {
      if (method !== SEND) return 'forward';
      const db = new Database(join(city.dataFolder, 'edge.db'), { readonly: true });
      stored.push(db.prepare('SELECT status, raw, size FROM transactions').all());
      db.close();
      return { error: 'out of order' };
    };
    const gateway = await city.gateway({ rpc: proxy.rpc });
    await line(gateway, 'CHAIN_REFUSED');
    await (await Meter.at(gateway)).send(2);
    await until(() => proxy.raws.length > 2, 'it is offered again');
    await gateway.finish();
    const [raw] = proxy.raws as [Hex];
    for (const found of stored) expect(found).toEqual([{ status: 'signed', raw, size: 1 }]);
    expect(linesOf(gateway, 'out of order'), 'said once').toHaveLength(1);

    proxy.fate = () => 'forward';
    const next = await city.gateway({ rpc: proxy.rpc });
    await allAnchored(next);
    expect(rows(next).map((r) => [r.size, r.hashes.length])).toEqual([
      [1, 1],
      [3, 1],
    ]);
    expect(proxy.raws.slice(0, -1).every((sent) => sent === raw)).toBe(true);
    expect(rows(next)[0]?.hashes).toEqual([keccak256(raw)]);
    await city.finish(next);
  });

  const lies: [string, Fate][] = [
    ['answers an error', { sent: true, error: 'internal error', code: -32603 }],
    ['cuts the line', { sent: 'drop' }],
    ['says that it knows it', { sent: true, error: 'already known' }],
  ];
  for (const [what, lie] of lies)
    it(`that is mined though the node ${what} settles as mined, and is not sent twice`, async () => {
      const city = await City.build();
      const proxy = await ChainProxy.start(city.chain);
      const gateway = await city.gateway({ rpc: proxy.rpc });
      const meter = await Meter.at(gateway);
      await allAnchored(gateway);
      proxy.fate = ({ method }) => (method === SEND ? lie : 'forward');
      await meter.send(3);
      await allAnchored(gateway);
      expect(rows(gateway).map((r) => [r.size, r.status, r.hashes.length])).toEqual([
        [1, 'confirmed', 1],
        [4, 'confirmed', 1],
      ]);
      expect(proxy.raws).toHaveLength(2);
      await city.finish(gateway);
    });

  it('that is stuck is replaced at its nonce with both fees 15 % higher, again and again, and mined once', async () => {
    const city = await City.build();
    const proxy = await ChainProxy.start(city.chain);
    const gateway = await city.gateway({ rpc: proxy.rpc, stuckSeconds: 0.3 });
    const meter = await Meter.at(gateway);
    await allAnchored(gateway);
    await stopMining(city);
    await meter.send(3);
    const stuck = () => rows(gateway)[1];
    await until(() => stuck()?.hashes.length === 3, 'replaced twice');
    await meter.send(2); // does not start another one
    const raws = proxy.raws.slice(1);
    const sent = raws.map(fees);
    for (const [i, next] of sent.slice(1).entries()) {
      const last = sent[i] as (typeof sent)[number];
      expect(next).toMatchObject({ nonce: last.nonce, data: last.data });
      expect(next.maxFeePerGas * 100n).toBeGreaterThanOrEqual(last.maxFeePerGas * 115n);
      expect(next.maxPriorityFeePerGas * 100n).toBeGreaterThanOrEqual(last.maxPriorityFeePerGas * 115n);
    }
    expect(stuck()).toMatchObject({ status: 'sent', hashes: raws.map((raw) => keccak256(raw)), raw: raws.at(-1) });
    expect(linesOf(gateway, 'is stuck; replaced')).toHaveLength(2);
    await mineAgain(city);
    await allAnchored(gateway);
    expect(rows(gateway).map((r) => [r.size, r.status])).toEqual([
      [1, 'confirmed'],
      [4, 'confirmed'],
      [6, 'confirmed'],
    ]);
    const block = await city.chain.client.getBlock({ blockNumber: BigInt(rows(gateway)[1]?.block as number) });
    expect(block.transactions, 'the last of them was mined').toEqual([keccak256(raws.at(-1) as Hex)]);
    await city.finish(gateway);
  });

  it('never offers more than the cap, neither at first nor in place of a stuck one, and says which cap', async () => {
    const city = await City.build();
    const proxy = await ChainProxy.start(city.chain);
    await stopMining(city);
    const { maxFeePerGas: asked } = await city.chain.client.estimateFeesPerGas();
    // Enough for the first, not for 15 % more.
    const maxFeeGwei = (Number(asked) * 1.1) / 1e9;
    const gateway = await city.gateway({ rpc: proxy.rpc, stuckSeconds: 0.3, maxFeeGwei });
    await line(gateway, `is stuck at ${asked} wei per gas`);
    expect((await healthOf(gateway)).parts.chain?.detail).toContain('chain.maxFeeGwei');
    await until(() => proxy.raws.length > 3, 'it is offered again and again');
    expect(new Set(proxy.raws).size, 'the same bytes').toBe(1);
    await mineAgain(city);
    await line(gateway, 'all is well again');

    await city.chain.call('anvil_setNextBlockBaseFeePerGas', toHex(asked * 3n));
    await mine(city);
    const meter = await Meter.at(gateway);
    await meter.send(2);
    await line(gateway, /CHAIN_REFUSED: [^\n]*the chain asks \d+ wei per gas/);
    expect(rows(gateway)).toHaveLength(1);
    await city.chain.call('anvil_setNextBlockBaseFeePerGas', toHex(asked / 4n));
    await mine(city);
    await allAnchored(gateway);
    const cap = BigInt(Math.round(maxFeeGwei * 1e9));
    for (const raw of proxy.raws) expect(fees(raw).maxFeePerGas <= cap).toBe(true);
    expect(linesOf(gateway, 'is stuck at'), 'said once').toHaveLength(1);
    await city.finish(gateway);
  });

  it('that was signed when gas was cheaper than the node now takes is signed again with the fees of today', async () => {
    const city = await City.build();
    const proxy = await ChainProxy.start(city.chain);
    proxy.fate = ({ method }) => (method === SEND ? 'drop' : 'forward');
    const gateway = await city.gateway({ rpc: proxy.rpc, stuckSeconds: 0.3 });
    await until(() => proxy.raws.length > 0, 'it is offered');
    await city.chain.call('anvil_setNextBlockBaseFeePerGas', toHex(parseGwei('50')));
    await mine(city);
    proxy.fate = () => 'forward';
    await allAnchored(gateway);
    const [row] = rows(gateway);
    expect(row).toMatchObject({ size: 1, status: 'confirmed' });
    expect(row?.hashes.length).toBeGreaterThan(1);
    expect(fees(row?.raw as Hex).maxFeePerGas).toBeGreaterThan(parseGwei('40'));
    expect(new Set(proxy.raws.map((raw) => fees(raw).nonce)).size).toBe(1);
    await city.finish(gateway);
  });

  it('that a reorg takes back is pending, and anchored again', async () => {
    const city = await City.build();
    const gateway = await city.gateway({ confirmations: 12 });
    const meter = await Meter.at(gateway);
    await meter.send(2);
    await allAnchored(gateway);
    const reorgs = [
      () => city.chain.call('anvil_reorg', 1, []),
      // Two anchors at once, and the chain is shorter after.
      (snapshot: string) => city.chain.call('evm_revert', snapshot),
    ];
    for (const [i, reorg] of reorgs.entries()) {
      const snapshot = await city.chain.call<string>('evm_snapshot');
      const before = rows(gateway).length;
      for (let n = 0; n <= i; n++) {
        await meter.send(2);
        await allAnchored(gateway);
      }
      const seen = linesOf(gateway, 'taken back by a reorg').length;
      const anchored = rows(gateway).slice(before);
      await reorg(snapshot);
      await until(
        () => linesOf(gateway, 'taken back by a reorg').length === seen + anchored.length,
        `${anchored.length} taken back`,
      );
      await until(() => rows(gateway).every((r) => r.status === 'mined' || r.status === 'confirmed'), 'mined again');
      expect(rows(gateway).slice(before)).toMatchObject(
        anchored.map(({ size, raw, hashes }) => ({ size, raw, hashes })),
      );
    }
    expect(chainState(gateway).problem).toBeUndefined();
    await city.finish(gateway);
  });

  for (const [when, method] of [
    ['after the nonce was read', 'eth_getTransactionCount'],
    ['after a receipt was read', 'eth_getTransactionReceipt'],
  ] as const)
    it(`that a reorg takes back in the middle of a look, ${when}, is not taken for lost`, async () => {
      const city = await City.build();
      const proxy = await ChainProxy.start(city.chain);
      const gateway = await city.gateway({ rpc: proxy.rpc, confirmations: 12 });
      const meter = await Meter.at(gateway);
      await allAnchored(gateway);
      const snapshot = await city.chain.call<string>('evm_snapshot');
      for (let n = 0; n < 2; n++) {
        await meter.send(2);
        await allAnchored(gateway);
      }
      const before = rows(gateway).map(({ size, raw, hashes }) => ({ size, raw, hashes }));
      let seen = 0;
      proxy.fate = async (ask): Promise<Fate> => {
        // The answer to the first question is the old chain's, the next one's the new chain's.
        if (seen > 0 || ask.method !== method) return 'forward';
        seen++;
        const result = await city.chain.client.request({ method: ask.method, params: ask.params } as never);
        await city.chain.call('evm_revert', snapshot);
        return { result };
      };
      await until(() => linesOf(gateway, 'taken back by a reorg').length === 2, '2 taken back');
      await until(() => rows(gateway).every((r) => r.status === 'mined' || r.status === 'confirmed'), 'mined again');
      expect(rows(gateway)).toMatchObject(before);
      expect(linesOf(gateway, 'is lost')).toEqual([]);
      await city.finish(gateway);
    });

  it('that was final, and is gone with the chain of that time, is sent again; one that cannot follow any more is lost, and the newest is anchored anew', async () => {
    const city = await City.build();
    const gateway = await city.gateway();
    const meter = await Meter.at(gateway);
    await allAnchored(gateway);
    const snapshot = await city.chain.call<string>('evm_snapshot');
    await meter.send(2);
    await allAnchored(gateway);
    const between = await nextNonce(city);
    await foreignTransaction(city, between);
    await meter.send(2);
    await allAnchored(gateway);
    expect(rows(gateway).map((r) => [r.size, r.status, r.nonce - between])).toEqual([
      [1, 'confirmed', -2],
      [3, 'confirmed', -1],
      [5, 'confirmed', 1],
    ]);
    await city.chain.call('evm_revert', snapshot);
    await line(gateway, '2 anchors of more that were final are gone');
    await line(gateway, `nonce ${between + 1} of ${city.account.address} comes after transactions that are gone`);
    await until(() => rows(gateway).at(-1)?.status === 'confirmed', 'anchored anew');
    expect(rows(gateway).map((r) => [r.size, r.status, r.nonce - between])).toEqual([
      [1, 'confirmed', -2],
      [3, 'confirmed', -1],
      [5, 'lost', 1],
      [5, 'confirmed', 0],
    ]);
    await city.finish(gateway);
  });

  it('whose nonce another program takes is lost, and the newest checkpoint is anchored anew', async () => {
    const city = await City.build();
    const gateway = await city.gateway();
    const meter = await Meter.at(gateway);
    await allAnchored(gateway);
    await stopMining(city);
    await meter.send(2);
    await until(() => rows(gateway)[1]?.status === 'sent', 'an anchor on its way');
    await meter.send(2);
    const nonce = await nextNonce(city);
    await foreignTransaction(city, nonce);
    await mineAgain(city);
    await allAnchored(gateway);
    expect(linesOf(gateway, `nonce ${nonce} of ${city.account.address} was used by another transaction`)).toHaveLength(
      1,
    );
    expect(rows(gateway).map((r) => [r.size, r.status, r.nonce - nonce])).toEqual([
      [1, 'confirmed', -1],
      [3, 'lost', 0],
      [5, 'confirmed', 1],
    ]);
    await city.finish(gateway, 1);
  });

  it('that reverts is failed and said; the reason is named, and when it is gone the newest is anchored', async () => {
    const city = await City.build();
    // The contract of another owner, who registered the gateway.
    const contract = await city.chain.deploy(CITY);
    const register = (sender: Hex): Promise<unknown> =>
      sendOnce(city.chain.client, CITY, CHAIN_ID, contract.address, registerData(ORIGIN, sender), 'register');
    await register(city.account.address);
    const gateway = await city.gateway({ anchors: contract.address });
    const meter = await Meter.at(gateway);
    await allAnchored(gateway);
    await stopMining(city);
    await meter.send(2);
    await until(() => rows(gateway)[1]?.status === 'sent', 'an anchor on its way');
    // In the same block, before it: its fees are higher.
    const { address } = CITY;
    const serializedTransaction = await CITY.signTransaction({
      type: 'eip1559',
      chainId: CHAIN_ID,
      nonce: await city.chain.client.getTransactionCount({ address }),
      to: contract.address,
      data: registerData(ORIGIN, address),
      gas: 100_000n,
      maxFeePerGas: parseGwei('200'),
      maxPriorityFeePerGas: parseGwei('100'),
    });
    await city.chain.client.sendRawTransaction({ serializedTransaction });
    await mineAgain(city);
    await line(gateway, /^CHAIN_REFUSED: [^\n]*the anchor of 3 entries was reverted in block \d+/);
    await line(gateway, `its owner ${address} must register ${city.account.address}`);
    expect(rows(gateway)[1]).toMatchObject({ size: 3, status: 'failed' });
    expect(chainState(gateway)).toMatchObject({ reachable: true, headSize: 1, pending: 0 });
    await register(city.account.address);
    await allAnchored(gateway);
    expect(rows(gateway).map((r) => [r.size, r.status])).toEqual([
      [1, 'confirmed'],
      [3, 'failed'],
      [3, 'confirmed'],
    ]);
    await gateway.finish();
    await checkAnchors(city.dataFolder, contract);
    expect(await city.chain.anchorsMined(contract.address)).toEqual([1, 3]);
  });

  it('that is mined between two looks of one round is not followed by another of the same size', async () => {
    const city = await City.build();
    const proxy = await ChainProxy.start(city.chain);
    const gateway = await city.gateway({ rpc: proxy.rpc });
    const meter = await Meter.at(gateway);
    await allAnchored(gateway);
    await stopMining(city);
    await meter.send(2);
    await until(() => rows(gateway)[1]?.status === 'sent', 'an anchor on its way');
    await gateway.close(0);
    await gateway.finish();
    // The next start may anchor at once. It has read the contract's head when it comes to ask for receipts.
    let late = true;
    proxy.fate = async ({ method }): Promise<Fate> => {
      if (late && method === 'eth_getTransactionReceipt') {
        late = false;
        await mineAgain(city);
      }
      return 'forward';
    };
    const next = await city.gateway({ rpc: proxy.rpc });
    await allAnchored(next);
    expect(late).toBe(false);
    expect(rows(next).map((r) => [r.size, r.status])).toEqual([
      [1, 'confirmed'],
      [3, 'confirmed'],
    ]);
    expect(next.lines).toEqual([]);
    await city.finish(next);
  });
});
