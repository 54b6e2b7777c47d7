/** A chain that others keep, from the command line: all contracts, and a gateway that anchors and follows there. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { keccak256, parseAbi, toBytes } from 'viem';
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

  const early = await edge(['deploy', '--config', config, '--credits']);
  expect([early.code, early.stderr]).toEqual([2, expect.stringContaining('chain.anchors and chain.devices')]);
  write(`mode: rpc, rpc: "${chain.rpc}", chainId: ${CHAIN_ID}, anchors: "${anchors}", devices: "${devices}"`);
  const made = await edge(['deploy', '--config', config, '--credits']);
  const at = new Map(made.stdout.split('\n').map((l): [string, string] => l.split(/ +/) as [string, string]));
  expect([...at.keys()], made.stderr).toEqual(['credits', 'krw', 'market', '']);
  const [credits, market] = [at.get('credits') as Hex, at.get('market') as Hex];

  const gateway = await startTestGateway({
    dataFolder,
    chain: { mode: 'rpc', rpc: chain.rpc, chainId: CHAIN_ID, anchors, devices, credits, market, ...FAST },
  });
  expect(gateway.info.origin).toBe(ORIGIN);
  await allAnchored(gateway);
  const registry = (): { ok: boolean; detail: string } | undefined => gateway.health().parts.registry;
  await until(() => /^0 devices at block [1-9]/.test(registry()?.detail ?? ''), 'the registry is followed');
  await until(() => (gateway.parts.crediting?.state?.block ?? 0) > 0, 'credits are followed');
  const account = gateway.parts.crediting?.wallet?.account as Hex;
  expect(made.stderr).toContain(`${account} may withdraw`);
  const mayWithdraw = await chain.client.readContract({
    ...{ address: credits, abi: parseAbi(['function hasRole(bytes32 role, address account) view returns (bool)']) },
    ...{ functionName: 'hasRole', args: [keccak256(toBytes('WITHDRAWER_ROLE')), account] },
  });
  expect(mayWithdraw).toBe(true);
  expect(gateway.lines).toEqual([]);
  await gateway.finish();
  expect(await chain.anchorsMined(anchors)).toEqual([1]);
});
