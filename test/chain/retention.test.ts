/** What may be forgotten where there is a chain: only what is final there. */
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { edge } from '../support/cli.ts';
import { startTestGateway, TestDevice } from '../support/gateway.ts';
import { tempFolder, until } from '../support/temp.ts';
import { checkAnchors } from '../support/whole-truth.ts';
import { City, FAST, rows, STILL } from './rig.ts';

it('payloads go when their anchor is final, not when it is mined; a bundle made before verifies against the chain', async () => {
  const city = await City.build();
  const gateway = await startTestGateway({
    dataFolder: city.dataFolder,
    log: STILL,
    clock: { source: 'synced' },
    retention: { days: 1e-9 }, // whatever was received is old at once
    chain: { mode: 'rpc', rpc: city.chain.rpc, anchors: city.contract.address, ...FAST, confirmations: 3 },
  });
  const { log, retention, accept } = gateway.parts;
  const last = () => [rows(gateway).at(-1)?.size, rows(gateway).at(-1)?.status];
  const mine = async (blocks: number): Promise<void> => {
    for (let i = 0; i < blocks; i++) await city.chain.call('evm_mine');
  };
  // The genesis entry's anchor first: the next one waits until it is final.
  await log.makeCheckpoint(Date.now());
  await until(() => `${last()}` === '1,mined', 'the first is mined');
  await mine(2);
  await until(() => `${last()}` === '1,confirmed', 'the first is final');
  const device = await new TestDevice('000123', 'sensor').enrol(gateway);
  await Promise.all(
    Array.from({ length: 600 }, () => accept.offer(device.envelope(), { did: device.did, topic: 'test' })),
  );
  await log.makeCheckpoint(Date.now());
  await until(() => `${last()}` === '601,mined', 'all are mined');
  retention.wake();
  await retention.stop();
  expect(log.minimumIndex, 'a reorg could still take it back').toBe(0);

  const bundle = join(tempFolder(), 'all.bundle');
  expect((await edge(['export', '--data', city.dataFolder, '--out', bundle])).code).toBe(0);
  const verify = (contract: string) =>
    edge(['verify', bundle, '--key', log.verifierKey, '--rpc', city.chain.rpc, '--anchors', contract]);
  const good = await verify(city.contract.address);
  expect([good.code, good.stderr]).toEqual([0, '']);
  expect(good.stdout).toMatch(/ok +anchor/);
  const { address } = await city.chain.deploy(await city.chain.account(tempFolder()), 'another.example/log');
  const bad = await verify(address);
  expect([bad.code, bad.stdout]).toEqual([1, expect.stringMatching(/FAIL +anchor/)]);

  retention.start();
  await mine(2);
  await until(() => log.minimumIndex === 512, 'two whole tiles are pruned');
  await gateway.finish({ verifyOneIn: 20 });
  await checkAnchors(city.dataFolder, city.contract);
  expect((await verify(city.contract.address)).code, 'the bundle needs no gateway').toBe(0);
});
