import { readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { zeroAddress } from 'viem';
import { describe, expect, it } from 'vitest';
import { commitment } from '../../edge/chain/commitment.ts';
import { rpcClient } from '../../edge/chain/rpc.ts';
import { Salts } from '../../edge/salts.ts';
import type { Device } from '../../edge/store/devices.ts';
import { startTestGateway, TestDevice, type TestGateway } from '../support/gateway.ts';
import { tempFolder, until } from '../support/temp.ts';
import { checkRegistry } from '../support/whole-truth.ts';
import { follows, registryOf } from './city-registry.ts';
import { FAST } from './rig.ts';

const embedded = (dataFolder: string): Promise<TestGateway> =>
  startTestGateway({ dataFolder, chain: { mode: 'embedded', ...FAST } });

const post = async (gateway: TestGateway, path: string, body?: unknown): Promise<void> => {
  const { status, text } = await gateway.api(path, { method: 'POST', body });
  expect(status, text).toBe(200);
};

/** All that was ever sent to the chain, in hex. */
async function allCalldata(rpc: string): Promise<string> {
  const client = rpcClient(rpc);
  const head = await client.getBlockNumber();
  let all = '';
  for (let n = 0n; n <= head; n++) {
    const { transactions } = await client.getBlock({ blockNumber: n, includeTransactions: true });
    all += transactions.map(({ input }) => input).join('');
  }
  return all;
}

describe('on the embedded chain the gateway is the registrar', () => {
  it('of what is enrolled here, and of what becomes of it; over a restart, and with one registration each', async () => {
    const dataFolder = tempFolder();
    let gateway = await embedded(dataFolder);
    const devices = ['1', '2', '3'].map((name) => new TestDevice(name));
    const plant = new TestDevice('4', 'plant');
    for (const device of [...devices, plant]) await device.enrol(gateway);
    const [a, b, c] = devices as [TestDevice, TestDevice, TestDevice];
    for (const device of [a, b, c, plant]) await follows(gateway, device, 'active');
    await post(gateway, `/devices/${a.did}/suspend`);
    await post(gateway, `/devices/${b.did}/revoke`);
    await follows(gateway, a, 'suspended');
    await follows(gateway, b, 'revoked');
    await gateway.finish();

    gateway = await embedded(dataFolder);
    expect(await registryOf(gateway, c)).toMatchObject({ status: 'active' });
    await post(gateway, `/devices/${a.did}/resume`);
    await follows(gateway, a, 'active');
    const { state } = gateway.parts.registry;
    expect(state).toMatchObject({ devices: 4, events: 7, rewinds: 0, reachable: true });
    const rpc = gateway.info.rpc as string;
    expect(await checkRegistry(dataFolder, state?.contract as `0x${string}`, rpcClient(rpc))).toBe(4);
    const calldata = await allCalldata(rpc);

    // No DID or URN of a household is on the chain: not in clear, and not as a hash that can be guessed.
    const salts = new Salts(join(dataFolder, 'registry-salts.jsonl'));
    salts.refresh();
    expect(statSync(join(dataFolder, 'registry-salts.jsonl')).mode & 0o777).toBe(0o600);
    const hex = (text: string): string => Buffer.from(text).toString('hex');
    for (const { did, sub } of devices) {
      for (const text of [did, did.slice(8), sub]) {
        expect(calldata).not.toContain(hex(text));
        expect(calldata).not.toContain(commitment(text).slice(2));
      }
      expect(calldata).toContain(commitment(did, salts.of(did)).slice(2));
    }
    expect(calldata).toContain(commitment(plant.did).slice(2));
    expect(salts.of(plant.did)).toBeUndefined();
    await gateway.finish();
  });

  it('enrols anew on a chain that was lost, under the same commitments', async () => {
    const dataFolder = tempFolder();
    let gateway = await embedded(dataFolder);
    const [meter, other] = [await new TestDevice('1').enrol(gateway), await new TestDevice('2').enrol(gateway)];
    await follows(gateway, other, 'active');
    await post(gateway, `/devices/${meter.did}/suspend`);
    await follows(gateway, meter, 'suspended');
    const salts = readFileSync(join(dataFolder, 'registry-salts.jsonl'), 'utf8');
    await gateway.finish();
    rmSync(join(dataFolder, 'chain'), { recursive: true });
    gateway = await embedded(dataFolder);
    await until(() => {
      const state = gateway.parts.registry.state;
      return state?.rewinds === 1 && state.events === 3;
    }, 'it is enrolled anew');
    expect(await registryOf(gateway, meter)).toMatchObject({ status: 'suspended' });
    expect(await registryOf(gateway, other)).toMatchObject({ status: 'active' });
    expect(readFileSync(join(dataFolder, 'registry-salts.jsonl'), 'utf8')).toBe(salts);
    const { contract } = gateway.parts.registry.state as { contract: `0x${string}` };
    expect(await checkRegistry(dataFolder, contract, rpcClient(gateway.info.rpc as string))).toBe(2);
    await gateway.finish();
  });

  it('knows devices by their salt only: without it nobody finds them, and no salt is made again', async () => {
    const dataFolder = tempFolder();
    const gateway = await embedded(dataFolder);
    const meter = await new TestDevice('1').enrol(gateway);
    await follows(gateway, meter, 'active');
    await post(gateway, `/devices/${meter.did}/revoke`);
    await follows(gateway, meter, 'revoked');
    const salts = new Salts(join(dataFolder, 'registry-salts.jsonl'));
    salts.refresh();
    salts.forget(meter.did);
    await until(async () => (await registryOf(gateway, meter))?.status === 'unregistered', 'it is forgotten');
    expect(gateway.parts.registry.state).toMatchObject({ devices: 1, events: 2 });
    await gateway.finish();
  });

  it('says who owns a plant, where its register begins anew, and what its P-256 key is; and registers a meter that was swapped before it could be', async () => {
    const dataFolder = tempFolder();
    const account = `0x${'5E'.repeat(20)}`;
    let gateway = await startTestGateway({ dataFolder }); // no chain yet
    const plant = (name: string, keyType?: 'P-256') => new TestDevice(name, 'plant', keyType);
    const [ours, theirs, p256, old] = [plant('1'), plant('2'), plant('3', 'P-256'), plant('4')];
    const heir = Object.assign(plant('5'), { sub: old.sub });
    const meter = new TestDevice('6');
    for (const { did, sub, kind } of [ours, theirs, p256, old, heir, meter]) {
      const owner = did === ours.did ? 'a cooperative' : account;
      const registerModulusWh = did === theirs.did ? 1e8 : undefined;
      await gateway.parts.devices.enrol(
        { did, sub, kind, custody: 'device', owner, ...(registerModulusWh ? { registerModulusWh } : {}) },
        Date.now(),
      );
    }
    const registers = { finalRegister: null, initialRegister: null };
    await post(gateway, `/devices/${old.did}/replace`, { by: heir.did, ...registers });
    await gateway.finish();

    // Without credits nobody owns anything on the chain; with them each plant has its account, also where it is registered.
    const registered = (of: TestDevice) => {
      const { devices, registry } = gateway.parts;
      return registry.registered(devices.get(of.did) as Device);
    };
    gateway = await startTestGateway({ dataFolder, chain: { mode: 'embedded', ...FAST }, credits: { enabled: false } });
    await until(() => registered(old)?.status === 'replaced', 'the old meter is registered, and replaced');
    expect(registered(ours)?.owner).toBe(zeroAddress);
    await gateway.finish();
    gateway = await embedded(dataFolder);
    const own = gateway.parts.crediting?.places?.account.toLowerCase();
    await until(() => registered(ours)?.owner === own, 'it is the credits account');
    await until(() => [theirs, p256, heir].every((d) => registered(d)?.owner === account.toLowerCase()), 'as enrolled');
    expect(registered(meter)?.owner).toBe(zeroAddress);
    const { events } = gateway.parts.crediting as NonNullable<typeof gateway.parts.crediting>;
    await until(() => events.isKeyShown(commitment(p256.did)), 'the key is shown');
    await until(() => events.modulusOf(commitment(theirs.did)) === 1e8, 'the modulus is set');
    expect([events.modulusOf(commitment(ours.did)), events.isKeyShown(commitment(ours.did))]).toEqual([
      undefined,
      false,
    ]);
    const { contract } = gateway.parts.registry.state as { contract: `0x${string}` };
    expect(await checkRegistry(dataFolder, contract, rpcClient(gateway.info.rpc as string))).toBe(6);
    await gateway.finish();
  });
});
