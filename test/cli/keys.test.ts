import { chmodSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { toHex } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { describe, expect, it } from 'vitest';
import { registerData } from '../../edge/chain/contract.ts';
import { deployContract } from '../../edge/chain/deploy.ts';
import { rpcClient } from '../../edge/chain/rpc.ts';
import { sendOnce } from '../../edge/chain/setup.ts';
import { makeConfig } from '../../edge/config.ts';
import { loadConfig } from '../../edge/config-file.ts';
import { openIdentity } from '../../edge/identity.ts';
import { Keystore } from '../../edge/keystore.ts';
import { CHAIN_ID, CITY, TestChain } from '../support/anvil.ts';
import { edge } from '../support/cli.ts';
import { startTestGateway, TestDevice } from '../support/gateway.ts';
import { tempFolder } from '../support/temp.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
function keysOf(dataFolder: string): string[] {
  const { did, logKey, witnessKey, anchorKey } = openIdentity(makeConfig({ dataFolder }));
  return [did, hex(logKey), hex(witnessKey), hex(anchorKey)];
}
const rotate = (args: string[], env: NodeJS.ProcessEnv = {}) => edge(['keys', 'rotate', ...args], { env });

describe('another passphrase', () => {
  it('leaves all keys what they were, the ones held for devices too; the old passphrase opens none; the log has it', async () => {
    const gateway = await startTestGateway();
    const { dataFolder } = gateway.config;
    const body = { kind: 'meter', custody: 'gateway', sub: 'urn:sejong:mp:held' };
    const { device } = (await gateway.api('/devices', { method: 'POST', body })).body as { device: { did: string } };
    const args = ['--passphrase', '--data', dataFolder];
    expect(await rotate(args)).toMatchObject({ code: 1, stderr: expect.stringMatching(/^DATA_IN_USE/) });
    await gateway.finish();

    const folder = join(dataFolder, 'keys');
    const before = keysOf(dataFolder);
    const old = readFileSync(join(folder, 'passphrase'), 'utf8').trim();
    const held = openIdentity(gateway.config).deviceKey(device.did).export({ format: 'jwk' });
    const { code, stdout, stderr } = await rotate(args);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/^rotated {3}5 keys/m);
    const now = readFileSync(join(folder, 'passphrase'), 'utf8').trim();
    expect(now).not.toBe(old);
    expect(stdout).not.toContain(now);
    expect(keysOf(dataFolder)).toEqual(before);
    expect(openIdentity(gateway.config).deviceKey(device.did).export({ format: 'jwk' })).toEqual(held);
    for (const file of readdirSync(folder).filter((f) => f.endsWith('.key')))
      for (const random of [true, false])
        expect(() => Keystore.open(folder, { passphrase: old, random }).load(file.slice(0, -4))).toThrow(/decrypt/);
    expect(readdirSync(dataFolder).filter((f) => f.startsWith('keys'))).toEqual(['keys']);
    const again = await startTestGateway({ dataFolder });
    expect((await again.finish()).audits.at(-1)).toMatchObject({ action: 'keys.passphrase', by: { name: 'local' } });
    const last = await startTestGateway({ dataFolder }); // said once
    expect((await last.finish()).audits.filter(({ action }) => action === 'keys.passphrase')).toHaveLength(1);
  });

  it('that is cut off at any moment leaves whole keys under the old one or the new one, and goes on when asked again', async () => {
    for (const fault of [
      'keys.writing=kill@3',
      'keys.written=kill@1',
      'keys.switching=kill@1',
      'keys.switched=kill@1',
    ]) {
      const dataFolder = tempFolder();
      const before = keysOf(dataFolder);
      const args = ['--passphrase', '--data', dataFolder];
      expect((await rotate(args, { SEJONG_EDGE_FAULTS: fault })).signal, fault).toBe('SIGKILL');
      expect(keysOf(dataFolder), fault).toEqual(before);
      expect(await rotate(args), fault).toMatchObject({ code: 0 });
      expect(keysOf(dataFolder), fault).toEqual(before);
      expect(
        readdirSync(dataFolder).filter((f) => f.startsWith('keys')),
        fault,
      ).toEqual(['keys']);
    }
  });

  it('that people keep elsewhere is given, in a file that nobody else reads or in the environment', async () => {
    const dataFolder = tempFolder();
    const file = (name: string, text: string): string => {
      writeFileSync(join(dataFolder, name), text, { mode: 0o600 });
      return join(dataFolder, name);
    };
    const [old, next] = [file('old', 'the old passphrase'), file('next', 'the new passphrase')];
    const config = (passphraseFile: string) => {
      const path = join(dataFolder, 'edge.yaml');
      writeFileSync(path, JSON.stringify({ dataFolder, keys: { passphraseFile }, chain: { mode: 'none' } }));
      return path;
    };
    const before = openIdentity(loadConfig(config(old))).did;
    const args = ['--passphrase', '--config', config(old)];
    expect((await rotate(args)).stderr).toMatch(/^USAGE: .*--new-passphrase-file/);
    expect((await rotate(args, { SEJONG_EDGE_NEW_PASSPHRASE: 'short' })).stderr).toMatch(/less than 8 characters/);
    expect((await rotate([...args, '--new-passphrase-file', old])).stderr).toMatch(/is the old one/);
    chmodSync(next, 0o644);
    expect((await rotate([...args, '--new-passphrase-file', next])).stderr).toMatch(/others can read it/);
    chmodSync(next, 0o600);
    expect(
      (await rotate([...args, '--new-passphrase-file', next], { SEJONG_EDGE_FAULTS: 'keys.switched=kill@1' })).signal,
    ).toBe('SIGKILL');
    const done = await rotate([...args, '--new-passphrase-file', next]);
    expect([done.code, done.stdout]).toEqual([0, 'kept      the keys are under the new passphrase already\n']);
    expect(() => openIdentity(loadConfig(config(old)))).toThrow(/decrypt/);
    expect(openIdentity(loadConfig(config(next))).did).toBe(before);
    expect(
      await rotate(['--passphrase', '--config', config(next)], { SEJONG_EDGE_NEW_PASSPHRASE: 'the old passphrase' }),
    ).toMatchObject({ code: 0 });
    expect(openIdentity(loadConfig(config(old))).did).toBe(before);
    expect(existsSync(join(dataFolder, 'keys.old'))).toBe(false);
  });
});

describe('the keys themselves', () => {
  it("log and gateway keep theirs, for ever, with a word about why; a witness's is another one from then on", async () => {
    const dataFolder = tempFolder();
    const before = keysOf(dataFolder);
    for (const flag of ['--log', '--gateway', '--anchor'])
      expect(await rotate([flag, '--data', dataFolder])).toMatchObject({
        code: 2,
        stderr: expect.stringMatching(/^KEY_FIXED: .+: .+\. .+\.\n$/),
      });
    expect((await rotate(['--log', '--data', dataFolder])).stderr).toContain('a log (C2SP) is its origin and its key');
    expect((await rotate(['--log', '--anchor', '--data', dataFolder])).code).toBe(2);
    expect(keysOf(dataFolder)).toEqual(before);
    const { stdout } = await rotate(['--witness', '--data', dataFolder]);
    expect(stdout).toMatch(/^witness {3}\S+\/witness\+[0-9a-f]{8}\+\S{44}$/m);
    const after = keysOf(dataFolder);
    expect(after.map((key, i) => key === before[i])).toEqual([true, true, false, true]);
  });

  it("the anchoring account's is prepared, registered by the contract's owner, and then taken into use", async () => {
    const chain = await TestChain.start();
    const dataFolder = tempFolder();
    const config = join(dataFolder, 'edge.yaml');
    const origin = 'sejong.example/rotating';
    const anchors = await deployContract(chain.rpc, CHAIN_ID, CITY, origin, () => undefined);
    const client = rpcClient(chain.rpc);
    const register = (to: `0x${string}`) =>
      sendOnce(client, CITY, CHAIN_ID, anchors, registerData(origin, to), 'register');
    const values = {
      dataFolder,
      log: { origin, checkpointSeconds: 0.2 },
      chain: {
        mode: 'rpc' as const,
        rpc: chain.rpc,
        chainId: CHAIN_ID,
        anchors,
        everySeconds: 0.1,
        pollSeconds: 0.1,
        confirmations: 1,
      },
    };
    writeFileSync(config, JSON.stringify(values));
    const account = () => privateKeyToAccount(toHex(openIdentity(loadConfig(config)).anchorKey));
    const first = account().address;
    for (const address of [first]) await chain.call('anvil_setBalance', address, toHex(10n ** 18n));
    await register(first);
    const args = ['--anchor', '--config', config];
    const prepared = await rotate(args);
    const next = /^anchors {3}(0x[0-9a-fA-F]{40})$/m.exec(prepared.stdout)?.[1] as `0x${string}`;
    expect(prepared.stdout).toContain(`register("${origin}", ${next})`);
    expect(account().address).toBe(first);
    expect((await rotate(args)).stdout).toBe(prepared.stdout); // the same one
    await chain.call('anvil_setBalance', next, toHex(10n ** 18n));
    await register(next);
    expect((await rotate(args)).stdout).toBe(`rotated   ${next} anchors from the next start on\n`);
    expect(account().address).toBe(next);
    const gateway = await startTestGateway(values);
    const device = await new TestDevice('anchored').enrol(gateway);
    await device.publish(await device.connect(gateway), device.envelope());
    await expect.poll(() => gateway.parts.anchorer?.state.headSize, { timeout: 20_000 }).toBeGreaterThanOrEqual(2);
    expect((await gateway.finish()).audits).toMatchObject([{ action: 'keys.anchor', on: next }]);
  });
});

describe('keys and passwords of devices on serial lines', () => {
  it('are kept encrypted under a name, read from standard input only, and the log has that they were', async () => {
    const gateway = await startTestGateway();
    const { dataFolder } = gateway.config;
    await gateway.finish();
    const put = (args: string[], input: string) => edge(['keys', 'put', ...args, '--data', dataFolder], { input });
    const key = '000102030405060708090A0B0C0D0E0F';
    expect(await put(['meter-1-guek'], `${key}\n`)).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^kept {6}meter-1-guek, 16 bytes/),
    });
    expect(await put(['meter-1-password', '--text'], '12345678\n')).toMatchObject({ code: 0 });
    expect(await put(['meter-2'], 'not hex\n')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('bytes in hex'),
    });
    expect(await put(['Meter 2'], `${key}\n`)).toMatchObject({ code: 2 });
    expect(await put(['meter-2', '--text'], '\n')).toMatchObject({ code: 2 });
    expect((await edge(['keys', 'list', '--data', dataFolder])).stdout).toBe('meter-1-guek\nmeter-1-password\n');
    for (const file of readdirSync(join(dataFolder, 'keys')))
      expect(readFileSync(join(dataFolder, 'keys', file), 'latin1')).not.toMatch(/12345678|0001020304050607/i);

    const { secret } = openIdentity(gateway.config);
    expect(hex(secret('meter-1-guek'))).toBe(key.toLowerCase());
    expect(Buffer.from(secret('meter-1-password')).toString()).toBe('12345678');
    expect(() => secret('meter-3')).toThrow('there is no secret "meter-3"');
    expect(() => secret('../gateway')).toThrow('there is no secret');
    const again = await startTestGateway({ dataFolder });
    expect((await again.finish()).audits).toMatchObject([
      { action: 'keys.secret', on: 'meter-1-guek' },
      { action: 'keys.secret', on: 'meter-1-password' },
    ]);
  });
});
