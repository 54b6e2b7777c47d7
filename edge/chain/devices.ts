/**
 * The follower of the city's registry: reads the events of the Devices contract into the table
 * (store/registrations.ts). Intake decides from the table and never waits for this.
 */
import type { Hex } from 'viem';
import { EdgeError } from '../errors.ts';
import type { Registrations, RegistryEvent } from '../store/registrations.ts';
import { devicesEvents } from './devices-contract.ts';
import { EventFollower, type FollowerState } from './follower.ts';
import type { Registrar } from './registrar.ts';

export type DevicesOptions = {
  rpc: string;
  chainId: number;
  contract: Hex;
  /** Its first block, or any before: what comes earlier is not looked at. */
  fromBlock: number;
  pollSeconds: number;
  /** Events in all; with more the table stays as it is. */
  maxEvents: number;
  onTooMany: () => void;
  /** Who enrols on the registry, where that is this gateway: on the embedded chain. */
  registrar?: Registrar | undefined;
  /** Before each look. */
  onLook: () => void;
  report: (line: string) => void;
};

export type DevicesState = FollowerState<{ events: number; devices: number }>;

/** With the age of the table, which goes on while there is no follower; null where the chain has never been seen. */
export type RegistryState = DevicesState & { ageSeconds: number | null };

export class DevicesFollower extends EventFollower<RegistryEvent, { events: number; devices: number }> {
  constructor(table: Registrations, options: DevicesOptions) {
    const { registrar, contract, chainId } = options;
    super(table, {
      ...options,
      name: 'registry',
      full: 'REGISTRY_FULL',
      connect: async (client) => {
        const isDeployed = async () => (await client.getCode({ address: contract })) !== undefined;
        if (await isDeployed()) return;
        await registrar?.deploy(client);
        if (!registrar || !(await isDeployed()))
          throw new EdgeError('CHAIN_WRONG', `there is no Devices contract at ${contract} on chain ${chainId}`);
      },
      read: (client, from, to) => devicesEvents(client, contract, from, to),
      push: async (client) => registrar !== undefined && (await registrar.push(client)),
    });
  }
}
