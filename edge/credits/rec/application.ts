/**
 * What a plant's owner needs to apply for the RECs of a month, and which slots the application uses up: each is claimed with
 * the purpose RecApplication when it is handed in, so that no hour stands behind a REC and a credit both. It prepares an
 * application. It is no REC: those are issued by the Korea Energy Agency, on the meter readings of the grid operator.
 */
import { EdgeError } from '../../errors.ts';
import { kstMonthRange } from '../time.ts';
import { carryText, type Deadline, deadlineOf, recsOf } from './rec.ts';
import { type RecPlant, weightOf } from './weights.ts';

/** Of what the certificates of a month are: minted, `leftWh` not claimed yet. */
export type RecSlot = { certificate: string; slot: number; wh: number; leftWh: number };
/** Minted energy of gaps of the month. */
export type RecResidual = { from: number; until: number; wh: number; leftWh: number };

export type RecInput = {
  /** 2026-11 */
  month: string;
  point: string;
  /** 0x and 64 hex digits: as the contract knows it. */
  pointId: string;
  plant: RecPlant;
  slots: readonly RecSlot[];
  residuals: readonly RecResidual[];
  /** What the month before left of its last REC, in 1/10^10; "0" at first. */
  carried: string;
  /** Unix seconds. */
  now: number;
};

/** What a claim with the purpose RecApplication is of; `slot` of a residual is the month's first second. */
export type Lock = { meteringPoint: string; kind: 'slot' | 'residual'; slot: number; wh: number };

export type RecApplication = {
  notice: string;
  statutory: false;
  month: string;
  from: number;
  until: number;
  meteringPoint: string;
  plant: RecPlant;
  weight: { value: string; basis: string; checked: boolean; from: string };
  /** As the meters of this gateway have it; `claimedWh` is used for something else already, and left out. */
  energy: { certifiedWh: number; residualWh: number; claimedWh: number; appliedWh: number };
  /** MWh × weight, exact decimals. */
  recs: { whole: string; carriedIn: string; carriedOut: string; carry: string };
  deadline: Deadline;
  locks: Lock[];
};

export const NOTICE =
  'This prepares an application for renewable energy certificates (REC). It is not a REC and has no legal force: RECs are issued by the Korea Energy Agency, on the readings of the settlement meter, and its decision alone counts.';

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);

/** @throws EdgeError REQUEST_INVALID, CREDIT_REC_UNKNOWN */
export function recApplication(input: RecInput): RecApplication {
  const { month, point, pointId, plant, carried, now } = input;
  const range = kstMonthRange(month);
  if (!range) throw new EdgeError('REQUEST_INVALID', `${month} is no month, as 2026-11`);
  if (!/^\d{1,10}$/.test(carried)) throw new EdgeError('REQUEST_INVALID', `carried ${carried} is no part of a REC`);
  const { from, until } = range;
  const slots = input.slots.filter((s) => s.slot >= from && s.slot < until).toSorted((a, b) => a.slot - b.slot);
  const residuals = input.residuals.filter((r) => r.from >= from && r.until <= until);
  const weight = weightOf(plant);
  const [certifiedWh, residualWh] = [sum(slots.map((s) => s.wh)), sum(residuals.map((r) => r.wh))];
  const residualLeftWh = sum(residuals.map((r) => r.leftWh));
  const appliedWh = sum(slots.map((s) => s.leftWh)) + residualLeftWh;
  const { recs, carry } = recsOf(BigInt(appliedWh), weight.tenThousandths, BigInt(carried));
  const locks: Lock[] = slots
    .filter((s) => s.leftWh > 0)
    .map((s) => ({ meteringPoint: pointId, kind: 'slot', slot: s.slot, wh: s.leftWh }));
  if (residualLeftWh > 0) locks.push({ meteringPoint: pointId, kind: 'residual', slot: from, wh: residualLeftWh });
  return {
    notice: NOTICE,
    statutory: false,
    month,
    from,
    until,
    meteringPoint: point,
    plant,
    weight: { value: weight.text, basis: weight.line.basis, checked: weight.line.checked, from: weight.line.from },
    energy: { certifiedWh, residualWh, claimedWh: certifiedWh + residualWh - appliedWh, appliedWh },
    recs: {
      whole: recs.toString(),
      carriedIn: carryText(BigInt(carried)),
      carriedOut: carryText(carry),
      carry: carry.toString(),
    },
    deadline: deadlineOf(from, now),
    locks,
  };
}
