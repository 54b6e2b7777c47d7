import { parseArgs } from 'node:util';
import { type Hex, toHex } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { deployContract, deployCredits, deployDevices } from '../chain/deploy.ts';
import { accountOf } from '../chain/wallet.ts';
import { loadConfig } from '../config-file.ts';
import { EdgeError } from '../errors.ts';
import { openIdentity } from '../identity.ts';
import type { Command } from './index.ts';

export const command: Command = {
  usage: `deploy --config FILE [--devices | --credits]

  --devices       the Devices contract, the city's registry, in place of the Anchors contract
  --credits       the Credits contract over both of them, a mock of deposit money, and a market: one address a line

The gateway's own account (init prints it) pays and becomes the owner; for a city, transfer the ownership after. Credits
are minted by another account of the gateway's, which may withdraw them: it is named, and needs money of its own.
Prints the address for chain.anchors, or chain.devices, or those for chain.credits and chain.market with their names.`,
  run: async (args) => {
    const { values } = parseArgs({
      args,
      options: { config: { type: 'string' }, devices: { type: 'boolean' }, credits: { type: 'boolean' } },
    });
    if (values.config === undefined) throw new EdgeError('USAGE', 'deploy needs --config FILE');
    const config = loadConfig(values.config);
    if (config.chain.mode !== 'rpc')
      throw new EdgeError('USAGE', 'chain.mode is not rpc: the embedded chain gets its contract by itself');
    const identity = openIdentity(config);
    const account = privateKeyToAccount(toHex(identity.anchorKey));
    const { rpc, chainId } = config.chain;
    const report = (line: string): void => console.error(line);
    if (values.credits) {
      const { anchors, devices } = config.chain;
      if (anchors === '' || devices === '')
        throw new EdgeError('USAGE', 'credits stand on chain.anchors and chain.devices: deploy these first');
      const of = { anchors: anchors as Hex, devices: devices as Hex, withdrawer: accountOf(identity.creditsKey()) };
      const made = await deployCredits(rpc, chainId, account, of, report);
      report(`${of.withdrawer} sends the gateway's mints and claims, and needs money for gas`);
      for (const [name, at] of Object.entries(made)) console.log(`${name.padEnd(8)}${at}`);
      return 0;
    }
    const address = values.devices
      ? await deployDevices(rpc, chainId, account, report)
      : await deployContract(rpc, chainId, account, config.log.origin, report);
    console.log(address);
    return 0;
  },
};
