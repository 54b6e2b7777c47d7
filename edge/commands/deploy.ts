import { parseArgs } from 'node:util';
import { toHex } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { deployContract } from '../chain/deploy.ts';
import { loadConfig } from '../config.ts';
import { EdgeError } from '../errors.ts';
import { openIdentity } from '../identity.ts';
import type { Command } from './index.ts';

export const command: Command = {
  usage: `deploy --config FILE

The gateway's own account (init prints it) pays and becomes the owner; for a city, transfer the ownership after.
Prints the address for chain.anchors.`,
  run: async (args) => {
    const { values } = parseArgs({ args, options: { config: { type: 'string' } } });
    if (values.config === undefined) throw new EdgeError('USAGE', 'deploy needs --config FILE');
    const config = loadConfig(values.config);
    if (config.chain.mode !== 'rpc')
      throw new EdgeError('USAGE', 'chain.mode is not rpc: the embedded chain gets its contract by itself');
    const account = privateKeyToAccount(toHex(openIdentity(config).anchorKey));
    const address = await deployContract(config.chain.rpc, config.chain.chainId, account, config.log.origin, (line) =>
      console.error(line),
    );
    console.log(address);
    return 0;
  },
};
