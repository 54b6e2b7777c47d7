/**
 * Device kinds: which register a kind bills. That one comes first in each pack, as an unsigned integer in Wh. And what
 * a full disk may do to it: location-rate telemetry comes by the second and is worth less the older it is, so it is
 * thinned; everything else is energy data, or as rare, and is refused before it is lost. And who may read it in the
 * open log: what a vehicle or a household says is sealed (log/sealed.ts), unless privacy.sealedKinds says otherwise.
 */
import { EdgeError } from '../errors.ts';
import type { SenmlRecord } from '../wire/senml.ts';

type Profile = { billed?: string; rate?: 'location'; privacy: 'public' | 'sealed'; says: string };

/** OBIS: 1-0:1.8.0 active energy import, 1-0:2.8.0 active energy export. Vehicles speak COVESA VSS paths. */
export const PROFILES: Readonly<Record<string, Profile>> = {
  meter: { billed: '1-0:1.8.0', privacy: 'sealed', says: 'a consumption meter' },
  plant: { billed: '1-0:2.8.0', privacy: 'public', says: 'the meter of a generating plant' },
  storage: { billed: '1-0:2.8.0', privacy: 'public', says: 'the meter of a plant that stores, by what it gives back' },
  inverter: { billed: '1-0:2.8.0', privacy: 'public', says: 'an inverter read over a bus' },
  vehicle: { rate: 'location', privacy: 'sealed', says: 'a vehicle' },
  sensor: { privacy: 'public', says: 'anything that is not billed' },
};

/** What the gateway itself says in its log: its genesis entry. Not a kind that can be enrolled. */
export const GATEWAY_KIND = 'gateway';

export const mayThin = (kind: string): boolean => PROFILES[kind]?.rate === 'location';

/** What config.ts has as the default of privacy.sealedKinds, too. */
export const SEALED_KINDS = Object.keys(PROFILES).filter((kind) => PROFILES[kind]?.privacy === 'sealed');

export const KINDS = Object.keys(PROFILES);

/** @throws EdgeError PROFILE_MISMATCH */
export function checkProfile(kind: string, records: readonly SenmlRecord[]): void {
  const billed = PROFILES[kind]?.billed;
  if (billed === undefined) return;
  const first = records[0];
  if (first?.n !== billed || first.u !== 'Wh' || first.v === undefined || !Number.isInteger(first.v) || first.v < 0)
    throw new EdgeError(
      'PROFILE_MISMATCH',
      `a ${kind} bills ${billed}, so the first record is {n: "${billed}", u: "Wh", v: unsigned integer}`,
    );
}
