/** The city's registry on a test's chain, written by the city; and the file by which gateways know sealed devices. */
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { RegistryView } from '../../edge/api/views.ts';
import { commitment } from '../../edge/chain/commitment.ts';
import { deployDevices } from '../../edge/chain/deploy.ts';
import {
  type NewRegistration,
  registerDeviceData,
  replaceData,
  resumeData,
  revokeData,
  suspendData,
} from '../../edge/chain/devices-contract.ts';
import { sendOnce } from '../../edge/chain/setup.ts';
import { CHAIN_ID, CITY, type TestChain } from '../support/anvil.ts';
import type { TestDevice, TestGateway } from '../support/gateway.ts';
import { tempFolder, until } from '../support/temp.ts';

type Hex = `0x${string}`;

export class CityRegistry {
  readonly chain: TestChain;
  readonly contract: Hex;
  /** The city's registry file, for chain.devicesFile. */
  readonly file = join(tempFolder(), 'city.jsonl');
  readonly #salts = new Map<string, Uint8Array>();

  private constructor(chain: TestChain, contract: Hex) {
    this.chain = chain;
    this.contract = contract;
    this.#write();
  }

  static async deploy(chain: TestChain): Promise<CityRegistry> {
    return new CityRegistry(chain, await deployDevices(chain.rpc, CHAIN_ID, CITY, () => undefined));
  }

  #write(): void {
    const lines = [...this.#salts].map(([did, salt]) =>
      JSON.stringify({ did, salt: Buffer.from(salt).toString('hex') }),
    );
    writeFileSync(this.file, lines.join('\n'), { mode: 0o600 });
  }

  key({ did }: { did: string }): string {
    return commitment(did, this.#salts.get(did));
  }

  send(data: Hex, what: string): Promise<unknown> {
    return sendOnce(this.chain.client, CITY, CHAIN_ID, this.contract, data, what);
  }

  /** A sealed one, unless `over` says otherwise; its salt goes into the file. */
  async register(
    device: TestDevice,
    { salt = new Uint8Array(randomBytes(32)), ...over }: Partial<NewRegistration> & { salt?: Uint8Array | null } = {},
  ): Promise<void> {
    const { did, sub, kind } = device;
    if (salt) this.#salts.set(did, salt);
    this.#write();
    const known = { device: this.key(device), meteringPoint: commitment(sub, this.#salts.get(did)) };
    const plain = { owner: null, kind, energySource: null, capacityW: 0, custody: 'device' } as const;
    await this.send(registerDeviceData({ ...known, ...plain, ...over }), 'register');
  }

  saltOf({ did }: TestDevice): Uint8Array {
    return this.#salts.get(did) as Uint8Array;
  }

  suspend = (device: TestDevice) => this.send(suspendData(this.key(device)), 'suspend');
  resume = (device: TestDevice) => this.send(resumeData(this.key(device)), 'resume');
  revoke = (device: TestDevice) => this.send(revokeData(this.key(device)), 'revoke');
  replace = (device: TestDevice, by: TestDevice) => this.send(replaceData(this.key(device), this.key(by)), 'replace');
}

export async function registryOf(gateway: TestGateway, { did }: { did: string }): Promise<RegistryView | undefined> {
  const { status, body, text } = await gateway.api(`/devices/${did}`);
  expect(status, text).toBe(200);
  return (body as { registry?: RegistryView }).registry;
}

export const follows = (gateway: TestGateway, device: { did: string }, status: string): Promise<void> =>
  until(async () => (await registryOf(gateway, device))?.status === status, `${device.did} is ${status} in the table`);
