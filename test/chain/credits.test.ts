/** Certificates on a city's chain that does all that chains do: the store says what the chain says, and nothing is lost. */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Hex, keccak256, parseTransaction } from 'viem';
import { describe, expect, it } from 'vitest';
import { commitment } from '../../edge/chain/commitment.ts';
import { type ClaimLine, claimData, grantWithdrawerData, withdrawData } from '../../edge/chain/credits-contract.ts';
import { amendData } from '../../edge/chain/devices-contract.ts';
import { sendOnce } from '../../edge/chain/setup.ts';
import { startMinting, TestPlant } from '../credits/rig-gateway.ts';
import { CHAIN_ID, ChainProxy, CITY, type Fate } from '../support/anvil.ts';
import { start } from '../support/cli.ts';
import type { TestGateway } from '../support/gateway.ts';
import { tempFolder, until } from '../support/temp.ts';
import { CreditCity, creditingOf, creditRows, expectOne, hours, minted, mintsOf, slotAt } from './credits-rig.ts';
import { line, linesOf } from './rig.ts';

const ZERO = `0x${'00'.repeat(32)}` as Hex;
const about = (lines: ClaimLine[]) => ({ text: 'a claim', lines });

describe('certificates on a city chain', { timeout: 120_000 }, () => {
  it('are minted, and again where a reorg took that back, though it was final', async () => {
    const city = await CreditCity.build();
    const gateway = await city.gateway();
    const plant = await city.plant(gateway);
    const snapshot = await city.chain.call<string>('evm_snapshot');
    await plant.read(...hours(3));
    await minted(gateway, 3);
    // One transaction, or more where an anchor came between the readings.
    const first = mintsOf(gateway);
    for (const mint of first) expect(mint).toMatchObject({ status: 'confirmed', about: { kind: 'slots' } });
    expect(first.flatMap(({ about }) => about.slots)).toHaveLength(3);
    const before = gateway.lines.length;
    await city.chain.call('evm_revert', snapshot);
    await until(() => creditingOf(gateway).summary().certificates === 0, 'the events are taken back');
    await minted(gateway, 3);
    const again = mintsOf(gateway);
    expect(again.slice(0, first.length).map(({ status }) => status)).toEqual(first.map(() => 'lost'));
    expect(again.slice(first.length).map(({ status }) => status)).toEqual(['confirmed']);
    expect(gateway.lines.slice(before).filter((l) => /refused|CREDIT_REFUSED/i.test(l))).toEqual([]);
    await plant.read(...hours(1, 5));
    await minted(gateway, 4);
    expect(await city.finish(gateway)).toMatchObject({ certificates: 4, mintedWh: 2000 });
  });

  it('come after days without a chain: said once, nothing else waits, and all of it is minted', async () => {
    const city = await CreditCity.build();
    const proxy = await ChainProxy.start(city.chain);
    const gateway = await city.gateway({ rpc: proxy.rpc });
    const plant = await city.plant(gateway);
    await plant.read(...hours(1));
    await minted(gateway, 1);
    proxy.fate = () => ({ status: 503, body: 'gone' });
    await line(gateway, 'credits: CHAIN_AWAY');
    await plant.read(...hours(3, 1));
    const line1: ClaimLine = { meteringPoint: commitment(plant.sub) as Hex, slot: slotAt(0), wh: 10 };
    const minter = creditingOf(gateway).minter;
    const claim = minter?.send('claim', city.credits, claimData([line1], ZERO, 'own-use', ''), about([line1]));
    await expect(claim, 'not sent hours later').rejects.toThrow(/CHAIN_AWAY/);
    const asked = proxy.asked.length;
    await until(() => proxy.asked.length > asked + 20, 'it is asked again and again');
    expect(linesOf(gateway, /^credits: CHAIN_AWAY/).length, 'said once by each').toBeLessThanOrEqual(2);
    proxy.fate = () => 'forward';
    await minted(gateway, 4);
    expect(creditRows(gateway).map(({ purpose }) => purpose)).toEqual(['mint', 'mint']);
    expect(await city.finish(gateway)).toMatchObject({ certificates: 4, claims: 0 });
  });

  it('that somebody else minted first are minted, and no error', async () => {
    const city = await CreditCity.build();
    const proxy = await ChainProxy.start(city.chain);
    const gateway = await city.gateway({ rpc: proxy.rpc, stuckSeconds: 600 });
    const plant = await city.plant(gateway);
    // Another account sends the same, for more.
    let taken = false;
    proxy.fate = async ({ method, params }): Promise<Fate> => {
      const sent = method === 'eth_sendRawTransaction' ? parseTransaction(params[0] as Hex) : undefined;
      if (sent?.to?.toLowerCase() === city.credits.toLowerCase() && !taken) {
        taken = true;
        await city.chain.call('evm_setAutomine', false);
        const { client } = city.chain;
        const gwei = 1_000_000_000n;
        const serializedTransaction = await CITY.signTransaction({
          ...{ type: 'eip1559', chainId: CHAIN_ID, to: city.credits, data: sent.data as Hex, gas: 2_000_000n },
          nonce: await client.getTransactionCount({ address: CITY.address }),
          ...{ maxFeePerGas: 100n * gwei, maxPriorityFeePerGas: 100n * gwei },
        });
        await client.sendRawTransaction({ serializedTransaction });
      }
      return 'forward';
    };
    await plant.read(...hours(2));
    await until(() => mintsOf(gateway)[0]?.status === 'sent', 'ours is in the pool');
    await city.chain.call('evm_setAutomine', true);
    await city.chain.call('evm_mine');
    await minted(gateway, 2);
    await until(() => mintsOf(gateway)[0]?.status === 'failed', 'ours reverted');
    await line(gateway, 'another account was faster');
    expect(linesOf(gateway, /CHAIN_REFUSED|CREDIT_REFUSED/)).toEqual([]);
    expect(creditingOf(gateway).summary().refusedMints).toBe(0);
    expect(await city.finish(gateway)).toMatchObject({ certificates: 2 });
  });

  it('of an owner whose contract takes no tokens, or burns gas, are refused and hold up nobody', async () => {
    const city = await CreditCity.build();
    const gateway = await city.gateway();
    // PUSH0 PUSH0 REVERT; and JUMPDEST PUSH0 JUMP, for ever.
    const refuses = `0x${'ab'.repeat(20)}` as Hex;
    const burns = `0x${'cd'.repeat(20)}` as Hex;
    await city.chain.call('anvil_setCode', refuses, '0x5f5ffd');
    await city.chain.call('anvil_setCode', burns, '0x5b5f56');
    const plants = [
      await city.plant(gateway, 'refuses', refuses),
      await city.plant(gateway, 'burns', burns),
      await city.plant(gateway, 'honest'),
    ];
    for (const plant of plants) await plant.read(...hours(1));
    await until(() => {
      const { certificates, refusedMints } = creditingOf(gateway).summary();
      return certificates === 1 && refusedMints === 2;
    }, 'one is minted, two are refused');
    const refused = creditingOf(gateway).rows.list({ state: 'refused', limit: 10 });
    expect(refused.map(({ code }) => code)).toEqual(['CREDIT_REFUSED', 'CREDIT_REFUSED']);
    expect(expectOne(mintsOf(gateway)).status).toBe('confirmed');
    expect(await city.finish(gateway)).toMatchObject({ certificates: 1 });
  });

  it('wait for a plant that has no owner on the chain yet, and are minted when it has one', async () => {
    const city = await CreditCity.build();
    const gateway = await city.gateway();
    const plant = await city.plant(gateway, 'roof', '0x0000000000000000000000000000000000000000');
    await plant.read(...hours(2));
    await until(() => creditingOf(gateway).rows.counts().ready === 2, 'they are ready');
    expect(mintsOf(gateway)).toEqual([]);
    const held = { energySource: 'solar', capacityW: 10_000, validFrom: 0, validUntil: null };
    await city.registry.send(amendData(commitment(plant.did), { ...held, owner: city.account }), 'amend');
    await minted(gateway, 2);
    expect(await city.finish(gateway)).toMatchObject({ certificates: 2 });
  });
});

describe('a claim', { timeout: 120_000 }, () => {
  it('is not made twice while what became of the first is not known, and is said when the chain loses it', async () => {
    const city = await CreditCity.build();
    const gateway = await city.gateway();
    const plant = await city.plant(gateway);
    await plant.read(...hours(1));
    await minted(gateway, 1);
    const snapshot = await city.chain.call<string>('evm_snapshot');
    const lines: ClaimLine[] = [{ meteringPoint: commitment(plant.sub) as Hex, slot: slotAt(0), wh: 100 }];
    const data = claimData(lines, ZERO, 'own-use', '');
    const { minter } = creditingOf(gateway);
    if (!minter) return expect.fail('no minter');
    const twice = await Promise.allSettled([
      minter.send('claim', city.credits, data, about(lines)),
      minter.send('claim', city.credits, data, about(lines)),
    ]);
    expect(twice.map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
    expect(String((twice[1] as PromiseRejectedResult).reason)).toMatch(/CREDITS_BUSY/);
    await until(() => creditingOf(gateway).rows.counts().claimedWh === 100, 'followed');
    const much = [{ ...(lines[0] as ClaimLine), wh: 401 }];
    const tooMuch = minter.send('claim', city.credits, claimData(much, ZERO, 'own-use', ''), about(much));
    await expect(tooMuch).rejects.toThrow(/CREDIT_REFUSED: .*SlotClaimed/);
    await city.chain.call('evm_revert', snapshot);
    await line(gateway, 'a claim went with blocks that the chain has lost; ask for it again');
    await until(() => creditingOf(gateway).rows.counts().claimedWh === 0, 'taken back');
    const again = await minter.send('claim', city.credits, data, about(lines));
    expect(again.gasUsed).toBeGreaterThan(50_000);
    expect(await city.finish(gateway)).toMatchObject({ certificates: 1, claims: 1 });
  });
});

describe('a gateway that is killed', { timeout: 180_000 }, () => {
  it('between persist, broadcast, mined and confirmed mints each hour once', async () => {
    const city = await CreditCity.build();
    const first = await city.gateway();
    const plant = await city.plant(first);
    await first.parts.crediting?.minter?.stop();
    await plant.read(...hours(3));
    await first.finish();
    for (const fault of [
      'credit-transaction.before',
      'credit-transaction.after',
      'credit.sent',
      'credit-events.before',
    ]) {
      const config = `${tempFolder()}.yaml`;
      const { dataFolder, contract } = city.city;
      writeFileSync(
        config,
        `dataFolder: ${dataFolder}\nmqtt: {port: 0}\nhttp: {port: 0}\nclock: {source: synced}\ncredits: {everySeconds: 0.1}\n` +
          `chain: {mode: rpc, rpc: "${city.chain.rpc}", chainId: ${CHAIN_ID}, anchors: "${contract.address}", devices: "${city.registry.contract}", credits: "${city.credits}", everySeconds: 0.2, pollSeconds: 0.2, confirmations: 2}\n`,
      );
      const gateway = start(process.execPath, ['edge/main.ts', 'run', '--config', config], {
        env: { SEJONG_EDGE_FAULTS: `${fault}=kill@1` },
      });
      await gateway.stop('SIGCONT');
      expect(gateway.child.signalCode, `${fault}: ${gateway.lines.join('\n')}`).toBe('SIGKILL');
    }
    const last = await city.gateway();
    await minted(last, 3);
    expect(mintsOf(last).filter(({ status }) => status !== 'lost')).toHaveLength(1);
    expect(linesOf(last, 'REFUSED')).toEqual([]);
    expect(await city.finish(last)).toMatchObject({ certificates: 3, mintedWh: 1500 });
  });
});

describe('what a re-mint gives', { timeout: 120_000 }, () => {
  it('is less by what was claimed, and less by the same on the other branch of a reorg', async () => {
    const city = await CreditCity.build();
    const gateway = await city.gateway();
    const plant = await city.plant(gateway);
    const crediting = creditingOf(gateway);
    const point = commitment(plant.sub) as Hex;
    await plant.read(...hours(2));
    await minted(gateway, 2);
    const { minter } = crediting;
    if (!minter) return expect.fail('no minter');
    const snapshot = await city.chain.call<string>('evm_snapshot');
    const day = Math.floor(slotAt(0) / 86_400);
    const again = async (claimed: number): Promise<void> => {
      const lines: ClaimLine[] = [{ meteringPoint: point, slot: slotAt(1), wh: claimed }];
      await minter.send('claim', city.credits, claimData(lines, ZERO, 'own-use', ''), about(lines));
      await sendOnce(city.chain.client, CITY, CHAIN_ID, city.credits, withdrawData(point, day, 'a test'), 'withdraw');
      await until(() => crediting.rows.counts().withdrawn === 2, 'withdrawn');
      await crediting.reissue(point, day, 1);
      minter.wake();
      await minted(gateway, 2);
      await until(() => crediting.events.claimedOf(point, slotAt(1)) === claimed, `${claimed} count as claimed`);
      expect(crediting.rows.counts()).toMatchObject({ mintedWh: 1000 - claimed, claimedWh: claimed });
    };
    await sendOnce(city.chain.client, CITY, CHAIN_ID, city.credits, grantWithdrawerData(city.account), 'grantRole');
    await again(120);
    await city.chain.call('evm_revert', snapshot);
    await until(() => crediting.rows.counts().claimedWh === 0, 'the other branch');
    const isOver = ({ purpose, status }: { purpose: string; status: string }) =>
      purpose !== 'claim' || status === 'lost';
    await until(() => creditRows(gateway).every(isOver), 'the claim is known to be gone');
    await sendOnce(city.chain.client, CITY, CHAIN_ID, city.credits, grantWithdrawerData(city.account), 'grantRole');
    await again(70);
    expect(await city.finish(gateway)).toMatchObject({ certificates: 2, mintedWh: 1000 + 930, claims: 1 });
  });
});

describe('the sender of credits', { timeout: 120_000 }, () => {
  it('of two gateways by mistake on one key, with the same readings in two logs, mints each hour once', async () => {
    const city = await CreditCity.build();
    const gateways = [await city.gateway(), await city.second()] as const;
    const [first, second] = gateways;
    const plant = await city.plant(first);
    const { did, sub, kind } = plant;
    const enrolled = { did, sub, kind, custody: 'device', energySource: 'solar', capacityW: 10_000 } as const;
    await second.parts.devices.enrol(enrolled, Date.now());
    const other = await city.plant(second, 'other');
    await other.read(...hours(2));
    for (const [hour, wh] of hours(4)) {
      const bytes = plant.envelope({ iat: slotAt(hour), records: [{ n: '1-0:2.8.0', u: 'Wh', v: wh }] });
      for (const { parts } of gateways) await parts.accept.offer(bytes, { did, topic: `up/${did}/cose` });
    }
    // An hour that the other one has certified needs no row here: what counts is what both read on the chain.
    const slots = (g: TestGateway): unknown[] =>
      g.parts.store.all("SELECT lower(hex(point)) AS point, slot FROM credit_events WHERE event = 'Minted'");
    await until(() => gateways.every((g) => slots(g).length >= 6), 'all is minted');
    await until(
      () =>
        gateways.every((g) => creditingOf(g).minter?.inFlight().length === 0 && creditingOf(g).due(1e6).length === 0),
      'nothing is on its way, and nothing due',
    );
    const [ours, theirs] = gateways.map((g) =>
      slots(g)
        .map((row) => JSON.stringify(row))
        .sort(),
    );
    expect(ours).toEqual(theirs);
    expect(new Set(ours).size, 'each hour once').toBe(6);
    expect(ours).toHaveLength(6);
    const isMinted = ({ status }: { status: string }): boolean => status === 'confirmed';
    const nonces = gateways.flatMap((g) => mintsOf(g).filter(isMinted)).map(({ nonce }) => nonce);
    expect(new Set(nonces).size, 'each nonce was used once').toBe(nonces.length);
    for (const g of gateways) {
      // That both sent something with one nonce at one moment is what the mistake looks like, and may be said.
      const refused = linesOf(g, /CREDIT_REFUSED|CHAIN_REFUSED/).filter((line) => !line.includes('underpriced'));
      expect(refused).toEqual([]);
      expect(creditingOf(g).summary().refusedMints).toBe(0);
      await g.close();
    }
  });

  it('replaces a mint that is stuck at its nonce, and sends nothing beside it', async () => {
    const city = await CreditCity.build();
    const proxy = await ChainProxy.start(city.chain);
    const gateway = await city.gateway({ rpc: proxy.rpc, stuckSeconds: 0.3 });
    const plant = await city.plant(gateway);
    await plant.read(...hours(1));
    await minted(gateway, 1);
    // All is taken, and no mint is mined.
    proxy.fate = async ({ method, params }): Promise<Fate> => {
      const sent = method === 'eth_sendRawTransaction' ? parseTransaction(params[0] as Hex) : undefined;
      if (sent?.to?.toLowerCase() !== city.credits.toLowerCase()) return 'forward';
      return { result: keccak256(params[0] as Hex) };
    };
    await plant.read(...hours(1, 1));
    const stuck = () => mintsOf(gateway)[1];
    await until(() => stuck()?.hashes.length === 3, 'replaced twice');
    expect(creditRows(gateway)).toHaveLength(2);
    proxy.fate = () => 'forward';
    await until(() => stuck()?.status === 'confirmed', 'mined');
    expect(stuck()).toMatchObject({ status: 'confirmed', nonce: 1 });
    expect(creditRows(gateway)).toHaveLength(2);
    expect(await city.finish(gateway)).toMatchObject({ certificates: 2 });
  });

  it('shows the key of a P-256 meter, once, before its first hour', async () => {
    const city = await CreditCity.build();
    const gateway = await city.gateway();
    const plant = await city.plant(gateway, 'chip', city.account, { keyType: 'P-256' });
    await plant.read(...hours(1));
    await minted(gateway, 1);
    await plant.read(...hours(1, 4));
    await minted(gateway, 2);
    expect(creditRows(gateway).map(({ purpose, status }) => [purpose, status])).toEqual([
      ['key', 'confirmed'],
      ['mint', 'confirmed'],
      ['mint', 'confirmed'],
    ]);
    expect(creditingOf(gateway).events.isKeyShown(commitment(plant.did))).toBe(true);
    expect(await city.finish(gateway)).toMatchObject({ certificates: 2 });
  });
});

describe('an embedded chain that was lost', { timeout: 120_000 }, () => {
  it('is begun anew with its contracts where they were, and all is minted on it again; a claim is said to be gone', async () => {
    const dataFolder = tempFolder();
    const first = await startMinting({ dataFolder });
    const plant = await TestPlant.at(first);
    await plant.read(...hours(1));
    await minted(first, 1);
    const { places, wallet } = creditingOf(first);
    const line1 = { meteringPoint: commitment(plant.sub), slot: slotAt(0), wh: 100 };
    await wallet?.claim([line1], ZERO, 0, '');
    await until(() => creditingOf(first).rows.counts().claimedWh === 100, 'claimed');
    await first.finish();
    rmSync(join(dataFolder, 'chain'), { recursive: true });

    const second = await startMinting({ dataFolder });
    await until(() => creditingOf(second).state?.reachable === true, 'it follows the new chain');
    await until(() => mintsOf(second).at(1)?.status === 'confirmed', 'minted on it');
    await until(() => creditingOf(second).rows.counts().mintedWh === 500, 'and followed');
    await line(second, 'the claim of 100 Wh went with blocks that the chain has lost; ask for it again');
    expect(creditingOf(second).places?.credits).toBe(places?.credits);
    expect(creditingOf(second).rows.counts()).toMatchObject({ mintedWh: 500, claimedWh: 0, refused: 0 });
    expect(mintsOf(second).map(({ status, nonce }) => [status, nonce])).toEqual([
      ['lost', 3],
      ['confirmed', 3],
    ]);
    await second.finish();
  });
});
