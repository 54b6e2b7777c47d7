/**
 * Enrolling on the registry, where this gateway is its registrar: on the embedded chain. What the gateway's operator
 * has done to devices is compared with what was followed from the chain, and what is missing there is sent; so there is
 * nothing to remember, and a restart at any point goes on by itself. The account is one of its own: the sender of the
 * anchors counts nonces.
 */
import { type Hex, isAddress, type PublicClient, parseEther, toHex, zeroAddress } from 'viem';
import { type PrivateKeyAccount, privateKeyToAccount, privateKeyToAddress } from 'viem/accounts';
import type { Device } from '../store/devices.ts';
import type { Registration } from '../store/registrations.ts';
import { decodeDid, keyTypeOf } from '../wire/did.ts';
import { p256PointOf } from '../wire/p256.ts';
import { firstContractAddress } from './contract.ts';
import { mintKrwData, setModulusData, showKeyData } from './credits-contract.ts';
import {
  amendData,
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

/** Kinds whose energy becomes credits: these have an owner on the chain. */
const MINTING: readonly string[] = ['plant', 'storage'];

export type RegistrarOptions = {
  secretKey: Uint8Array;
  /** Of the account that holds credits of plants whose owner has none; undefined where no credits are minted. */
  creditsKey?: Uint8Array | undefined;
  chainId: number;
  /** All that are enrolled here and belong on the registry. */
  devices: () => readonly Device[];
  registered: (device: Device) => Registration | undefined;
  /** How the registry is to know them, each; makes and keeps the salts of those that have none. */
  identify: (devices: readonly Device[]) => Promise<readonly { device: string; meteringPoint: string }[]>;
  byDid: (did: string) => Device | undefined;
};

/** What Credits knows of devices, as far as it was followed. Commitments in hex. */
export type CreditsKnowledge = {
  modulusOf: (device: string) => number | undefined;
  isKeyShown: (device: string) => boolean;
};

export class Registrar {
  readonly #o: RegistrarOptions;
  readonly #account: PrivateKeyAccount;
  readonly #creditsAccount: Hex | undefined;
  /** Ends when all that was asked for so far is sent: two transactions must not take one nonce. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: RegistrarOptions) {
    this.#o = options;
    this.#account = privateKeyToAccount(toHex(options.secretKey));
    this.#creditsAccount = options.creditsKey && privateKeyToAddress(toHex(options.creditsKey));
  }

  get address(): Hex {
    return this.#account.address;
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
    await this.#send(client, undefined, deployDevicesData(address), 'deploy Devices');
  }

  /**
   * What Credits lacks of a device: where its register begins anew; the point that its P-256 key is.
   * @returns whether there was anything
   * @throws EdgeError CHAIN_REFUSED, CHAIN_AWAY
   */
  async pushToCredits(client: PublicClient, credits: Hex, known: CreditsKnowledge): Promise<boolean> {
    const { devices, registered, identify } = this.#o;
    for (const d of devices()) {
      if (!mayMint(d) || !registered(d)) continue;
      const device = (await identify([d]))[0]?.device as Hex;
      const { did, registerModulusWh } = d;
      let data: Hex | undefined;
      if (registerModulusWh !== null && known.modulusOf(device) !== registerModulusWh)
        data = setModulusData(device, registerModulusWh);
      else if (keyTypeOf(did) === 'P-256' && !known.isKeyShown(device)) {
        const { x, y } = p256PointOf(decodeDid(did).bytes);
        data = showKeyData(did, x, y);
      }
      if (!data) continue;
      await this.#send(client, credits, data, `what Credits has to know of ${did}`);
      return true;
    }
    return false;
  }

  /** It is the mock bank, too: issues deposit money, as against won. @param amount in base units */
  async issue(client: PublicClient, krw: Hex, to: Hex, amount: bigint): Promise<void> {
    await this.#send(client, krw, mintKrwData(to, amount), 'issue mock deposit money');
  }

  #send(client: PublicClient, to: Hex | undefined, data: Hex, what: string): Promise<unknown> {
    const sent = this.#turn.then(() => sendOnce(client, this.#account, this.#o.chainId, to, data, what));
    this.#turn = sent.catch(() => undefined);
    return sent;
  }

  /**
   * The next few that the registry lacks, in one transaction.
   * @returns whether there were any; what depends on them comes after they were followed
   */
  async push(client: PublicClient): Promise<boolean> {
    const { devices, registered, identify } = this.#o;
    const due = devices()
      .map((device) => ({ device, held: registered(device) }))
      .filter(({ device, held }) => this.#isDue(device, held))
      .slice(0, MOST_AT_ONCE);
    if (due.length === 0) return false;
    const known = await identify(due.map(({ device }) => device));
    const calls: Hex[] = [];
    for (const [i, { device, held }] of due.entries())
      calls.push(await this.#call(device, held, known[i] as (typeof known)[number]));
    await this.#send(client, this.contract, multicallData(calls), `${calls.length} changes of the registry`);
    return true;
  }

  #isDue(d: Device, held: Registration | undefined): boolean {
    const isOver = (s: string): boolean => s === 'revoked' || s === 'replaced';
    // A meter that was swapped before it was registered has signed readings all the same.
    if (!held) return !isOver(d.status) || (d.status === 'replaced' && mayMint(d));
    if (isOver(held.status)) return false;
    return held.status !== d.status || this.#hasOtherOwner(d, held);
  }

  /**
   * It was registered when no credits were minted, or the plant was given to another account. Where it is nobody's here,
   * any account on the chain will do.
   */
  #hasOtherOwner(d: Device, held: Registration): boolean {
    const owner = this.#ownerOf(d);
    if (owner === null || held.owner.toLowerCase() === owner.toLowerCase()) return false;
    return held.owner === zeroAddress || isAccount(d.owner);
  }

  /** An owner here is a text for people: only an account goes to the chain, and only of what makes credits. */
  #ownerOf(d: Device): string | null {
    if (!mayMint(d) || this.#creditsAccount === undefined) return null;
    return isAccount(d.owner) ? d.owner.toLowerCase() : this.#creditsAccount;
  }

  async #call(
    d: Device,
    held: Registration | undefined,
    { device, meteringPoint }: { device: string; meteringPoint: string },
  ): Promise<Hex> {
    if (!held) return registerDeviceData(registrationOf(d, device, meteringPoint, this.#ownerOf(d)));
    if (this.#hasOtherOwner(d, held)) return amendData(device, { ...held, owner: this.#ownerOf(d) });
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

const isAccount = (owner: string | null): owner is string => owner !== null && isAddress(owner, { strict: false });

const mayMint = ({ kind, custody }: Device): boolean => MINTING.includes(kind) && custody === 'device';

const registrationOf = (d: Device, device: string, meteringPoint: string, owner: string | null): NewRegistration => ({
  device,
  meteringPoint,
  owner,
  kind: d.kind,
  energySource: d.energySource,
  capacityW: d.capacityW ?? 0,
  custody: d.custody,
});
