/** A day of certificates as cells of a strip, and its sums. Pure. */
import type { PointSlotsView, SlotView } from '../../api/credit-views.ts';

/** What an hour looks like: what became of its certificate, or that there is none. */
export const CELLS = [
  ...(['minted', 'part', 'claimed', 'sent', 'ready', 'refused', 'withdrawn'] as const),
  ...(['residual', 'nothing', 'waiting', 'missing', 'ahead'] as const),
] as const;
export type Cell = (typeof CELLS)[number];

/** Beside the colour, for whom colours are alike. */
export const SIGNS: Readonly<Record<Cell, string>> = {
  ...{ minted: '✓', part: '◐', claimed: '●', sent: '↑', ready: '○', refused: '✕', withdrawn: '↩' },
  ...{ residual: '≈', nothing: '0', waiting: '…', missing: '–', ahead: '' },
};

export function cellOf({ state, missing, wh, claimedWh }: SlotView): Cell {
  if (state === 'minted') return claimedWh >= wh ? 'claimed' : claimedWh > 0 ? 'part' : 'minted';
  if (state !== 'none') return state;
  switch (missing) {
    case 'ahead':
    case 'running':
      return 'ahead';
    case 'residual':
      return 'residual';
    case 'no-energy':
      return 'nothing';
    case 'clock':
    case 'suspended':
    case 'charge':
    case 'pending':
      return 'waiting';
    default:
      return 'missing';
  }
}

/** How full the colour is: 0 for no energy, 1 to 4 by quarters of what the plant can give, or of the most that is shown. */
export function levelOf(wh: number, capacityW: number | null, most: number): number {
  const full = capacityW || most;
  return wh <= 0 || full <= 0 ? 0 : Math.min(4, Math.max(1, Math.ceil((4 * wh) / full)));
}

export const mostOf = (points: readonly PointSlotsView[]): number =>
  Math.max(0, ...points.flatMap(({ slots }) => slots.map(({ wh }) => wh)));

/** Wh of a day, by what became of them; each hour counts once. */
export type Sums = Record<'minted' | 'claimed' | 'waiting' | 'refused' | 'residual', number> & {
  /** Hours that are over and were not read at both ends. */
  missingHours: number;
};

export function sumsOf(points: readonly PointSlotsView[]): Sums {
  const sums: Sums = { minted: 0, claimed: 0, waiting: 0, refused: 0, residual: 0, missingHours: 0 };
  for (const { slots, residuals } of points) {
    for (const slot of slots) {
      const { state, wh, claimedWh } = slot;
      if (state === 'minted') sums.minted += wh;
      if (state === 'ready' || state === 'sent') sums.waiting += wh;
      if (state === 'refused') sums.refused += wh;
      sums.claimed += claimedWh;
      if (cellOf(slot) === 'missing') sums.missingHours++;
    }
    for (const { wh, state } of residuals) if (state !== 'refused') sums.residual += wh;
  }
  return sums;
}

const DAY_MS = 86_400_000;
const KST_MS = 9 * 3_600_000;

/** The day of Korean time, as 2026-11-25. */
export const koreanDate = (ms: number): string => new Date(ms + KST_MS).toISOString().slice(0, 10);

/** undefined for what is no day. */
export function parseDate(text: string | null): string | undefined {
  if (text === null || !/^\d{4}-\d{2}-\d{2}$/.test(text)) return undefined;
  const ms = Date.parse(`${text}T00:00:00Z`);
  return Number.isNaN(ms) || new Date(ms).toISOString().slice(0, 10) !== text ? undefined : text;
}

export const shiftDate = (date: string, days: number): string =>
  new Date(Date.parse(`${date}T00:00:00Z`) + days * DAY_MS).toISOString().slice(0, 10);
