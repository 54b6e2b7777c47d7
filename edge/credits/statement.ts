/**
 * The account of a metering point over a KST month: all energy that is known of it, once, by what became of it. It adds up
 * exactly:
 *
 *   generated          = certified + residual + unusable + refused + withdrawn
 *   minted + owed      = claimed + debited + left       (of the certified hours)
 *   residual           = ready + minted
 *
 * Energy of a gap over a month's end belongs to no month: it is listed, and in no sum.
 */
import { EdgeError } from '../errors.ts';
import { HOUR } from '../wire/boundary.ts';
import { kstMonthRange } from './time.ts';

/** What the chain and the rules say of an hour, in one version. */
export type StatementRow = {
  id: string;
  slot: number;
  version: number;
  device: string;
  wh: number;
  state: 'ready' | 'sent' | 'minted' | 'refused' | 'withdrawn';
  code: string | null;
  /** Claimed of this hour in whatever version; and what of its tokens is neither claimed nor taken for a debt. */
  claimedWh: number;
  leftWh: number;
  startIdx: number;
  startWh: number;
  endIdx: number;
  endWh: number;
};

export type StatementResidual = {
  from: number;
  until: number;
  wh: number;
  reason: string;
  state: 'ready' | 'sent' | 'minted' | 'refused';
  code: string | null;
  /** The contract takes it, or has. */
  mintable: boolean;
};

export type StatementInput = {
  /** 2026-11 */
  month: string;
  point: string;
  pointId: string;
  gsrn: string;
  /** All versions of hours in the month; others are left out. */
  certificates: readonly StatementRow[];
  residuals: readonly StatementResidual[];
  /** Of the month's residual tokens. */
  residualClaimedWh: number;
  /** Wh of this metering point's tokens that changed hands at the market, and when (Unix seconds). */
  trades: readonly { time: number; wh: number }[];
};

type Span = { from: number; until: number; wh: number; reason: string };

export type Statement = {
  month: string;
  from: number;
  until: number;
  meteringPoint: string;
  pointId: string;
  gsrn: string;
  generatedWh: number;
  certifiedWh: number;
  residualWh: number;
  unusableWh: number;
  refusedWh: number;
  withdrawnWh: number;
  certified: {
    readyWh: number;
    sentWh: number;
    mintedWh: number;
    claimedWh: number;
    debitedWh: number;
    owedWh: number;
    leftWh: number;
  };
  residual: { readyWh: number; mintedWh: number; claimedWh: number };
  /** By the time of the trade, not of the energy. */
  tradedWh: number;
  /** Hours of the month: of `unknown` nothing is known, or they gave nothing. */
  hours: { all: number; certified: number; refused: number; withdrawn: number; unknown: number };
  refused: (Span & { code: string | null })[];
  unusable: Span[];
  acrossMonths: Span[];
  /** The first and the last register that hours of the month stand on, of each meter. */
  meters: { device: string; firstEntry: number; firstWh: number; lastEntry: number; lastWh: number }[];
};

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);
const whOf = (rows: readonly { wh: number }[]): number => sum(rows.map((r) => r.wh));

/** @throws EdgeError REQUEST_INVALID where the month is none */
export function statement(input: StatementInput): Statement {
  const { month, point, pointId, gsrn, residualClaimedWh, trades } = input;
  const range = kstMonthRange(month);
  if (!range) throw new EdgeError('REQUEST_INVALID', `${month} is no month, as 2026-11`);
  const { from, until } = range;
  const isWithin = (time: number): boolean => time >= from && time < until;

  const newest = new Map<number, StatementRow>();
  for (const row of input.certificates)
    if (isWithin(row.slot) && row.version >= (newest.get(row.slot)?.version ?? 0)) newest.set(row.slot, row);
  const hours = [...newest.values()].sort((a, b) => a.slot - b.slot);
  const inState = (...states: StatementRow['state'][]) => hours.filter((h) => states.includes(h.state));
  const [ready, sent, minted] = [inState('ready'), inState('sent'), inState('minted')];
  const [refusedHours, withdrawn] = [inState('refused'), inState('withdrawn')];

  const inside = input.residuals.filter((r) => r.from >= from && r.until <= until);
  const across = input.residuals.filter((r) => r.from < until && r.until > from && !inside.includes(r));
  const usable = inside.filter((r) => r.mintable && r.state !== 'refused');
  const refusedSpans = inside.filter((r) => r.state === 'refused');
  const unusable = inside.filter((r) => !r.mintable && r.state !== 'refused');
  const span = ({ from: f, until: u, wh, reason }: StatementResidual): Span => ({ from: f, until: u, wh, reason });

  const certifiedWh = whOf([...ready, ...sent, ...minted]);
  const residualWh = whOf(usable);
  const [unusableWh, withdrawnWh] = [whOf(unusable), whOf(withdrawn)];
  const refusedWh = whOf(refusedHours) + whOf(refusedSpans);
  const mintedResidualWh = whOf(usable.filter((r) => r.state === 'minted'));
  return {
    month,
    from,
    until,
    meteringPoint: point,
    pointId,
    gsrn,
    generatedWh: certifiedWh + residualWh + unusableWh + refusedWh + withdrawnWh,
    certifiedWh,
    residualWh,
    unusableWh,
    refusedWh,
    withdrawnWh,
    certified: {
      readyWh: whOf(ready),
      sentWh: whOf(sent),
      mintedWh: whOf(minted),
      claimedWh: sum(minted.map((h) => h.claimedWh)),
      debitedWh: sum(minted.map((h) => Math.max(0, h.wh - h.claimedWh - h.leftWh))),
      owedWh: sum(minted.map((h) => Math.max(0, h.claimedWh + h.leftWh - h.wh))),
      leftWh: sum(minted.map((h) => h.leftWh)),
    },
    residual: { readyWh: residualWh - mintedResidualWh, mintedWh: mintedResidualWh, claimedWh: residualClaimedWh },
    tradedWh: whOf(trades.filter((t) => isWithin(t.time))),
    hours: countHours(
      { from, until },
      ready.length + sent.length + minted.length,
      refusedHours.length,
      withdrawn.length,
    ),
    refused: [
      ...refusedHours.map((h) => ({ from: h.slot, until: h.slot + HOUR, wh: h.wh, reason: 'refused', code: h.code })),
      ...refusedSpans.map((r) => ({ ...span(r), code: r.code })),
    ].sort((a, b) => a.from - b.from),
    unusable: unusable.map(span),
    acrossMonths: across.map(span),
    meters: metersOf(hours),
  };
}

function countHours(
  { from, until }: { from: number; until: number },
  certified: number,
  refused: number,
  withdrawn: number,
): Statement['hours'] {
  const all = (until - from) / HOUR;
  return { all, certified, refused, withdrawn, unknown: all - certified - refused - withdrawn };
}

function metersOf(hours: readonly StatementRow[]): Statement['meters'] {
  const byDevice = Map.groupBy(hours, (h) => h.device);
  return [...byDevice].map(([device, list]) => {
    const [first, last] = [list[0] as StatementRow, list.at(-1) as StatementRow];
    return {
      device,
      firstEntry: first.startIdx,
      firstWh: first.startWh,
      lastEntry: last.endIdx,
      lastWh: last.endWh,
    };
  });
}
