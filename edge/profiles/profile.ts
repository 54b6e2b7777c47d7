/** A device kind, or a way to read devices of one, as its file describes it. Files are checked by load.ts. */
import type { LineFormat, Value } from '../drivers/driver.ts';

/** What the gateway itself says in its log: its genesis entry. Not a kind that can be enrolled, and no profile's name. */
export const GATEWAY_KIND = 'gateway';

/** The record in which the gateway says what a reading is worth that it signed: `Good`, or `Uncertain: why`. */
export const QUALITY = 'quality';

export type Privacy = 'public' | 'sealed';

/** One value: what the driver needs, and what is expected of it. */
export type ProfileValue = Value & {
  type: 'number' | 'string' | 'boolean';
  /** Least and most, in its unit, after scale. A value outside is quarantined with PROFILE_MISMATCH. */
  range?: readonly [number, number];
  /** It only rises, and starts again from 0 where it would reach this, in its unit. */
  modulus?: number;
  /** It only rises, and by at most so much in an hour, in its unit. More is signed, with quality Uncertain. */
  mostPerHour?: number;
};

export type Priority = 'high' | 'normal' | 'low';

export type Profile = {
  /** The file's name without its ending. */
  name: string;
  file: string;
  title: string;
  /** The kind of the devices: another profile's name, or its own. */
  kind: string;
  /** A name in drivers.ts; none: such devices publish over MQTT only. */
  driver: string | undefined;
  line: Partial<LineFormat>;
  everySeconds: number;
  priority: Priority;
  privacy: Privacy;
  custody: 'gateway' | 'device' | 'either';
  /** What a full disk may do: telemetry at location rate is thinned, energy data is refused before it is lost. */
  rate: 'energy' | 'location';
  settings: unknown;
  /** What it says itself. What is expected of a reading are these and those of its kind ({@link Profiles.check}). */
  values: readonly ProfileValue[];
  /** Records beside `values` are taken: where the profile does not say all that such a device may tell. */
  open: boolean;
};
