import { parseArgs } from 'node:util';
import { toHex } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { deployContract, deployDevices } from '../chain/deploy.ts';
import { loadConfig } from '../config-file.ts';
import { EdgeError } from '../errors.ts';
import { openIdentity } from '../identity.ts';
import type { Command } from './index.ts';

export const command: Command = {
  usage: `deploy --config FILE [--devices]

  --devices       the Devices contract, the city's registry, in place of the Anchors contract

The gateway's own account (init prints it) pays and becomes the owner; for a city, transfer the ownership after.
Prints the address for chain.anchors, or chain.devices.`,
  run: async (args) => {
    const { values } = parseArgs({ args, options: { config: { type: 'string' }, devices: { type: 'boolean' } } });
    if (values.config === undefined) throw new EdgeError('USAGE', 'deploy needs --config FILE');
    const config = loadConfig(values.config);
    if (config.chain.mode !== 'rpc')
      throw new EdgeError('USAGE', 'chain.mode is not rpc: the embedded chain gets its contract by itself');
    const account = privateKeyToAccount(toHex(openIdentity(config).anchorKey));
    const { rpc, chainId } = config.chain;
    const report = (line: string): void => console.error(line);
    const address = values.devices
      ? await deployDevices(rpc, chainId, account, report)
      : await deployContract(rpc, chainId, account, config.log.origin, report);
    console.log(address);
    return 0;
  },
};
