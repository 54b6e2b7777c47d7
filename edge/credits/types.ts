/**
 * What the rules are given, and what they answer (settle.ts). Times are Unix seconds but for `...Ms`, energy is in Wh.
 * Pure: where any of it is kept is not known here.
 */
import type { ErrorCode } from '../errors.ts';

/** Degrees, WGS 84. */
export type Place = { lat: number; lon: number };

/**
 * What the gateway's clock was worth when a reading came: set from outside; or not, and then how far off it was found to
 * be later in that boot (added to what it showed it gives the right time), undefined while nobody knows.
 */
export type ReceivedClock = { synced: true } | { synced: false; offsetMs: number | undefined };

/** A reading that may stand for a full hour: `at`. Of a day profile there are 25, with one `idx`. */
export type Boundary = {
  at: number;
  /** DID of the meter. */
  device: string;
  /** Index of its entry in the log. */
  idx: number;
  iat: number;
  registerWh: number;
  shape: 'reading' | 'profile';
  receivedMs: number;
  clock: ReceivedClock;
};

/** `scale`: the scale factor that its energy was read with (SunSpec's WH_SF), where it says one. */
export type InverterReading = Boundary & { scale?: number | undefined };

export type Meter = {
  did: string;
  /** Only a meter that holds its own key makes certificates. */
  custody: 'device' | 'gateway';
  status: 'active' | 'suspended' | 'revoked' | 'replaced';
  /** Rated power of the plant, as it is registered with this meter. */
  capacityW: number | null;
  /** Where its register begins anew, in Wh; null: it never does. */
  modulusWh: number | null;
};

export type Plant = {
  /** URN of the metering point. */
  point: string;
  kind: 'plant' | 'storage';
  /** As it was enrolled: solar, wind, ... */
  source: string | null;
  place: Place | undefined;
  /** In the order in which they were enrolled. */
  meters: readonly Meter[];
};

/**
 * The gateway's signed word that a meter took over (log/succession.ts), in the order of the log. `rekey`: the same meter
 * with another key, its register goes on. Null: nobody could read that register.
 */
export type Swap = {
  idx: number;
  atMs: number;
  how: 'swap' | 'rekey';
  old: string;
  next: string;
  finalWh: number | null;
  initialWh: number | null;
};

/** The register that is fixed at a boundary on the chain. `device` is a DID; empty where its commitment is not known here. */
export type Fixed = { at: number; registerWh: number; device: string };

/** Where a register stood at a time. */
export type Level = { at: number; registerWh: number };

/** Of one metering point and one range of time. */
export type SettleInput = {
  /** In any order, each as often as it may be. */
  boundaries: readonly Boundary[];
  swaps: readonly Swap[];
  /** All that the chain, or a transaction on its way there, holds at the ends of what it certified in the range. */
  fixed: readonly Fixed[];
  /** First seconds of slots that are certified there, or that a residual took. */
  taken: ReadonlySet<number>;
  /** Withdrawn days (days since 1970-01-01) and their version since. */
  versions?: ReadonlyMap<number, number> | undefined;
  /** By DID: where the newest certificate or residual before the range ends. A register below it has fallen. */
  before?: ReadonlyMap<string, Level> | undefined;
  /** Of inverters behind the metering point, near full hours; for comparing only. */
  inverters?: readonly InverterReading[] | undefined;
  /** Of a storage plant: what was claimed to charge it and not given back yet. */
  chargedWh?: number | undefined;
};

/** What a reader of a certificate should know. */
export const FLAGS = ['rollover', 'night', 'storage', 'inverter-deviation', 'clock-corrected'] as const;
export type FlagName = (typeof FLAGS)[number];
/** `evidence` in numbers, with the unit at the end of each name. */
export type Flag = { flag: FlagName; evidence: Readonly<Record<string, number>> };

/** An hour that may be minted: `endWh - startWh`, or over the modulus where flags say rollover. */
export type ReadySlot = { slot: number; version: number; wh: number; start: Boundary; end: Boundary; flags: Flag[] };

/**
 * gap: no reading between. swap, rekey: two meters, or two keys, in it. boundary-fixed: the chain has another register,
 * or another meter, at one of its ends. shape: a reading at one end and a profile at the other.
 */
export type ResidualReason = 'gap' | 'swap' | 'rekey' | 'boundary-fixed' | 'shape';

/** Energy that is known as a whole and belongs to no hour. */
export type Residual = {
  from: number;
  until: number;
  /** First second of the KST month that it lies in; undefined where it lies in two: it is seen, and of no use. */
  month: number | undefined;
  wh: number;
  start: Boundary;
  end: Boundary;
  /** The registers it is the difference of: those of `start` and `end`, or what the chain has fixed there. */
  startWh: number;
  endWh: number;
  reason: ResidualReason;
  /** Two signed readings of one meter, two hours or more, of one month: the contract takes it. */
  mintable: boolean;
  flags: Flag[];
};

/** A rule said no. An hour, or (`until - from` above 3600, or two meters) what would be a residual. */
export type Refused = {
  from: number;
  until: number;
  /** As far as it is known; 0 where it is not. */
  wh: number;
  start: Boundary;
  end: Boundary;
  code: ErrorCode;
  detail: string;
  flags: Flag[];
};

/**
 * What may still come to something by itself. clock: what the time of a reading was worth is not known yet. suspended:
 * an operator stopped the meter. charge: of a storage plant, no claimed charge is left for it.
 */
export type Waiting = { from: number; until: number; wh: number; reason: 'clock' | 'suspended' | 'charge' };

/** Each in the order of time. An hour of 0 Wh is in `empty`: nothing is made of it, and nothing is missing. */
export type Settled = {
  certificates: ReadySlot[];
  residuals: Residual[];
  refused: Refused[];
  waiting: Waiting[];
  empty: Pick<ReadySlot, 'slot' | 'start' | 'end'>[];
};
