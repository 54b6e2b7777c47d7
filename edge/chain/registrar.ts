/**
 * Enrolling on the registry, where this gateway is its registrar: on the embedded chain. What the gateway's operator
 * has done to devices is compared with what was followed from the chain, and what is missing there is sent; so there is
 * nothing to remember, and a restart at any point goes on by itself. The account is one of its own: the sender of the
 * anchors counts nonces.
 */
import { type Hex, type PublicClient, parseEther, toHex } from 'viem';
import { type PrivateKeyAccount, privateKeyToAccount } from 'viem/accounts';
import type { Device } from '../store/devices.ts';
import type { Registration } from '../store/registrations.ts';
import { firstContractAddress } from './contract.ts';
import {
  deployDevicesData,
  multicallData,
  type NewRegistration,
  registerDeviceData,
  replaceData,
  resumeData,
  revokeData,
  suspendData,
} from './devices-contract.ts';
import { sendOnce } from './setup.ts';

/** In one transaction: 50 registrations take 4 million gas (contracts/snapshots/devices.json). */
const MOST_AT_ONCE = 50;

export type RegistrarOptions = {
  secretKey: Uint8Array;
  chainId: number;
  /** All that are enrolled here and belong on the registry. */
  devices: () => readonly Device[];
  registered: (device: Device) => Registration | undefined;
  /** How the registry is to know them, each; makes and keeps the salts of those that have none. */
  identify: (devices: readonly Device[]) => Promise<readonly { device: string; meteringPoint: string }[]>;
  byDid: (did: string) => Device | undefined;
};

export class Registrar {
  readonly #o: RegistrarOptions;
  readonly #account: PrivateKeyAccount;

  constructor(options: RegistrarOptions) {
    this.#o = options;
    this.#account = privateKeyToAccount(toHex(options.secretKey));
  }

  /** Where its contract lands: the first transaction of the account deploys it. */
  get contract(): Hex {
    return firstContractAddress(this.#account.address);
  }

  /** @throws EdgeError CHAIN_REFUSED, CHAIN_AWAY */
  async deploy(client: PublicClient): Promise<void> {
    const { address } = this.#account;
    // Only on our own anvil can an account give itself its money.
    await client.request({ method: 'anvil_setBalance', params: [address, toHex(parseEther('1000'))] } as never);
    await sendOnce(client, this.#account, this.#o.chainId, undefined, deployDevicesData(address), 'deploy Devices');
  }

  /**
   * The next few that the registry lacks, in one transaction.
   * @returns whether there were any; what depends on them comes after they were followed
   */
  async push(client: PublicClient): Promise<boolean> {
    const { devices, registered, identify, chainId } = this.#o;
    const due = devices()
      .map((device) => ({ device, held: registered(device) }))
      .filter(({ device, held }) => this.#isDue(device, held))
      .slice(0, MOST_AT_ONCE);
    if (due.length === 0) return false;
    const known = await identify(due.map(({ device }) => device));
    const calls: Hex[] = [];
    for (const [i, { device, held }] of due.entries())
      calls.push(await this.#call(device, held, known[i] as (typeof known)[number]));
    const to = this.contract;
    await sendOnce(client, this.#account, chainId, to, multicallData(calls), `${calls.length} changes of the registry`);
    return true;
  }

  #isDue({ status }: Device, held: Registration | undefined): boolean {
    const isOver = (s: string): boolean => s === 'revoked' || s === 'replaced';
    if (!held) return !isOver(status);
    return !isOver(held.status) && held.status !== status;
  }

  async #call(
    d: Device,
    held: Registration | undefined,
    { device, meteringPoint }: { device: string; meteringPoint: string },
  ): Promise<Hex> {
    if (!held) return registerDeviceData(registrationOf(d, device, meteringPoint));
    if (d.status === 'suspended') return suspendData(device);
    if (d.status === 'active') return resumeData(device);
    const heir = d.replacedBy === null ? undefined : this.#o.byDid(d.replacedBy);
    const heirHeld = heir && this.#o.registered(heir);
    // The contract takes an active heir of the same point only; without one the device is over all the same.
    if (d.status !== 'replaced' || heirHeld?.status !== 'active' || heirHeld.meteringPoint !== held.meteringPoint)
      return revokeData(device);
    const [by] = await this.#o.identify([heir as Device]);
    return replaceData(device, (by as { device: string }).device);
  }
}

/** An owner here is a text for people: only an account goes to the chain. */
const registrationOf = (d: Device, device: string, meteringPoint: string): NewRegistration => ({
  device,
  meteringPoint,
  owner: null,
  kind: d.kind,
  energySource: d.energySource,
  capacityW: d.capacityW ?? 0,
  custody: d.custody,
});
