/** A chain that others keep, from the command line: both contracts, and a gateway that anchors and follows there. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { allAnchored, FAST } from '../chain/rig.ts';
import { CHAIN_ID, ORIGIN, TestChain } from '../support/anvil.ts';
import { edge } from '../support/cli.ts';
import { startTestGateway } from '../support/gateway.ts';
import { tempFolder, until } from '../support/temp.ts';

type Hex = `0x${string}`;

it('deploy makes the contract of the anchors and the registry of the devices, on the chain of the config', async () => {
  const chain = await TestChain.start();
  const folder = tempFolder();
  const dataFolder = join(folder, 'data');
  const config = join(folder, 'edge.yaml');
  const write = (line: string): void => writeFileSync(config, `dataFolder: ${dataFolder}\nchain: {${line}}\n`);

  write('mode: embedded');
  const embedded = await edge(['deploy', '--config', config]);
  expect([embedded.code, embedded.stderr]).toEqual([2, expect.stringContaining('chain.mode is not rpc')]);

  write(`mode: rpc, rpc: "${chain.rpc}", chainId: ${CHAIN_ID}`);
  const poor = await edge(['deploy', '--config', config]);
  expect(poor.code, poor.stdout).toBe(1);
  await chain.account(dataFolder);
  const deploy = async (...more: string[]): Promise<Hex> => {
    const { code, stdout, stderr } = await edge(['deploy', '--config', config, ...more]);
    expect([code, stdout], stderr).toEqual([0, expect.stringMatching(/^0x[0-9a-fA-F]{40}\n$/)]);
    return stdout.trim() as Hex;
  };
  const anchors = await deploy();
  const devices = await deploy('--devices');
  expect(devices).not.toBe(anchors);

  const gateway = await startTestGateway({
    dataFolder,
    chain: { mode: 'rpc', rpc: chain.rpc, chainId: CHAIN_ID, anchors, devices, ...FAST },
  });
  expect(gateway.info.origin).toBe(ORIGIN);
  await allAnchored(gateway);
  const registry = (): { ok: boolean; detail: string } | undefined => gateway.health().parts.registry;
  await until(() => /^0 devices at block [1-9]/.test(registry()?.detail ?? ''), 'the registry is followed');
  await gateway.finish();
  expect(await chain.anchorsMined(anchors)).toEqual([1]);
});
