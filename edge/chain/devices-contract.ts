/** The Devices contract as the gateway uses it. What it promises is documented in contracts/src/IDevices.sol. */
import { readFileSync } from 'node:fs';
import {
  type Abi,
  decodeEventLog,
  encodeDeployData,
  encodeFunctionData,
  type Hex,
  hexToString,
  type PublicClient,
  padHex,
  stringToHex,
  zeroAddress,
} from 'viem';
import type { DeviceStatus } from '../store/devices.ts';
import type { RegistryEvent } from '../store/registrations.ts';
import { type Log, logsIn, unusable } from './blocks.ts';

const artifact = JSON.parse(
  readFileSync(new URL('../../contracts/artifacts/Devices.json', import.meta.url), 'utf8'),
) as { abi: Abi; bytecode: Hex };

/** IDevices.Status and IDevices.Custody, by number. */
const STATUS: readonly (DeviceStatus | 'unknown')[] = ['unknown', 'active', 'suspended', 'revoked', 'replaced'];
const CUSTODY = ['device', 'gateway'] as const;
/** The largest uint40: for ever. */
const EVER = 2 ** 40 - 1;
/** What kind and energySource may take, in bytes. */
const WORD = 12;

/** @param administrator holds the admin role, and is the first registrar */
export const deployDevicesData = (administrator: Hex): Hex =>
  encodeDeployData({ abi: artifact.abi, bytecode: artifact.bytecode, args: [administrator] });

const call = (functionName: string, ...args: unknown[]): Hex =>
  encodeFunctionData({ abi: artifact.abi, functionName, args });

/** Commitments in hex. `owner` is an account, or null. */
export type NewRegistration = {
  device: string;
  meteringPoint: string;
  owner: string | null;
  kind: string;
  energySource: string | null;
  capacityW: number;
  custody: 'device' | 'gateway';
  validFrom?: number;
  validUntil?: number | null;
};

/** What does not fit is left out: an energy source is a word for people. */
const word = (text: string | null): Hex =>
  text !== null && /^[\x21-\x7e]*$/.test(text) && text.length <= WORD
    ? stringToHex(text, { size: WORD })
    : padHex('0x', { size: WORD });

export const registerDeviceData = (r: NewRegistration): Hex =>
  call('register', r.device, {
    owner: r.owner ?? zeroAddress,
    meteringPoint: r.meteringPoint,
    kind: word(r.kind),
    energySource: word(r.energySource),
    capacityW: BigInt(r.capacityW),
    custody: CUSTODY.indexOf(r.custody),
    validFrom: r.validFrom ?? 0,
    validUntil: r.validUntil ?? EVER,
  });

/** All that may change of a registration, as it is to be from now on. */
export const amendData = (
  device: string,
  r: Pick<NewRegistration, 'owner' | 'energySource' | 'capacityW' | 'validFrom' | 'validUntil'>,
): Hex =>
  call(
    'amend',
    device,
    r.owner ?? zeroAddress,
    word(r.energySource),
    BigInt(r.capacityW),
    r.validFrom ?? 0,
    r.validUntil ?? EVER,
  );

export const suspendData = (device: string): Hex => call('suspend', device);
export const resumeData = (device: string): Hex => call('resume', device);
export const revokeData = (device: string): Hex => call('revoke', device);
export const replaceData = (device: string, by: string): Hex => call('replace', device, by);
export const multicallData = (calls: readonly Hex[]): Hex => call('multicall', calls);

/**
 * The contract's events in the blocks `from` to `to`, in their order. Those of roles are left out.
 * @throws what viem throws; EdgeError CHAIN_AWAY where the answer is none
 */
export async function devicesEvents(
  client: PublicClient,
  contract: string,
  from: number,
  to: number,
): Promise<RegistryEvent[]> {
  return (await logsIn(client, [contract], from, to)).flatMap(({ block, logIndex, topics, data }) => {
    const event = decode({ topics, data });
    return event ? [{ ...event, block, logIndex }] : [];
  });
}

type Said = {
  device: Hex;
  time: number;
  meteringPoint: Hex;
  owner: Hex;
  kind: Hex;
  energySource: Hex;
  capacityW: bigint;
  custody: number;
  validFrom: number;
  validUntil: number;
  status: number;
  replacedBy: Hex;
};
type WithoutPlace<T> = T extends unknown ? Omit<T, 'block' | 'logIndex'> : never;

/** Undefined for an event that says nothing of devices. */
function decode({ topics, data }: Pick<Log, 'topics' | 'data'>): WithoutPlace<RegistryEvent> | undefined {
  let eventName: string;
  let a: Said;
  try {
    const decoded = decodeEventLog({ abi: artifact.abi, topics, data });
    eventName = decoded.eventName as unknown as string;
    a = decoded.args as unknown as Said;
  } catch {
    throw unusable('an event that the contract does not have');
  }
  const { device, time } = a;
  if (eventName === 'StatusChanged') {
    const status = STATUS[a.status];
    if (status === undefined || status === 'unknown') throw unusable(`status ${a.status}`);
    return { event: 'status', device, time, status, replacedBy: status === 'replaced' ? a.replacedBy : null };
  }
  const period = () => ({ validFrom: a.validFrom, validUntil: a.validUntil === EVER ? null : a.validUntil });
  const plant = () => ({
    owner: a.owner.toLowerCase(),
    energySource: text(a.energySource),
    capacityW: Number(a.capacityW < BigInt(Number.MAX_SAFE_INTEGER) ? a.capacityW : Number.MAX_SAFE_INTEGER),
  });
  if (eventName === 'Amended') return { event: 'amended', device, time, ...plant(), ...period() };
  if (eventName !== 'Registered') return undefined;
  const custody = CUSTODY[a.custody];
  if (!custody) throw unusable(`custody ${a.custody}`);
  const { meteringPoint, kind } = a;
  return { event: 'registered', device, time, meteringPoint, kind: text(kind), custody, ...plant(), ...period() };
}

/** Whatever the bytes are, it is text that can be shown. */
const text = (hex: Hex): string => hexToString(hex).replace(/[^\x21-\x7e]/g, '');
